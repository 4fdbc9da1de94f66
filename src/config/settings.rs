//! The table of settings: the one place that knows their names, defaults and meaning.
//!
//! Command line, environment, `.env` and TOML file are read by it; `--help`, `.env.example` and
//! the README's table are held against it by a test.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key in the TOML file; dotted for a key within a table.
    pub key: &'static str,
    /// Its environment variable.
    pub env: Option<&'static str>,
    /// Its flag, without the hyphens.
    pub flag: Option<&'static str>,
    /// What it is when nobody sets it, as it would be written.
    pub default: Option<&'static str>,
    /// What the default is in words, where it cannot be written.
    pub default_in_words: &'static str,
    /// One line on what it does.
    pub help: &'static str,
}

impl Setting {
    /// The setting of that key. Every key in this crate's code is in the table; a test of each
    /// setting's default says so.
    pub(crate) fn of(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// What people call it: by flag and environment variable, or by its key.
    pub fn name(&self) -> String {
        match (self.flag, self.env) {
            (Some(flag), Some(env)) => format!("--{flag} ({env})"),
            _ => self.key.to_owned(),
        }
    }
}

const fn everywhere(
    key: &'static str,
    flag: &'static str,
    env: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        env: Some(env),
        flag: Some(flag),
        default: Some(default),
        default_in_words: default,
        help,
    }
}

const fn without_default(
    key: &'static str,
    flag: &'static str,
    env: &'static str,
    default_in_words: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        env: Some(env),
        flag: Some(flag),
        default: None,
        default_in_words,
        help,
    }
}

const fn in_file(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting {
        key,
        env: None,
        flag: None,
        default: Some(default),
        default_in_words: default,
        help,
    }
}

const fn in_file_without_default(
    key: &'static str,
    default_in_words: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        env: None,
        flag: None,
        default: None,
        default_in_words,
        help,
    }
}

/// Names the TOML file, so it cannot stand in it.
pub(super) const CONFIG_FILE: Setting = without_default(
    "config",
    "config",
    "CONFIG_FILE",
    "none",
    "TOML file with any of these settings",
);

/// Every setting but [`CONFIG_FILE`], in the order in which they are explained.
pub(super) const SETTINGS: &[Setting] = &[
    everywhere(
        "listen",
        "listen",
        "LISTEN_ADDR",
        "127.0.0.1:4000",
        "address of the public listener; port 0 asks the system for one",
    ),
    without_default(
        "public_url",
        "public-url",
        "PUBLIC_URL",
        "http://localhost:PORT",
        "origin that clients see, such as https://mcp.example.com",
    ),
    without_default(
        "database_url",
        "database-url",
        "DATABASE_URL",
        "none: memory",
        "where state is kept: sqlite://PATH on one machine, postgres://… for many replicas",
    ),
    without_default(
        "sign_in_passcode",
        "sign-in-passcode",
        "SIGN_IN_PASSCODE",
        "generated, printed once",
        "passcode of the built-in user `owner`",
    ),
    everywhere(
        "admin_listen",
        "admin-listen",
        "ADMIN_ADDR",
        "127.0.0.1:4001",
        "address of the private listener, or off",
    ),
    everywhere(
        "access_token_ttl",
        "access-token-ttl",
        "ACCESS_TOKEN_TTL",
        "1h",
        "lifetime of an access token",
    ),
    everywhere(
        "code_ttl",
        "code-ttl",
        "CODE_TTL",
        "60s",
        "lifetime of an authorization code; at most 10m",
    ),
    everywhere(
        "refresh_grace",
        "refresh-grace",
        "REFRESH_GRACE",
        "2m",
        "how long a used refresh token yields the same answer again",
    ),
    everywhere(
        "refresh_token_ttl",
        "refresh-token-ttl",
        "REFRESH_TOKEN_TTL",
        "30d",
        "lifetime of a refresh token, from the last refresh",
    ),
    everywhere(
        "sign_in_ttl",
        "sign-in-ttl",
        "SIGN_IN_TTL",
        "24h",
        "how long a browser stays signed in",
    ),
    everywhere(
        "mcp_session_ttl",
        "mcp-session-ttl",
        "MCP_SESSION_TTL",
        "24h",
        "how long an MCP session may be idle",
    ),
    everywhere(
        "trusted_proxies",
        "trusted-proxies",
        "TRUSTED_PROXIES",
        "127.0.0.0/8,::1",
        "addresses and CIDRs whose X-Forwarded-For is believed",
    ),
    without_default(
        "client_ip_header",
        "client-ip-header",
        "CLIENT_IP_HEADER",
        "none; CF-Connecting-IP with --tunnel",
        "header that names the client's address, believed from trusted proxies only",
    ),
    without_default(
        "allowed_origins",
        "allowed-origins",
        "ALLOWED_ORIGINS",
        "none",
        "web origins that may use /mcp, added to the built-in ones",
    ),
    without_default(
        "allowed_hosts",
        "allowed-hosts",
        "ALLOWED_HOSTS",
        "none",
        "Host names accepted on /mcp, added to the built-in ones",
    ),
    everywhere(
        "registration",
        "registration",
        "REGISTRATION",
        "open",
        "who may register clients: open, token (whoever has REGISTRATION_TOKEN) or off",
    ),
    without_default(
        "registration_token",
        "registration-token",
        "REGISTRATION_TOKEN",
        "none",
        "initial access token that registration asks for where it is not open",
    ),
    without_default(
        "registration_redirect_hosts",
        "registration-redirect-hosts",
        "REGISTRATION_REDIRECT_HOSTS",
        "none: any",
        "hosts that clients which register may redirect to",
    ),
    everywhere(
        "client_documents",
        "client-documents",
        "CLIENT_DOCUMENTS",
        "on",
        "whether the URL of a metadata document may stand for a client",
    ),
    without_default(
        "client_document_hosts",
        "client-document-hosts",
        "CLIENT_DOCUMENT_HOSTS",
        "none: any",
        "hosts whose metadata documents are accepted",
    ),
    without_default(
        "client_document_denied_hosts",
        "client-document-denied-hosts",
        "CLIENT_DOCUMENT_DENIED_HOSTS",
        "none",
        "hosts whose metadata documents are not accepted",
    ),
    everywhere(
        "redirect_schemes",
        "redirect-schemes",
        "REDIRECT_SCHEMES",
        "cursor,vscode,vscode-insiders",
        "private-use URI schemes that clients may redirect to",
    ),
    without_default(
        "fetch_allow",
        "fetch-allow",
        "FETCH_ALLOW",
        "none",
        "hosts and CIDRs exempt from the ban on special-use addresses for outgoing fetches",
    ),
    everywhere(
        "allow_insecure_public_url",
        "allow-insecure-public-url",
        "ALLOW_INSECURE_PUBLIC_URL",
        "off",
        "on permits an http public URL that is not loopback",
    ),
    everywhere(
        "dpop_nonces",
        "dpop-nonces",
        "DPOP_NONCES",
        "off",
        "on demands a nonce of this server in DPoP proofs",
    ),
    everywhere(
        "rate_limits",
        "rate-limits",
        "RATE_LIMITS",
        "on",
        "off for benchmarks and trusted networks",
    ),
    without_default(
        "upstream",
        "upstream",
        "UPSTREAM",
        "none",
        "URL of an MCP server (Streamable HTTP) to put behind this one",
    ),
    without_default(
        "upstream_authorization",
        "upstream-authorization",
        "UPSTREAM_AUTHORIZATION",
        "none",
        "Authorization header that --upstream gets, such as Bearer TOKEN",
    ),
    without_default(
        "upstream_env",
        "upstream-env",
        "UPSTREAM_ENV",
        "none",
        "variables that a command after -- gets besides PATH and HOME",
    ),
    everywhere(
        "log",
        "log",
        "RUST_LOG",
        "info",
        "what is logged: a level, or directives such as remote_mcp_auth=debug",
    ),
    without_default(
        "log_format",
        "log-format",
        "LOG_FORMAT",
        "pretty on a terminal, else json",
        "pretty or json, on standard error",
    ),
    everywhere(
        "audit_arguments",
        "audit-arguments",
        "AUDIT_ARGUMENTS",
        "names",
        "what the record of each call holds of its arguments: names, or values too",
    ),
    in_file_without_default(
        "branding.name",
        "the host of the public URL",
        "what the pages call the server; at most 60 characters",
    ),
    in_file_without_default(
        "branding.logo",
        "a key",
        "PNG, JPEG, GIF or WebP of at most 256 KiB: a path, or an https URL that it is copied from",
    ),
    in_file_without_default(
        "branding.accent",
        "a blue",
        "colour of links and buttons, such as #0a7d4f; made lighter or darker where it could not be read",
    ),
    in_file_without_default(
        "branding.privacy_url",
        "none",
        "https URL of what is done with people's data, linked from every page",
    ),
    in_file_without_default(
        "branding.support_url",
        "none",
        "https or mailto URL of who helps people, linked from every page",
    ),
    in_file(
        "limits.connections",
        "10000",
        "open connections to the public listener",
    ),
    in_file(
        "limits.clients",
        "50000",
        "clients that never completed an authorization",
    ),
    in_file(
        "limits.pending_authorizations",
        "20000",
        "authorization requests that wait for a person",
    ),
    in_file("limits.mcp_sessions", "1000000", "MCP sessions in all"),
    in_file(
        "limits.mcp_sessions_per_grant",
        "100000",
        "MCP sessions of one person with one client",
    ),
    in_file(
        "limits.replays",
        "200000",
        "DPoP proofs and assertions that could come back",
    ),
    in_file(
        "limits.database_connections",
        "20",
        "connections to Postgres, of each replica; one more listens",
    ),
    in_file(
        "limits.registration_burst",
        "300",
        "registrations at once from one address",
    ),
    in_file(
        "limits.registrations_per_second",
        "1",
        "registrations a second from one address after that",
    ),
    in_file(
        "limits.authorization_burst",
        "300",
        "authorization requests at once from one address",
    ),
    in_file(
        "limits.authorizations_per_second",
        "5",
        "authorization requests a second from one address after that",
    ),
    in_file(
        "limits.token_failure_burst",
        "1000",
        "refused token requests at once from one address before it has to wait",
    ),
    in_file(
        "limits.token_failures_per_second",
        "50",
        "refused token requests a second from one address after that",
    ),
    in_file(
        "limits.sign_in_failures_per_address",
        "10",
        "failed sign-ins from one address before it has to wait",
    ),
    in_file(
        "limits.sign_in_failures",
        "100",
        "failed sign-ins in all before everyone has to wait",
    ),
    in_file(
        "limits.sign_in_failure_decay",
        "1m",
        "how long until one failed sign-in of an address is forgotten",
    ),
];

/// Every setting, for whoever lists them.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().chain([&CONFIG_FILE])
}
