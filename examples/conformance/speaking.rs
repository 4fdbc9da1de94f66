//! Tools that say something before they answer, or elsewhere: progress, log messages, changes.

use std::{sync::Arc, time::Duration};

use remote_mcp_auth::mcp::feature::{Capability, Change, Context, LogLevel, Tool, ToolResult};
use serde_json::json;
use tokio::time::sleep;

use crate::fixture::{Outcome, bare};

const A_MOMENT: Duration = Duration::from_millis(50);

pub(crate) fn tools() -> Vec<Arc<dyn Tool>> {
    vec![
        bare(
            "test_tool_with_logging",
            "Logs what it does.",
            |_, context| Box::pin(with_logging(context)),
        ),
        bare(
            "test_tool_with_progress",
            "Tells how far it has got.",
            |_, context| Box::pin(with_progress(context)),
        ),
        bare(
            "test_reconnection",
            "Lets the client hang up and come back for the answer.",
            |_, context| Box::pin(reconnection(context)),
        ),
        bare(
            "test_logging_tool",
            "Logs if the request asks for it.",
            |_, context| {
                Box::pin(async {
                    context
                        .log(LogLevel::Info, json!("Logging tool called"))
                        .await;
                    Ok(ToolResult::text("Logging tool completed."))
                })
            },
        ),
        bare(
            "test_trigger_tool_change",
            "Says that the list of tools has changed.",
            |_, context| Box::pin(async { Ok(tell(context, Change::Tools)) }),
        ),
        bare(
            "test_trigger_prompt_change",
            "Says that the list of prompts has changed.",
            |_, context| Box::pin(async { Ok(tell(context, Change::Prompts)) }),
        ),
        bare(
            "test_missing_capability",
            "Refuses clients without a model.",
            |_, context| {
                Box::pin(async {
                    context.require(Capability::Sampling)?;
                    Ok(ToolResult::text("The client has a model."))
                })
            },
        ),
    ]
}

async fn with_logging(context: &Context) -> Outcome {
    for (index, message) in [
        "Tool execution started",
        "Tool processing data",
        "Tool execution completed",
    ]
    .into_iter()
    .enumerate()
    {
        if index > 0 {
            sleep(A_MOMENT).await;
        }
        context.log(LogLevel::Info, json!(message)).await;
    }
    Ok(ToolResult::text("Tool with logging executed successfully."))
}

async fn with_progress(context: &Context) -> Outcome {
    for progress in [0.0, 50.0, 100.0] {
        if progress > 0.0 {
            sleep(A_MOMENT).await;
        }
        context.progress(progress, Some(100.0), None).await;
    }
    Ok(ToolResult::text(
        "Tool with progress executed successfully.",
    ))
}

async fn reconnection(context: &Context) -> Outcome {
    context.close_stream().await;
    sleep(2 * A_MOMENT).await;
    Ok(ToolResult::text("The client came back for this answer."))
}

fn tell(context: &Context, change: Change) -> ToolResult {
    context.changes().tell(change);
    ToolResult::text("Who listens has been told.")
}
