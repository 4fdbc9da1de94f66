//! An HTTP answer, read whole, with the questions that stories ask of it.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// Status, headers and body.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(response: reqwest::Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.expect("the body can be read"),
        }
    }

    /// The same answer, provided that it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "unexpected status of {self:#?}");
        self
    }

    /// The header's value, if it was sent; sent twice is a failure.
    #[track_caller]
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values
            .next()
            .map(|value| value.to_str().expect("a header in ASCII"));
        assert!(values.next().is_none(), "{name} was sent twice: {self:#?}");
        first
    }

    /// The header's value, which must be there.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let Some(value) = self.find(name) else {
            panic!("no {name} in {self:#?}");
        };
        value
    }

    /// Every member of a header that is a list, in lower case.
    #[track_caller]
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let values = self.headers.get_all(name).iter();
        values
            .flat_map(|value| value.to_str().expect("a header in ASCII").split(','))
            .map(|member| member.trim().to_ascii_lowercase())
            .collect()
    }

    /// The JSON body, which must be declared as such.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let content_type = self.header("content-type");
        assert!(
            content_type.starts_with("application/json"),
            "not JSON: {self:#?}"
        );
        match serde_json::from_str(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error} in {self:#?}"),
        }
    }

    /// The JSON-RPC message, whether it came as JSON or as the last event of a stream.
    #[track_caller]
    pub(crate) fn rpc(&self) -> Value {
        if !self.header("content-type").starts_with("text/event-stream") {
            return self.json();
        }
        let mut data = self
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("data:"));
        let Some(last) = data.rfind(|data| !data.trim().is_empty()) else {
            panic!("no event in {self:#?}");
        };
        serde_json::from_str(last).expect("an event with a JSON-RPC message")
    }

    /// The JSON-RPC error's code.
    #[track_caller]
    pub(crate) fn rpc_error(&self) -> i64 {
        let message = self.rpc();
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        let Some(code) = message["error"]["code"].as_i64() else {
            panic!("no error in {message}");
        };
        let text = message["error"]["message"].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "an error without a message: {message}");
        code
    }

    /// Checks an error of the token endpoint or the registration endpoint and returns its description.
    // RFC 6749 §5.2, RFC 7591 §3.2.2: a JSON object with `error` and, with us always, `error_description`.
    #[track_caller]
    pub(crate) fn oauth_error(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "unexpected status of {self:#?}");
        let body = self.json();
        assert_eq!(body["error"], code, "{body}");
        let Some(description) = body["error_description"]
            .as_str()
            .filter(|text| !text.is_empty())
        else {
            panic!("a refusal that does not explain itself: {body}");
        };
        description.to_owned()
    }

    /// Checks that this is a page for a person, with the headers that every page has.
    // The contract, “Browser side”.
    #[track_caller]
    pub(crate) fn assert_page(&self) {
        assert!(
            self.header("content-type").starts_with("text/html"),
            "not a page: {self:#?}"
        );
        let policy = self.header("content-security-policy");
        for directive in [
            "default-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(directive), "no {directive} in {policy}");
        }
        assert!(!policy.contains("unsafe-"), "{policy}");
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        assert!(
            self.list("cache-control").contains(&"no-store".to_owned()),
            "{self:#?}"
        );
        assert_eq!(self.header("referrer-policy"), "same-origin");
        assert!(!self.body.contains("<script"), "pages work without scripts");
    }

    /// Seconds to wait before the next attempt.
    #[track_caller]
    pub(crate) fn retry_after(&self) -> u64 {
        let seconds = self
            .header("retry-after")
            .parse()
            .expect("Retry-After in seconds");
        assert!(seconds > 0, "a refusal that may be repeated at once");
        seconds
    }
}
