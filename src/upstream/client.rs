//! The one HTTP client for upstreams that the operator configured.
//!
//! The operator says who is called, so private addresses are fine here. What is guarded against is
//! everybody else: no argument, template or answer leads to another host, nothing is remembered
//! between two calls but connections, and what comes back is bounded in size and time.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, header},
};
use reqwest::{Client, Response, redirect, retry};
use tokio::{sync::OnceCell, time::timeout};

use super::target;
use crate::{
    api::BaseUrl,
    web::{
        self,
        body::{AnswerError, read_answer},
        cause::innermost,
        certificates,
    },
};

/// The longest that a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Redirects that are followed, one after the other.
const MAX_REDIRECTS: usize = 3;

/// Calls upstreams. Clones share connections.
#[derive(Debug, Clone)]
pub struct UpstreamClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    certificates: Option<PathBuf>,
    following_none: Clients,
    within_origin: Clients,
}

/// They are made when they are needed: certificates take time and room.
#[derive(Debug, Default)]
struct Clients {
    secure: OnceCell<Client>,
    plain: OnceCell<Client>,
}

/// Where a client goes on by itself.
#[derive(Debug, Clone, Copy)]
enum Redirects {
    /// Nowhere: whoever has it judges for themselves.
    None,
    /// Servers that send `/mcp` on to `/mcp/` are followed; those that send us elsewhere are not.
    WithinOrigin,
}

impl Redirects {
    fn policy(self) -> redirect::Policy {
        match self {
            Self::None => redirect::Policy::none(),
            Self::WithinOrigin => redirect::Policy::custom(|attempt| {
                let stays = attempt.previous().last().is_some_and(|from| {
                    let is_soon = attempt.previous().len() <= MAX_REDIRECTS;
                    is_soon && from.origin() == attempt.url().origin()
                });
                if stays {
                    attempt.follow()
                } else {
                    attempt.stop()
                }
            }),
        }
    }
}

/// A request to an upstream.
#[derive(Clone)]
pub(super) struct Call {
    /// What is asked.
    pub(super) method: Method,
    /// Who is asked. Of its path nothing is used.
    pub(super) origin: BaseUrl,
    /// Path and query, percent-encoded.
    pub(super) target: String,
    /// What stands above the body.
    pub(super) headers: HeaderMap,
    /// What is sent.
    pub(super) body: Bytes,
    /// How long all of it may take.
    pub(super) timeout: Duration,
    /// The longest answer, in bytes.
    pub(super) max_answer: usize,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    /// How it went.
    pub(super) status: StatusCode,
    /// What stands above the body.
    pub(super) headers: HeaderMap,
    /// The body.
    pub(super) body: Bytes,
}

/// Why there is no answer. The words name the host and nothing else of the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum UpstreamError {
    /// The target would lead elsewhere than it says.
    #[error("the arguments make no path that can be asked for")]
    Target,
    /// No connection, no trust in who is there, or a connection that broke.
    #[error("{host} cannot be reached: {cause}")]
    Connection {
        /// Who was called.
        host: String,
        /// The innermost cause.
        cause: String,
    },
    /// Not there in time.
    #[error("{host} did not answer within {}", humantime::format_duration(*.limit))]
    TooSlow {
        /// Who was called.
        host: String,
        /// How long it had.
        limit: Duration,
    },
    /// More than there is room for.
    #[error("the answer of {host} is larger than {limit} bytes")]
    TooLarge {
        /// Who was called.
        host: String,
        /// The most that is read.
        limit: usize,
    },
    /// It sends us to somebody else, or round and round.
    #[error("{host} redirects to where it is not followed")]
    Redirect {
        /// Who was called.
        host: String,
    },
    /// Our own fault, and the operator's to mend.
    #[error("upstreams cannot be called: {0}")]
    Setup(String),
}

impl Default for UpstreamClient {
    fn default() -> Self {
        Self::new()
    }
}

impl UpstreamClient {
    /// Trusts whom the system trusts, and those in `SSL_CERT_FILE`.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            certificates: certificates::added(),
            following_none: Clients::default(),
            within_origin: Clients::default(),
        }))
    }

    /// The bare client for the upstream at `url`, for whoever speaks with it at length. It stays within
    /// the origin, keeps no cookies, asks no proxy and limits nothing but the time to connect.
    pub(super) async fn within_origin(&self, url: &str) -> Result<Client, UpstreamError> {
        self.client(url, Redirects::WithinOrigin).await
    }

    async fn client(&self, url: &str, redirects: Redirects) -> Result<Client, UpstreamError> {
        let clients = match redirects {
            Redirects::None => &self.0.following_none,
            Redirects::WithinOrigin => &self.0.within_origin,
        };
        let client = if url.starts_with("https:") {
            let made = || self.make_secure(redirects);
            clients.secure.get_or_try_init(made).await?
        } else {
            let made = || async { make(Vec::new(), false, redirects) };
            clients.plain.get_or_try_init(made).await?
        };
        Ok(client.clone())
    }

    /// Calls an upstream and reads its whole answer.
    pub(super) async fn send(&self, call: Call) -> Result<Answer, UpstreamError> {
        let client = self.client(call.origin.origin(), Redirects::None).await?;
        let limit = call.timeout;
        let host = host_of(&call.origin).to_owned();
        timeout(limit, exchange(&client, call))
            .await
            .unwrap_or(Err(UpstreamError::TooSlow { host, limit }))
    }

    /// On a thread that may wait for files.
    async fn make_secure(&self, redirects: Redirects) -> Result<Client, UpstreamError> {
        let inner = Arc::clone(&self.0);
        let made = tokio::task::spawn_blocking(move || {
            let trusted = certificates::trusted(inner.certificates.as_deref());
            make(trusted.map_err(UpstreamError::Setup)?, true, redirects)
        });
        made.await
            .unwrap_or_else(|error| Err(UpstreamError::Setup(error.to_string())))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "it goes where the operator says, and nowhere else"
)]
fn make(
    certificates: Vec<reqwest::Certificate>,
    https_only: bool,
    redirects: Redirects,
) -> Result<Client, UpstreamError> {
    Client::builder()
        .tls_certs_only(certificates)
        .https_only(https_only)
        .http1_only()
        .no_proxy()
        .redirect(redirects.policy())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(web::USER_AGENT)
        .build()
        .map_err(|error| UpstreamError::Setup(innermost(&error)))
}

/// Sends a call, and what its redirects make of it.
async fn exchange(client: &Client, call: Call) -> Result<Answer, UpstreamError> {
    let host = host_of(&call.origin).to_owned();
    let failed = |error: reqwest::Error| UpstreamError::Connection {
        host: host.clone(),
        cause: innermost(&error),
    };
    let mut url = target::url(&call.origin, &call.target).ok_or(UpstreamError::Target)?;
    let Call {
        mut method,
        mut headers,
        mut body,
        max_answer,
        ..
    } = call;
    for _ in 0..=MAX_REDIRECTS {
        let request = client
            .request(method.clone(), url.clone())
            .headers(headers.clone())
            .body(body.clone());
        let mut response = request.send().await.map_err(failed)?;
        let Some(location) = location(&response) else {
            let body = read_answer(&mut response, max_answer).await;
            let body = body.map_err(|error| match error {
                AnswerError::Broken(error) => failed(error),
                AnswerError::TooLarge => UpstreamError::TooLarge {
                    host: host.clone(),
                    limit: max_answer,
                },
            });
            return Ok(Answer {
                status: response.status(),
                body: body?.into(),
                headers: std::mem::take(response.headers_mut()),
            });
        };
        let Some(next) = target::redirected(&url, location) else {
            return Err(UpstreamError::Redirect { host });
        };
        if becomes_get(response.status(), &method) {
            method = Method::GET;
            body = Bytes::new();
            for about_the_body in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
                headers.remove(about_the_body);
            }
        }
        url = next;
    }
    Err(UpstreamError::Redirect { host })
}

/// Where an answer sends us, if it does.
fn location(response: &Response) -> Option<&str> {
    const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];
    let is_redirect = REDIRECTS.contains(&response.status().as_u16());
    let location = response.headers().get(header::LOCATION);
    let location = location.filter(|_| is_redirect)?;
    // What cannot be read leads nowhere, which is refused.
    Some(location.to_str().unwrap_or("//"))
}

/// Whether what is asked next is asked with GET and without a body (the Fetch standard,
/// “HTTP-redirect fetch”, step 12).
fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::POST,
        StatusCode::SEE_OTHER => !matches!(*method, Method::GET | Method::HEAD),
        _ => false,
    }
}

/// Host and port, for messages.
fn host_of(upstream: &BaseUrl) -> &str {
    let origin = upstream.origin();
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

impl Answer {
    /// The media type without its parameters, in lower case.
    pub(super) fn media_type(&self) -> Option<String> {
        let value = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let media_type = value.split(';').next().unwrap_or_default().trim();
        (!media_type.is_empty()).then(|| media_type.to_ascii_lowercase())
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and bodies may hold secrets.
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Call {
    /// Fetches a document.
    pub(super) fn get(origin: &BaseUrl, timeout: Duration, max_answer: usize) -> Self {
        let path = origin.path();
        Self {
            method: Method::GET,
            origin: origin.clone(),
            target: if path.is_empty() { "/" } else { path }.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout,
            max_answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_changes_only_where_the_fetch_standard_says() {
        for (status, method, expected) in [
            (301, Method::POST, true),
            (302, Method::POST, true),
            (301, Method::PUT, false),
            (302, Method::DELETE, false),
            (303, Method::POST, true),
            (303, Method::DELETE, true),
            (303, Method::HEAD, false),
            (307, Method::POST, false),
            (308, Method::POST, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(becomes_get(status, &method), expected, "{status} {method}");
        }
    }
}
