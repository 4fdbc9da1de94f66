//! One request to the endpoint, and what surrounds it.

use std::sync::Arc;

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};

use super::{McpState, feature::Features, jsonrpc, sse};
use crate::access::Authorization;

/// One request to the endpoint, for whoever answers it.
pub(super) struct Exchange<'a> {
    pub(super) mcp: &'a Arc<McpState>,
    /// What was offered when the request came.
    pub(super) features: &'a Arc<Features>,
    pub(super) authorization: &'a Arc<Authorization>,
    pub(super) headers: &'a HeaderMap,
    /// Whether its header names the version without sessions.
    pub(super) says_modern: bool,
    pub(super) accepts: Accepts,
    /// The message as it came; empty where there is none.
    pub(super) body: &'a Bytes,
}

impl Exchange<'_> {
    /// The answer as JSON, or as a stream of one event for a client that takes nothing else.
    pub(super) fn reply(&self, answer: Vec<u8>) -> Response {
        if self.accepts.json {
            jsonrpc::respond(StatusCode::OK, answer)
        } else {
            sse::of_one(&answer)
        }
    }
}

/// Which answers a client takes. One that does not say takes all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepts {
    /// `application/json`.
    pub(super) json: bool,
    /// `text/event-stream`.
    pub(super) events: bool,
}

impl Accepts {
    /// Reads the `Accept` header (RFC 9110 §12.5.1).
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(header::ACCEPT).iter().peekable();
        let says_nothing = lines.peek().is_none();
        let mut accepts = Self {
            json: says_nothing,
            events: says_nothing,
        };
        for range in lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')) {
            let range = essence(range);
            let is = |media_type: &str| range.eq_ignore_ascii_case(media_type.as_bytes());
            let all = is("*/*");
            accepts.json |= all || is("application/json") || is("application/*");
            accepts.events |= all || is("text/event-stream") || is("text/*");
        }
        accepts
    }
}

/// Whether a body says that it is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type
        .is_some_and(|value| essence(value.as_bytes()).eq_ignore_ascii_case(b"application/json"))
}

/// A media type without its parameters.
fn essence(value: &[u8]) -> &[u8] {
    let mut parts = value.split(|byte| *byte == b';');
    parts.next().unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_a_client_takes_is_read_from_every_range() {
        for (lines, json, events) in [
            (&[][..], true, true),
            (&["application/json, text/event-stream"], true, true),
            (&["application/json"], true, false),
            (&["TEXT/Event-Stream;q=0.5"], false, true),
            (&["text/html", "application/*"], true, false),
            (&["text/*"], false, true),
            (&["image/png, */*;q=0.1"], true, true),
            (&["text/html"], false, false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::ACCEPT, HeaderValue::from_static(line));
            }
            let expected = Accepts { json, events };
            assert_eq!(Accepts::read(&headers), expected, "{lines:?}");
        }
    }
}
