//! The record of every call of a tool: who did what with it, and what came of it. Log lines of their
//! own, under the target `audit`.

use std::time::Instant;

use serde_json::{Map, Value};

use super::{
    dispatch::Fault,
    feature::{Context, RegisteredTool, ToolResult},
};
use crate::model::audit_arguments::AuditArguments;

/// How many names of arguments are recorded, how long each may be, and how long all values together.
const MAX_NAMES: usize = 32;
const MAX_NAME: usize = 64;
const MAX_VALUES: usize = 2000;

/// A call that is going on. It is recorded when it is over, however it came to that.
pub(super) struct Record<'a> {
    tool: &'a RegisteredTool,
    context: &'a Context,
    arguments: String,
    /// It is measured, not decided upon, so it needs no clock that can be turned.
    began: Instant,
    status: &'static str,
}

impl<'a> Record<'a> {
    /// A call begins; `None` if nobody wants to know.
    pub(super) fn begin(
        tool: &'a RegisteredTool,
        arguments: &Value,
        context: &'a Context,
    ) -> Option<Self> {
        tracing::enabled!(target: "audit", tracing::Level::INFO).then(|| Self {
            tool,
            context,
            arguments: match arguments {
                Value::Object(arguments) => told(arguments, context.audit),
                _ => String::new(),
            },
            began: Instant::now(),
            // Unless something else comes of it.
            status: "cancelled",
        })
    }

    /// Something has come of it.
    pub(super) fn end(&mut self, outcome: &Result<ToolResult, Fault>) {
        self.status = match outcome {
            Ok(result) if result.is_error => "tool_error",
            Ok(_) => "ok",
            Err(Fault::InputRequired) => "input_required",
            Err(_) => "error",
        };
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let status = if std::thread::panicking() {
            "panic"
        } else {
            self.status
        };
        let authorization = &self.context.authorization;
        tracing::info!(
            target: "audit",
            event = "tool_called",
            user = authorization.owner.user.as_str(),
            client.id = authorization.owner.client.as_str(),
            grant.id = %authorization.grant,
            mcp.tool = &*self.tool.definition.name,
            upstream = self.tool.handler().upstream(),
            status,
            duration_ms = self.began.elapsed().as_secs_f64() * 1000.0,
            arguments = self.arguments,
            "a tool was called"
        );
    }
}

fn told(arguments: &Map<String, Value>, what: AuditArguments) -> String {
    match what {
        AuditArguments::Names => {
            let names = arguments.keys().take(MAX_NAMES);
            let names: Vec<String> = names.map(|name| shortened(name, MAX_NAME)).collect();
            names.join(",")
        }
        AuditArguments::Values => {
            let values = serde_json::to_string(arguments).unwrap_or_default();
            shortened(&values, MAX_VALUES)
        }
    }
}

fn shortened(text: &str, most: usize) -> String {
    let mut shortened: String = text.chars().take(most).collect();
    if shortened.len() < text.len() {
        shortened.push('…');
    }
    shortened
}
