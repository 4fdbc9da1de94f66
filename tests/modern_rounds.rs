//! 2026-07-28: calls in several rounds (MRTR): the server answers with questions, and the client
//! calls again with the answers.

use serde_json::{Value, json};

use crate::support::{ModernClient, Workshop, everything, named};

/// A client that can be asked everything.
pub(crate) async fn able(shop: &Workshop) -> ModernClient {
    shop.modern().await.declaring(everything())
}

pub(crate) fn call(tool: &str) -> Value {
    json!({ "name": tool, "arguments": {} })
}

/// The next round of `params`: the same, with answers and the state that came with the questions.
pub(crate) fn next(params: &Value, asked: &Value, answers: Value) -> Value {
    let mut params = params.clone();
    params["inputResponses"] = answers;
    if let Some(state) = asked.get("requestState") {
        params["requestState"] = state.clone();
    }
    params
}

/// The questions of an answer that asks for another round.
#[track_caller]
fn questions(asked: &Value) -> Vec<(&str, &Value)> {
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    // Interim results carry no cache hints and nothing of a result.
    for absent in [
        "ttlMs",
        "cacheScope",
        "content",
        "messages",
        "contents",
        "isError",
    ] {
        assert!(asked.get(absent).is_none(), "{asked}");
    }
    let requests = asked["inputRequests"].as_object().unwrap();
    requests
        .iter()
        .map(|(key, request)| (key.as_str(), request))
        .collect()
}

#[tokio::test]
async fn one_question_is_answered_in_the_second_round() {
    let shop = Workshop::open().await;
    let mcp = able(&shop).await;
    let params = call("ask");
    let asked = mcp.result("tools/call", &params).await;
    let (key, request) = questions(&asked)[0];
    assert_eq!(request["method"], "elicitation/create");
    assert_eq!(request["params"]["message"], "What is your name?");
    assert_eq!(request["params"]["requestedSchema"]["type"], "object");
    // An input request is not a JSON-RPC request, and ids of elicitations are gone.
    assert!(request.get("id").is_none() && request["params"].get("elicitationId").is_none());

    let answers = json!({ key: named("Ada") });
    let result = mcp
        .result("tools/call", &next(&params, &asked, answers))
        .await;
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["content"][0]["text"], "Hello, Ada!");
}

#[tokio::test]
async fn several_questions_come_together() {
    let shop = Workshop::open().await;
    let mcp = able(&shop).await;
    let params = call("ask_all");
    let asked = mcp.result("tools/call", &params).await;
    let methods: Vec<&str> = questions(&asked)
        .iter()
        .map(|(_, request)| request["method"].as_str().unwrap())
        .collect();
    // In the order of their keys: client, model, person.
    assert_eq!(
        methods,
        ["roots/list", "sampling/createMessage", "elicitation/create"]
    );

    let model =
        json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "hi" } });
    let client = json!({ "roots": [{ "uri": "file:///home" }] });
    // Two of three: the third is asked for again, and only that one.
    let some = json!({ "model": model, "client": client });
    let again = mcp.result("tools/call", &next(&params, &asked, some)).await;
    assert_eq!(questions(&again)[0].0, "person");
    assert_eq!(questions(&again).len(), 1);
    let rest = json!({ "person": named("Ada") });
    let result = mcp.result("tools/call", &next(&params, &again, rest)).await;
    assert_eq!(result["content"][0]["text"], "client model person");
}

#[tokio::test]
async fn two_rounds_remember_the_first() {
    let shop = Workshop::open().await;
    let mcp = able(&shop).await;
    let params = call("ask_twice");
    let first = mcp.result("tools/call", &params).await;
    assert_eq!(questions(&first)[0].0, "first");
    let answers = json!({ "first": named("Ada") });
    let second = mcp
        .result("tools/call", &next(&params, &first, answers))
        .await;
    assert_eq!(questions(&second)[0].0, "second");
    assert_eq!(questions(&second).len(), 1);
    assert_ne!(first["requestState"], second["requestState"]);
    let answers = json!({ "second": named("Grace") });
    let result = mcp
        .result("tools/call", &next(&params, &second, answers))
        .await;
    assert_eq!(result["content"][0]["text"], "Ada and Grace");
}

#[tokio::test]
async fn what_does_not_answer_is_asked_again_and_never_taken_for_an_answer() {
    let shop = Workshop::open().await;
    let mcp = able(&shop).await;
    let params = call("ask");
    let asked = mcp.result("tools/call", &params).await;
    for answers in [
        json!({}),
        json!({ "other": named("Ada") }),
        json!({ "name": null }),
        json!({ "name": "Ada" }),
        json!({ "name": [] }),
        json!({ "name": {} }),
        json!({ "name": { "action": "dance" } }),
        json!({ "name": { "action": 5 } }),
        json!({ "name": { "action": "accept" } }),
        json!({ "name": { "action": "accept", "content": "Ada" } }),
        json!({ "name": { "action": "accept", "content": { "name": 5 } } }),
        json!({ "name": { "roots": [] } }),
        json!([]),
        json!("Ada"),
        json!(null),
    ] {
        let answer = mcp
            .request("tools/call", &next(&params, &asked, answers.clone()))
            .await;
        let message = answer.rpc();
        let is_refused = message["error"]["code"] == -32602;
        let is_asked_again = message["result"]["resultType"] == "input_required";
        assert!(is_refused || is_asked_again, "{answers}: {message}");
    }
    // Keys that nobody asked for do no harm beside one that was.
    let answers = json!({ "name": named("Ada"), "other": { "x": [1] } });
    let result = mcp
        .result("tools/call", &next(&params, &asked, answers))
        .await;
    assert_eq!(result["content"][0]["text"], "Hello, Ada!");
}

#[tokio::test]
async fn a_person_may_decline_or_turn_away() {
    let shop = Workshop::open().await;
    let mcp = able(&shop).await;
    let params = call("ask");
    let asked = mcp.result("tools/call", &params).await;
    for (action, text) in [
        ("decline", "Hello, declined!"),
        ("cancel", "Hello, cancelled!"),
    ] {
        let answers = json!({ "name": { "action": action } });
        let result = mcp
            .result("tools/call", &next(&params, &asked, answers))
            .await;
        assert_eq!(result["content"][0]["text"], text);
    }
}

#[tokio::test]
async fn what_the_client_cannot_do_is_told_before_anything_is_asked() {
    let shop = Workshop::open().await;
    let url_only = json!({ "elicitation": { "url": {} } });
    let form_only = json!({ "elicitation": {} });
    for (tool, declared, required) in [
        ("ask", json!({}), "/elicitation"),
        ("ask", url_only, "/elicitation"),
        // An empty object means forms.
        ("visit", form_only.clone(), "/elicitation/url"),
        ("sample", form_only.clone(), "/sampling"),
        ("roots", form_only.clone(), "/roots"),
        ("ask_all", form_only, "/sampling"),
    ] {
        let mcp = shop.modern().await.declaring(declared);
        let answer = mcp.request("tools/call", &call(tool)).await.expect(400);
        assert_eq!(answer.rpc_error(), -32021, "{tool}");
        let message = answer.rpc();
        assert_eq!(message["id"], 1);
        let needed = &message["error"]["data"]["requiredCapabilities"];
        assert!(
            needed.pointer(required).is_some_and(Value::is_object),
            "{message}"
        );
    }
}

#[tokio::test]
async fn prompts_and_resources_ask_as_tools_do() {
    let shop = Workshop::open().await;
    let mcp = able(&shop).await;
    for (method, params, pointer, text) in [
        (
            "prompts/get",
            json!({ "name": "interview" }),
            "/messages/0/content/text",
            "Interview Ada",
        ),
        (
            "resources/read",
            json!({ "uri": "test://diary" }),
            "/contents/0/text",
            "Diary of Ada",
        ),
    ] {
        let asked = mcp.result(method, &params).await;
        assert_eq!(questions(&asked).len(), 1);
        let answers = json!({ "name": named("Ada") });
        let result = mcp.result(method, &next(&params, &asked, answers)).await;
        assert_eq!(result.pointer(pointer).unwrap(), text);
    }
    // A page to visit: no id of the elicitation, as there was in 2025-11-25.
    let asked = mcp.result("tools/call", &call("visit")).await;
    let visit = json!({
        "method": "elicitation/create",
        "params": { "mode": "url", "message": "Please visit", "url": "https://pages.example/visit" },
    });
    assert_eq!(questions(&asked)[0].1, &visit);
}

#[tokio::test]
async fn what_was_answered_with_answers_is_not_kept() {
    let shop = Workshop::open().await;
    let mcp = able(&shop).await;
    let params = json!({ "uri": "test://diary" });
    let asked = mcp.result("resources/read", &params).await;
    let answers = json!({ "name": named("Ada") });
    let result = mcp
        .result("resources/read", &next(&params, &asked, answers))
        .await;
    // server/utilities/caching: results of such retries must not be cached.
    assert_eq!(result["ttlMs"], 0, "{result}");
}
