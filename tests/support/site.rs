//! Where a server is, and plain HTTP towards it: redirects are not followed, nothing is remembered.

use std::{net::SocketAddr, time::Duration};

use reqwest::{
    Client, Method,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use serde_json::Value;

use super::{Answer, Params};

/// A server's address and the public URL under which its clients know it.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    addr: SocketAddr,
    public_url: String,
    client: Client,
}

impl Site {
    #[expect(
        clippy::disallowed_methods,
        reason = "it goes to our own servers, which are on loopback"
    )]
    pub(crate) fn new(addr: SocketAddr, public_url: &str) -> Self {
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()
            .expect("an HTTP client");
        Self {
            addr,
            public_url: public_url.to_owned(),
            client,
        }
    }

    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The public URL's host and port.
    pub(crate) fn authority(&self) -> &str {
        let (_, authority) = self
            .public_url
            .split_once("://")
            .expect("a public URL with a scheme");
        authority
    }

    /// The absolute URL of a path, as clients see it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }

    /// A request to a path or to an absolute URL of ours. The name in the URL need not resolve: the
    /// connection goes to the listener, as a tunnel's does, and the `Host` header carries the name.
    pub(crate) fn request(&self, method: Method, url: &str) -> Request {
        let path = url.strip_prefix(&self.public_url).unwrap_or(url);
        let slash = if path.starts_with('/') { "" } else { "/" };
        let request = Request {
            client: self.client.clone(),
            method,
            url: format!("http://{}{slash}{path}", self.addr),
            headers: HeaderMap::new(),
            body: Vec::new(),
        };
        request.header("host", self.authority())
    }

    pub(crate) fn get(&self, url: &str) -> Request {
        self.request(Method::GET, url)
    }

    pub(crate) fn post(&self, url: &str) -> Request {
        self.request(Method::POST, url)
    }

    /// A preflight, as a browser sends it before a request from a page of that origin.
    // Fetch §3.2.2, the CORS-preflight request.
    pub(crate) async fn preflight(&self, path: &str, origin: &str, headers: &str) -> Answer {
        self.request(Method::OPTIONS, path)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", headers)
            .send()
            .await
    }
}

/// A request being put together.
pub(crate) struct Request {
    client: Client,
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Request {
    /// This header instead of what it was.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(header_name(name), header_value(value));
        self
    }

    /// One more header of that name.
    pub(crate) fn another_header(mut self, name: &str, value: &str) -> Self {
        self.headers.append(header_name(name), header_value(value));
        self
    }

    /// Without that header.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    pub(crate) fn form(self, params: &Params) -> Self {
        self.body("application/x-www-form-urlencoded", params.encoded())
    }

    pub(crate) fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    /// Sends it and reads the whole answer.
    pub(crate) async fn send(self) -> Answer {
        Answer::read(self.open().await).await
    }

    /// Sends it to a server that may be gone before it has answered whole.
    pub(crate) async fn attempt(self) -> Option<Answer> {
        let response = self.try_open().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Answer {
            status,
            headers,
            body: response.text().await.ok()?,
        })
    }

    /// Sends it and returns with the answer's head, leaving the body to be read.
    pub(crate) async fn open(self) -> reqwest::Response {
        self.try_open().await.expect("the server answers")
    }

    async fn try_open(self) -> reqwest::Result<reqwest::Response> {
        let request = self
            .client
            .request(self.method, self.url)
            .headers(self.headers);
        let request = if self.body.is_empty() {
            request
        } else {
            request.body(self.body)
        };
        request.send().await
    }
}

fn header_name(name: &str) -> HeaderName {
    name.parse().expect("a header name")
}

fn header_value(value: &str) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).expect("a header value")
}
