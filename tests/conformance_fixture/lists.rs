//! What the fixture says that it has.

use serde_json::{Value, json};

use super::{Fixture, cacheable, one, server_meta};
use crate::{
    every_version::Client,
    support::{MODERN, TASKS},
};

/// The list that a method answers with, without its descriptions, which must be there: their words
/// are nobody's business. The rest of the result is checked here.
async fn list(client: &Client, method: &str, member: &str) -> Value {
    let mut result = client.result(method, &json!({})).await;
    let mut items = result[member].take();
    assert_eq!(result, cacheable(client, json!({ member: null })));
    for item in items.as_array_mut().unwrap() {
        let description = item.as_object_mut().unwrap().remove("description");
        let description = description.unwrap();
        assert!(description.as_str().is_some_and(|text| !text.is_empty()));
    }
    items
}

/// Every tool and the schema of its arguments, in the order of the list. The suite calls the first
/// one without arguments.
fn tools() -> Vec<(&'static str, Value)> {
    let none = || json!({ "type": "object", "properties": {} });
    vec![
        ("test_simple_text", none()),
        ("test_image_content", none()),
        ("test_audio_content", none()),
        ("test_embedded_resource", none()),
        ("test_multiple_content_types", none()),
        ("test_error_handling", none()),
        ("test_tool_with_logging", none()),
        ("test_tool_with_progress", none()),
        ("test_reconnection", none()),
        ("test_logging_tool", none()),
        ("test_trigger_tool_change", none()),
        ("test_trigger_prompt_change", none()),
        ("test_missing_capability", none()),
        ("test_sampling", one("prompt", "string")),
        ("test_elicitation", one("message", "string")),
        ("test_elicitation_sep1034_defaults", none()),
        ("test_elicitation_sep1330_enums", none()),
        ("test_streaming_elicitation", none()),
        ("json_schema_2020_12_tool", json_schema_2020_12()),
        ("test_custom_header", custom_header()),
        ("test_input_required_result_elicitation", none()),
        ("test_input_required_result_sampling", none()),
        ("test_input_required_result_list_roots", none()),
        ("test_input_required_result_request_state", none()),
        ("test_input_required_result_multiple_inputs", none()),
        ("test_input_required_result_multi_round", none()),
        ("test_input_required_result_tampered_state", none()),
        ("test_input_required_result_capabilities", none()),
        ("greet", one("name", "string")),
        ("slow_compute", slow_compute()),
        ("failing_job", none()),
        ("protocol_error_job", none()),
        ("confirm_delete", one("filename", "string")),
        ("multi_input", none()),
        ("test_tool_with_task", none()),
    ]
}

fn json_schema_2020_12() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            },
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": {
            "properties": { "contactMethod": { "const": "phone" } },
            "required": ["contactMethod"],
        },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}

fn custom_header() -> Value {
    json!({
        "type": "object",
        "properties": { "value": { "type": "string", "x-mcp-header": "Value" } },
        "required": ["value"],
    })
}

fn slow_compute() -> Value {
    json!({
        "type": "object",
        "properties": {
            "seconds": { "type": "number", "minimum": 0, "maximum": 3600 },
            "label": { "type": "string" },
        },
        "required": ["seconds"],
    })
}

#[tokio::test]
async fn tools_are_listed_in_order_with_their_schemas_unchanged() {
    let fixture = Fixture::start().await;
    // The hints of a tool that says nothing about itself (schema, `ToolAnnotations`).
    let hints = json!({
        "readOnlyHint": false,
        "destructiveHint": true,
        "idempotentHint": false,
        "openWorldHint": true,
    });
    let expected: Vec<Value> = tools()
        .into_iter()
        .map(|(name, schema)| json!({ "name": name, "inputSchema": schema, "annotations": hints }))
        .collect();
    for client in fixture.clients().await {
        let tools = list(&client, "tools/list", "tools").await;
        assert_eq!(tools, json!(expected));
    }
}

#[tokio::test]
async fn prompts_are_listed_with_their_arguments() {
    let fixture = Fixture::start().await;
    let argument = |name: &str| json!({ "name": name, "required": true });
    let expected = json!([
        { "name": "test_simple_prompt" },
        {
            "name": "test_prompt_with_arguments",
            "arguments": [argument("arg1"), argument("arg2")],
        },
        {
            "name": "test_prompt_with_embedded_resource",
            "arguments": [argument("resourceUri")],
        },
        { "name": "test_prompt_with_image" },
        { "name": "test_input_required_result_prompt" },
    ]);
    for client in fixture.clients().await {
        assert_eq!(list(&client, "prompts/list", "prompts").await, expected);
    }
}

#[tokio::test]
async fn resources_and_their_template_are_listed() {
    let fixture = Fixture::start().await;
    let resource = |name: &str, mime_type: &str| {
        let uri = format!("test://{name}");
        json!({ "uri": uri, "name": name, "mimeType": mime_type })
    };
    // The suite reads the first one.
    let resources = json!([
        resource("static-text", "text/plain"),
        resource("static-binary", "image/png"),
        resource("watched-resource", "text/plain"),
    ]);
    let templates = json!([{
        "uriTemplate": "test://template/{id}/data",
        "name": "template-data",
        "mimeType": "application/json",
    }]);
    for client in fixture.clients().await {
        for (method, member, expected) in [
            ("resources/list", "resources", &resources),
            ("resources/templates/list", "resourceTemplates", &templates),
        ] {
            assert_eq!(&list(&client, method, member).await, expected);
        }
    }
}

#[tokio::test]
async fn what_is_offered_is_discovered_without_a_handshake() {
    let fixture = Fixture::start().await;
    let discovered = fixture.modern().result("server/discover", &json!({})).await;
    let expected = json!({
        "resultType": "complete",
        "supportedVersions": [MODERN],
        "capabilities": {
            "tools": { "listChanged": true },
            "prompts": { "listChanged": true },
            "resources": { "subscribe": true, "listChanged": true },
            "logging": {},
            "completions": {},
            "extensions": { TASKS: {} },
        },
        "ttlMs": 60_000,
        "cacheScope": "public",
        "_meta": server_meta(),
    });
    assert_eq!(discovered, expected);
}
