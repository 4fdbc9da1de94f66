//! Tools that are asked in several rounds (SEP-2322). What has been answered, and the state that
//! carries it, is the library's business.

use std::sync::Arc;

use remote_mcp_auth::mcp::feature::{Capability, Context, Question, Tool, ToolResult};
use serde_json::{Value, json};

use crate::{
    asking::{prompt, said},
    fixture::{Outcome, bare, filled_in, filled_in_at, one, text},
};

pub(crate) fn tools() -> Vec<Arc<dyn Tool>> {
    vec![
        bare(
            "test_input_required_result_elicitation",
            "Asks the person for a name.",
            |_, context| Box::pin(elicitation(context)),
        ),
        bare(
            "test_input_required_result_sampling",
            "Asks the client's model for a capital.",
            |_, context| Box::pin(sampling(context)),
        ),
        bare(
            "test_input_required_result_list_roots",
            "Asks which folders the client works in.",
            |_, context| Box::pin(list_roots(context)),
        ),
        bare(
            "test_input_required_result_request_state",
            "Asks for a confirmation and keeps a state meanwhile.",
            |_, context| Box::pin(confirm(context)),
        ),
        bare(
            "test_input_required_result_multiple_inputs",
            "Asks the person, the model and the client at once.",
            |_, context| Box::pin(multiple_inputs(context)),
        ),
        bare(
            "test_input_required_result_multi_round",
            "Asks twice, one question after the other.",
            |_, context| Box::pin(multi_round(context)),
        ),
        bare(
            "test_input_required_result_tampered_state",
            "Asks for a confirmation and refuses a state that was changed.",
            |_, context| Box::pin(confirm(context)),
        ),
        bare(
            "test_input_required_result_capabilities",
            "Asks whomever the client can ask.",
            |_, context| Box::pin(capabilities(context)),
        ),
    ]
}

fn whats_your_name() -> Question {
    Question::Form {
        message: "What is your name?".to_owned(),
        schema: one("name", "string"),
    }
}

fn greeting() -> Question {
    Question::Sampling(prompt("Generate a greeting", 50))
}

async fn elicitation(context: &Context) -> Outcome {
    let asked = context.elicit("user_name", "What is your name?", one("name", "string"));
    let answer = filled_in(asked.await?);
    let name = text(&answer, "name");
    Ok(ToolResult::text(format!("Hello, {name}!")))
}

async fn sampling(context: &Context) -> Outcome {
    let question = prompt("What is the capital of France?", 100);
    let answer = context.sample("capital_question", question).await?;
    Ok(ToolResult::text(format!("LLM response: {}", said(&answer))))
}

async fn list_roots(context: &Context) -> Outcome {
    let answer = context.roots("client_roots").await?;
    Ok(ToolResult::text(format!(
        "Client roots: {}",
        roots(&answer)
    )))
}

fn roots(answer: &Value) -> String {
    answer
        .get("roots")
        .map_or_else(String::new, Value::to_string)
}

async fn confirm(context: &Context) -> Outcome {
    let asked = context.elicit("confirm", "Please confirm.", one("ok", "boolean"));
    let answer = filled_in(asked.await?);
    Ok(ToolResult::text(
        if answer.get("ok") == Some(&json!(true)) {
            "Confirmed: state-ok"
        } else {
            "Not confirmed: state-ok"
        },
    ))
}

async fn multiple_inputs(context: &Context) -> Outcome {
    let answers = context
        .ask(vec![
            ("user_name".to_owned(), whats_your_name()),
            ("greeting".to_owned(), greeting()),
            ("client_roots".to_owned(), Question::Roots),
        ])
        .await?;
    let person = filled_in_at(&answers, "user_name");
    let answer = |key: &str| answers.get(key).unwrap_or(&Value::Null);
    Ok(ToolResult::text(format!(
        "{} {}, roots: {}",
        said(answer("greeting")),
        text(&person, "name"),
        roots(answer("client_roots")),
    )))
}

async fn multi_round(context: &Context) -> Outcome {
    let asked = context.elicit("step1", "Step 1: What is your name?", one("name", "string"));
    let first = filled_in(asked.await?);
    let asked = context.elicit(
        "step2",
        "Step 2: What is your favorite color?",
        one("color", "string"),
    );
    let second = filled_in(asked.await?);
    let (name, color) = (text(&first, "name"), text(&second, "color"));
    Ok(ToolResult::text(format!("{name} likes {color}.")))
}

async fn capabilities(context: &Context) -> Outcome {
    let questions: Vec<_> = [
        (Capability::ElicitationForm, "user_name", whats_your_name()),
        (Capability::Sampling, "greeting", greeting()),
    ]
    .into_iter()
    .filter(|(capability, ..)| context.client_can(*capability))
    .map(|(_, key, question)| (key.to_owned(), question))
    .collect();
    let answers = context.ask(questions).await?;
    let keys: Vec<_> = answers.keys().map(String::as_str).collect();
    Ok(ToolResult::text(format!("Answered: {}", keys.join(", "))))
}
