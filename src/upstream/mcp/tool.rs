//! A tool of an upstream.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{call::Failure, text, upstream::Upstream};
use crate::mcp::feature::{
    CallError, Content, Context, Tool, ToolAnnotations, ToolDefinition, ToolResult,
};

/// Members of a description that have a place of their own, or that cannot be kept: calls are not
/// passed on as tasks.
const KNOWN: [&str; 6] = [
    "name",
    "title",
    "description",
    "inputSchema",
    "outputSchema",
    "execution",
];

/// A tool of an upstream, under the name that it has here.
pub(super) struct ProxiedTool {
    pub(super) upstream: Arc<Upstream>,
    pub(super) name: String,
    pub(super) described: Map<String, Value>,
    pub(super) is_listed: bool,
}

#[async_trait]
impl Tool for ProxiedTool {
    fn definition(&self) -> ToolDefinition {
        let described = &self.described;
        let schema = described.get("inputSchema").cloned();
        let schema = schema.unwrap_or_else(|| json!({ "type": "object" }));
        let description = text(described, "description").unwrap_or_default();
        let mut definition = ToolDefinition::new(self.name.clone(), description, schema);
        definition.title = text(described, "title").map(Into::into);
        definition.output_schema = described.get("outputSchema").cloned();
        // For the people who are asked; clients get the hints as they are.
        if let Some(Value::Object(hints)) = described.get("annotations") {
            let hint = |name| hints.get(name).and_then(Value::as_bool);
            let unsaid = ToolAnnotations::default();
            definition.annotations = ToolAnnotations {
                read_only_hint: hint("readOnlyHint").unwrap_or(unsaid.read_only_hint),
                destructive_hint: hint("destructiveHint").unwrap_or(unsaid.destructive_hint),
                idempotent_hint: hint("idempotentHint").unwrap_or(unsaid.idempotent_hint),
                open_world_hint: hint("openWorldHint").unwrap_or(unsaid.open_world_hint),
            };
        }
        definition
    }

    fn extra(&self) -> Map<String, Value> {
        let mut extra = super::without(&self.described, &KNOWN);
        // Hints that it does not give are not given.
        extra.entry("annotations").or_insert(Value::Null);
        extra
    }

    fn is_listed(&self) -> bool {
        self.is_listed
    }

    fn validates_itself(&self) -> bool {
        true
    }

    fn upstream(&self) -> Option<&str> {
        Some(&self.upstream.label)
    }

    async fn call(
        &self,
        arguments: Map<String, Value>,
        context: &Context,
    ) -> Result<ToolResult, CallError> {
        let name = self.described.get("name").cloned().unwrap_or_default();
        let mut params = Map::new();
        params.insert("name".to_owned(), name);
        params.insert("arguments".to_owned(), Value::Object(arguments));
        let label = &self.upstream.label;
        match self.upstream.pass_on(context, "tools/call", params).await {
            Ok(Value::Object(result)) => Ok(tool_result(result)),
            Ok(_) => Ok(ToolResult::error(format!(
                "{label}: its answer cannot be read"
            ))),
            Err(Failure::Unavailable(why)) => {
                tracing::warn!(
                    upstream = &**label,
                    why,
                    "a tool of an upstream cannot be called"
                );
                Ok(ToolResult::error(format!("{label}: {why}")))
            }
            Err(failure) => Err(failure.into_call_error(label)),
        }
    }
}

fn tool_result(mut result: Map<String, Value>) -> ToolResult {
    let content = match result.remove("content") {
        Some(Value::Array(content)) => content
            .into_iter()
            .filter_map(|content| match content {
                Value::Object(content) => Some(Content::Other(content)),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let structured = result.remove("structuredContent");
    let is_error = result.remove("isError") == Some(Value::Bool(true));
    result.remove("resultType");
    super::drop_server_info(&mut result);
    ToolResult {
        content,
        structured,
        is_error,
        extra: result,
    }
}
