//! Tools: what models can do here.

mod best_person;
mod registry;
mod wire;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value};

pub use best_person::BestPersonLookerUpper;
pub(super) use registry::CallError;
pub use registry::{RegistryError, ToolRegistry};

use crate::access::Authorization;

/// Something that a model can do.
#[async_trait]
pub trait Tool: Send + Sync + 'static {
    /// What it is called, what it does and what it takes. Asked for once, when it is registered.
    fn definition(&self) -> ToolDefinition;

    /// Does it. The arguments fit the input schema.
    async fn call(&self, call: ToolCall) -> ToolResult;
}

/// What models are told about a tool.
#[derive(Debug, Clone)]
pub struct ToolDefinition {
    /// Unique; 1 to 128 of `A-Z a-z 0-9 _ . -`.
    pub name: &'static str,
    /// For people.
    pub title: Option<&'static str>,
    /// For the model.
    pub description: &'static str,
    /// JSON Schema 2020-12 of the arguments; an object at its root.
    pub input_schema: Value,
    /// JSON Schema 2020-12 of [`ToolResult::structured`], if the tool answers in a shape.
    pub output_schema: Option<Value>,
    /// Hints about what it does to the world.
    pub annotations: ToolAnnotations,
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

/// One call of a tool.
pub struct ToolCall {
    /// Its arguments, valid by the input schema.
    pub arguments: Map<String, Value>,
    /// On whose behalf, by which client, with which scopes.
    pub authorization: Arc<Authorization>,
}

impl fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values are the person's own.
        let names: Vec<&String> = self.arguments.keys().collect();
        f.debug_struct("ToolCall")
            .field("arguments", &names)
            .finish_non_exhaustive()
    }
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct ToolResult {
    /// For the model to read.
    pub text: String,
    /// The same in the shape of the output schema.
    pub structured: Option<Value>,
    /// Whether it failed, in a way that the model can do something about.
    pub is_error: bool,
}

impl ToolResult {
    /// It worked.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// It failed; the text says what to do differently.
    pub fn error(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_error: true,
            ..Self::default()
        }
    }

    /// The same answer in the shape of the output schema.
    #[must_use]
    pub fn with_structured(mut self, structured: Value) -> Self {
        self.structured = Some(structured);
        self
    }
}
