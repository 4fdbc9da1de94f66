//! Redirect URIs: which may be registered, and when a presented one is a registered one
//! (OAuth 2.1 §2.3, RFC 8252 §7).

use std::{fmt, net::IpAddr};

use fluent_uri::Uri;
use serde::{Deserialize, Serialize};

/// Longest redirect URI that is accepted, in bytes. Real ones have about 100.
const MAX_LENGTH: usize = 2000;

/// A redirect URI that obeys RFC 3986 to the letter, kept as it was written.
///
/// It is judged as raw text. A parser that repairs (drops tabs, turns `\` into `/`) would judge
/// another URI than the one that a browser is sent to.
///
/// Reading one with serde is for stores: what they kept was judged when it came.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectUri(Box<str>);

/// Why a text cannot be a redirect URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    /// Breaks the grammar of RFC 3986, or is relative, or too long.
    #[error("is not an absolute URI (RFC 3986) of at most 2000 characters")]
    NotAUri,
    /// RFC 6749 §3.1.2.
    #[error("must not have a fragment")]
    Fragment,
    /// `https://user@host/`
    #[error("must not have a user name or password")]
    Userinfo,
    /// `https:///path`, or a port that is no port.
    #[error("has no valid host and port")]
    Host,
    /// `HTTPS://A.example`, `https://a%2Eexample`, `https://127.1`: browsers go where another
    /// text would have said, and a person is shown this one.
    #[error(
        "must spell its scheme and host as browsers do: in lower case, without percent-encoding, \
         an IPv4 address as four numbers"
    )]
    Spelling,
    /// A `*`: legal, but meant as a pattern, and patterns are not matched.
    #[error("must be complete: wildcards are not supported")]
    Wildcard,
    /// http to another machine.
    #[error("may use http only for localhost, 127.0.0.1 and [::1]; use https")]
    InsecureHttp,
    /// A host that the operator has not allowed.
    #[error("has a host that is not allowed here")]
    ForeignHost,
    /// A scheme that the operator has not allowed.
    #[error("has the scheme {0:?}, which is not allowed here")]
    Scheme(String),
}

impl RedirectUri {
    /// Reads a redirect URI for registration. `private_use_schemes` are allowed beside https and
    /// loopback http (RFC 8252 §7.1).
    pub fn parse(text: &str, private_use_schemes: &[String]) -> Result<Self, RedirectUriError> {
        if text.len() > MAX_LENGTH {
            return Err(RedirectUriError::NotAUri);
        }
        let uri = Uri::parse(text).map_err(|_| RedirectUriError::NotAUri)?;
        if uri.has_fragment() {
            return Err(RedirectUriError::Fragment);
        }
        if uri.authority().is_some_and(|a| a.has_userinfo()) {
            return Err(RedirectUriError::Userinfo);
        }
        if text.contains('*') {
            return Err(RedirectUriError::Wildcard);
        }
        let scheme = uri.scheme().as_str();
        if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(RedirectUriError::Spelling);
        }
        match scheme {
            "http" | "https" => {
                let authority = uri.authority().ok_or(RedirectUriError::Host)?;
                let port = authority
                    .port_to_u16()
                    .map_err(|_| RedirectUriError::Host)?;
                if authority.host().is_empty() || port == Some(0) {
                    return Err(RedirectUriError::Host);
                }
                if !is_spelled_as_browsers_do(authority.host()) {
                    return Err(RedirectUriError::Spelling);
                }
                if scheme == "http" && !is_loopback(authority.host()) {
                    return Err(RedirectUriError::InsecureHttp);
                }
            }
            _ if private_use_schemes.iter().any(|allowed| allowed == scheme) => {}
            _ => return Err(RedirectUriError::Scheme(scheme.to_owned())),
        }
        Ok(Self(text.into()))
    }

    /// Whether the operator lets clients redirect there. `allowed`: names and addresses without
    /// ports; empty: any. What has no host is governed by its scheme.
    pub fn check_host(&self, allowed: &[String]) -> Result<(), RedirectUriError> {
        let uri = Uri::parse(&*self.0).map_err(|_| RedirectUriError::NotAUri)?;
        let is_web = matches!(uri.scheme().as_str(), "http" | "https");
        let host = uri.authority().map(|authority| authority.host());
        let is_allowed = host.is_some_and(|host| allowed.iter().any(|name| name == host));
        if allowed.is_empty() || !is_web || is_allowed {
            Ok(())
        } else {
            Err(RedirectUriError::ForeignHost)
        }
    }

    /// The URI exactly as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text of an authorization request means this registered URI: character by
    /// character, except that a loopback URI may name any port (RFC 8252 §7.3, OAuth 2.1 §2.3.1).
    pub fn accepts(&self, presented: &str) -> bool {
        if *self.0 == *presented {
            return true;
        }
        match (loopback_parts(&self.0), loopback_parts(presented)) {
            (Some(registered), Some(presented)) => registered == presented,
            _ => false,
        }
    }

    /// The same URI with the port that the client listens on this time. Only for a text that it
    /// [accepts](Self::accepts).
    #[must_use]
    pub fn with_presented(&self, presented: &str) -> Self {
        debug_assert!(self.accepts(presented));
        Self(presented.into())
    }

    /// Where the browser goes, for people: `claude.ai`, `localhost:8787`, `cursor:`.
    pub fn display_host(&self) -> String {
        let Ok(uri) = Uri::parse(&*self.0) else {
            return String::new();
        };
        match uri.authority() {
            Some(authority) if matches!(uri.scheme().as_str(), "http" | "https") => {
                authority.as_str().to_owned()
            }
            _ => format!("{}:", uri.scheme()),
        }
    }

    /// Whether any program on the person's machine could be waiting there: a loopback address or
    /// a private-use scheme. Such a redirect proves nothing about the client (RFC 8252 §8.6).
    pub fn is_local(&self) -> bool {
        let Ok(uri) = Uri::parse(&*self.0) else {
            return true;
        };
        let host = uri.authority().map(|authority| authority.host());
        uri.scheme().as_str() != "https" || host.is_none_or(is_this_machine)
    }

    /// The URI with the parameters of a response added to its query (RFC 6749 §4.1.2). They come
    /// encoded.
    pub fn with_query(&self, encoded: &str) -> String {
        let separator = match self.0.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some((_, query)) if query.ends_with('&') => "",
            Some(_) => "&",
        };
        format!("{}{separator}{encoded}", self.0)
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedirectUri({})", self.0)
    }
}

/// Whether a browser takes the host for what is written there. It would fold case, decode, and read
/// a last label that is a number as the end of an IPv4 address (the URL standard's host parser).
fn is_spelled_as_browsers_do(host: &str) -> bool {
    if host.bytes().any(|b| b == b'%' || b.is_ascii_uppercase()) {
        return false;
    }
    let labels = host.strip_suffix('.').unwrap_or(host);
    let last = labels.rsplit('.').next().unwrap_or_default();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = (!last.is_empty() && digits(last)) || last.strip_prefix("0x").is_some_and(hex);
    !is_number || host.parse::<std::net::Ipv4Addr>().is_ok()
}

/// The three spellings of loopback. They are not interchangeable: what listens on one need not
/// listen on another.
fn is_loopback(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "[::1]" | "localhost")
}

/// Whether a host is the person's own machine, under any of its names.
fn is_this_machine(host: &str) -> bool {
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        let ip = ip.to_canonical();
        // Systems take the unspecified address for loopback.
        return ip.is_loopback() || ip.is_unspecified();
    }
    // RFC 6761 §6.3: every name under it too. A final dot changes nothing.
    let name = host.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

/// A loopback http URI without its port.
fn loopback_parts(text: &str) -> Option<(&str, &str, Option<&str>)> {
    let uri = Uri::parse(text).ok()?;
    let authority = uri.authority()?;
    let port_is_valid = authority.port_to_u16().is_ok_and(|port| port != Some(0));
    let usable = uri.scheme().as_str() == "http"
        && is_loopback(authority.host())
        && !authority.has_userinfo()
        && !uri.has_fragment()
        && port_is_valid
        // A colon must have a port after it: `http://localhost:/` is nobody's address.
        && !authority.as_str().ends_with(':');
    usable.then(|| {
        (
            authority.host(),
            uri.path().as_str(),
            uri.query().map(fluent_uri::pct_enc::EStr::as_str),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RedirectUri, RedirectUriError> {
        RedirectUri::parse(text, &["cursor".to_owned()])
    }

    #[test]
    fn real_clients_redirect_uris_are_accepted() {
        for text in [
            "https://claude.ai/api/mcp/auth_callback",
            "https://chatgpt.com/connector/oauth/abc-123",
            "http://localhost/callback",
            "http://127.0.0.1:33418/",
            "http://[::1]:1/callback?x=y",
            "cursor://anysphere.cursor-mcp/oauth/callback",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn everything_that_a_browser_might_take_elsewhere_is_refused() {
        use RedirectUriError::{
            Fragment, Host, InsecureHttp, NotAUri, Spelling, Userinfo, Wildcard,
        };
        for (text, why) in [
            ("", NotAUri),
            ("/callback", NotAUri),
            ("//evil.example/", NotAUri),
            ("https://a.example\\@evil.example/", NotAUri),
            ("https://a.example/\tb", NotAUri),
            ("https://a.example/\r\nSet-Cookie: a=b", NotAUri),
            (" https://a.example/", NotAUri),
            ("https://a.example/ ", NotAUri),
            ("https://ä.example/", NotAUri),
            ("https:///callback", Host),
            ("https:/callback", Host),
            ("https://a.example:0/", Host),
            ("https://a.example:65536/", Host),
            ("https://a.example/#f", Fragment),
            ("https://a.example/#", Fragment),
            ("https://u:p@a.example/", Userinfo),
            ("https://a.example@evil.example/", Userinfo),
            ("https://*.example.com/", Wildcard),
            ("https://a.example/*", Wildcard),
            ("HTTPS://evil.example/cb", Spelling),
            ("https://Claude.ai/", Spelling),
            ("https://claude.ai%2Eevil.example/cb", Spelling),
            ("https://evil.example%2f.claude.ai/", Spelling),
            ("http://LOCALHOST/", Spelling),
            ("https://127.1/", Spelling),
            ("https://2130706433/", Spelling),
            ("https://0x7f.1/", Spelling),
            ("https://0x/", Spelling),
            ("https://0177.0.0.1/", Spelling),
            ("https://127.0.0.1./", Spelling),
            ("https://a.example.1/", Spelling),
            ("CURSOR://x", Spelling),
            ("http://a.example/", InsecureHttp),
            ("http://localhost.evil.example/", InsecureHttp),
            ("http://127.0.0.1.evil.example/", InsecureHttp),
            ("http://0.0.0.0/", InsecureHttp),
        ] {
            assert_eq!(parse(text).unwrap_err(), why, "{text:?}");
        }
        for text in [
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "vscode://x",
        ] {
            assert!(
                matches!(parse(text), Err(RedirectUriError::Scheme(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn loopback_matches_on_any_port_and_nothing_else_is_free() {
        let registered = parse("http://localhost:1234/callback").unwrap();
        for same in ["http://localhost/callback", "http://localhost:9/callback"] {
            assert!(registered.accepts(same), "{same}");
        }
        for other in [
            "http://127.0.0.1:1234/callback",
            "http://[::1]:1234/callback",
            "http://localhost:1234/callback/",
            "http://localhost:1234/callback?x",
            "http://localhost:0/callback",
            "http://localhost:/callback",
            "http://localhost:70000/callback",
            "http://me@localhost:1234/callback",
            "http://localhost:1234/callback#x",
            "https://localhost:1234/callback",
            "http://localhost.evil.example:1234/callback",
        ] {
            assert!(!registered.accepts(other), "{other}");
        }
        let registered = parse("https://claude.ai/api/mcp/auth_callback").unwrap();
        assert!(!registered.accepts("https://claude.ai:443/api/mcp/auth_callback"));
        assert!(!registered.accepts("https://CLAUDE.ai/api/mcp/auth_callback"));
    }

    #[test]
    fn the_response_is_added_to_the_query_that_is_there() {
        for (uri, expected) in [
            ("https://a.example/cb", "https://a.example/cb?code=x%26y"),
            ("https://a.example/cb?", "https://a.example/cb?code=x%26y"),
            (
                "https://a.example/cb?a=b",
                "https://a.example/cb?a=b&code=x%26y",
            ),
            ("cursor://x/cb", "cursor://x/cb?code=x%26y"),
        ] {
            assert_eq!(parse(uri).unwrap().with_query("code=x%26y"), expected);
        }
    }

    #[test]
    fn people_are_shown_where_the_browser_will_go() {
        for (uri, shown, local) in [
            (
                "https://claude.ai/api/mcp/auth_callback",
                "claude.ai",
                false,
            ),
            ("http://localhost:8787/callback", "localhost:8787", true),
            ("https://localhost/callback", "localhost", true),
            ("https://localhost./callback", "localhost.", true),
            ("https://x.localhost/callback", "x.localhost", true),
            ("https://127.0.0.2/callback", "127.0.0.2", true),
            ("https://0.0.0.0/callback", "0.0.0.0", true),
            (
                "https://[::ffff:127.0.0.1]/callback",
                "[::ffff:127.0.0.1]",
                true,
            ),
            ("https://[0:0:0:0:0:0:0:1]:1/", "[0:0:0:0:0:0:0:1]:1", true),
            ("https://notlocalhost/callback", "notlocalhost", false),
            ("https://192.0.2.1/callback", "192.0.2.1", false),
            ("cursor://anysphere.cursor-mcp/cb", "cursor:", true),
        ] {
            let uri = parse(uri).unwrap();
            assert_eq!(uri.display_host(), shown);
            assert_eq!(uri.is_local(), local);
        }
    }
}
