//! Tools whose input schemas are what is tested.

use std::sync::Arc;

use remote_mcp_auth::mcp::feature::{Tool, ToolResult};
use serde_json::{Value, json};

use crate::fixture::{text, tool};

pub(crate) fn tools() -> Vec<Arc<dyn Tool>> {
    vec![
        tool(
            "json_schema_2020_12_tool",
            "Has a schema with everything that JSON Schema 2020-12 offers.",
            everything(),
            |_, _| Box::pin(async { Ok(ToolResult::text("The arguments fit the schema.")) }),
        ),
        tool(
            "test_custom_header",
            "Answers with an argument that clients repeat in a header.",
            json!({
                "type": "object",
                "properties": { "value": { "type": "string", "x-mcp-header": "Value" } },
                "required": ["value"]
            }),
            |arguments, _| Box::pin(async move { Ok(ToolResult::text(text(&arguments, "value"))) }),
        ),
    ]
}

fn everything() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } }
            }
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" }
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": {
            "properties": { "contactMethod": { "const": "phone" } },
            "required": ["contactMethod"]
        },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false
    })
}
