//! A tool that is one HTTP request to an upstream.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::site::{Prepared, Site};
use crate::{
    api::Method,
    mcp::feature::{CallError, Context, Tool, ToolAnnotations, ToolDefinition, ToolResult},
    model::scope::Scope,
};

/// Makes requests of arguments.
pub(super) trait Plan: Send + Sync + 'static {
    /// The request; or what is wrong with the arguments, in words for a model.
    fn request(&self, arguments: Map<String, Value>) -> Result<Prepared, String>;
}

/// A tool that is one HTTP request.
pub(super) struct RequestTool {
    pub(super) definition: ToolDefinition,
    pub(super) scope: Option<Scope>,
    pub(super) plan: Box<dyn Plan>,
    pub(super) site: Arc<Site>,
}

#[async_trait]
impl Tool for RequestTool {
    fn definition(&self) -> ToolDefinition {
        self.definition.clone()
    }

    fn scope(&self) -> Option<Scope> {
        self.scope.clone()
    }

    fn upstream(&self) -> Option<&str> {
        Some(&self.site.name)
    }

    async fn call(
        &self,
        arguments: Map<String, Value>,
        context: &Context,
    ) -> Result<ToolResult, CallError> {
        let structured = self.definition.output_schema.is_some();
        Ok(match self.plan.request(arguments) {
            Ok(prepared) => self.site.ask(prepared, context, structured).await,
            Err(problem) => ToolResult::error(problem),
        })
    }
}

/// What a method says of what a request does to the world.
pub(super) fn annotations(method: Method) -> ToolAnnotations {
    ToolAnnotations {
        read_only_hint: method.is_safe(),
        // POST and PATCH as the specification takes every tool to be; PUT replaces what was there.
        destructive_hint: !method.is_safe(),
        idempotent_hint: method.is_idempotent(),
        open_world_hint: true,
    }
}
