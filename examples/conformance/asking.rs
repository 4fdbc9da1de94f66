//! Tools that ask the person or the client's model, in whichever way the client's version has.

use std::sync::Arc;

use remote_mcp_auth::mcp::feature::{Context, Elicited, Tool, ToolResult};
use serde_json::{Value, json};

use crate::fixture::{Arguments, Outcome, bare, one, text, tool};

pub(crate) fn tools() -> Vec<Arc<dyn Tool>> {
    vec![
        tool(
            "test_sampling",
            "Asks the client's model.",
            one("prompt", "string"),
            |arguments, context| Box::pin(sampling(arguments, context)),
        ),
        tool(
            "test_elicitation",
            "Asks the person for a name and an address.",
            one("message", "string"),
            |arguments, context| Box::pin(elicitation(arguments, context)),
        ),
        bare(
            "test_elicitation_sep1034_defaults",
            "Asks with a form that is filled in already.",
            |_, context| Box::pin(ask(context, "Please review the form.", filled_in_form())),
        ),
        bare(
            "test_elicitation_sep1330_enums",
            "Asks with a form of choices.",
            |_, context| Box::pin(ask(context, "Please choose.", choices())),
        ),
        bare(
            "test_streaming_elicitation",
            "Asks the person for a name.",
            |_, context| Box::pin(ask(context, "What is your name?", one("name", "string"))),
        ),
    ]
}

async fn sampling(arguments: Arguments, context: &Context) -> Outcome {
    let answer = context
        .sample("response", prompt(text(&arguments, "prompt"), 100))
        .await?;
    let said = said(&answer);
    Ok(ToolResult::text(format!("LLM response: {said}")))
}

/// What to ask a model.
pub(crate) fn prompt(text: &str, max_tokens: u32) -> Value {
    json!({
        "messages": [{ "role": "user", "content": { "type": "text", "text": text } }],
        "maxTokens": max_tokens
    })
}

/// The text that a model answered with.
pub(crate) fn said(answer: &Value) -> &str {
    let text = answer.pointer("/content/text");
    // Since 2025-11-25 there may be several pieces.
    let text = text.or_else(|| answer.pointer("/content/0/text"));
    text.and_then(Value::as_str).unwrap_or_default()
}

async fn elicitation(arguments: Arguments, context: &Context) -> Outcome {
    let schema = json!({
        "type": "object",
        "properties": { "username": { "type": "string" }, "email": { "type": "string" } },
        "required": ["username", "email"]
    });
    ask(context, text(&arguments, "message"), schema).await
}

async fn ask(context: &Context, message: &str, schema: Value) -> Outcome {
    let (action, form) = match context.elicit("response", message, schema).await? {
        Elicited::Accepted(form) => ("accept", form),
        Elicited::Declined => ("decline", Arguments::new()),
        Elicited::Cancelled => ("cancel", Arguments::new()),
    };
    let form = Value::Object(form);
    Ok(ToolResult::text(format!(
        "User response: action={action}, content={form}"
    )))
}

/// Every kind of field has a default (SEP-1034).
fn filled_in_form() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "status": {
                "type": "string",
                "enum": ["active", "inactive", "pending"],
                "default": "active"
            },
            "verified": { "type": "boolean", "default": true }
        },
        "required": []
    })
}

/// Every kind of choice (SEP-1330).
fn choices() -> Value {
    json!({
        "type": "object",
        "properties": {
            "untitledSingle": { "type": "string", "enum": ["option1", "option2", "option3"] },
            "titledSingle": { "type": "string", "oneOf": titled() },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"]
            },
            "untitledMulti": {
                "type": "array",
                "items": { "type": "string", "enum": ["option1", "option2", "option3"] }
            },
            "titledMulti": { "type": "array", "items": { "anyOf": titled() } }
        },
        "required": []
    })
}

fn titled() -> Value {
    json!([
        { "const": "value1", "title": "First Option" },
        { "const": "value2", "title": "Second Option" },
        { "const": "value3", "title": "Third Option" }
    ])
}
