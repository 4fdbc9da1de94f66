//! Several MCP servers behind this one: names, selections, limits, and those that are down.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    gateway_children::child,
    support::{
        Balancer, JsonServer, ModernClient, Outcome, PATIENCE, TestServer, Workshop, connect,
    },
};

/// The table of a workshop.
async fn table(name: &str, shop: &Workshop, more: &str) -> String {
    table_at(&shop.url("/mcp"), name, shop, more).await
}

/// The same where it is reached at another address than its own.
async fn table_at(url: &str, name: &str, shop: &Workshop, more: &str) -> String {
    let token = connect(shop).await.tokens.access;
    format!(
        "[[upstreams]]\nname = \"{name}\"\nurl = \"{url}\"\nauthorization = \"Bearer {token}\"\n{more}\n"
    )
}

async fn gateway(tables: &[String]) -> (TestServer, ModernClient) {
    let gateway = TestServer::one_reading(&tables.join("\n")).await;
    let mcp = ModernClient::connected(&gateway).await;
    (gateway, mcp)
}

/// Waits until the list of tools is as it should be.
async fn listed(mcp: &ModernClient, is_right: impl Fn(&[String]) -> bool) {
    let deadline = Instant::now() + PATIENCE * 2;
    loop {
        let tools = mcp.tool_names().await;
        if is_right(&tools) {
            return;
        }
        assert!(Instant::now() < deadline, "{tools:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn names_are_prefixed_and_come_in_the_order_of_the_file() {
    let (first, second) = (Workshop::open().await, Workshop::open().await);
    let selected =
        "allow = [\"ec*\", \"ask*\"]\ndeny = [\"*_twice\"]\nrename = { ask = \"question\" }";
    let tables = [
        table("one", &first, "allow = [\"echo\", \"rich\"]").await,
        child("name = \"kid\"\nallow = [\"pid\"]"),
        table("two", &second, selected).await,
    ];
    let (_gateway, mcp) = gateway(&tables).await;
    let expected = [
        "one_echo",
        "one_rich",
        "kid_pid",
        "two_echo",
        "question",
        "two_ask_all",
    ];
    assert_eq!(mcp.tool_names().await, expected);
    for tool in ["one_echo", "two_echo"] {
        let result = mcp.call(tool, &json!({ "text": tool })).await;
        assert_eq!(result["content"][0]["text"], tool);
    }
    // What is not offered cannot be called either.
    for tool in ["two_ask_twice", "two_speak", "ask", "echo"] {
        let params = json!({ "name": tool, "arguments": {} });
        let answer = mcp.request("tools/call", &params).await;
        assert_eq!(answer.rpc_error(), -32602, "{tool}");
    }
    // Both have the same resources: the first one's are read.
    let listed = mcp.result("resources/list", &json!({})).await;
    assert_eq!(listed["resources"].as_array().unwrap().len(), 2);
    let note = json!({ "uri": "test://note" });
    let read = mcp.result("resources/read", &note).await;
    assert_eq!(read["contents"][0]["text"], "noted");
}

#[tokio::test]
async fn one_that_is_down_is_not_listed_and_says_so_and_comes_back() {
    let mut shop = Workshop::open().await;
    // The address that stays the same: a port that is free again may be somebody else's.
    let door = Balancer::start().await;
    door.to([shop.addr()]);
    let url = format!("http://{}/mcp", door.addr());
    let tables = [
        table_at(&url, "away", &shop, "").await,
        child("name = \"here\""),
    ];
    let (_gateway, mcp) = gateway(&tables).await;
    listed(&mcp, |tools| tools.iter().any(|tool| tool == "away_echo")).await;

    shop.end().await;
    door.to([]);
    let call = mcp.call("away_echo", &json!({ "text": "x" })).await;
    assert_eq!(call["isError"], true, "{call}");
    assert!(call.to_string().contains("away: "), "{call}");
    listed(&mcp, |tools| {
        tools.iter().all(|tool| tool.starts_with("here_"))
    })
    .await;
    // Known by name, it is still told apart from what never was.
    let call = mcp.call("away_echo", &json!({ "text": "x" })).await;
    assert_eq!(call["isError"], true, "{call}");
    // The others do not notice.
    let result = mcp.call("here_pid", &json!({})).await;
    assert!(
        result.get("isError").is_none_or(|is| is == &json!(false)),
        "{result}"
    );

    // Another server at that address.
    let back = JsonServer::start(back).await;
    door.to([back.addr()]);
    listed(&mcp, |tools| tools.iter().any(|tool| tool == "away_back")).await;
}

/// A server of one tool.
fn back(message: &Value) -> Outcome {
    match message["method"].as_str() {
        Some("server/discover") => Ok(json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"],
            "capabilities": { "tools": {} }, "ttlMs": 0, "cacheScope": "private",
        })),
        Some("tools/list") => Ok(json!({
            "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
            "tools": [{ "name": "back", "inputSchema": { "type": "object" } }],
        })),
        method => Err(json!({ "code": -32601, "message": method })),
    }
}

#[tokio::test]
async fn no_more_calls_run_at_once_than_are_allowed() {
    let mut shop = Workshop::open().await;
    let tables = [table("one", &shop, "max_calls = 1").await];
    let (_gateway, mcp) = gateway(&tables).await;
    let wait = || {
        let mcp = mcp.clone();
        tokio::spawn(async move { mcp.call("one_wait", &json!({})).await })
    };
    let first = wait();
    shop.happen(["started"]).await;
    let second = wait();
    shop.let_go();
    // The second begins when the first is over, and not before.
    shop.happen(["finished", "dropped", "told"]).await;
    shop.happen(["started"]).await;
    shop.let_go();
    for call in [first, second] {
        assert_eq!(call.await.unwrap()["content"][0]["text"], "done");
    }
}
