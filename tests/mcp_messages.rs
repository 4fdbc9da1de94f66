//! JSON-RPC over Streamable HTTP: what is a message, what is answered, and with which id.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, McpClient, TestServer, connect, initialize_message};

const VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

async fn post_text(mcp: &McpClient, body: &str) -> Answer {
    mcp.http(Method::POST)
        .body("application/json", body)
        .send()
        .await
}

#[tokio::test]
async fn ping_is_answered_in_every_revision() {
    let server = TestServer::start().await;
    for version in VERSIONS {
        let mcp = McpClient::connected(&server, version).await;
        assert_eq!(mcp.result("ping", &json!({})).await, json!({}), "{version}");
    }
}

#[tokio::test]
async fn ids_come_back_as_they_were_sent() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-11-25").await;

    for id in [
        "0",
        "-1",
        "9007199254740993",
        "18446744073709551615",
        "\"\"",
        "\"1\"",
        "\"é\\u00e9🙂\"",
    ] {
        for method in ["ping", "no/such/method"] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#);
            let message = post_text(&mcp, &body).await.expect(200).rpc();
            // The same type and value; how a string is escaped does not matter.
            assert_eq!(
                message["id"],
                serde_json::from_str::<Value>(id).unwrap(),
                "{message}"
            );
        }
    }
}

#[tokio::test]
async fn notifications_and_responses_are_accepted_without_an_answer() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-11-25").await;

    for message in [
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 99 } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/of/the/future", "params": {} }),
        json!({ "jsonrpc": "2.0", "id": 7, "result": {} }),
        json!({ "jsonrpc": "2.0", "id": 7, "error": { "code": -1, "message": "no" } }),
    ] {
        let answer = mcp.post(&message).await.expect(202);
        assert_eq!(answer.body, "", "{message}");
    }
}

#[tokio::test]
async fn what_is_not_json_is_a_parse_error() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-11-25").await;

    for body in ["", "{", "hello", "{\"jsonrpc\":\"2.0\",}", "\u{feff}x"] {
        let answer = post_text(&mcp, body).await;
        assert_eq!(answer.status, 400, "{body}: {answer:#?}");
        assert_eq!(answer.rpc_error(), -32700, "{body}");
        // JSON-RPC 2.0 §5: the id could not be read.
        assert_eq!(answer.rpc()["id"], Value::Null, "{body}");
    }
    let invalid_utf8 = mcp
        .http(Method::POST)
        .body("application/json", *b"{\"a\":\"\xff\"}");
    assert_eq!(invalid_utf8.send().await.expect(400).rpc_error(), -32700);
}

#[tokio::test]
async fn what_is_not_a_message_is_an_invalid_request() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-11-25").await;

    for message in [
        json!({}),
        json!(7),
        json!("ping"),
        json!(null),
        json!({ "id": 1, "method": "ping" }),
        json!({ "jsonrpc": "1.0", "id": 1, "method": "ping" }),
        json!({ "jsonrpc": 2.0, "id": 1, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 1 }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": 7 }),
        // MCP: unlike JSON-RPC, the id must not be null; nor anything but a string or a number.
        json!({ "jsonrpc": "2.0", "id": null, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": {}, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": [1], "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": true, "method": "ping" }),
    ] {
        let answer = mcp.post(&message).await;
        assert_eq!(answer.status, 400, "{message}: {answer:#?}");
        assert_eq!(answer.rpc_error(), -32600, "{message}");
    }
}

#[tokio::test]
async fn an_error_repeats_the_id_where_it_could_be_read() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-11-25").await;
    let message = json!({ "jsonrpc": "1.0", "id": "seven", "method": "ping" });
    assert_eq!(mcp.post(&message).await.rpc()["id"], "seven");
}

#[tokio::test]
async fn parameters_of_the_wrong_shape_are_invalid() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-11-25").await;

    for params in [json!([1]), json!("x"), json!(7)] {
        let answer = mcp.request("tools/call", &params).await;
        let code = answer.rpc_error();
        assert!(code == -32602 || code == -32600, "{answer:#?}");
    }
}

#[tokio::test]
async fn unknown_methods_are_not_found_and_do_not_look_like_a_lost_session() {
    let server = TestServer::start().await;
    for version in VERSIONS {
        let mcp = McpClient::connected(&server, version).await;
        for method in ["no/such/method", "tools", "Tools/list", "tools/list/", ""] {
            // 404 would mean that the session is gone.
            let answer = mcp.request(method, &json!({})).await.expect(200);
            assert_eq!(answer.rpc_error(), -32601, "{version} {method}");
        }
    }
}

#[tokio::test]
async fn batches_are_answered_where_the_revision_has_them() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-03-26").await;
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "ping" },
        { "jsonrpc": "2.0", "method": "notifications/initialized" },
        { "jsonrpc": "2.0", "id": "two", "method": "no/such/method" },
        { "jsonrpc": "2.0", "id": 3, "method": "tools/list" },
    ]);

    let answers = messages(&mcp.post(&batch).await.expect(200));
    assert_eq!(answers.len(), 3, "{answers:#?}");
    let by_id = |id: Value| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(by_id(json!(1))["result"], json!({}));
    assert_eq!(by_id(json!("two"))["error"]["code"], -32601);
    assert!(by_id(json!(3))["result"]["tools"].is_array());
}

#[tokio::test]
async fn a_batch_without_requests_is_accepted_without_an_answer() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-03-26").await;
    let batch = json!([
        { "jsonrpc": "2.0", "method": "notifications/initialized" },
        { "jsonrpc": "2.0", "method": "notifications/of/the/future" },
    ]);
    let answer = mcp.post(&batch).await.expect(202);
    assert_eq!(answer.body, "");
}

#[tokio::test]
async fn one_bad_member_does_not_spoil_a_batch() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-03-26").await;
    // JSON-RPC 2.0 §6.
    let batch = json!([7, { "jsonrpc": "2.0", "id": 1, "method": "ping" }]);
    let answers = messages(&mcp.post(&batch).await.expect(200));
    assert_eq!(answers.len(), 2, "{answers:#?}");
    assert!(
        answers
            .iter()
            .any(|answer| answer["error"]["code"] == -32600),
        "{answers:#?}"
    );
    assert!(
        answers.iter().any(|answer| answer["result"] == json!({})),
        "{answers:#?}"
    );
}

#[tokio::test]
async fn batches_that_cannot_be_are_invalid_requests() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-03-26").await;
    let empty = mcp.post(&json!([])).await.expect(400);
    assert_eq!(empty.rpc_error(), -32600);
    // 2025-03-26: `initialize` must not be part of a batch.
    let token = connect(&server).await.tokens.access;
    let fresh = McpClient::new(&server, &token);
    let answer = fresh.post(&json!([initialize_message("2025-03-26")])).await;
    assert!((400..500).contains(&answer.status), "{answer:#?}");
    assert!(answer.find("mcp-session-id").is_none(), "{answer:#?}");
}

#[tokio::test]
async fn other_revisions_have_no_batches() {
    let server = TestServer::start().await;
    for version in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let mcp = McpClient::connected(&server, version).await;
        let batch = json!([{ "jsonrpc": "2.0", "id": 1, "method": "ping" }]);
        let answer = mcp.post(&batch).await;
        assert_eq!(answer.status, 400, "{version}: {answer:#?}");
        assert_eq!(answer.rpc_error(), -32600, "{version}");
    }
}

/// The messages of a batch's answer: an array, or one event each.
fn messages(answer: &Answer) -> Vec<Value> {
    if !answer
        .header("content-type")
        .starts_with("text/event-stream")
    {
        return answer.json().as_array().unwrap().clone();
    }
    let data = answer
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("data:"));
    let events = data.filter(|data| !data.trim().is_empty());
    let values = events.map(|data| serde_json::from_str::<Value>(data).unwrap());
    values
        .flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value]))
        .collect()
}
