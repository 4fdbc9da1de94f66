//! The versions before 2025-11-25. The suite's client always proposes that one, so what older
//! clients are given is for these stories alone.

use serde_json::{Value, json};

use super::{Fixture, NEWEST, WAV, said};
use crate::{every_method::LEGACY, support::McpClient};

#[tokio::test]
async fn a_version_that_we_speak_is_agreed_to_with_what_it_knows() {
    let fixture = Fixture::start().await;
    for version in LEGACY {
        let mut server = json!({
            "name": "remote-mcp-auth",
            "version": env!("CARGO_PKG_VERSION"),
        });
        let mut offered = json!({
            "tools": { "listChanged": true },
            "prompts": { "listChanged": true },
            "resources": { "subscribe": true, "listChanged": true },
            "logging": {},
        });
        if version >= "2025-03-26" {
            offered["completions"] = json!({});
        }
        if version >= "2025-06-18" {
            server["title"] = json!("Remote MCP server");
        }
        let mut mcp = McpClient::new(&fixture.site, &fixture.token);
        let result = mcp.initialize(version).await;
        let expected = json!({
            "protocolVersion": version,
            "capabilities": offered,
            "serverInfo": server,
        });
        assert_eq!(result, expected);
        assert_eq!(mcp.ping().await, 200, "{version}");
    }
}

#[tokio::test]
async fn a_version_that_nobody_knows_is_answered_with_the_newest() {
    let fixture = Fixture::start().await;
    for unknown in [
        "1.0.0",
        "2024-10-07",
        "2025-11-26",
        // Without sessions, so nothing that a handshake could agree on.
        "2026-07-28",
        "2099-01-01",
        "",
    ] {
        let mut mcp = McpClient::new(&fixture.site, &fixture.token);
        let result = mcp.initialize(unknown).await;
        assert_eq!(result["protocolVersion"], NEWEST, "{unknown}");
        assert_eq!(mcp.ping().await, 200, "{unknown}");
    }
}

#[tokio::test]
async fn sound_is_told_in_words_where_there_is_no_sound() {
    let fixture = Fixture::start().await;
    for version in LEGACY {
        let mcp = fixture.legacy(version).await;
        let result = mcp.call("test_audio_content", &json!({})).await;
        let expected = if version == "2024-11-05" {
            said("(sound of type audio/wav, which this client cannot take)")
        } else {
            let sound = json!({ "type": "audio", "data": WAV, "mimeType": "audio/wav" });
            json!({ "content": [sound], "isError": false })
        };
        assert_eq!(result, expected, "{version}");
        // What they all have in common is the same in each.
        let result = mcp.call("test_simple_text", &json!({})).await;
        assert_eq!(result, said("This is a simple text response for testing."));
    }
}

#[tokio::test]
async fn tools_carry_hints_from_2025_03_26_on() {
    let fixture = Fixture::start().await;
    for version in LEGACY {
        let mcp = fixture.legacy(version).await;
        let result = mcp.result("tools/list", &json!({})).await;
        let tools = result["tools"].as_array().unwrap();
        assert_eq!(tools[0]["name"], "test_simple_text");
        let mut expected = vec!["description", "inputSchema", "name"];
        if version >= "2025-03-26" {
            expected.insert(0, "annotations");
        }
        for tool in tools {
            let members: Vec<&String> = tool.as_object().unwrap().keys().collect();
            assert_eq!(members, expected, "{version}");
        }
    }
}

#[tokio::test]
async fn people_are_asked_from_2025_06_18_on() {
    let fixture = Fixture::start().await;
    let params = json!({ "name": "test_elicitation", "arguments": { "message": "Who?" } });
    for version in ["2024-11-05", "2025-03-26"] {
        // Even if the client says that it could be.
        let mcp = fixture.legacy(version).await;
        let answer = mcp.request("tools/call", &params).await.expect(200);
        let mut refused = said(
            r#"This needs a client that can do what this one did not declare: {"elicitation":{}}"#,
        );
        refused["isError"] = json!(true);
        // Not a stream, so nothing was asked.
        assert_eq!(answer.json()["result"], refused, "{version}");
    }
    for version in ["2025-06-18", NEWEST] {
        let mcp = fixture.legacy(version).await;
        let mut events = mcp.open(1, "test_elicitation", &params["arguments"]).await;
        let request = events.message().await;
        assert_eq!(request["method"], "elicitation/create");
        let members: Vec<&String> = request["params"].as_object().unwrap().keys().collect();
        // Forms are called forms since there is something else.
        let expected: &[&str] = if version == NEWEST {
            &["message", "mode", "requestedSchema"]
        } else {
            &["message", "requestedSchema"]
        };
        assert_eq!(members, expected, "{version}");
    }
}

#[tokio::test]
async fn the_reconnection_tool_hangs_up_on_those_who_know_to_come_back() {
    let fixture = Fixture::start().await;
    for version in LEGACY {
        let mcp = fixture.legacy(version).await;
        let mut events = mcp.open(1, "test_reconnection", &json!({})).await;
        let heard = events.rest().await;
        // Before SEP-1699 a stream stays open until the answer has been sent.
        let text = "The client came back for this answer.";
        let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": said(text) });
        let expected: &[Value] = if version == NEWEST { &[] } else { &[answer] };
        assert_eq!(heard, expected, "{version}");
    }
}
