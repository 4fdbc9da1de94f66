//! What the fixture is made from: a tool as a function, and a very small picture and sound.

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use remote_mcp_auth::mcp::feature::{
    CallError, Content, Context, Elicited, TaskSupport, Tool, ToolDefinition, ToolResult,
};
use serde_json::{Map, Value, json};

/// One grey pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg==";

/// Half a millisecond of silence.
const WAV: &str = "UklGRigAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQQAAACAgICA";

pub(crate) type Arguments = Map<String, Value>;
pub(crate) type Outcome = Result<ToolResult, CallError>;

/// What a function returns that can wait.
pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

type Call = for<'a> fn(Arguments, &'a Context) -> Later<'a, Outcome>;

struct FnTool {
    definition: ToolDefinition,
    call: Call,
}

#[async_trait]
impl Tool for FnTool {
    fn definition(&self) -> ToolDefinition {
        self.definition.clone()
    }

    async fn call(&self, arguments: Arguments, context: &Context) -> Outcome {
        (self.call)(arguments, context).await
    }
}

/// A tool that takes what `schema` says.
pub(crate) fn tool(
    name: &'static str,
    description: &'static str,
    schema: Value,
    call: Call,
) -> Arc<dyn Tool> {
    task_tool(name, description, schema, TaskSupport::Never, call)
}

/// A tool that takes nothing.
pub(crate) fn bare(name: &'static str, description: &'static str, call: Call) -> Arc<dyn Tool> {
    tool(name, description, nothing(), call)
}

/// A tool whose calls may become tasks.
pub(crate) fn task_tool(
    name: &'static str,
    description: &'static str,
    schema: Value,
    task: TaskSupport,
    call: Call,
) -> Arc<dyn Tool> {
    let definition = ToolDefinition {
        task,
        ..ToolDefinition::new(name, description, schema)
    };
    Arc::new(FnTool { definition, call })
}

/// The schema of no arguments.
pub(crate) fn nothing() -> Value {
    json!({ "type": "object", "properties": {} })
}

/// The schema of one argument, or of a form with one field; it must be there.
pub(crate) fn one(name: &str, kind: &str) -> Value {
    json!({ "type": "object", "properties": { name: { "type": kind } }, "required": [name] })
}

/// An argument, or a form's field, that is text.
pub(crate) fn text<'a>(arguments: &'a Arguments, name: &str) -> &'a str {
    let argument = arguments.get(name).and_then(Value::as_str);
    argument.unwrap_or_default()
}

/// What was filled in; nothing, if the person would not.
pub(crate) fn filled_in(answer: Elicited) -> Arguments {
    match answer {
        Elicited::Accepted(content) => content,
        Elicited::Declined | Elicited::Cancelled => Arguments::new(),
    }
}

/// What was filled in among several answers.
pub(crate) fn filled_in_at(answers: &Arguments, key: &str) -> Arguments {
    let answer = answers.get(key).and_then(Elicited::read);
    answer.map_or_else(Arguments::new, filled_in)
}

pub(crate) fn picture() -> Content {
    Content::Image {
        data: PNG.to_owned(),
        mime_type: "image/png".to_owned(),
    }
}

/// The same picture as a resource holds it.
pub(crate) fn picture_base64() -> &'static str {
    PNG
}

pub(crate) fn sound() -> Content {
    Content::Audio {
        data: WAV.to_owned(),
        mime_type: "audio/wav".to_owned(),
    }
}
