//! JSON-RPC 2.0: messages, error codes, and the responses that carry them.

use std::borrow::Cow;

use axum::{
    body::Body as HttpBody,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, error::Category, value::RawValue};

/// The body is not JSON.
pub(super) const PARSE_ERROR: i32 = -32700;
/// The body is no JSON-RPC message, or none that may come now.
pub(super) const INVALID_REQUEST: i32 = -32600;
/// No such method.
pub(super) const METHOD_NOT_FOUND: i32 = -32601;
/// The parameters do not fit.
pub(super) const INVALID_PARAMS: i32 = -32602;
/// Our fault.
pub(super) const INTERNAL_ERROR: i32 = -32603;

/// How many messages a batch may hold.
const MAX_BATCH: usize = 100;

/// An error for the caller (JSON-RPC 2.0 §5.1).
#[derive(Debug, Clone, Serialize)]
pub(super) struct RpcError {
    pub(super) code: i32,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Value>,
}

impl RpcError {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }
}

/// What a message is, by its members.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// Wants an answer under this id.
    Request {
        id: &'a RawValue,
        method: Cow<'a, str>,
        params: Option<&'a RawValue>,
    },
    /// Wants none.
    Notification {
        method: Cow<'a, str>,
        params: Option<&'a RawValue>,
    },
    /// Answers a request of ours: with a result, or an error.
    Response {
        id: &'a RawValue,
        result: Option<&'a RawValue>,
    },
}

/// A message that breaks the rules.
#[derive(Debug)]
pub(super) struct Malformed<'a> {
    /// Its id, where one could be read.
    pub(super) id: Option<&'a RawValue>,
    pub(super) error: RpcError,
}

/// A request body.
#[derive(Debug)]
pub(super) enum Body<'a> {
    /// One message.
    Single(Result<Message<'a>, Malformed<'a>>),
    /// Several, as 2025-03-26 has them. Never empty.
    Batch(Vec<Result<Message<'a>, Malformed<'a>>>),
}

/// Reads a body.
pub(super) fn parse(body: &[u8]) -> Result<Body<'_>, RpcError> {
    let text = std::str::from_utf8(body)
        .map_err(|_| RpcError::new(PARSE_ERROR, "the body is not UTF-8"))?;
    if !text.trim_start().starts_with('[') {
        // A message that is no JSON may still have an id that could be read.
        return Ok(Body::Single(message(text)));
    }
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| syntax_error(&error))?;
    if items.is_empty() || items.len() > MAX_BATCH {
        return Err(RpcError::new(
            INVALID_REQUEST,
            format!("a batch holds between 1 and {MAX_BATCH} messages"),
        ));
    }
    let messages = items.into_iter().map(|item| message(item.get())).collect();
    Ok(Body::Batch(messages))
}

/// The members of a message. Unknown ones are ignored; one that stands there twice is an error.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Tells `"id": null` from no id at all.
fn even_null<'de: 'a, 'a, D: Deserializer<'de>>(d: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(d).map(Some)
}

fn message(text: &str) -> Result<Message<'_>, Malformed<'_>> {
    let members: Members<'_> = serde_json::from_str(text).map_err(|error| {
        let error = syntax_error(&error);
        Malformed {
            id: readable_id(text),
            error,
        }
    })?;
    let id = members.id.filter(|id| is_id(id));
    let malformed = |message: &str| Malformed {
        id,
        error: RpcError::new(INVALID_REQUEST, message),
    };
    if members.jsonrpc.and_then(string).as_deref() != Some("2.0") {
        return Err(malformed("jsonrpc must be \"2.0\""));
    }
    if members.id.is_some() && id.is_none() {
        return Err(malformed("id must be a string or an integer"));
    }
    let method = match members.method.map(string) {
        Some(None) => return Err(malformed("method must be a string")),
        Some(Some(method)) => Some(method),
        None => None,
    };
    match (method, id) {
        (Some(method), Some(id)) => Ok(Message::Request {
            id,
            method,
            params: members.params,
        }),
        (Some(method), None) => Ok(Message::Notification {
            method,
            params: members.params,
        }),
        (None, Some(id)) if members.result.is_some() != members.error.is_some() => {
            Ok(Message::Response {
                id,
                result: members.result,
            })
        }
        (None, _) => Err(malformed("method is missing")),
    }
}

/// The text of a JSON string. Most have nothing escaped and need not be copied.
pub(super) fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = value.get().strip_prefix('"')?.strip_suffix('"')?;
    if quoted.contains('\\') {
        serde_json::from_str(value.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(quoted))
    }
}

/// The id of a message that cannot be read as a whole.
fn readable_id(text: &str) -> Option<&RawValue> {
    struct IdOnly<'a>(Option<&'a RawValue>);

    // Reads every member, so that neither a wrong type nor a repetition elsewhere matters.
    impl<'de> Deserialize<'de> for IdOnly<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;

            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = IdOnly<'de>;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Self::Value, A::Error> {
                    let mut id = None;
                    while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                        let value: &'de RawValue = map.next_value()?;
                        if key == "id" {
                            id = Some(value);
                        }
                    }
                    Ok(IdOnly(id))
                }
            }

            deserializer.deserialize_map(Visitor)
        }
    }

    let IdOnly(id) = serde_json::from_str(text).ok()?;
    id.filter(|id| is_id(id))
}

/// MCP: a string or an integer, never null. Whatever its size it is echoed as it was written.
pub(super) fn is_id(id: &RawValue) -> bool {
    let text = id.get();
    text.starts_with('"')
        || text
            .strip_prefix('-')
            .unwrap_or(text)
            .bytes()
            .all(|byte| byte.is_ascii_digit())
}

fn syntax_error(error: &serde_json::Error) -> RpcError {
    match error.classify() {
        Category::Data => RpcError::new(INVALID_REQUEST, format!("not a message: {error}")),
        Category::Syntax | Category::Eof | Category::Io => {
            RpcError::new(PARSE_ERROR, format!("not JSON: {error}"))
        }
    }
}

/// A response with a result, which is JSON already.
pub(super) fn result(id: &RawValue, result: &[u8]) -> Vec<u8> {
    let id = id.get().as_bytes();
    [
        br#"{"jsonrpc":"2.0","id":"#,
        id,
        br#","result":"#,
        result,
        b"}",
    ]
    .concat()
}

/// A response with an error. Without an id: none could be read.
pub(super) fn error(id: Option<&RawValue>, error: &RpcError) -> Vec<u8> {
    #[derive(Serialize)]
    struct Answer<'a> {
        jsonrpc: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
        error: &'a RpcError,
    }
    let answer = Answer {
        jsonrpc: "2.0",
        id,
        error,
    };
    serde_json::to_vec(&answer).expect("an error is made of numbers, strings and JSON values")
}

/// A response that carries a message.
pub(super) fn respond(status: StatusCode, message: Vec<u8>) -> Response {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let mut response = Response::new(HttpBody::from(message));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn malformed(text: &str) -> (Option<String>, i32) {
        match message(text) {
            Err(Malformed { id, error }) => (id.map(|id| id.get().to_owned()), error.code),
            Ok(read) => panic!("{text} was read as {read:?}"),
        }
    }

    #[test]
    fn ids_are_kept_as_they_were_written() {
        for id in ["1", "-7", "\"a\\u0041\"", "123456789012345678901234567890"] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            match message(&text) {
                Ok(Message::Request { id: read, .. }) => assert_eq!(read.get(), id),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn an_id_that_could_be_read_is_echoed() {
        let seven = Some("7".to_owned());
        for (text, expected) in [
            (
                r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#,
                (seven.clone(), INVALID_REQUEST),
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"method":5}"#,
                (seven.clone(), INVALID_REQUEST),
            ),
            (
                r#"{"jsonrpc":"2.0","id":7}"#,
                (seven.clone(), INVALID_REQUEST),
            ),
            (
                r#"{"jsonrpc":"2.0","method":"a","method":"b","id":7}"#,
                (seven, INVALID_REQUEST),
            ),
            (
                r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
                (None, INVALID_REQUEST),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
                (None, INVALID_REQUEST),
            ),
            (
                r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
                (None, INVALID_REQUEST),
            ),
            (r#""hello""#, (None, INVALID_REQUEST)),
            (r#"{"jsonrpc":"2.0","id":7"#, (None, PARSE_ERROR)),
        ] {
            assert_eq!(malformed(text), expected, "{text}");
        }
    }

    #[test]
    fn a_batch_has_messages_in_it() {
        assert_eq!(parse(b"[]").unwrap_err().code, INVALID_REQUEST);
        assert_eq!(parse(b"[1").unwrap_err().code, PARSE_ERROR);
        assert_eq!(parse(b"\xff").unwrap_err().code, PARSE_ERROR);
        let many = format!("[{}]", vec!["1"; MAX_BATCH + 1].join(","));
        assert_eq!(parse(many.as_bytes()).unwrap_err().code, INVALID_REQUEST);
        assert!(matches!(parse(b" [1, 2]"), Ok(Body::Batch(items)) if items.len() == 2));
    }

    #[test]
    fn strings_are_read_as_json_has_them() {
        for (json, expected) in [
            (r#""plain""#, Some("plain")),
            (r#""""#, Some("")),
            (r#""a\u0041\"""#, Some("aA\"")),
            (r#""\ud800""#, None),
            ("5", None),
            ("null", None),
        ] {
            let raw = RawValue::from_string(json.to_owned()).unwrap();
            assert_eq!(string(&raw).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(matches!(message(&deep), Ok(Message::Request { .. })));
    }
}
