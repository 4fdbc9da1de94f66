//! Tools and their results as each protocol version writes them.

use serde::Serialize;
use serde_json::Value;

use super::{ToolAnnotations, ToolDefinition, ToolResult};
use crate::mcp::era::LegacyVersion;

/// The result of `tools/list`.
#[derive(Serialize)]
pub(in crate::mcp) struct ToolList<'a> {
    pub(super) tools: Vec<WireTool<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireTool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    description: &'a str,
    input_schema: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<WireAnnotations<'a>>,
}

/// Versions that have no `title` beside the name have it here.
#[derive(Serialize)]
struct WireAnnotations<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(flatten)]
    hints: ToolAnnotations,
}

impl ToolDefinition {
    pub(super) fn on_wire(&self, version: LegacyVersion) -> WireTool<'_> {
        WireTool {
            name: self.name,
            title: self.title.filter(|_| version.has_titles()),
            description: self.description,
            input_schema: &self.input_schema,
            output_schema: self
                .output_schema
                .as_ref()
                .filter(|_| version.has_structured_content()),
            annotations: version.has_tool_annotations().then_some(WireAnnotations {
                title: self.title,
                hints: self.annotations,
            }),
        }
    }
}

/// The result of `tools/call`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::mcp) struct WireResult<'a> {
    content: [TextContent<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<&'a Value>,
    is_error: bool,
}

#[derive(Serialize)]
struct TextContent<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

impl ToolResult {
    pub(in crate::mcp) fn on_wire(&self, version: LegacyVersion) -> WireResult<'_> {
        WireResult {
            content: [TextContent {
                kind: "text",
                text: &self.text,
            }],
            structured_content: self
                .structured
                .as_ref()
                .filter(|_| version.has_structured_content()),
            is_error: self.is_error,
        }
    }
}
