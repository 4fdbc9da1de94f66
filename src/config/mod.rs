//! The configuration: gathered from its sources, validated once, and then simply true.

mod apis;
mod branding;
mod clients;
mod database;
mod dot_env;
mod http_tools;
mod issuers;
mod manner;
mod providers;
mod scopes;
mod settings;
mod sources;
mod table;
mod upstreams;

use std::{
    collections::HashMap,
    ffi::OsString,
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::http::HeaderName;
use ipnet::IpNet;

pub use branding::{Branding, Logo};
pub use database::{Database, PostgresUrl};
pub use settings::{Setting, all as settings};
use sources::RawSettings;

use crate::{
    api::{Api, ApiDocument, HttpTool, UpstreamIdentity},
    mcp_upstream::{McpUpstream, Reach},
    model::{
        assertion_issuer::AssertionIssuer,
        audit_arguments::AuditArguments,
        client::Client,
        client_metadata::MetadataRules,
        provider::Provider,
        resource::{PublicUrl, PublicUrlError},
        scope::ScopeCatalogue,
    },
    secret::{Credential, Digest, InitialAccessToken, Passcode},
};

/// One thing that is wrong with the configuration, in words for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    fn unknown_key(key: &str, source: &sources::Source) -> Self {
        Self(format!("unknown setting {key:?} ({source})"))
    }
}

/// Everything that is wrong with the configuration; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Names a secret's value in the environment.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Everything that can be set, validated.
#[derive(Debug)]
pub struct Config {
    /// Address of the public listener.
    pub listen: SocketAddr,
    /// The origin that clients see; `None`: `http://localhost` with the listener's port.
    pub public_url: Option<PublicUrl>,
    /// Where state is kept.
    pub database: Database,
    /// The passcode of the built-in user; `None`: one is generated.
    pub passcode: Option<Passcode>,
    /// The private listener.
    pub admin: AdminListener,
    /// How long things last.
    pub lifetimes: Lifetimes,
    /// Who may say what a client's address is.
    pub proxies: Proxies,
    /// Web origins allowed on `/mcp` beside the built-in ones, lower case.
    pub allowed_origins: Vec<String>,
    /// Host names allowed on `/mcp` beside the built-in ones, lower case.
    pub allowed_hosts: Vec<String>,
    /// Who may register.
    pub registration: Registration,
    /// What clients may say of themselves.
    pub metadata_rules: MetadataRules,
    /// Clients that the operator set up.
    pub clients: Vec<Client>,
    /// Whether proofs of possession must contain a nonce of this server (RFC 9449 §8).
    pub dpop_nonces: bool,
    /// Who may ask about tokens, beside clients about their own.
    pub resource_servers: Vec<ResourceServerConfig>,
    /// Identity providers whose word is taken for who a person is.
    pub assertion_issuers: Vec<AssertionIssuer>,
    /// Identity providers with which people may sign in.
    pub providers: Vec<Arc<Provider>>,
    /// What outgoing fetches may reach although it is not public.
    pub fetch_allow: Exemptions,
    /// Clients that are known by a document; `None`: there are none.
    pub client_documents: Option<DocumentHosts>,
    /// Copies of such documents, for where they cannot be fetched.
    pub pinned_documents: Vec<Client>,
    /// The table of scopes.
    pub scopes: ScopeCatalogue,
    /// MCP servers behind this one.
    pub upstreams: Vec<McpUpstream>,
    /// What the command line's own command finds in its environment.
    pub command_environment: Vec<(String, Credential)>,
    /// The files that it was read from. When one of them changes, it is read anew.
    pub files: Vec<PathBuf>,
    /// Tools that are one HTTP request each.
    pub http_tools: Vec<HttpTool>,
    /// APIs whose operations are tools.
    pub apis: Vec<Api>,
    /// What pages show of the operator.
    pub branding: Branding,
    /// How much there may be of things.
    pub limits: Limits,
    /// What is logged: directives of `tracing_subscriber::EnvFilter`.
    pub log_filter: String,
    /// How it is logged; `None`: pretty on a terminal, JSON elsewhere.
    pub log_format: Option<LogFormat>,
    /// What is recorded of the arguments of calls.
    pub audit_arguments: AuditArguments,
}

/// Where the private listener listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminListener {
    /// Nowhere.
    Off,
    /// At the default address. If that is taken the server runs without.
    Default(SocketAddr),
    /// At an address that the operator chose, or not at all.
    Chosen(SocketAddr),
}

/// How long things last.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// An access token.
    pub access_token: Duration,
    /// An authorization code.
    pub code: Duration,
    /// The window in which a used refresh token yields the same answer.
    pub refresh_grace: Duration,
    /// A refresh token, from the last refresh.
    pub refresh_token: Duration,
    /// A browser session.
    pub sign_in: Duration,
    /// An idle MCP session.
    pub mcp_session: Duration,
}

/// Who may say what a client's address is.
#[derive(Debug, Clone)]
pub struct Proxies {
    /// The addresses that are believed.
    pub trusted: Vec<IpNet>,
    /// The header that they say it in, instead of `X-Forwarded-For`.
    pub header: Option<HeaderName>,
}

/// Who may register.
#[derive(Debug)]
pub enum Registration {
    /// Everyone.
    Open,
    /// Whoever has this initial access token (RFC 7591 §3).
    WithToken(InitialAccessToken),
    /// Nobody.
    Off,
}

/// Whose metadata documents are accepted. Names without ports, in lower case.
#[derive(Debug, Clone, Default)]
pub struct DocumentHosts {
    /// Those; empty: all.
    pub allowed: Vec<String>,
    /// But not those.
    pub denied: Vec<String>,
}

/// Who may ask about the tokens that it is to accept (RFC 7662).
#[derive(Debug, Clone)]
pub struct ResourceServerConfig {
    /// What it calls itself when it asks.
    pub id: Arc<str>,
    /// The digest of its secret.
    pub secret: Digest,
    /// The resource that its tokens are bound to; `None`: this server's.
    pub audience: Option<Arc<str>>,
}

/// What is exempt from the ban on special-use addresses for outgoing fetches.
#[derive(Debug, Clone, Default)]
pub struct Exemptions {
    /// Host names, lower case.
    pub hosts: Vec<String>,
    /// Addresses.
    pub networks: Vec<IpNet>,
}

/// How much there may be of things.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Whether requests are limited by rate at all.
    pub rate_limits: bool,
    /// Open connections.
    pub connections: usize,
    /// Clients that never completed an authorization.
    pub clients: usize,
    /// Authorization requests that wait for a person.
    pub pending_authorizations: usize,
    /// MCP sessions in all.
    pub mcp_sessions: usize,
    /// MCP sessions of one person with one client.
    pub mcp_sessions_per_grant: usize,
    /// Proofs of possession and assertions that could come back.
    pub replays: usize,
    /// Connections to Postgres.
    pub database_connections: u32,
    /// Registrations at once from one address.
    pub registration_burst: u32,
    /// Registrations a second from one address after that.
    pub registrations_per_second: u32,
    /// Authorization requests at once from one address.
    pub authorization_burst: u32,
    /// Authorization requests a second from one address after that.
    pub authorizations_per_second: u32,
    /// Refused token requests at once from one address.
    pub token_failure_burst: u32,
    /// Refused token requests a second from one address after that.
    pub token_failures_per_second: u32,
    /// Failed sign-ins from one address.
    pub sign_in_failures_per_address: u32,
    /// Failed sign-ins in all.
    pub sign_in_failures: u32,
    /// How long until one failed sign-in of an address is forgotten.
    pub sign_in_failure_decay: Duration,
}

/// What was read, or would be if it were there.
fn files(raw: &RawSettings, directory: &Path, apis: &[Api]) -> Vec<PathBuf> {
    let named = raw.get(settings::CONFIG_FILE.key);
    let named = named.map(|file| directory.join(&file.text));
    let dot_env = Some(directory.join(".env")).filter(|path| path.exists());
    let described = apis.iter().filter_map(|api| match &api.document {
        ApiDocument::File { path, .. } => Some(directory.join(path)),
        ApiDocument::Url(_) => None,
    });
    named.into_iter().chain(dot_env).chain(described).collect()
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads the configuration of a program: `flags` holds what was typed, by key.
    pub fn load(
        flags: &HashMap<&'static str, String>,
        environment: &dyn Fn(&str) -> Option<OsString>,
        directory: &Path,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw = RawSettings::gather(flags, environment, directory, &mut errors);
        let environment = |name: &str| match environment(name) {
            Some(value) => value.into_string().ok(),
            None => raw.in_dot_env(name),
        };
        let mut config = Self::validate(&raw, &environment, directory, errors)?;
        config.files = files(&raw, directory, &config.apis);
        Ok(config)
    }

    /// Reads settings that a program holds itself, by key: `public_url`, `limits.clients` …
    pub fn from_settings<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw = RawSettings::from_pairs(pairs, &mut errors);
        Self::validate(&raw, &|_| None, Path::new("."), errors)
    }

    /// Puts a command behind the server.
    pub fn put_behind(&mut self, command: Vec<String>) -> Result<(), ConfigErrors> {
        if !self.upstreams.is_empty() {
            return Err(ConfigErrors(vec![ConfigError::new(
                "a command after -- is the only upstream; leave out --upstream (UPSTREAM) and \
                 [[upstreams]]",
            )]));
        }
        self.upstreams.push(McpUpstream::alone(Reach::Command {
            command,
            environment: self.command_environment.clone(),
            directory: None,
        }));
        Ok(())
    }

    fn validate(
        raw: &RawSettings,
        environment: Environment<'_>,
        directory: &Path,
        errors: Vec<ConfigError>,
    ) -> Result<Self, ConfigErrors> {
        let mut read = Reader { raw, errors };
        let public_url = read.public_url();
        let listen = read.value("listen", address, UNSPECIFIED);
        let admin = read.admin_listener();
        // Where nobody chose it, the server runs without: the public listener has the address then.
        if let AdminListener::Chosen(admin) = admin
            && admin == listen
            && admin.port() != 0
        {
            read.refuse("admin_listen", "is the same as --listen (LISTEN_ADDR)");
        }
        let metadata_rules = MetadataRules {
            redirect_schemes: read.list("redirect_schemes", private_use_scheme),
            redirect_hosts: read.list("registration_redirect_hosts", host_name),
        };
        let scopes = scopes::read(raw.tables("scopes"), &mut read.errors);
        let scopes = if scopes.is_empty() {
            ScopeCatalogue::built_in()
        } else {
            ScopeCatalogue::new(scopes)
        };
        let clients = clients::read(
            raw.tables("clients"),
            &metadata_rules,
            &scopes,
            environment,
            &mut read.errors,
        );
        let resource_servers = clients::read_resource_servers(
            raw.tables("resource_servers"),
            &clients,
            environment,
            &mut read.errors,
        );
        let pinned = raw.tables("pinned_documents");
        let issuers = raw.tables("assertion_issuers");
        let assertion_issuers = issuers::read(issuers, &scopes, &mut read.errors);
        let upstreams = upstreams::read(raw.tables("upstreams"), environment, &mut read.errors);
        let upstreams = read.upstreams(upstreams);
        let passed = |name: &str| upstreams::passed(name, environment);
        let command_environment = read.list("upstream_env", passed);
        let providers = raw.tables("sign_in_providers");
        let providers = providers::read(providers, environment, &mut read.errors);
        let hosts = DocumentHosts {
            allowed: read.list("client_document_hosts", host_name),
            denied: read.list("client_document_denied_hosts", host_name),
        };
        let has_documents = read.value("client_documents", switch, false);
        let (http_tools, apis) = read.tools(&scopes, environment, directory);
        read.refuse_strangers(&providers, &upstreams, &http_tools, &apis);
        let config = Self {
            listen,
            public_url,
            database: read
                .optional("database_url", Database::parse)
                .unwrap_or_default(),
            passcode: read
                .optional("sign_in_passcode", text)
                .map(Passcode::chosen),
            admin,
            lifetimes: read.lifetimes(),
            proxies: Proxies {
                trusted: read.value("trusted_proxies", networks, Vec::new()),
                header: read.optional("client_ip_header", header_name),
            },
            allowed_origins: read.list("allowed_origins", origin),
            allowed_hosts: read.list("allowed_hosts", |host| Ok(host.to_ascii_lowercase())),
            registration: read.registration(),
            client_documents: has_documents.then_some(hosts),
            pinned_documents: clients::read_pinned(pinned, &metadata_rules, &mut read.errors),
            metadata_rules,
            clients,
            resource_servers,
            assertion_issuers,
            providers,
            dpop_nonces: read.value("dpop_nonces", switch, false),
            scopes,
            http_tools,
            files: Vec::new(),
            apis,
            fetch_allow: read.value("fetch_allow", exemptions, Exemptions::default()),
            upstreams,
            command_environment,
            branding: read.branding(),
            limits: read.limits(),
            log_filter: read.value("log", log_filter, String::new()),
            log_format: read.optional("log_format", log_format),
            audit_arguments: read.value(
                "audit_arguments",
                audit_arguments,
                AuditArguments::default(),
            ),
        };
        if read.errors.is_empty() {
            Ok(config)
        } else {
            Err(ConfigErrors(read.errors))
        }
    }
}

const UNSPECIFIED: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

/// The longest that a code may live (RFC 6749 §4.1.2 recommends it as a maximum).
const LONGEST_CODE_TTL: Duration = Duration::from_mins(10);

/// The longest that anything may last. It keeps sums and products of durations far from where they
/// overflow.
const LONGEST: Duration = Duration::from_hours(10 * 366 * 24);

/// The most that there may be of anything, for the same reason: a second divided by it is not
/// nothing yet.
const MOST: u64 = 1_000_000_000;

/// Understands raw settings, and notes what it cannot understand.
struct Reader<'a> {
    raw: &'a RawSettings,
    errors: Vec<ConfigError>,
}

impl Reader<'_> {
    /// A setting that need not be set.
    fn optional<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let setting = Setting::of(key)?;
        let raw = self.raw.get(key);
        let text = raw.map(|raw| raw.text.as_str()).or(setting.default)?;
        parse(text.trim())
            .map_err(|problem| self.refuse(key, &problem))
            .ok()
    }

    /// A setting that has a default. `placeholder` stands in for a value that was refused.
    fn value<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
        placeholder: T,
    ) -> T {
        self.optional(key, parse).unwrap_or(placeholder)
    }

    fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let items = |text: &str| -> Result<Vec<T>, String> {
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(&parse)
                .collect()
        };
        self.optional(key, items).unwrap_or_default()
    }

    /// Says what is wrong with a setting. Its value is not repeated: it may be a secret.
    fn refuse(&mut self, key: &str, problem: &str) {
        let name = Setting::of(key).map_or_else(|| key.to_owned(), Setting::name);
        let place = match self.raw.get(key) {
            Some(raw) => match &raw.source {
                source @ sources::Source::File { .. } => format!(" ({source}, key {key})"),
                source => format!(" ({source})"),
            },
            None => String::new(),
        };
        self.errors
            .push(ConfigError::new(format!("{name}{place}: {problem}")));
    }

    fn admin_listener(&mut self) -> AdminListener {
        let chosen = self.raw.get("admin_listen").is_some();
        let parse = |text: &str| match text {
            "off" => Ok(AdminListener::Off),
            _ if chosen => address(text).map(AdminListener::Chosen),
            _ => address(text).map(AdminListener::Default),
        };
        self.value("admin_listen", parse, AdminListener::Off)
    }

    fn registration(&mut self) -> Registration {
        let token = self
            .optional("registration_token", text)
            .map(InitialAccessToken::presented);
        let policy = |text: &str| match text {
            "open" | "token" | "off" => Ok(text.to_owned()),
            _ => Err("must be open, token or off".to_owned()),
        };
        match (
            self.value("registration", policy, String::new()).as_str(),
            token,
        ) {
            ("token", Some(token)) => return Registration::WithToken(token),
            ("token", None) => self.refuse(
                "registration_token",
                "must be set where --registration (REGISTRATION) is token",
            ),
            ("open", None) => return Registration::Open,
            (_, Some(_)) => self.refuse(
                "registration_token",
                "is of use only where --registration (REGISTRATION) is token",
            ),
            _ => {}
        }
        Registration::Off
    }

    fn public_url(&mut self) -> Option<PublicUrl> {
        let insecure_allowed = self.value("allow_insecure_public_url", switch, false);
        let url = self.optional("public_url", |text| {
            PublicUrl::parse(text).map_err(|error: PublicUrlError| error.to_string())
        })?;
        if !url.is_https() && !url.is_loopback() && !insecure_allowed {
            self.refuse(
                "public_url",
                "http is for loopback only: tokens would travel in clear; use https \
                 (--allow-insecure-public-url, ALLOW_INSECURE_PUBLIC_URL=on, if you must)",
            );
        }
        Some(url)
    }

    /// What stands behind tools by configuration.
    fn tools(
        &mut self,
        scopes: &ScopeCatalogue,
        environment: Environment<'_>,
        directory: &Path,
    ) -> (Vec<HttpTool>, Vec<Api>) {
        let http_tools = self.raw.tables("http_tools");
        let http_tools = http_tools::read(http_tools, scopes, environment, &mut self.errors);
        let apis = self.raw.tables("apis");
        let apis = apis::read(apis, scopes, environment, directory, &mut self.errors);
        (http_tools, apis)
    }

    /// Refuses identities at providers that there are not, or that keep no tokens.
    fn refuse_strangers(
        &mut self,
        providers: &[Arc<Provider>],
        upstreams: &[McpUpstream],
        http_tools: &[HttpTool],
        apis: &[Api],
    ) {
        let tools = http_tools
            .iter()
            .map(|tool| (&*tool.name, &tool.manner.identity));
        let told = apis.iter().map(|api| (&*api.name, &api.manner.identity));
        let told = tools
            .chain(told)
            .chain(upstreams.iter().filter_map(|upstream| {
                let Reach::Http { identity, .. } = &upstream.reach else {
                    return None;
                };
                Some((upstream.label(), identity))
            }));
        self.errors.extend(manner::strangers(told, providers));
    }

    /// The upstream that is named alone, or those of the file.
    fn upstreams(&mut self, of_file: Vec<McpUpstream>) -> Vec<McpUpstream> {
        let authorization = self.optional("upstream_authorization", upstreams::authorization);
        match self.optional("upstream", upstreams::url) {
            Some(url) if of_file.is_empty() => {
                vec![McpUpstream::alone(Reach::Http {
                    url,
                    authorization,
                    identity: UpstreamIdentity::None,
                })]
            }
            Some(_) => {
                self.refuse(
                    "upstream",
                    "is for one upstream alone, and the file has [[upstreams]]",
                );
                of_file
            }
            None => {
                if authorization.is_some() {
                    self.refuse(
                        "upstream_authorization",
                        "is of use only with --upstream (UPSTREAM)",
                    );
                }
                of_file
            }
        }
    }

    fn lifetimes(&mut self) -> Lifetimes {
        let lifetimes = Lifetimes {
            access_token: self.value("access_token_ttl", lifetime, Duration::ZERO),
            code: self.value("code_ttl", lifetime, Duration::ZERO),
            refresh_grace: self.value("refresh_grace", duration, Duration::ZERO),
            refresh_token: self.value("refresh_token_ttl", lifetime, Duration::MAX),
            sign_in: self.value("sign_in_ttl", lifetime, Duration::ZERO),
            mcp_session: self.value("mcp_session_ttl", lifetime, Duration::ZERO),
        };
        if lifetimes.code > LONGEST_CODE_TTL {
            self.refuse("code_ttl", "a code may live for 10m at most");
        }
        if lifetimes.refresh_grace >= lifetimes.refresh_token {
            self.refuse(
                "refresh_grace",
                "must be shorter than --refresh-token-ttl (REFRESH_TOKEN_TTL)",
            );
        }
        lifetimes
    }

    fn limits(&mut self) -> Limits {
        Limits {
            rate_limits: self.value("rate_limits", switch, true),
            connections: self.value("limits.connections", count, 0),
            clients: self.value("limits.clients", count, 0),
            pending_authorizations: self.value("limits.pending_authorizations", count, 0),
            mcp_sessions: self.value("limits.mcp_sessions", count, 0),
            mcp_sessions_per_grant: self.value("limits.mcp_sessions_per_grant", count, 0),
            replays: self.value("limits.replays", count, 0),
            database_connections: self.value("limits.database_connections", count, 0),
            registration_burst: self.value("limits.registration_burst", count, 0),
            registrations_per_second: self.value("limits.registrations_per_second", count, 0),
            authorization_burst: self.value("limits.authorization_burst", count, 0),
            authorizations_per_second: self.value("limits.authorizations_per_second", count, 0),
            token_failure_burst: self.value("limits.token_failure_burst", count, 0),
            token_failures_per_second: self.value("limits.token_failures_per_second", count, 0),
            sign_in_failures_per_address: self.value(
                "limits.sign_in_failures_per_address",
                count,
                0,
            ),
            sign_in_failures: self.value("limits.sign_in_failures", count, 0),
            sign_in_failure_decay: self.value(
                "limits.sign_in_failure_decay",
                lifetime,
                Duration::ZERO,
            ),
        }
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature of every parser here"
)]
fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "is not an address and port such as 127.0.0.1:4000 or [::]:4000".to_owned())
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| "is not a duration such as 90s, 15m, 1h or 30d".to_owned())?;
    if duration > LONGEST {
        return Err("must be at most 10y".to_owned());
    }
    Ok(duration)
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = duration(text)?;
    if lifetime < Duration::from_secs(1) {
        return Err("must be at least 1s".to_owned());
    }
    Ok(lifetime)
}

fn count<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    text.parse::<u64>()
        .ok()
        .filter(|number| (1..=MOST).contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("must be a whole number from 1 to {MOST}"))
}

fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| {
            network(item).ok_or_else(|| {
                format!("{item:?} is not an address or CIDR such as 10.0.0.0/8 or ::1")
            })
        })
        .collect()
}

/// An address is a network of one.
fn network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>();
    network
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .ok()
}

fn exemptions(text: &str) -> Result<Exemptions, String> {
    let mut exemptions = Exemptions::default();
    let items = text.split(',').map(str::trim);
    for item in items.filter(|item| !item.is_empty()) {
        match network(item) {
            Some(network) => exemptions.networks.push(network),
            None if is_host_name(item) => exemptions.hosts.push(item.to_ascii_lowercase()),
            None => {
                return Err(format!(
                    "{item:?} is not a host, address or CIDR such as localhost, ::1 or 10.0.0.0/8"
                ));
            }
        }
    }
    Ok(exemptions)
}

/// A name, without port or wildcard. One that ends in a number would be read as an address.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let mut bytes = label.bytes();
        !label.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

fn header_name(text: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(text).map_err(|_| "is not the name of a header".to_owned())
}

fn origin(text: &str) -> Result<String, String> {
    PublicUrl::parse(text)
        .map(|url| url.origin().to_owned())
        .map_err(|error| format!("{text:?} {error}"))
}

/// A host as it stands in redirect URIs: without a port, in lower case.
fn host_name(text: &str) -> Result<String, String> {
    let host = text.to_ascii_lowercase();
    let url = PublicUrl::parse(&format!("https://{host}"));
    if url.is_ok_and(|url| url.host() == host) {
        Ok(host)
    } else {
        Err(format!("{text:?} is not a host such as app.example.com"))
    }
}

/// RFC 3986 §3.1. Schemes that a browser itself acts on are never an application's own.
fn private_use_scheme(text: &str) -> Result<String, String> {
    let scheme = text.to_ascii_lowercase();
    let mut bytes = scheme.bytes();
    let well_formed = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let never = [
        "http",
        "https",
        "javascript",
        "data",
        "file",
        "vbscript",
        "blob",
        "about",
        "ftp",
        "ws",
        "wss",
        "mailto",
    ];
    if !well_formed || never.contains(&scheme.as_str()) {
        return Err(format!(
            "{text:?} cannot be a private-use scheme (RFC 8252 §7.1)"
        ));
    }
    Ok(scheme)
}

fn log_filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("is not a log filter such as info or hyper=debug: {error}"))
}

fn audit_arguments(text: &str) -> Result<AuditArguments, String> {
    match text {
        "names" => Ok(AuditArguments::Names),
        "values" => Ok(AuditArguments::Values),
        _ => Err("must be names or values".to_owned()),
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "pretty" => Ok(LogFormat::Pretty),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be pretty or json".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(key: &str, value: &str) -> String {
        Config::from_settings([(key, value)])
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn nothing_need_be_set() {
        let config = Config::from_settings([]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:4000");
        assert_eq!(config.lifetimes.refresh_token, Duration::from_hours(720));
        assert_eq!(
            config.metadata_rules.redirect_schemes,
            ["cursor", "vscode", "vscode-insiders"]
        );
        assert_eq!(config.limits.clients, 50_000);
    }

    #[test]
    fn every_key_that_is_read_is_in_the_table() {
        // A key that is missing from the table would read as its placeholder.
        let config = Config::from_settings([]).unwrap();
        let limits = config.limits;
        assert!(limits.rate_limits && limits.connections > 0 && limits.mcp_sessions > 0);
        assert!(limits.authorization_burst > 0 && limits.authorizations_per_second > 0);
        assert!(limits.registration_burst > 0 && limits.sign_in_failures > 0);
        assert!(!config.proxies.trusted.is_empty() && !config.log_filter.is_empty());
    }

    #[test]
    fn a_bad_value_is_named_by_flag_and_variable() {
        for (key, value, names) in [
            ("listen", "4000", "--listen (LISTEN_ADDR)"),
            (
                "public_url",
                "https://x.example/base",
                "--public-url (PUBLIC_URL)",
            ),
            (
                "public_url",
                "http://x.example",
                "--public-url (PUBLIC_URL)",
            ),
            (
                "access_token_ttl",
                "soon",
                "--access-token-ttl (ACCESS_TOKEN_TTL)",
            ),
            ("code_ttl", "11m", "--code-ttl (CODE_TTL)"),
            ("refresh_grace", "31d", "--refresh-grace (REFRESH_GRACE)"),
            (
                "trusted_proxies",
                "10.0.0.0/33",
                "--trusted-proxies (TRUSTED_PROXIES)",
            ),
            (
                "redirect_schemes",
                "javascript",
                "--redirect-schemes (REDIRECT_SCHEMES)",
            ),
            ("fetch_allow", "10.0.0.0/33", "--fetch-allow (FETCH_ALLOW)"),
            ("fetch_allow", "10.0.0.256", "--fetch-allow (FETCH_ALLOW)"),
            ("fetch_allow", "*.example", "--fetch-allow (FETCH_ALLOW)"),
            (
                "fetch_allow",
                "localhost:8443",
                "--fetch-allow (FETCH_ALLOW)",
            ),
            ("rate_limits", "maybe", "--rate-limits (RATE_LIMITS)"),
            ("limits.clients", "0", "limits.clients"),
            ("limits.clients", "1000000001", "limits.clients"),
            (
                "limits.sign_in_failure_decay",
                "500000000y",
                "limits.sign_in_failure_decay",
            ),
            ("sign_in_ttl", "11y", "--sign-in-ttl (SIGN_IN_TTL)"),
            (
                "admin_listen",
                "127.0.0.1:4000",
                "--admin-listen (ADMIN_ADDR)",
            ),
            ("database_url", "state.db", "--database-url (DATABASE_URL)"),
            ("registration", "maybe", "--registration (REGISTRATION)"),
            (
                "registration",
                "token",
                "--registration-token (REGISTRATION_TOKEN)",
            ),
            (
                "registration_token",
                "secret",
                "--registration-token (REGISTRATION_TOKEN)",
            ),
            (
                "registration_redirect_hosts",
                "https://app.example.com",
                "--registration-redirect-hosts (REGISTRATION_REDIRECT_HOSTS)",
            ),
            ("colour", "red", "unknown setting \"colour\""),
        ] {
            let problem = problem(key, value);
            assert!(problem.contains(names), "{key}={value}: {problem}");
        }
    }

    #[test]
    fn hosts_and_networks_are_told_apart() {
        let text = "localhost, Keys.Example, 10.0.0.0/8, ::1,";
        let config = Config::from_settings([("fetch_allow", text)]).unwrap();
        let exemptions = config.fetch_allow;
        assert_eq!(exemptions.hosts, ["localhost", "keys.example"]);
        let networks = ["10.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap());
        assert_eq!(exemptions.networks, networks);
    }

    #[test]
    fn the_default_admin_address_is_nobodys_mistake() {
        let taken = Config::from_settings([("listen", "127.0.0.1:4001")]);
        assert!(taken.is_ok(), "{taken:?}");
    }

    #[test]
    fn a_refused_secret_is_not_repeated() {
        let shown =
            Config::from_settings([("sign_in_passcode", "swordfish"), ("listen", "nowhere")])
                .unwrap_err()
                .to_string();
        assert!(!shown.contains("swordfish"), "{shown}");
    }

    #[test]
    fn http_is_allowed_on_loopback_or_on_demand() {
        assert!(Config::from_settings([("public_url", "http://127.0.0.1:4000")]).is_ok());
        assert!(
            Config::from_settings([
                ("public_url", "http://mcp.internal"),
                ("allow_insecure_public_url", "on"),
            ])
            .is_ok()
        );
    }
}
