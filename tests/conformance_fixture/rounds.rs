//! 2026-07-28: the tools and the prompt that need several rounds (SEP-2322).

use serde_json::{Value, json};

use super::{Fixture, complete, filled, form, one, prompt, said, sampled, server_meta};
use crate::{every_version::Client, modern_rounds::next, support::ModernClient};

fn tool(name: &str) -> Value {
    let name = format!("test_input_required_result_{name}");
    json!({ "name": name, "arguments": {} })
}

/// Sends a request that must be answered with these questions and nothing else.
async fn asked(mcp: &ModernClient, method: &str, params: &Value, questions: &Value) -> Value {
    let asked = mcp.result(method, params).await;
    let state = asked["requestState"].as_str().unwrap();
    assert!(!state.is_empty());
    let expected = json!({
        "resultType": "input_required",
        "inputRequests": questions,
        "requestState": state,
        "_meta": server_meta(),
    });
    assert_eq!(asked, expected, "{params}");
    asked
}

/// The last round, which must be answered with this text.
async fn assert_ends(mcp: &ModernClient, params: &Value, text: &str) {
    let result = mcp.result("tools/call", params).await;
    let client = Client::Modern(mcp.clone());
    assert_eq!(result, complete(&client, said(text)), "{params}");
}

fn whats_your_name() -> Value {
    form("What is your name?", &one("name", "string"))
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

fn told_roots() -> Value {
    json!({ "roots": [{ "uri": "file:///home" }] })
}

#[tokio::test]
async fn one_round_of_questions_is_enough_for_most() {
    let fixture = Fixture::start().await;
    let mcp = fixture.modern();
    let confirm = || json!({ "confirm": form("Please confirm.", &one("ok", "boolean")) });
    let confirmed = |ok: bool| json!({ "confirm": filled(&json!({ "ok": ok })) });
    for (name, questions, answers, text) in [
        (
            "elicitation",
            json!({ "user_name": whats_your_name() }),
            json!({ "user_name": filled(&json!({ "name": "Ada" })) }),
            "Hello, Ada!",
        ),
        (
            "sampling",
            json!({ "capital_question": prompt("What is the capital of France?", 100) }),
            json!({ "capital_question": sampled("Paris.") }),
            "LLM response: Paris.",
        ),
        (
            "list_roots",
            json!({ "client_roots": roots() }),
            json!({ "client_roots": told_roots() }),
            r#"Client roots: [{"uri":"file:///home"}]"#,
        ),
        (
            "request_state",
            confirm(),
            confirmed(true),
            "Confirmed: state-ok",
        ),
        (
            "request_state",
            confirm(),
            confirmed(false),
            "Not confirmed: state-ok",
        ),
        (
            "tampered_state",
            confirm(),
            confirmed(true),
            "Confirmed: state-ok",
        ),
        (
            "multiple_inputs",
            json!({
                "user_name": whats_your_name(),
                "greeting": prompt("Generate a greeting", 50),
                "client_roots": roots(),
            }),
            json!({
                "user_name": filled(&json!({ "name": "Ada" })),
                "greeting": sampled("Good morning,"),
                "client_roots": told_roots(),
            }),
            r#"Good morning, Ada, roots: [{"uri":"file:///home"}]"#,
        ),
    ] {
        let params = tool(name);
        let asked = asked(&mcp, "tools/call", &params, &questions).await;
        assert_ends(&mcp, &next(&params, &asked, answers), text).await;
    }
}

#[tokio::test]
async fn the_multi_round_tool_asks_twice() {
    let fixture = Fixture::start().await;
    let mcp = fixture.modern();
    let params = tool("multi_round");
    let question = form("Step 1: What is your name?", &one("name", "string"));
    let first = asked(&mcp, "tools/call", &params, &json!({ "step1": question })).await;

    let answers = json!({ "step1": filled(&json!({ "name": "Ada" })) });
    let question = form(
        "Step 2: What is your favorite color?",
        &one("color", "string"),
    );
    let round = next(&params, &first, answers);
    let second = asked(&mcp, "tools/call", &round, &json!({ "step2": question })).await;
    assert_ne!(first["requestState"], second["requestState"]);

    let answers = json!({ "step2": filled(&json!({ "color": "green" })) });
    let round = next(&params, &second, answers);
    assert_ends(&mcp, &round, "Ada likes green.").await;
}

#[tokio::test]
async fn what_answers_nothing_is_asked_again() {
    let fixture = Fixture::start().await;
    let mcp = fixture.modern();
    let params = tool("elicitation");
    let questions = json!({ "user_name": whats_your_name() });
    let first = asked(&mcp, "tools/call", &params, &questions).await;
    for answers in [
        json!({ "wrong_key": filled(&json!({ "name": "Ada" })) }),
        json!({ "user_name": 12345 }),
        json!({ "user_name": filled(&json!({ "name": 12345 })) }),
        json!(null),
    ] {
        asked(
            &mcp,
            "tools/call",
            &next(&params, &first, answers),
            &questions,
        )
        .await;
    }
    // What was not asked for does no harm, even before anything was.
    let mut params = params;
    params["inputResponses"] = json!({
        "user_name": filled(&json!({ "name": "Ada" })),
        "extra_key": filled(&json!({ "name": "Eve" })),
        "another_key": { "unknown": true },
    });
    assert_ends(&mcp, &params, "Hello, Ada!").await;
}

#[tokio::test]
async fn a_state_that_was_changed_is_refused() {
    let fixture = Fixture::start().await;
    let mcp = fixture.modern();
    for name in ["tampered_state", "request_state"] {
        let params = tool(name);
        let asked = mcp.result("tools/call", &params).await;
        let answers = json!({ "confirm": filled(&json!({ "ok": true })) });
        let mut round = next(&params, &asked, answers);
        let state = asked["requestState"].as_str().unwrap();
        round["requestState"] = json!(format!("{state}-TAMPERED"));
        let refused = mcp.request("tools/call", &round).await;
        assert_eq!(refused.rpc_error(), -32602, "{name}");
    }
}

#[tokio::test]
async fn only_what_the_client_can_be_asked_is_asked() {
    let fixture = Fixture::start().await;
    let person = (
        "elicitation",
        "user_name",
        whats_your_name(),
        filled(&json!({ "name": "Ada" })),
    );
    let model = (
        "sampling",
        "greeting",
        prompt("Generate a greeting", 50),
        sampled("Good morning"),
    );
    let params = tool("capabilities");
    for (askable, text) in [
        (vec![&person], "Answered: user_name"),
        (vec![&model], "Answered: greeting"),
        (vec![&person, &model], "Answered: greeting, user_name"),
    ] {
        let (mut capabilities, mut questions, mut answers) = (json!({}), json!({}), json!({}));
        for (capability, key, question, answer) in askable {
            capabilities[*capability] = json!({});
            questions[*key] = question.clone();
            answers[*key] = answer.clone();
        }
        let mcp = fixture.modern().declaring(capabilities);
        let asked = asked(&mcp, "tools/call", &params, &questions).await;
        assert_ends(&mcp, &next(&params, &asked, answers), text).await;
    }
    // With nobody to ask there is nothing to wait for.
    let mcp = fixture.modern().declaring(json!({}));
    assert_ends(&mcp, &params, "Answered: ").await;
}

#[tokio::test]
async fn a_client_without_a_model_is_told_that_it_needs_one() {
    let fixture = Fixture::start().await;
    let params = json!({ "name": "test_missing_capability", "arguments": {} });
    let mcp = fixture.modern().declaring(json!({ "sampling": {} }));
    assert_ends(&mcp, &params, "The client has a model.").await;

    let mcp = mcp.declaring(json!({}));
    let refused = mcp.request("tools/call", &params).await.expect(400);
    assert_eq!(refused.rpc_error(), -32021);
    let needed = json!({ "requiredCapabilities": { "sampling": {} } });
    assert_eq!(refused.rpc()["error"]["data"], needed);
}

#[tokio::test]
async fn the_prompt_asks_what_it_is_about() {
    let fixture = Fixture::start().await;
    let mcp = fixture.modern();
    let params = json!({ "name": "test_input_required_result_prompt" });
    let question = form(
        "What context should the prompt use?",
        &one("context", "string"),
    );
    let questions = json!({ "user_context": question });
    let asked = asked(&mcp, "prompts/get", &params, &questions).await;

    let answers = json!({ "user_context": filled(&json!({ "context": "bees" })) });
    let result = mcp
        .result("prompts/get", &next(&params, &asked, answers))
        .await;
    let content = json!({ "type": "text", "text": "Use this context: bees" });
    let messages = json!({ "messages": [{ "role": "user", "content": content }] });
    assert_eq!(result, complete(&Client::Modern(mcp), messages));
}
