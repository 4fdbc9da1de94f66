//! Who may talk to us from a browser: the `Origin` and `Host` of a request.

use std::net::IpAddr;

use axum::http::{HeaderMap, Uri, header};

use crate::model::resource::is_loopback_host;

/// Web clients that connect from a page of their own.
const KNOWN_CLIENTS: [&str; 3] = [
    "https://claude.ai",
    "https://claude.com",
    "https://chatgpt.com",
];

/// Origins whose pages may call the MCP endpoint.
#[derive(Debug, Clone)]
pub struct AllowedOrigins {
    ours: Box<str>,
    added: Vec<String>,
}

impl AllowedOrigins {
    /// Our own origin, loopback on any port, the known web clients, and those added.
    pub fn new(ours: &str, added: Vec<String>) -> Self {
        Self {
            ours: ours.into(),
            added,
        }
    }

    /// Whether pages of `origin` are allowed. `null` never is: anybody can have that one.
    pub fn allows(&self, origin: &str) -> bool {
        *origin == *self.ours
            || KNOWN_CLIENTS.contains(&origin)
            || self.added.iter().any(|added| added == origin)
            || origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"))
                .is_some_and(|authority| is_loopback_host(without_port(authority)))
    }
}

/// Names under which the server may be called. A page that rebinds its own name to our address
/// still sends that name.
#[derive(Debug, Clone)]
pub struct AllowedHosts {
    public: Box<str>,
    added: Vec<String>,
}

impl AllowedHosts {
    /// The public host, loopback names, the address that was connected to, and those added.
    pub fn new(public: &str, added: Vec<String>) -> Self {
        Self {
            public: public.into(),
            added,
        }
    }

    /// Whether a `Host` is allowed on a connection to our address `local`. The port is of no
    /// interest: forwarders change it.
    pub fn allows(&self, host: &str, local: IpAddr) -> bool {
        let name = without_port(host);
        name.eq_ignore_ascii_case(&self.public)
            || is_loopback_host(name)
            || is_address(name, local)
            || self
                .added
                .iter()
                .any(|added| added.eq_ignore_ascii_case(name) || added.eq_ignore_ascii_case(host))
    }
}

/// The host that a request names: in its target if that is absolute (RFC 9112 §3.2.2), else in the
/// one `Host` header.
pub fn requested_host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str());
    }
    super::sole_header(headers, header::HOST)
        .ok()??
        .to_str()
        .ok()
}

fn is_address(name: &str, local: IpAddr) -> bool {
    let bare = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(name)
        .parse::<IpAddr>()
        .is_ok_and(|address| address.to_canonical() == local.to_canonical())
}

/// A `Host` or authority without its port.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.is_empty() => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_ours_loopback_known_or_added() {
        let origins = AllowedOrigins::new(
            "https://mcp.example.com",
            vec!["https://app.example.com".to_owned()],
        );
        for allowed in [
            "https://mcp.example.com",
            "https://app.example.com",
            "https://claude.ai",
            "https://claude.com",
            "https://chatgpt.com",
            "http://localhost:6274",
            "http://127.0.0.1",
            "https://[::1]:8443",
        ] {
            assert!(origins.allows(allowed), "{allowed}");
        }
        for refused in [
            "null",
            "",
            "http://mcp.example.com",
            "https://mcp.example.com.evil.example",
            "https://evil.claude.ai",
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://127.0.0.1.evil.example:80",
        ] {
            assert!(!origins.allows(refused), "{refused}");
        }
    }

    #[test]
    fn hosts_are_public_loopback_the_connected_address_or_added() {
        let hosts = AllowedHosts::new("mcp.example.com", vec!["mcp.internal".to_owned()]);
        let local = "192.0.2.5".parse().unwrap();
        for allowed in [
            "mcp.example.com",
            "MCP.example.com:443",
            "localhost:4000",
            "127.0.0.1:9",
            "[::1]:4000",
            "192.0.2.5:4000",
            "mcp.internal",
        ] {
            assert!(hosts.allows(allowed, local), "{allowed}");
        }
        for refused in [
            "evil.example",
            "192.0.2.6",
            "",
            "mcp.example.com.evil.example",
        ] {
            assert!(!hosts.allows(refused, local), "{refused}");
        }
    }
}
