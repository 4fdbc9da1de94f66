//! Input that nobody means well with, in both eras: whatever comes, the answer is one of the
//! protocol, with the id wherever it could be read.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, McpClient, ModernClient, Request, Workshop};

/// A client of either era that writes its messages by hand.
pub(crate) enum Hand {
    Session(McpClient),
    Modern(ModernClient),
}

use Hand::{Modern, Session};

impl Hand {
    pub(crate) async fn both(shop: &Workshop) -> [Self; 2] {
        let session = shop.legacy("2025-11-25", json!({})).await;
        [Session(session), Modern(shop.modern().await)]
    }

    /// A request with the headers of a call of `echo`, and no body yet.
    fn http(&self) -> Request {
        match self {
            Session(mcp) => mcp.http(Method::POST),
            Modern(mcp) => mcp.http(&mcp.message("tools/call", &json!({ "name": "echo" }))),
        }
    }

    pub(crate) async fn post(&self, body: impl Into<Vec<u8>>) -> Answer {
        self.http().body("application/json", body).send().await
    }

    /// `members`, and before them what the era has in every request's parameters.
    pub(crate) fn params(&self, members: &str) -> String {
        let comma = if members.is_empty() { "" } else { "," };
        match self {
            Session(_) => format!("{{\"x\":0{comma}{members}}}"),
            Modern(mcp) => {
                let meta = mcp.message("tools/call", &json!({}))["params"]["_meta"].to_string();
                format!("{{\"_meta\":{meta}{comma}{members}}}")
            }
        }
    }

    /// Calls `echo` with this id and these arguments, as text.
    pub(crate) async fn call(&self, id: &str, arguments: &str) -> Answer {
        let params = self.params(&format!("\"name\":\"echo\",\"arguments\":{arguments}"));
        self.post(message(id, "\"tools/call\"", &params)).await
    }
}

pub(crate) fn message(id: &str, method: &str, params: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{method},\"params\":{params}}}")
}

/// The answer is one of JSON-RPC. It is not read as a value, which may not be able to hold the id.
#[track_caller]
pub(crate) fn assert_protocol(answer: &Answer, id: Option<&str>) {
    let shown: String = format!("{answer:?}").chars().take(600).collect();
    assert!([200, 400, 404].contains(&answer.status), "{shown}");
    assert_eq!(answer.header("content-type"), "application/json", "{shown}");
    assert!(answer.body.contains("\"jsonrpc\":\"2.0\""), "{shown}");
    assert!(
        answer.body.contains("\"error\":{") || answer.body.contains("\"result\":{"),
        "{shown}"
    );
    match id {
        Some(id) => assert!(answer.body.contains(&format!("\"id\":{id},")), "{shown}"),
        None => assert!(
            !answer.body.contains("\"id\":") || answer.body.contains("\"id\":null"),
            "{shown}"
        ),
    }
}

#[track_caller]
pub(crate) fn assert_code(answer: &Answer, id: Option<&str>, code: i64) {
    assert_protocol(answer, id);
    assert_eq!(answer.rpc_error(), code, "{answer:?}");
}

#[tokio::test]
async fn members_of_the_wrong_type_are_refused_with_the_id() {
    let shop = Workshop::open().await;
    for hand in Hand::both(&shop).await {
        for wrong in ["5", "true", "null", "{}", "[]", "\"1.0\""] {
            let body = format!("{{\"jsonrpc\":{wrong},\"id\":7,\"method\":\"tools/call\"}}");
            assert_code(&hand.post(body).await, Some("7"), -32600);
        }
        for wrong in ["5", "true", "null", "{}", "[]"] {
            let body = message("7", wrong, "{}");
            assert_code(&hand.post(body).await, Some("7"), -32600);
        }
        // JSON-RPC allows arrays; MCP names its parameters.
        for wrong in ["5", "true", "\"x\"", "[]", "[1,2]", "null"] {
            let body = message("7", "\"tools/call\"", wrong);
            assert_code(&hand.post(body).await, Some("7"), -32602);
        }
        for wrong in ["5", "true", "\"x\"", "[]", "[{\"text\":\"a\"}]"] {
            assert_code(&hand.call("7", wrong).await, Some("7"), -32602);
        }
        for wrong in [
            "{}",
            "null",
            "{\"text\":5}",
            "{\"text\":null}",
            "{\"text\":[\"a\"]}",
        ] {
            let answer = hand.call("7", wrong).await;
            assert_eq!(
                answer.rpc()["result"]["isError"],
                true,
                "{wrong}: {answer:?}"
            );
        }
        for name in ["5", "null", "{}", "[\"echo\"]"] {
            let params = hand.params(&format!("\"name\":{name}"));
            let answer = hand.post(message("7", "\"tools/call\"", &params)).await;
            assert_protocol(&answer, Some("7"));
            assert!([-32602, -32020].contains(&answer.rpc_error()), "{answer:?}");
        }
        for meta in [
            "5",
            "[]",
            "\"x\"",
            "{\"progressToken\":{}}",
            "{\"progressToken\":1e400}",
        ] {
            let params =
                format!("{{\"name\":\"echo\",\"arguments\":{{\"text\":\"a\"}},\"_meta\":{meta}}}");
            assert_protocol(
                &hand.post(message("7", "\"tools/call\"", &params)).await,
                Some("7"),
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_json_is_a_parse_error() {
    let shop = Workshop::open().await;
    for hand in Hand::both(&shop).await {
        for body in [
            &b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"\xff\xfe\"}"[..],
            b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"a\0b\"}",
            b"\0",
            b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}\0",
            b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"} {}",
            b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":'ping'}",
            b"{\"jsonrpc\":\"2.0\",\"id\":007,\"method\":\"ping\"}",
            b"{\"jsonrpc\":\"2.0\",\"id\":NaN,\"method\":\"ping\"}",
            b"\xef\xbb\xbf{",
            b" ",
        ] {
            assert_code(&hand.post(body).await, None, -32700);
        }
    }
}

#[tokio::test]
async fn strings_may_hold_anything_and_surrogates_come_in_pairs() {
    let shop = Workshop::open().await;
    for hand in Hand::both(&shop).await {
        let answer = hand
            .call("7", "{\"text\":\"a\\u0000\\ud83e\\udd80\"}")
            .await;
        assert_eq!(answer.rpc()["result"]["content"][0]["text"], "a\0🦀");
        for arguments in [
            "{\"text\":\"\\ud800\"}",
            "{\"\\ud800\":1}",
            "{\"text\":\"\\udc00\\ud800\"}",
        ] {
            assert_code(&hand.call("7", arguments).await, Some("7"), -32602);
        }
    }
}

#[tokio::test]
async fn an_id_beside_what_is_grammatical_could_be_read() {
    let shop = Workshop::open().await;
    for hand in Hand::both(&shop).await {
        // RFC 8259 §6, §8.2: all of it is grammatical JSON.
        for body in [
            message("7", "\"\\ud800\"", "{}"),
            message("7", "1e400", "{}"),
            "{\"jsonrpc\":\"\\ud800\",\"id\":7,\"method\":\"ping\"}".to_owned(),
        ] {
            assert_protocol(&hand.post(body).await, Some("7"));
        }
    }
}

#[tokio::test]
async fn members_that_stand_there_twice_are_refused_or_one_of_them_counts() {
    let shop = Workshop::open().await;
    for hand in Hand::both(&shop).await {
        let params = hand.params("\"name\":\"echo\",\"arguments\":{\"text\":\"a\"}");
        for body in [
            format!(
                "{{\"jsonrpc\":\"2.0\",\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{params}}}"
            ),
            format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\",\"method\":\"tools/call\",\"params\":{params}}}"
            ),
            format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{params},\"params\":{{}}}}"
            ),
        ] {
            assert_code(&hand.post(body).await, Some("7"), -32600);
        }
        let twice = hand.params("\"name\":\"rich\",\"name\":\"echo\"");
        let answer = hand.post(message("7", "\"tools/call\"", &twice)).await;
        assert_code(&answer, Some("7"), -32602);
        assert_protocol(
            &hand.call("7", "{\"text\":\"a\",\"text\":\"b\"}").await,
            Some("7"),
        );
        let body = "{\"jsonrpc\":\"2.0\",\"id\":7,\"id\":8,\"method\":\"tools/call\"}";
        let answer = hand.post(body).await;
        assert_eq!((answer.status, answer.rpc_error()), (400, -32600));
    }
}

#[tokio::test]
async fn a_tool_that_panics_takes_nothing_with_it() {
    let shop = Workshop::open().await;
    for hand in Hand::both(&shop).await {
        for tool in ["panic", "panic_later"] {
            let answer = match &hand {
                Session(mcp) => mcp.request("tools/call", &json!({ "name": tool })).await,
                Modern(mcp) => mcp.request("tools/call", &json!({ "name": tool })).await,
            };
            // Whatever it says, it is JSON and says that there was an error.
            assert!(!answer.json()["error"].is_null(), "{answer:?}");
            let after = hand.call("8", "{\"text\":\"alive\"}").await.expect(200);
            assert_eq!(after.rpc()["result"]["content"][0]["text"], "alive");
        }
    }
    // Once a stream is open, the error comes on it.
    let mcp = shop.legacy("2025-11-25", json!({})).await;
    let rest = mcp.open(3, "panic_midway", &json!({})).await.rest().await;
    assert_eq!(rest[1]["id"], 3, "{rest:?}");
    assert_eq!(rest[1]["error"]["code"], -32603, "{rest:?}");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_of_the_protocol() {
    let shop = Workshop::open().await;
    let modern = shop.modern().await.saying("progressToken", json!(1));
    let session = shop.legacy("2025-11-25", json!({})).await;
    for tool in ["panic", "panic_later"] {
        let params = json!({ "name": tool, "arguments": {} });
        for answer in [
            modern.request("tools/call", &params).await,
            session.request("tools/call", &params).await,
        ] {
            assert_eq!(answer.rpc_error(), -32603, "{tool}");
            assert_eq!(answer.rpc()["id"], 1, "{tool}");
        }
    }
    let params = json!({ "name": "panic_midway", "arguments": {} });
    let rest = modern.open("tools/call", &params).await.rest().await;
    assert_eq!(rest.last().unwrap()["error"]["code"], -32603, "{rest:?}");
}
