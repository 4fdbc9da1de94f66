//! Descriptions and results as each era writes them.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    content::Content,
    prompt::{PromptDefinition, PromptMessage, PromptResult},
    resource::{ResourceDefinition, ResourceTemplateDefinition},
    tool::{ToolAnnotations, ToolDefinition, ToolResult},
};
use crate::mcp::era::Era;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireTool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
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

pub(super) fn tool(tool: &ToolDefinition, era: Era) -> WireTool<'_> {
    WireTool {
        name: &tool.name,
        title: tool.title.as_deref().filter(|_| era.has_titles()),
        description: &tool.description,
        input_schema: &tool.input_schema,
        output_schema: tool
            .output_schema
            .as_ref()
            .filter(|schema| has_shape(era, schema.get("type") == Some(&"object".into()))),
        annotations: era.has_tool_annotations().then_some(WireAnnotations {
            title: tool.title.as_deref(),
            hints: tool.annotations,
        }),
    }
}

/// Whether an era can carry structured content, which early ones want to be an object.
fn has_shape(era: Era, is_object: bool) -> bool {
    era.has_structured_content() && (is_object || era.has_any_structured_content())
}

pub(super) fn prompt(prompt: &PromptDefinition, era: Era) -> PromptDefinition {
    PromptDefinition {
        title: prompt.title.clone().filter(|_| era.has_titles()),
        ..prompt.clone()
    }
}

pub(super) fn resource(resource: &ResourceDefinition, era: Era) -> ResourceDefinition {
    ResourceDefinition {
        title: resource.title.clone().filter(|_| era.has_titles()),
        ..resource.clone()
    }
}

pub(super) fn template(
    template: &ResourceTemplateDefinition,
    era: Era,
) -> ResourceTemplateDefinition {
    ResourceTemplateDefinition {
        title: template.title.clone().filter(|_| era.has_titles()),
        ..template.clone()
    }
}

/// The result of `tools/call`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::mcp) struct WireResult {
    content: Vec<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<Value>,
    is_error: bool,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl ToolResult {
    pub(in crate::mcp) fn on_wire(self, era: Era) -> WireResult {
        let content = self.content.into_iter();
        WireResult {
            content: content.map(|content| content.in_era(era)).collect(),
            structured_content: self
                .structured
                .filter(|structured| has_shape(era, structured.is_object())),
            is_error: self.is_error,
            extra: self.extra,
        }
    }
}

impl PromptResult {
    pub(in crate::mcp) fn on_wire(self, era: Era) -> Self {
        let messages = self.messages.into_iter();
        Self {
            description: self.description,
            messages: messages
                .map(|message| PromptMessage {
                    content: message.content.in_era(era),
                    ..message
                })
                .collect(),
            extra: self.extra,
        }
    }
}

/// A description with what its type has no place for laid over it. A null takes a member away.
pub(super) fn described(description: &impl Serialize, extra: &Map<String, Value>) -> Value {
    let mut described = serde_json::to_value(description)
        .expect("descriptions are made of strings and JSON values");
    if let Value::Object(members) = &mut described {
        members.extend(extra.clone());
        members.retain(|_, value| !value.is_null());
    }
    described
}

/// A description in JSON.
pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("descriptions are made of strings and JSON values")
}
