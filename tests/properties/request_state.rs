//! `requestState` of calls in several rounds (2026-07-28).
//!
//! Input: a state; or, after an `@`, changes to one of ours: a place in two bytes and what is to
//! stand there in one.

use axum::http::header;
use serde_json::{Value, json};

use super::house::{House, visit};

/// Whatever is sent, a state that we sealed opens and no other text does.
pub(crate) fn holds(input: &[u8]) {
    visit(|house| {
        let asked = call(house, None);
        let sealed = asked["result"]["requestState"].as_str();
        let sealed = sealed.unwrap_or_else(|| panic!("no question in {asked}"));
        let state = match input {
            [b'@', changes @ ..] => changed(sealed, changes),
            text => String::from_utf8_lossy(text).into_owned(),
        };
        let answer = call(house, Some(&state));
        if state == sealed {
            assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
        } else {
            assert_eq!(answer["error"]["code"], -32602, "{state}: {answer}");
        }
    });
}

/// The text with other characters at some places.
pub(crate) fn changed(text: &str, changes: &[u8]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for change in changes.chunks_exact(3) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
        bytes[place] = change[2] & 0x7f;
    }
    String::from_utf8(bytes).expect("ASCII")
}

/// Calls the tool that asks; with a state, the answer is there too.
fn call(house: &House, state: Option<&str>) -> Value {
    let mut params = json!({
        "name": "ask",
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": { "elicitation": { "form": {} } },
        },
    });
    if let Some(state) = state {
        params["requestState"] = state.into();
        let named = json!({ "action": "accept", "content": { "name": "Ada" } });
        params["inputResponses"] = json!({ "name": named });
    }
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let request = House::request("/mcp")
        .method("POST")
        .header(header::CONTENT_TYPE, "application/json")
        .header(
            header::AUTHORIZATION,
            format!("Bearer {}", house.app().access_token),
        )
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "ask");
    house
        .ask(request.body(message.to_string().into()).expect("a request"))
        .json()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn nothing_opens_that_was_not_sealed_here(
            changes in vec(any::<u8>(), 0..7),
            text in ".{0,60}",
            like_one in "[A-Za-z0-9_-]{0,200}",
        ) {
            holds(&[b"@", &changes[..]].concat());
            holds(format!("={text}").as_bytes());
            holds(like_one.as_bytes());
        }
    }
}
