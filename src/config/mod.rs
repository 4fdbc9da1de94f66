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
mod reader;
mod scopes;
mod settings;
mod sources;
mod table;
mod upstreams;
mod values;

use std::{
    collections::HashMap,
    ffi::OsString,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::http::HeaderName;
use ipnet::IpNet;

pub use branding::{Branding, Logo};
pub use database::{Database, PostgresUrl};
use reader::Reader;
pub use settings::{Setting, all as settings};
use sources::RawSettings;
use values::{
    address, audit_arguments, exemptions, header_name, host_name, log_filter, log_format, network,
    origin, private_use_scheme, switch, text,
};

use crate::{
    api::{Api, ApiDocument, HttpTool},
    mcp_upstream::{McpUpstream, Reach},
    model::{
        assertion_issuer::AssertionIssuer, audit_arguments::AuditArguments, client::Client,
        client_metadata::MetadataRules, provider::Provider, resource::PublicUrl,
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
                trusted: read.list("trusted_proxies", network),
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

/// Stands in for an address that was refused.
const UNSPECIFIED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

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
