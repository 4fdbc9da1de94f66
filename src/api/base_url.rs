//! Where an API is: an origin, and perhaps a path below which all of it lies.

use std::{fmt, sync::Arc};

use fluent_uri::Uri;

use crate::model::resource::origin;

/// An http or https URL without user name, query and fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl {
    origin: Arc<str>,
    path: Arc<str>,
}

impl BaseUrl {
    /// Reads one. Scheme and host are tidied, and a slash at the end is left out.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const NOT_A_URL: &str = "must be a URL such as https://api.example.com/v1";
        let uri = Uri::parse(text).map_err(|_| NOT_A_URL)?;
        let authority = uri.authority().ok_or(NOT_A_URL)?;
        if authority.has_userinfo() || uri.has_query() || uri.has_fragment() {
            return Err("must have no user name, query or fragment");
        }
        if authority.host().is_empty() || authority.port_to_u16().is_err() {
            return Err(NOT_A_URL);
        }
        let path = uri.path().as_str();
        if path.split('/').any(is_dot_segment) {
            return Err("must have no . or .. in its path");
        }
        match origin(&uri) {
            Some(origin) if origin.starts_with("http://") || origin.starts_with("https://") => {
                Ok(Self {
                    origin: origin.into(),
                    path: path.trim_end_matches('/').into(),
                })
            }
            _ => Err("must begin with https:// or http://"),
        }
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its path, without a slash at the end.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// A URL in two: scheme, host and port, as they are written; and the rest.
pub(crate) fn split_origin(url: &str) -> (&str, &str) {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let host = url.get(after_scheme..).unwrap_or_default();
    let end = after_scheme + host.find(['/', '?', '#']).unwrap_or(host.len());
    url.split_at(end)
}

/// Whether a segment of a path leads elsewhere. WHATWG's URLs, which clients read, know two
/// spellings of a dot.
pub(super) fn is_dot_segment(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    matches!(plain.as_str(), "." | "..")
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_an_origin_and_a_path() {
        for (text, expected) in [
            ("https://api.example.com", Ok("https://api.example.com")),
            (
                "HTTPS://API.Example.com:443/v1/",
                Ok("https://api.example.com/v1"),
            ),
            ("http://127.0.0.1:8000", Ok("http://127.0.0.1:8000")),
            ("http://[::1]:8000/", Ok("http://[::1]:8000")),
            ("api.example.com", Err("must be a URL")),
            ("https:///v1", Err("must be a URL")),
            ("ftp://api.example.com", Err("must begin with")),
            ("https://user@api.example.com", Err("must have no user")),
            ("https://api.example.com?a=b", Err("must have no user")),
            ("https://api.example.com/v1/../v2", Err("must have no . or")),
            ("https://api.example.com/%2E%2e/", Err("must have no . or")),
        ] {
            let read = BaseUrl::parse(text);
            match (read, expected) {
                (Ok(url), Ok(expected)) => assert_eq!(url.to_string(), expected),
                (Err(said), Err(expected)) => assert!(said.starts_with(expected), "{text}: {said}"),
                (read, _) => panic!("{text}: {read:?}"),
            }
        }
    }
}
