//! Tools, and the empty lists beside them: what clients see and what models can act on.

use serde_json::{Value, json};

use crate::support::{McpClient, TestServer};

const TOOL: &str = "best_person_looker_upper";
const VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// The text that a model reads.
#[track_caller]
fn text(result: &Value) -> &str {
    assert_eq!(result["content"][0]["type"], "text", "{result}");
    result["content"][0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn the_example_tool_is_listed_with_what_each_revision_knows() {
    let server = TestServer::start().await;
    for version in VERSIONS {
        let result = McpClient::connected(&server, version)
            .await
            .result("tools/list", &json!({}))
            .await;
        let tools = result["tools"].as_array().unwrap();
        assert_eq!(tools.len(), 1, "{result}");
        let tool = tools.first().unwrap();

        assert_eq!(tool["name"], TOOL);
        assert!(
            tool["description"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{tool}"
        );
        assert_eq!(tool["inputSchema"]["type"], "object");
        assert_eq!(
            tool["inputSchema"]["properties"]["startsWith"]["type"],
            "string"
        );
        assert_eq!(tool["inputSchema"]["required"], json!(["startsWith"]));
        let knows_structure = version >= "2025-06-18";
        let title = knows_structure.then_some("Best Person Looker-upper");
        assert_eq!(tool["title"].as_str(), title, "{version}");
        assert_eq!(
            tool["outputSchema"].is_object(),
            knows_structure,
            "{version}"
        );
        let knows_annotations = version >= "2025-03-26";
        assert!(
            tool.get("annotations").is_none() || knows_annotations,
            "{version}: {tool}"
        );
        // An empty cursor would be a cursor.
        assert!(result.get("nextCursor").is_none(), "{result}");
    }
}

#[tokio::test]
async fn the_output_schema_says_that_a_name_may_be_missing() {
    let server = TestServer::start().await;
    let result = McpClient::connected(&server, "2025-11-25")
        .await
        .result("tools/list", &json!({}))
        .await;
    let schema = &result["tools"][0]["outputSchema"];
    assert_eq!(schema["type"], "object");
    let validator = jsonschema::draft202012::new(schema).unwrap();

    assert!(validator.is_valid(&json!({ "name": "Ada Lovelace", "knownFor": "programs" })));
    assert!(validator.is_valid(&json!({ "name": null, "knownFor": null })));
    assert!(!validator.is_valid(&json!({ "name": 7, "knownFor": null })));
    assert!(!validator.is_valid(&json!({})));
}

#[tokio::test]
async fn the_best_person_is_found_by_the_first_letters() {
    let server = TestServer::start().await;
    for version in VERSIONS {
        let mcp = McpClient::connected(&server, version).await;
        let result = mcp.call(TOOL, &json!({ "startsWith": "A" })).await;

        assert!(text(&result).contains("Ada Lovelace"), "{result}");
        assert_ne!(result["isError"], true, "{result}");
        if version >= "2025-06-18" {
            assert_eq!(result["structuredContent"]["name"], "Ada Lovelace");
            let known_for = result["structuredContent"]["knownFor"].as_str().unwrap();
            assert!(!known_for.is_empty());
        } else {
            assert!(
                result.get("structuredContent").is_none(),
                "{version}: {result}"
            );
        }
    }
}

#[tokio::test]
async fn upper_and_lower_case_are_the_same() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-11-25").await;
    for letters in ["a", "ADA", "ada l", "aDA lOVELACE"] {
        let result = mcp.call(TOOL, &json!({ "startsWith": letters })).await;
        assert_eq!(
            result["structuredContent"]["name"], "Ada Lovelace",
            "{letters}"
        );
    }
}

#[tokio::test]
async fn nobody_is_a_normal_answer() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-11-25").await;
    // Letters that case folding turns into several, marks without a letter, other scripts.
    for letters in ["Adb", "ﬀ", "ß", "\u{301}", "漢", "🙂", "%", "\u{0}"] {
        let result = mcp.call(TOOL, &json!({ "startsWith": letters })).await;
        assert_ne!(result["isError"], true, "{letters}: {result}");
        assert_eq!(
            result["structuredContent"],
            json!({ "name": null, "knownFor": null }),
            "{letters}"
        );
        assert!(!text(&result).is_empty());
    }
}

#[tokio::test]
async fn arguments_that_do_not_fit_come_back_as_something_to_act_on() {
    let server = TestServer::start().await;
    for version in VERSIONS {
        let mcp = McpClient::connected(&server, version).await;
        for arguments in [
            json!({}),
            json!({ "startsWith": 7 }),
            json!({ "startsWith": null }),
            json!({ "x": "A" }),
        ] {
            // SEP-1303: a tool error, so that the model sees it and can try again.
            let result = mcp.call(TOOL, &arguments).await;
            assert_eq!(result["isError"], true, "{version} {arguments}: {result}");
            assert!(text(&result).contains("startsWith"), "{result}");
            // What does not conform to the output schema must not be sent as structured content.
            assert!(result.get("structuredContent").is_none(), "{result}");
        }
        // Without any arguments at all.
        let result = mcp.result("tools/call", &json!({ "name": TOOL })).await;
        assert_eq!(result["isError"], true, "{result}");
    }
}

#[tokio::test]
async fn arguments_that_are_not_an_object_are_invalid_parameters() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-11-25").await;
    for arguments in [json!([]), json!("A"), json!(7)] {
        let params = json!({ "name": TOOL, "arguments": arguments });
        assert_eq!(
            mcp.request("tools/call", &params).await.rpc_error(),
            -32602,
            "{arguments}"
        );
    }
}

#[tokio::test]
async fn unknown_tools_are_invalid_parameters() {
    let server = TestServer::start().await;
    for version in VERSIONS {
        let mcp = McpClient::connected(&server, version).await;
        for params in [
            json!({ "name": "no_such_tool", "arguments": {} }),
            json!({ "name": "Best_Person_Looker_Upper", "arguments": { "startsWith": "A" } }),
            json!({ "name": "", "arguments": {} }),
            json!({ "name": 7 }),
            json!({}),
        ] {
            let answer = mcp.request("tools/call", &params).await.expect(200);
            assert_eq!(answer.rpc_error(), -32602, "{version} {params}");
        }
    }
}

#[tokio::test]
async fn the_lists_that_clients_ask_for_anyway_are_empty() {
    let server = TestServer::start().await;
    for version in VERSIONS {
        let mcp = McpClient::connected(&server, version).await;
        for (method, member) in [
            ("prompts/list", "prompts"),
            ("resources/list", "resources"),
            ("resources/templates/list", "resourceTemplates"),
        ] {
            let result = mcp.result(method, &json!({})).await;
            assert_eq!(result[member], json!([]), "{version} {method}");
            assert!(result.get("nextCursor").is_none(), "{result}");
        }
    }
}

#[tokio::test]
async fn a_cursor_that_we_never_gave_is_invalid() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-11-25").await;
    for method in ["tools/list", "prompts/list", "resources/list"] {
        let answer = mcp.request(method, &json!({ "cursor": "garbage" })).await;
        assert_eq!(answer.rpc_error(), -32602, "{method}");
    }
}

#[tokio::test]
async fn members_of_the_future_are_ignored() {
    let server = TestServer::start().await;
    let mcp = McpClient::connected(&server, "2025-11-25").await;
    let params = json!({
        "name": TOOL,
        "arguments": { "startsWith": "A" },
        "_meta": { "progressToken": "p", "example.com/unknown": {} },
        "task": { "ttl": 1000 },
    });
    let result = mcp.result("tools/call", &params).await;
    assert_eq!(result["structuredContent"]["name"], "Ada Lovelace");
}
