//! JSON-RPC messages on `/mcp`, of both eras.
//!
//! Input: a letter that says whose message it is, `s` for a client with a session, `b` for one whose
//! revision has batches, `m` for one of 2026-07-28, `n` for one that has no session; and the message.

use std::{cell::RefCell, collections::HashMap};

use axum::http::{HeaderValue, header, request::Builder};
use serde_json::{Value, json, value::RawValue};

use super::house::{Answer, House, visit};

thread_local! {
    /// By access token and revision.
    static SESSIONS: RefCell<HashMap<(String, &'static str), String>> = RefCell::default();
}

/// Members, unread: a number that is too large for us need not be for the client.
type Members = HashMap<String, Box<RawValue>>;

/// Whatever is sent, the answer is one of the protocol, under the id that the message had.
pub(crate) fn holds(input: &[u8]) {
    let Some((sender, body)) = input.split_first() else {
        return;
    };
    visit(|house| {
        let request = match sender {
            b's' => with_session(house, "2025-11-25"),
            b'b' => with_session(house, "2025-03-26"),
            b'm' => modern(body, post(house)),
            _ => post(house),
        };
        let request = request.body(body.to_vec().into()).expect("a request");
        let answer = house.ask(request);
        if answer.status == 404 {
            // It may have been the session, which is not for ever.
            SESSIONS.with_borrow_mut(HashMap::clear);
        }
        check(&answer, body);
    });
}

fn post(house: &House) -> Builder {
    House::request("/mcp")
        .method("POST")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream")
        .header(
            header::AUTHORIZATION,
            format!("Bearer {}", house.app().access_token),
        )
}

/// With the headers that repeat what the message says.
fn modern(body: &[u8], request: Builder) -> Builder {
    let message: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut request = request.header("mcp-protocol-version", "2026-07-28");
    let about = ["name", "uri", "taskId"].map(|member| &message["params"][member]);
    let about = about.into_iter().find(|value| value.is_string());
    for (name, value) in [
        ("mcp-method", Some(&message["method"])),
        ("mcp-name", about),
    ] {
        let value = value.and_then(Value::as_str).map(HeaderValue::from_str);
        if let Some(Ok(value)) = value {
            request = request.header(name, value);
        }
    }
    request
}

/// In a session that can be asked.
fn with_session(house: &House, version: &'static str) -> Builder {
    let key = (house.app().access_token.clone(), version);
    let known = SESSIONS.with_borrow(|sessions| sessions.get(&key).cloned());
    let session = known.unwrap_or_else(|| {
        let message = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {
                "protocolVersion": version,
                "capabilities": { "elicitation": {} },
                "clientInfo": { "name": "property", "version": "1" },
            },
        });
        let request = post(house).body(message.to_string().into());
        let answer = house.ask(request.expect("a request"));
        let session = answer.header("mcp-session-id").to_owned();
        assert!(!session.is_empty(), "{answer:#?}");
        SESSIONS.with_borrow_mut(|sessions| {
            sessions.clear();
            sessions.insert(key, session.clone());
        });
        session
    });
    post(house).header("mcp-session-id", session)
}

fn check(answer: &Answer, body: &[u8]) {
    let body = std::str::from_utf8(body).unwrap_or_default();
    let sent: Members = serde_json::from_str(body).unwrap_or_default();
    // Of two that stand there nobody can say which was meant, and that of an answer is no request's.
    let is_answer =
        !sent.contains_key("method") && (sent.contains_key("result") || sent.contains_key("error"));
    let is_clear = body.matches("\"id\"").count() == 1 && !is_answer;
    let id = sent.get("id").filter(|_| is_clear);
    let id = id.map(|id| id.get()).filter(|id| is_id(id));
    if answer.status == 202 {
        assert!(answer.body.is_empty(), "{answer:#?}");
        let is_request = id.is_some() && sent.contains_key("method");
        assert!(!is_request, "{body}: {answer:#?}");
        return;
    }
    assert!([200, 400, 403, 404].contains(&answer.status), "{answer:#?}");
    let text = match answer.header("content-type") {
        "application/json" => answer.body.as_str(),
        "text/event-stream" => first_event(answer),
        other => panic!("{other}: {answer:#?}"),
    };
    if text.starts_with('[') {
        let messages: Vec<Members> = serde_json::from_str(text).expect("a batch");
        assert!(
            !messages.is_empty() && body.trim_start().starts_with('['),
            "{answer:#?}"
        );
        for message in &messages {
            check_message(message, answer);
        }
        return;
    }
    let message: Members = serde_json::from_str(text).expect("a message");
    if check_message(&message, answer) {
        // It is the protocol's word that was not kept where no id comes back.
        let told = message
            .get("id")
            .map(|id| id.get())
            .filter(|id| *id != "null");
        if let Some(id) = id {
            assert_eq!(told, Some(id), "{body}: {answer:#?}");
        }
    }
}

/// Whether a message of ours is an answer; the others are questions and news on the way to it.
fn check_message(message: &Members, answer: &Answer) -> bool {
    assert_eq!(message["jsonrpc"].get(), "\"2.0\"", "{answer:#?}");
    if message.contains_key("method") {
        return false;
    }
    let error = message.get("error");
    assert!(
        error.is_some() != message.contains_key("result"),
        "{answer:#?}"
    );
    if let Some(error) = error {
        let error: Value = serde_json::from_str(error.get()).expect("an object");
        assert!(error["code"].is_i64(), "{answer:#?}");
        // Ours, and we have no excuse.
        assert_ne!(error["code"], -32603, "{answer:#?}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{answer:#?}"
        );
    }
    true
}

/// MCP: a string or an integer.
fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    text.starts_with('"') || digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn first_event(answer: &Answer) -> &str {
    let mut data = answer
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let first = data.find(|data| data.starts_with(['{', '[']));
    first.unwrap_or_else(|| panic!("no event in {answer:#?}"))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    /// JSON, most of it of the kind that stands in messages.
    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            4 => select(vec![
                "\"2.0\"", "1", "-7", "null", "true", "1e400", "\"\\ud800\"", "\"ask\"", "{}", "[]",
                "\"best_person\"", "\"2026-07-28\"", "\"2025-11-25\"", "99999999999999999999999",
            ]).prop_map(str::to_owned),
            1 => ".{0,12}".prop_map(|text: String| Value::from(text).to_string()),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let names = select(vec![
                "jsonrpc",
                "id",
                "method",
                "params",
                "result",
                "error",
                "name",
                "arguments",
                "uri",
                "_meta",
                "cursor",
                "requestState",
                "inputResponses",
                "taskId",
                "notifications",
                "io.modelcontextprotocol/protocolVersion",
                "protocolVersion",
                "progressToken",
                "io.modelcontextprotocol/clientCapabilities",
                "requestId",
                "level",
            ]);
            let members = vec((names, inner.clone()), 0..6).prop_map(|members| {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("{name:?}:{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            });
            let items = vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(",")));
            prop_oneof![3 => members, 1 => items]
        })
    }

    fn method() -> impl Strategy<Value = String> {
        select(vec![
            "initialize",
            "ping",
            "tools/list",
            "tools/call",
            "prompts/list",
            "prompts/get",
            "resources/list",
            "resources/read",
            "logging/setLevel",
            "completion/complete",
            "server/discover",
            "subscriptions/listen",
            "tasks/get",
            "notifications/cancelled",
            "notifications/initialized",
            "resources/subscribe",
            "unknown",
        ])
        .prop_map(str::to_owned)
    }

    proptest! {
        #[test]
        fn every_message_is_answered_in_the_protocols_words(
            sender in select(vec!['s', 'b', 'm', 'n']),
            method in method(),
            params in json(),
            anything in json(),
            meta in prop_oneof![Just(true), Just(false)],
        ) {
            let params = match params.strip_prefix('{') {
                Some(rest) if meta => {
                    let comma = if rest == "}" { "" } else { "," };
                    format!(
                        "{{\"_meta\":{{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\
                         \"io.modelcontextprotocol/clientCapabilities\":{{}}}}{comma}{rest}"
                    )
                }
                _ => params,
            };
            let request = format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":{method:?},\"params\":{params}}}");
            for body in [&request, &anything, &format!("[{request},{anything}]"), &format!("{request}{anything}")] {
                holds(format!("{sender}{body}").as_bytes());
            }
        }

        #[test]
        fn bytes_that_are_no_message_are_answered_too(
            sender in select(vec![b's', b'b', b'm', b'n']),
            bytes in vec(any::<u8>(), 0..100),
        ) {
            holds(&[&[sender], &bytes[..]].concat());
        }
    }
}
