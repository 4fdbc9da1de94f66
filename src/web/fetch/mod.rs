//! Fetches small JSON documents at URLs that strangers name: client metadata (OAuth Client ID
//! Metadata Documents), keys (`jwks_uri`, RFC 7591 §2).
//!
//! Who may name a URL could make us call what only we can reach. So a fetch goes to public
//! addresses alone: the host is resolved once, every address of the answer is judged, and the
//! connection goes to one of these and to none other. A name that resolves differently the second
//! time (DNS rebinding) gains nothing. Redirects are not followed, proxies not asked, nothing is
//! remembered between two fetches, and what comes back is bounded in size and time.

mod address;
mod error;
mod freshness;
mod resolver;

use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};
use reqwest::{Client, Url, redirect, retry};
use tokio::{sync::OnceCell, time::timeout};

pub use address::FetchAllow;
pub use error::FetchError;
pub use resolver::{Resolve, SystemResolver};

use super::{
    body::{AnswerError, read_answer},
    brand::MAX_IMAGE,
    cause::innermost,
    certificates,
};
use resolver::GuardedResolver;

/// The longest document.
pub const MAX_BODY: usize = 64 * 1024;

/// The longest that a fetch may take, from the name to the last byte.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// How documents are fetched.
pub struct FetchSettings {
    /// What is exempt from the ban on special-use addresses.
    pub allow: FetchAllow,
    /// A PEM file of certificates that are trusted beside the system's.
    pub certificates: Option<PathBuf>,
    /// How long a fetch may take.
    pub timeout: Duration,
    /// Who knows the addresses of a host.
    pub resolver: Arc<dyn Resolve>,
}

impl FetchSettings {
    /// Those of the program: the system resolves, and `SSL_CERT_FILE` adds certificates.
    pub fn new(allow: FetchAllow) -> Self {
        Self {
            allow,
            certificates: certificates::added(),
            timeout: TIMEOUT,
            resolver: Arc::new(SystemResolver::default()),
        }
    }
}

impl fmt::Debug for FetchSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchSettings")
            .field("allow", &self.allow)
            .field("certificates", &self.certificates)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The document. Its media type says that it is JSON; nobody has read it yet.
    pub body: Bytes,
    /// How long it may be used without asking again (RFC 9111 §4.2); `None`: it does not say.
    pub fresh_for: Option<Duration>,
}

/// What an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// A JSON document.
    Document,
    /// A picture, or so we hope.
    Picture,
    /// Whatever it is.
    Anything,
}

impl Wanted {
    /// The longest, in bytes.
    const fn most(self) -> usize {
        match self {
            Self::Picture => MAX_IMAGE,
            Self::Document | Self::Anything => MAX_BODY,
        }
    }
}

/// Fetches documents. Clones share all that it holds.
#[derive(Debug, Clone)]
pub struct Fetcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: FetchSettings,
    /// Made at the first fetch: to read the system's certificates takes time and memory, which a
    /// server that fetches nothing need not spend.
    client: OnceCell<Client>,
}

impl Fetcher {
    /// With the settings of the program.
    pub fn new(allow: FetchAllow) -> Self {
        Self::with(FetchSettings::new(allow))
    }

    /// With these settings.
    pub fn with(settings: FetchSettings) -> Self {
        Self(Arc::new(Inner {
            settings,
            client: OnceCell::new(),
        }))
    }

    /// Fetches the JSON document at an https URL.
    pub async fn get(&self, url: &str) -> Result<Fetched, FetchError> {
        let answer = self.fetch(url, "application/json", Wanted::Document);
        let (head, body) = answer.await?.into_parts();
        Ok(Fetched {
            body: body.into(),
            fresh_for: freshness::of(&head.headers),
        })
    }

    /// Fetches what should be a picture, at an https URL. Whoever shows it looks whether it is one.
    pub async fn get_image(&self, url: &str) -> Result<Bytes, FetchError> {
        let accept = "image/png, image/webp, image/jpeg, image/gif";
        let answer = self.fetch(url, accept, Wanted::Picture).await?;
        Ok(answer.into_body().into())
    }

    /// Sends a request to an https URL that the operator named, or whoever they trust, and reads the
    /// answer whole, whatever it is.
    pub async fn send(
        &self,
        request: axum::http::Request<Vec<u8>>,
    ) -> Result<axum::http::Response<Vec<u8>>, FetchError> {
        let request = reqwest::Request::try_from(request).map_err(|_| FetchError::Url)?;
        self.exchange(request, Wanted::Anything).await
    }

    async fn fetch(
        &self,
        url: &str,
        accept: &'static str,
        wanted: Wanted,
    ) -> Result<axum::http::Response<Vec<u8>>, FetchError> {
        let mut request = reqwest::Request::new(Method::GET, parse(url)?);
        let accept = HeaderValue::from_static(accept);
        request.headers_mut().insert(header::ACCEPT, accept);
        self.exchange(request, wanted).await
    }

    /// The one way out.
    async fn exchange(
        &self,
        request: reqwest::Request,
        wanted: Wanted,
    ) -> Result<axum::http::Response<Vec<u8>>, FetchError> {
        let settings = &self.0.settings;
        let url = parse(request.url().as_str())?;
        let host = url.host_str().ok_or(FetchError::Url)?;
        // The resolver is not asked about a host that is an address already.
        if let Some(address) = literal(host) {
            settings.allow.check(host, &[address])?;
        }
        let client = self.0.client.get_or_try_init(|| self.make_client()).await?;
        timeout(settings.timeout, answer(client, request, host, wanted))
            .await
            .unwrap_or_else(|_| {
                Err(FetchError::TooSlow {
                    host: host.into(),
                    limit: settings.timeout,
                })
            })
    }

    /// Makes the client on a thread that may wait for files.
    async fn make_client(&self) -> Result<Client, FetchError> {
        let fetcher = self.clone();
        tokio::task::spawn_blocking(move || client(&fetcher.0.settings))
            .await
            .unwrap_or_else(|error| Err(FetchError::Setup(error.to_string())))
    }
}

/// The only client that goes where strangers tell it to.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the guard that all others go through"
)]
fn client(settings: &FetchSettings) -> Result<Client, FetchError> {
    let certificates = certificates::trusted(settings.certificates.as_deref());
    let certificates = certificates.map_err(FetchError::Setup)?;
    Client::builder()
        .dns_resolver(GuardedResolver {
            resolver: Arc::clone(&settings.resolver),
            allow: settings.allow.clone(),
        })
        .tls_certs_only(certificates)
        .https_only(true)
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        // A connection that is kept would answer for a name that has moved since.
        .pool_max_idle_per_host(0)
        .user_agent(super::USER_AGENT)
        .build()
        .map_err(|error| FetchError::Setup(innermost(&error)))
}

async fn answer(
    client: &Client,
    request: reqwest::Request,
    host: &str,
    wanted: Wanted,
) -> Result<axum::http::Response<Vec<u8>>, FetchError> {
    let failed = |error| FetchError::of(host, &error);
    let mut response = client.execute(request).await.map_err(failed)?;
    judge(host, wanted, response.status(), response.headers())?;
    let body = read_answer(&mut response, wanted.most()).await;
    let body = body.map_err(|error| match error {
        AnswerError::Broken(error) => failed(error),
        AnswerError::TooLarge => FetchError::TooLarge {
            host: host.into(),
            most: wanted.most(),
        },
    });
    let mut answer = axum::http::Response::new(body?);
    *answer.status_mut() = response.status();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    Ok(answer)
}

/// Whether the body of an answer is worth reading.
fn judge(
    host: &str,
    wanted: Wanted,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<(), FetchError> {
    let host = || host.to_owned();
    if wanted == Wanted::Anything {
        return Ok(());
    }
    if status.is_redirection() {
        return Err(FetchError::Redirect {
            host: host(),
            status,
        });
    }
    if status != StatusCode::OK {
        return Err(FetchError::Status {
            host: host(),
            status,
        });
    }
    if wanted == Wanted::Document && !is_json(headers) {
        return Err(FetchError::NotJson { host: host() });
    }
    Ok(())
}

/// Reads a URL as the client will, so that what is judged is what is called. Names and passwords
/// in a URL would be sent, and belong to nobody here.
fn parse(url: &str) -> Result<Url, FetchError> {
    Url::parse(url)
        .ok()
        .filter(|url| url.scheme() == "https")
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .ok_or(FetchError::Url)
}

/// A host that is an address, which stands in brackets if it is one of IPv6.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// `application/json`, or `application/SOMETHING+json` (RFC 6839 §3.1).
fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok()?.split(';').next())
        .map(|media_type| media_type.trim().to_ascii_lowercase())
        .unwrap_or_default();
    media_type
        .strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_https_urls_are_fetched() {
        for url in [
            "https://client.example",
            "https://client.example:8443/a?b#c",
        ] {
            assert!(parse(url).is_ok(), "{url}");
        }
        for url in [
            "http://client.example/",
            "ftp://client.example/",
            "file:///etc/passwd",
            "data:application/json,{}",
            "https://",
            "https://user@client.example/",
            "https://:secret@client.example/",
            "client.example",
            "",
        ] {
            assert_eq!(parse(url), Err(FetchError::Url), "{url}");
        }
    }

    #[test]
    fn an_address_is_known_in_every_spelling() {
        for (url, address) in [
            ("https://127.0.0.1/", "127.0.0.1"),
            ("https://2130706433/", "127.0.0.1"),
            ("https://0x7f.1/", "127.0.0.1"),
            ("https://0177.0.0.1/", "127.0.0.1"),
            ("https://127.0.0.1./", "127.0.0.1"),
            ("https://%31%32%37.0.0.1/", "127.0.0.1"),
            ("https://①②⑦.0.0.1/", "127.0.0.1"),
            ("https://[::1]:8443/", "::1"),
            ("https://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1"),
        ] {
            let parsed = parse(url).unwrap();
            let found = literal(parsed.host_str().unwrap());
            assert_eq!(found, Some(address.parse().unwrap()), "{url}");
        }
    }

    #[test]
    fn json_is_known_by_its_media_type() {
        let is_json_type = |value: &'static str| {
            let value = HeaderValue::from_static(value);
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)]))
        };
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/jwk-set+json",
            "application/oauth-client-metadata+json ;v=1",
        ] {
            assert!(is_json_type(json), "{json}");
        }
        for other in [
            "",
            "text/html",
            "text/json",
            "application/jsonp",
            "text/plain; application/json",
            "application/xml",
        ] {
            assert!(!is_json_type(other), "{other}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
