//! Tools whose calls become tasks (`io.modelcontextprotocol/tasks`), and one that never does.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use remote_mcp_auth::mcp::feature::{
    CallError, Context, Question, TaskSupport, Tool, ToolDefinition, ToolResult,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::fixture::{
    Arguments, Outcome, filled_in, filled_in_at, nothing, one, task_tool, text, tool,
};

/// JSON-RPC's own code for what went wrong inside.
const INTERNAL_ERROR: i32 = -32603;

pub(crate) fn tools() -> Vec<Arc<dyn Tool>> {
    vec![
        tool(
            "greet",
            "Greets by name, at once.",
            one("name", "string"),
            |arguments, _| {
                let greeting = format!("Hello, {}!", text(&arguments, "name"));
                Box::pin(async { Ok(ToolResult::text(greeting)) })
            },
        ),
        task_tool(
            "slow_compute",
            "Takes as long as it is told to.",
            json!({
                "type": "object",
                "properties": {
                    "seconds": { "type": "number", "minimum": 0, "maximum": 3600 },
                    "label": { "type": "string" }
                },
                "required": ["seconds"]
            }),
            TaskSupport::Optional,
            |arguments, _| Box::pin(slow_compute(arguments)),
        ),
        task_tool(
            "failing_job",
            "Takes a second and fails.",
            nothing(),
            TaskSupport::Required,
            |_, _| {
                Box::pin(async {
                    sleep(Duration::from_secs(1)).await;
                    Ok(ToolResult::error("The job failed."))
                })
            },
        ),
        task_tool(
            "protocol_error_job",
            "Ends with an error of the protocol.",
            nothing(),
            TaskSupport::Required,
            |_, _| {
                let error = CallError::protocol(INTERNAL_ERROR, "the job ended with an error");
                Box::pin(async { Err(error) })
            },
        ),
        task_tool(
            "confirm_delete",
            "Asks whether it may delete a file, and deletes none.",
            one("filename", "string"),
            TaskSupport::Required,
            |arguments, context| Box::pin(confirm_delete(arguments, context)),
        ),
        task_tool(
            "multi_input",
            "Asks two questions at once.",
            nothing(),
            TaskSupport::Required,
            |_, context| Box::pin(multi_input(context)),
        ),
        Arc::new(AskThenWork),
    ]
}

async fn slow_compute(arguments: Arguments) -> Outcome {
    let seconds = arguments.get("seconds").and_then(Value::as_f64);
    let duration = Duration::try_from_secs_f64(seconds.unwrap_or_default());
    sleep(duration.unwrap_or_default()).await;
    let label = text(&arguments, "label");
    Ok(ToolResult::text(format!("Computed {label}.")))
}

async fn confirm_delete(arguments: Arguments, context: &Context) -> Outcome {
    let filename = text(&arguments, "filename");
    let message = format!("Delete {filename}?");
    let asked = context.elicit("confirm", message, one("confirm", "boolean"));
    let answer = filled_in(asked.await?);
    Ok(ToolResult::text(
        if answer.get("confirm") == Some(&json!(true)) {
            format!("Deleted {filename}.")
        } else {
            format!("Kept {filename}.")
        },
    ))
}

async fn multi_input(context: &Context) -> Outcome {
    let form = |message: &str, schema| Question::Form {
        message: message.to_owned(),
        schema,
    };
    let answers = context
        .ask(vec![
            (
                "name".to_owned(),
                form("What is your name?", one("name", "string")),
            ),
            (
                "confirm".to_owned(),
                form("Please confirm.", one("confirm", "boolean")),
            ),
        ])
        .await?;
    let person = filled_in_at(&answers, "name");
    let name = text(&person, "name");
    Ok(ToolResult::text(format!("Both answered, by {name}.")))
}

/// Asks in the answer to the call itself, and begins its task when it knows.
struct AskThenWork;

impl AskThenWork {
    async fn name(context: &Context) -> Result<String, CallError> {
        let asked = context.elicit("user_name", "What is your name?", one("name", "string"));
        let answer = filled_in(asked.await?);
        Ok(text(&answer, "name").to_owned())
    }
}

#[async_trait]
impl Tool for AskThenWork {
    fn definition(&self) -> ToolDefinition {
        ToolDefinition {
            task: TaskSupport::Required,
            ..ToolDefinition::new(
                "test_tool_with_task",
                "Asks for a name, then works in a task.",
                nothing(),
            )
        }
    }

    async fn prepare(&self, _: &Arguments, context: &Context) -> Result<(), CallError> {
        Self::name(context).await.map(|_| ())
    }

    async fn call(&self, _: Arguments, context: &Context) -> Outcome {
        let name = Self::name(context).await?;
        sleep(Duration::from_millis(100)).await;
        Ok(ToolResult::text(format!("Worked for {name}.")))
    }
}
