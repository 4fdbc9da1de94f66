//! The session-based era: while a call runs the server may speak, ask the client, and be told to
//! stop (2024-11-05 to 2025-11-25).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Events, McpClient, Workshop, connect, everything, named};

/// The server's next request on the stream of a call.
async fn asked(events: &mut Events, method: &str) -> Value {
    let request = events.message().await;
    assert_eq!(request["method"], method, "{request}");
    assert!(
        request["id"].is_u64() || request["id"].is_string(),
        "{request}"
    );
    request
}

/// The text of the result that ends the stream.
pub(crate) async fn told(events: &mut Events, id: u64) -> String {
    let rest = events.rest().await;
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert_eq!(rest[0]["id"], id);
    assert!(rest[0]["result"].get("resultType").is_none(), "{rest:?}");
    rest[0]["result"]["content"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_person_fills_in_a_form() {
    let shop = Workshop::open().await;
    for (version, capabilities, mode) in [
        ("2025-06-18", json!({ "elicitation": {} }), None),
        ("2025-11-25", json!({ "elicitation": {} }), Some("form")),
        ("2025-11-25", everything(), Some("form")),
    ] {
        let mcp = shop.legacy(version, capabilities).await;
        for (answer, text) in [
            (named("Ada"), "Hello, Ada!"),
            (json!({ "action": "decline" }), "Hello, declined!"),
            (json!({ "action": "cancel" }), "Hello, cancelled!"),
        ] {
            let mut events = mcp.open(1, "ask", &json!({})).await;
            let request = asked(&mut events, "elicitation/create").await;
            let params = &request["params"];
            assert_eq!(params["message"], "What is your name?");
            assert_eq!(params["requestedSchema"]["required"], json!(["name"]));
            // 2025-06-18 has one mode and no word for it.
            assert_eq!(
                params.get("mode").and_then(Value::as_str),
                mode,
                "{version}"
            );
            mcp.answer(&request["id"], &answer).await;
            assert_eq!(told(&mut events, 1).await, text, "{version}");
        }
    }
}

#[tokio::test]
async fn a_person_visits_a_page() {
    let shop = Workshop::open().await;
    let mcp = shop.legacy("2025-11-25", everything()).await;
    let mut seen = Vec::new();
    for id in 1..3 {
        let mut events = mcp.open(id, "visit", &json!({})).await;
        let request = asked(&mut events, "elicitation/create").await;
        let params = &request["params"];
        assert_eq!(params["mode"], "url");
        assert_eq!(params["url"], "https://pages.example/visit");
        // client/elicitation of 2025-11-25, URL mode: a unique `elicitationId`.
        seen.push(params["elicitationId"].as_str().unwrap().to_owned());
        mcp.answer(&request["id"], &json!({ "action": "accept" }))
            .await;
        assert_eq!(told(&mut events, id).await, "Accepted({})");
    }
    assert_ne!(seen[0], seen[1]);
}

#[tokio::test]
async fn the_model_and_the_client_are_asked() {
    let shop = Workshop::open().await;
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mcp = shop
            .legacy(version, json!({ "sampling": {}, "roots": {} }))
            .await;
        let mut events = mcp.open(1, "sample", &json!({})).await;
        let request = asked(&mut events, "sampling/createMessage").await;
        assert_eq!(request["params"]["maxTokens"], 10);
        let content = json!({ "type": "text", "text": "hi" });
        let sampled = json!({ "role": "assistant", "model": "m", "content": content });
        mcp.answer(&request["id"], &sampled).await;
        assert_eq!(told(&mut events, 1).await, "\"hi\"", "{version}");

        let mut events = mcp.open(2, "roots", &json!({})).await;
        let request = asked(&mut events, "roots/list").await;
        let roots = json!({ "roots": [{ "uri": "file:///home" }] });
        mcp.answer(&request["id"], &roots).await;
        assert_eq!(told(&mut events, 2).await, "\"file:///home\"", "{version}");
    }
}

#[tokio::test]
async fn several_questions_are_answered_in_any_order() {
    let shop = Workshop::open().await;
    let mcp = shop.legacy("2025-11-25", everything()).await;
    let mut events = mcp.open(1, "ask_all", &json!({})).await;
    let person = asked(&mut events, "elicitation/create").await;
    let model = asked(&mut events, "sampling/createMessage").await;
    let client = asked(&mut events, "roots/list").await;
    mcp.answer(&client["id"], &json!({ "roots": [] })).await;
    let content = json!({ "type": "text", "text": "hi" });
    let sampled = json!({ "role": "assistant", "model": "m", "content": content });
    mcp.answer(&model["id"], &sampled).await;
    mcp.answer(&person["id"], &named("Ada")).await;
    assert_eq!(told(&mut events, 1).await, "client model person");
    // And one after the other, under ids of their own.
    let mut events = mcp.open(2, "ask_twice", &json!({})).await;
    let first = asked(&mut events, "elicitation/create").await;
    mcp.answer(&first["id"], &named("Ada")).await;
    let second = asked(&mut events, "elicitation/create").await;
    assert_ne!(first["id"], second["id"]);
    mcp.answer(&second["id"], &named("Grace")).await;
    assert_eq!(told(&mut events, 2).await, "Ada and Grace");
}

#[tokio::test]
async fn what_answers_nothing_is_ignored() {
    let shop = Workshop::open().await;
    let token = connect(&shop).await.tokens.access;
    let mcp = McpClient::declaring(&shop, &token, "2025-11-25", everything()).await;
    // Another session of the same person and client, and one of another client.
    let mine = McpClient::declaring(&shop, &token, "2025-11-25", everything()).await;
    let other = shop.legacy("2025-11-25", everything()).await;

    let mut events = mcp.open(1, "ask", &json!({})).await;
    let request = asked(&mut events, "elicitation/create").await;
    let id = &request["id"];
    for wrong in [json!(999), json!(id.to_string()), json!(-1), json!("x")] {
        mcp.answer(&wrong, &named("Eve")).await;
    }
    mine.answer(id, &named("Eve")).await;
    other.answer(id, &named("Eve")).await;
    mcp.answer(id, &named("Ada")).await;
    // Once it is answered, it is answered.
    mcp.answer(id, &named("Eve")).await;
    assert_eq!(told(&mut events, 1).await, "Hello, Ada!");
}

#[tokio::test]
async fn a_client_that_answers_badly_makes_the_tool_fail() {
    let shop = Workshop::open().await;
    let mcp = shop.legacy("2025-11-25", everything()).await;
    let error = json!({ "error": { "code": -1, "message": "no" } });
    for answer in [
        error,
        json!({ "result": {} }),
        json!({ "result": { "action": "dance" } }),
        json!({ "result": { "action": "accept", "content": { "name": 5 } } }),
        json!({ "result": [] }),
    ] {
        let mut events = mcp.open(1, "ask", &json!({})).await;
        let request = asked(&mut events, "elicitation/create").await;
        let mut message = answer.clone();
        message["jsonrpc"] = json!("2.0");
        message["id"] = request["id"].clone();
        mcp.post(&message).await.expect(202);
        let rest = events.rest().await;
        assert_eq!(rest[0]["result"]["isError"], true, "{answer}: {rest:?}");
    }
}

#[tokio::test]
async fn a_client_is_asked_only_what_it_can_do() {
    let shop = Workshop::open().await;
    let form_only = json!({ "elicitation": {} });
    for (version, tool, capabilities) in [
        ("2025-11-25", "ask", json!({})),
        ("2025-11-25", "ask", json!({ "elicitation": { "url": {} } })),
        ("2025-11-25", "visit", form_only.clone()),
        ("2025-11-25", "sample", form_only.clone()),
        ("2025-11-25", "roots", form_only.clone()),
        ("2025-11-25", "ask_all", form_only.clone()),
        ("2025-06-18", "ask", json!({})),
        ("2025-06-18", "visit", form_only),
    ] {
        let mcp = shop.legacy(version, capabilities).await;
        let result = mcp.call(tool, &json!({})).await;
        assert_eq!(result["isError"], true, "{version} {tool}: {result}");
        assert!(result["content"][0]["text"].is_string(), "{result}");
    }
    // Nor where it cannot hear the question.
    let mcp = shop.legacy("2025-11-25", everything()).await;
    let params = json!({ "name": "ask", "arguments": {} });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let request = mcp.http(Method::POST).header("accept", "application/json");
    let answer = request.json(&message).send().await.expect(200);
    assert_eq!(answer.json()["result"]["isError"], true);
}

#[tokio::test]
async fn a_client_is_not_asked_what_its_version_does_not_have() {
    let shop = Workshop::open().await;
    // URL mode came with 2025-11-25, elicitation itself with 2025-06-18.
    for (version, tool) in [
        ("2025-06-18", "visit"),
        ("2025-03-26", "ask"),
        ("2024-11-05", "ask"),
    ] {
        let mcp = shop.legacy(version, everything()).await;
        let answer = mcp.call_open(tool).await;
        assert_eq!(
            answer["result"]["isError"], true,
            "{version} {tool}: {answer}"
        );
    }
}
