//! The record of every call of a tool.

use serde_json::{Value, json};

use crate::support::{Connected, Launch, McpClient, Program, Site, connect};

const TOOL: &str = "best_person_looker_upper";

/// A server that writes records, and nothing else unless something goes wrong.
fn start(launch: Launch) -> (Program, Site) {
    let program = launch
        .env("LOG_FORMAT", "json")
        .env("RUST_LOG", "warn,audit=info")
        .start();
    let site = program.site();
    (program, site)
}

/// What was written when the server has ended.
fn records(program: Program) -> Vec<Value> {
    let ended = program.terminate();
    let lines = ended.stderr.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

async fn client(site: &Site) -> (Connected, McpClient) {
    let connected = connect(site).await;
    let token = &connected.tokens.access;
    let client = McpClient::initialized(site, token, "2025-11-25").await;
    (connected, client)
}

#[tokio::test]
async fn a_record_says_who_called_what_and_what_came_of_it() {
    let (program, site) = start(Launch::serving());
    let (connected, client) = client(&site).await;
    client.call(TOOL, &json!({ "startsWith": "Grace" })).await;
    client
        .call(TOOL, &json!({ "startsWith": 7, "more": "x" }))
        .await;
    let records = records(program);
    let [called, refused] = &records[..] else {
        panic!("not two: {records:#?}");
    };
    for (record, status, arguments) in [
        (called, "ok", "startsWith"),
        (refused, "tool_error", "more,startsWith"),
    ] {
        assert_eq!(record["event"], "tool_called", "{record}");
        assert_eq!(record["target"], "audit");
        assert_eq!(record["user"], "owner");
        assert_eq!(record["client.id"], connected.client.id);
        assert_eq!(record["mcp.tool"], TOOL);
        assert_eq!(record["status"], status);
        assert_eq!(record["arguments"], arguments);
        assert!(record["duration_ms"].is_number(), "{record}");
        assert!(record["grant.id"].is_string(), "{record}");
        assert!(record.get("upstream").is_none(), "{record}");
        assert!(!record.to_string().contains("Grace"), "{record}");
    }
}

#[tokio::test]
async fn a_record_names_the_upstream() {
    let tool = "[[http_tools]]\nname = \"a\"\ndescription = \"for a story\"\n\
                url = \"http://127.0.0.1:1/\"\n";
    let launch = Launch::serving()
        .file("server.toml", tool)
        .env("CONFIG_FILE", "server.toml");
    let (program, site) = start(launch);
    let (_, client) = client(&site).await;
    client.call("a", &json!({})).await;
    let records = records(program);
    let mut called = records.iter().filter(|record| record["target"] == "audit");
    let called = called.next().expect("a record");
    assert_eq!(called["upstream"], "a", "{called}");
    assert_eq!(called["status"], "tool_error");
    assert_eq!(called["arguments"], "");
}

#[tokio::test]
async fn values_are_recorded_where_the_operator_says_so_and_up_to_a_length() {
    let (program, site) = start(Launch::serving().env("AUDIT_ARGUMENTS", "values"));
    let (_, client) = client(&site).await;
    client.call(TOOL, &json!({ "startsWith": "Grace" })).await;
    let long = "x".repeat(100_000);
    client.call(TOOL, &json!({ "startsWith": long })).await;
    let records = records(program);
    assert_eq!(records[0]["arguments"], r#"{"startsWith":"Grace"}"#);
    let recorded = records[1]["arguments"].as_str().unwrap();
    assert!(recorded.chars().count() <= 2001, "{}", recorded.len());
}
