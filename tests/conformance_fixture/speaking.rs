//! Tools that say something before they answer, and the changes that they tell of.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Fixture, NEWEST, call, complete, said};
use crate::{
    every_version::Client,
    support::{Events, ModernClient},
};

const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// Two pauses of 50 ms.
const TWO_PAUSES: Duration = Duration::from_millis(100);

/// Clients of both eras that hear all there is: progress under the token 1, and the log.
async fn listeners(fixture: &Fixture) -> [Client; 2] {
    let legacy = fixture.legacy(NEWEST).await;
    let level = json!({ "level": "debug" });
    let result = legacy.result("logging/setLevel", &level).await;
    assert_eq!(result, json!({}));
    let modern = fixture.modern().saying("progressToken", json!(1));
    let modern = modern.saying(LOG_LEVEL, json!("debug"));
    [Client::Session(legacy), Client::Modern(modern)]
}

/// The stream of a call under the id 1.
async fn open(client: &Client, tool: &str) -> Events {
    match client {
        Client::Session(mcp) => mcp.open(1, tool, &json!({})).await,
        Client::Modern(mcp) => mcp.open("tools/call", &json!({ "name": tool })).await,
    }
}

/// Insists on everything that a tool says: these notifications, and its answer.
async fn assert_says(client: &Client, tool: &str, told: [(&str, Value); 3], text: &str) {
    let begun = Instant::now();
    let messages = open(client, tool).await.rest().await;
    assert!(begun.elapsed() >= TWO_PAUSES, "without pauses");
    let told = told
        .into_iter()
        .map(|(method, params)| json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    let mut expected: Vec<Value> = told.collect();
    expected.push(answer(client, text));
    assert_eq!(messages, expected);
}

/// The answer to a call under the id 1.
fn answer(client: &Client, text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "result": complete(client, said(text)) })
}

#[tokio::test]
async fn the_logging_tool_logs_three_times_in_order() {
    let fixture = Fixture::start().await;
    for client in listeners(&fixture).await {
        let told = [
            "Tool execution started",
            "Tool processing data",
            "Tool execution completed",
        ]
        .map(|data| {
            let params = json!({ "level": "info", "data": data });
            ("notifications/message", params)
        });
        let text = "Tool with logging executed successfully.";
        assert_says(&client, "test_tool_with_logging", told, text).await;
    }
}

#[tokio::test]
async fn the_progress_tool_goes_from_nothing_to_all() {
    let fixture = Fixture::start().await;
    for client in listeners(&fixture).await {
        let told = [0.0, 50.0, 100.0].map(|progress| {
            let params = json!({ "progressToken": 1, "progress": progress, "total": 100.0 });
            ("notifications/progress", params)
        });
        let text = "Tool with progress executed successfully.";
        assert_says(&client, "test_tool_with_progress", told, text).await;
    }
}

/// Calls a tool that must answer in one piece.
async fn assert_only_says(mcp: &ModernClient, tool: &str, text: &str) {
    let params = json!({ "name": tool });
    let answer = mcp.request("tools/call", &params).await.expect(200);
    assert_eq!(answer.json()["result"]["content"], said(text)["content"]);
}

#[tokio::test]
async fn in_2026_nothing_is_logged_that_the_request_did_not_ask_for() {
    let fixture = Fixture::start().await;
    let (tool, text) = ("test_logging_tool", "Logging tool completed.");
    let quiet = fixture.modern();
    assert_only_says(&quiet, tool, text).await;
    assert_only_says(&quiet.saying(LOG_LEVEL, json!("warning")), tool, text).await;

    let client = Client::Modern(fixture.modern().saying(LOG_LEVEL, json!("info")));
    let messages = open(&client, tool).await.rest().await;
    let params = json!({ "level": "info", "data": "Logging tool called" });
    let logged = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params });
    assert_eq!(messages, [logged, answer(&client, text)]);
}

#[tokio::test]
async fn the_reconnection_tool_hangs_up_and_has_its_answer_for_whoever_comes_back() {
    let fixture = Fixture::start().await;
    let mcp = fixture.legacy(NEWEST).await;
    let begun = Instant::now();
    let mut events = mcp.open(1, "test_reconnection", &json!({})).await;
    let first = events.next().await.unwrap();
    // SEP-1699: an id to come back with, no data, and when to.
    assert_eq!(first.data, "");
    assert!(first.retry.unwrap().parse::<u32>().is_ok());
    assert_eq!(events.rest().await, Vec::<Value>::new());

    let rest = mcp.events(first.id.as_deref()).await.rest().await;
    assert!(begun.elapsed() >= TWO_PAUSES, "the answer did not wait");
    let client = Client::Session(mcp);
    let text = "The client came back for this answer.";
    assert_eq!(rest, [answer(&client, text)]);
    // There is no coming back in 2026-07-28, and so no hanging up.
    assert_only_says(&fixture.modern(), "test_reconnection", text).await;
}

/// Has the fixture tell of a change.
async fn trigger(client: &Client, list: &str) {
    let tool = format!("test_trigger_{list}_change");
    let result = call(client, &tool, &json!({})).await;
    assert_eq!(result, complete(client, said("Who listens has been told.")));
}

#[tokio::test]
async fn changes_are_told_to_sessions() {
    let fixture = Fixture::start().await;
    let listening = fixture.legacy(NEWEST).await;
    let mut events = listening.events(None).await;
    for client in fixture.clients().await {
        for list in ["tool", "prompt"] {
            trigger(&client, list).await;
            let method = format!("notifications/{list}s/list_changed");
            let expected = json!({ "jsonrpc": "2.0", "method": method });
            assert_eq!(events.message().await, expected);
        }
    }
}

#[tokio::test]
async fn in_2026_changes_are_told_to_those_who_asked_for_them() {
    let fixture = Fixture::start().await;
    let mcp = fixture.modern();
    let (mut tools, _) = mcp.listen(&json!({ "toolsListChanged": true })).await;
    let (mut prompts, _) = mcp.listen(&json!({ "promptsListChanged": true })).await;
    let client = Client::Modern(mcp);
    // Each is told of both in turn; what comes first on a stream is what it asked for.
    trigger(&client, "tool").await;
    trigger(&client, "prompt").await;
    trigger(&client, "tool").await;
    let meta = json!({ "io.modelcontextprotocol/subscriptionId": 1 });
    let told = |list: &str| {
        let method = format!("notifications/{list}/list_changed");
        json!({ "jsonrpc": "2.0", "method": method, "params": { "_meta": meta } })
    };
    assert_eq!(prompts.message().await, told("prompts"));
    for _ in 0..2 {
        assert_eq!(tools.message().await, told("tools"));
    }
}
