//! Tools: what models can do here.

use std::borrow::Cow;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    content::Content,
    context::{CallError, Context},
};
use crate::model::{offered_tool::Effect, scope::Scope};

/// Something that a model can do.
///
/// ```
/// use async_trait::async_trait;
/// use remote_mcp_auth::mcp::feature::{CallError, Context, Tool, ToolDefinition, ToolResult};
/// use serde_json::{Map, Value, json};
///
/// struct Greet;
///
/// #[async_trait]
/// impl Tool for Greet {
///     fn definition(&self) -> ToolDefinition {
///         ToolDefinition::new(
///             "greet",
///             "Greets whoever has signed in.",
///             json!({ "type": "object", "additionalProperties": false }),
///         )
///     }
///
///     async fn call(
///         &self,
///         _arguments: Map<String, Value>,
///         context: &Context,
///     ) -> Result<ToolResult, CallError> {
///         Ok(ToolResult::text(format!("Hello, {}!", context.user())))
///     }
/// }
/// ```
#[async_trait]
pub trait Tool: Send + Sync + 'static {
    /// What it is called, what it does and what it takes. Asked for once, when it is registered.
    fn definition(&self) -> ToolDefinition;

    /// Members of the description that [`ToolDefinition`] has no place for, such as `icons` and
    /// `_meta`. They go out as they are, and take the place of ours; a null takes ours away.
    fn extra(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Whether clients are told of it. One that they are not told of can be called all the same by
    /// whoever knows its name.
    fn is_listed(&self) -> bool {
        true
    }

    /// Whether it checks its arguments and results itself: they are not held against its schemas
    /// then, which may be of another draft or refer to other documents, and its name may be any.
    fn validates_itself(&self) -> bool {
        false
    }

    /// The scope that opens it, where that is not for the table of scopes to say by its name.
    /// Asked for once, like the definition.
    fn scope(&self) -> Option<Scope> {
        None
    }

    /// What stands behind it, for the record of its calls.
    fn upstream(&self) -> Option<&str> {
        None
    }

    /// Asks what has to be known before the work begins, for a tool whose calls may become
    /// [tasks](TaskSupport): a question here is put in the answer to the call itself. The answers are
    /// there, under their keys, when [`call`](Self::call) asks again.
    async fn prepare(
        &self,
        arguments: &Map<String, Value>,
        context: &Context,
    ) -> Result<(), CallError> {
        let _ = (arguments, context);
        Ok(())
    }

    /// Does it. The arguments fit the input schema, unless the tool
    /// [validates itself](Self::validates_itself).
    async fn call(
        &self,
        arguments: Map<String, Value>,
        context: &Context,
    ) -> Result<ToolResult, CallError>;
}

/// What models are told about a tool.
#[derive(Debug, Clone)]
pub struct ToolDefinition {
    /// Unique; 1 to 128 of `A-Z a-z 0-9 _ . -`.
    pub name: Cow<'static, str>,
    /// For people.
    pub title: Option<Cow<'static, str>>,
    /// For the model.
    pub description: Cow<'static, str>,
    /// JSON Schema 2020-12 of the arguments; an object at its root. A property may carry
    /// `x-mcp-header`: clients of 2026-07-28 repeat it in that header.
    pub input_schema: Value,
    /// JSON Schema 2020-12 of [`ToolResult::structured`], if the tool answers in a shape.
    pub output_schema: Option<Value>,
    /// Hints about what it does to the world.
    pub annotations: ToolAnnotations,
    /// Whether a call may become a task.
    pub task: TaskSupport,
}

impl ToolDefinition {
    /// A definition without the optional parts, and with the specification's default hints.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        description: impl Into<Cow<'static, str>>,
        input_schema: Value,
    ) -> Self {
        Self {
            name: name.into(),
            title: None,
            description: description.into(),
            input_schema,
            output_schema: None,
            annotations: ToolAnnotations::default(),
            task: TaskSupport::Never,
        }
    }
}

/// Whether a call may become a task, which the client follows (`io.modelcontextprotocol/tasks`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TaskSupport {
    /// It is over soon.
    #[default]
    Never,
    /// For clients that can follow one; others wait for the result.
    Optional,
    /// It takes so long that clients that cannot follow a task are refused.
    Required,
}

/// Hints about what a tool does to the world. The defaults are the specification's.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the specification's own members"
)]
pub struct ToolAnnotations {
    /// It changes nothing.
    pub read_only_hint: bool,
    /// It may destroy.
    pub destructive_hint: bool,
    /// A second call with the same arguments changes nothing more.
    pub idempotent_hint: bool,
    /// It reaches out to a world that others change too.
    pub open_world_hint: bool,
}

impl Default for ToolAnnotations {
    fn default() -> Self {
        Self {
            read_only_hint: false,
            destructive_hint: true,
            idempotent_hint: false,
            open_world_hint: true,
        }
    }
}

impl ToolAnnotations {
    /// The same in a word for people.
    pub(super) fn effect(self) -> Effect {
        // The other hints mean something only where this one is not set.
        if self.read_only_hint {
            Effect::Reads
        } else if self.destructive_hint {
            Effect::Destroys
        } else {
            Effect::Changes
        }
    }
}

/// What came of a call.
#[derive(Debug, Clone, Default)]
pub struct ToolResult {
    /// For the model.
    pub content: Vec<Content>,
    /// The same in the shape of the output schema.
    pub structured: Option<Value>,
    /// Whether it failed, in a way that the model can do something about.
    pub is_error: bool,
    /// Whatever else the result says, such as `_meta`.
    pub extra: Map<String, Value>,
}

impl ToolResult {
    /// It worked.
    pub fn text(text: impl Into<String>) -> Self {
        Self::content(vec![Content::text(text)])
    }

    /// It worked, and there is more than text.
    pub fn content(content: Vec<Content>) -> Self {
        Self {
            content,
            ..Self::default()
        }
    }

    /// It failed; the text says what to do differently.
    pub fn error(text: impl Into<String>) -> Self {
        Self {
            is_error: true,
            ..Self::text(text)
        }
    }

    /// The same answer in the shape of the output schema.
    #[must_use]
    pub fn with_structured(mut self, structured: Value) -> Self {
        self.structured = Some(structured);
        self
    }
}
