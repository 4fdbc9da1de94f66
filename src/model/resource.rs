//! The protected resource: the identifier that tokens are bound to (RFC 8707, RFC 9728).

use std::{fmt, sync::Arc};

use fluent_uri::Uri;

/// Path of the MCP endpoint below the public URL.
pub const MCP_PATH: &str = "/mcp";

/// The origin that clients see: the issuer, and the base of every advertised URL.
///
/// Kept as the text that is advertised, because clients compare it character by character.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl {
    origin: Arc<str>,
    resource: Arc<str>,
}

/// Why a text cannot be the public URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicUrlError {
    /// Not a URI with a host.
    #[error("is not an absolute URL such as https://mcp.example.com")]
    NotAUrl,
    /// Neither http nor https.
    #[error("must start with https:// (or http:// on loopback)")]
    Scheme,
    /// More than an origin.
    #[error(
        "must be an origin alone: no path, query, fragment or user name (the connector URL is this origin followed by /mcp)"
    )]
    NotAnOrigin,
}

impl PublicUrl {
    /// Reads an origin. A trailing slash, capitals and the default port are tidied away, once and
    /// here, so that all that is advertised agrees.
    pub fn parse(text: &str) -> Result<Self, PublicUrlError> {
        let uri = Uri::parse(text).map_err(|_| PublicUrlError::NotAUrl)?;
        if !matches!(scheme(&uri).as_str(), "http" | "https") {
            return Err(PublicUrlError::Scheme);
        }
        let authority = uri.authority().ok_or(PublicUrlError::NotAUrl)?;
        if authority.host().is_empty() || authority.port_to_u16().is_err() {
            return Err(PublicUrlError::NotAUrl);
        }
        let bare = matches!(uri.path().as_str(), "" | "/");
        if !bare || uri.has_query() || uri.has_fragment() || authority.has_userinfo() {
            return Err(PublicUrlError::NotAnOrigin);
        }
        let origin = origin(&uri).ok_or(PublicUrlError::NotAUrl)?;
        Ok(Self {
            resource: format!("{origin}{MCP_PATH}").into(),
            origin: origin.into(),
        })
    }

    /// The origin, without a trailing slash: the issuer (RFC 8414 §2).
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The MCP endpoint's URL: the resource identifier, and what people paste.
    pub fn resource(&self) -> &Arc<str> {
        &self.resource
    }

    /// The URL of a path on this server.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Whether browsers reach us over TLS.
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// The host name or address, without the port; IPv6 in brackets.
    pub fn host(&self) -> &str {
        let authority = self.authority();
        match authority.rfind(':') {
            Some(colon) if !authority.ends_with(']') => authority.get(..colon).unwrap_or(authority),
            _ => authority,
        }
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        is_loopback_host(self.host())
    }

    fn authority(&self) -> &str {
        self.origin
            .split_once("://")
            .map_or("", |(_, authority)| authority)
    }

    /// Whether a `resource` parameter means this server (RFC 8707 §2).
    ///
    /// Forgiven are a trailing slash, the case of the scheme and host, the default port, and the
    /// origin instead of the endpoint; nothing else.
    pub fn is_resource(&self, text: &str) -> bool {
        let Ok(uri) = Uri::parse(text) else {
            return false;
        };
        let plain_authority = uri.authority().is_some_and(|a| !a.has_userinfo());
        if !plain_authority || uri.has_query() || uri.has_fragment() {
            return false;
        }
        let path = uri.path().as_str();
        let path = path.strip_suffix('/').unwrap_or(path);
        origin(&uri).is_some_and(|origin| *origin == *self.origin) && matches!(path, "" | MCP_PATH)
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicUrl({})", self.origin)
    }
}

fn scheme(uri: &Uri<&str>) -> String {
    uri.scheme().as_str().to_ascii_lowercase()
}

/// Scheme, host and port in canonical spelling: lower case, the default port left out.
pub(crate) fn origin(uri: &Uri<&str>) -> Option<String> {
    let scheme = scheme(uri);
    let authority = uri.authority()?;
    let host = authority.host().to_ascii_lowercase();
    let port = authority.port_to_u16().ok()?;
    let default_port = match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    Some(match port.filter(|_| port != default_port) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

/// Whether a host, IPv6 in brackets, names this machine itself.
pub fn is_loopback_host(host: &str) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    address
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_tidied_once() {
        for (given, kept) in [
            ("https://mcp.example.com", "https://mcp.example.com"),
            ("https://mcp.example.com/", "https://mcp.example.com"),
            ("HTTPS://MCP.Example.com:443", "https://mcp.example.com"),
            ("http://localhost:4000", "http://localhost:4000"),
            ("http://[::1]:4000/", "http://[::1]:4000"),
        ] {
            assert_eq!(PublicUrl::parse(given).unwrap().origin(), kept, "{given}");
        }
    }

    #[test]
    fn anything_but_an_origin_is_refused() {
        use PublicUrlError::{NotAUrl, NotAnOrigin, Scheme};
        for (given, why) in [
            ("mcp.example.com", NotAUrl),
            ("https://", NotAUrl),
            ("https:// example.com", NotAUrl),
            ("https://example.com:99999", NotAUrl),
            ("ftp://example.com", Scheme),
            ("https://example.com/base", NotAnOrigin),
            ("https://example.com/?a", NotAnOrigin),
            ("https://example.com/#a", NotAnOrigin),
            ("https://me@example.com", NotAnOrigin),
        ] {
            assert_eq!(PublicUrl::parse(given).unwrap_err(), why, "{given}");
        }
    }

    #[test]
    fn a_resource_is_compared_leniently_but_not_loosely() {
        let ours = PublicUrl::parse("https://mcp.example.com").unwrap();
        for same in [
            "https://mcp.example.com/mcp",
            "https://mcp.example.com/mcp/",
            "https://MCP.example.com:443/mcp",
            "https://mcp.example.com",
            "https://mcp.example.com/",
        ] {
            assert!(ours.is_resource(same), "{same}");
        }
        for other in [
            "http://mcp.example.com/mcp",
            "https://mcp.example.com:444/mcp",
            "https://mcp.example.com/mcp/x",
            "https://mcp.example.com/MCP",
            "https://mcp.example.com/mcp?x",
            "https://mcp.example.com/mcp#x",
            "https://x@mcp.example.com/mcp",
            "https://mcp.example.com.evil.example/mcp",
            "/mcp",
            "",
        ] {
            assert!(!ours.is_resource(other), "{other}");
        }
    }

    #[test]
    fn the_host_is_told_apart_from_the_port() {
        for (url, host) in [
            ("https://mcp.example.com", "mcp.example.com"),
            ("http://localhost:4000", "localhost"),
            ("http://[::1]:4000", "[::1]"),
            ("http://[::1]", "[::1]"),
        ] {
            assert_eq!(PublicUrl::parse(url).unwrap().host(), host, "{url}");
        }
    }
}
