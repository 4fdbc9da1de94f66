//! Reads the settings one by one, and what is right only of several together.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    AdminListener, ConfigError, Environment, Lifetimes, Limits, Registration, Setting, apis,
    http_tools, manner,
    sources::{RawSettings, Source},
    upstreams,
    values::{address, count, duration, lifetime, switch, text},
};
use crate::{
    api::{Api, HttpTool},
    mcp_upstream::{McpUpstream, Reach},
    model::{
        provider::Provider,
        resource::{PublicUrl, PublicUrlError},
        scope::ScopeCatalogue,
    },
    secret::InitialAccessToken,
};

/// The longest that a code may live (RFC 6749 §4.1.2 recommends it as a maximum).
const LONGEST_CODE_TTL: Duration = Duration::from_mins(10);

/// Understands raw settings, and notes what it cannot understand.
pub(super) struct Reader<'a> {
    pub(super) raw: &'a RawSettings,
    pub(super) errors: Vec<ConfigError>,
}

impl Reader<'_> {
    /// A setting that need not be set.
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let setting = Setting::of(key)?;
        let raw = self.raw.get(key);
        let text = raw.map(|raw| raw.text.as_str()).or(setting.default)?;
        parse(text.trim())
            .map_err(|problem| self.refuse(key, &problem))
            .ok()
    }

    /// A setting that has a default. `placeholder` stands in for a value that was refused.
    pub(super) fn value<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
        placeholder: T,
    ) -> T {
        self.optional(key, parse).unwrap_or(placeholder)
    }

    pub(super) fn list<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
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
    pub(super) fn refuse(&mut self, key: &str, problem: &str) {
        let name = Setting::of(key).map_or_else(|| key.to_owned(), Setting::name);
        let place = match self.raw.get(key) {
            Some(raw) => match &raw.source {
                source @ Source::File { .. } => format!(" ({source}, key {key})"),
                source => format!(" ({source})"),
            },
            None => String::new(),
        };
        self.errors
            .push(ConfigError::new(format!("{name}{place}: {problem}")));
    }

    pub(super) fn admin_listener(&mut self) -> AdminListener {
        let chosen = self.raw.get("admin_listen").is_some();
        let parse = |text: &str| match text {
            "off" => Ok(AdminListener::Off),
            _ if chosen => address(text).map(AdminListener::Chosen),
            _ => address(text).map(AdminListener::Default),
        };
        self.value("admin_listen", parse, AdminListener::Off)
    }

    pub(super) fn registration(&mut self) -> Registration {
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

    pub(super) fn public_url(&mut self) -> Option<PublicUrl> {
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
    pub(super) fn tools(
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
    pub(super) fn refuse_strangers(
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
    pub(super) fn upstreams(&mut self, of_file: Vec<McpUpstream>) -> Vec<McpUpstream> {
        let authorization = self.optional("upstream_authorization", upstreams::authorization);
        match self.optional("upstream", upstreams::url) {
            Some(url) if of_file.is_empty() => {
                let identity = authorization.unwrap_or_default();
                vec![McpUpstream::alone(Reach::Http { url, identity })]
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

    pub(super) fn lifetimes(&mut self) -> Lifetimes {
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

    pub(super) fn limits(&mut self) -> Limits {
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
