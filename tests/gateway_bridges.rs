//! Calls through a gateway, between clients and upstreams of whatever revision: questions, progress, log
//! messages and cancellation reach whom they are meant for.

use serde_json::{Value, json};

use crate::{
    gateway::BOTH,
    legacy_requests::told,
    modern_rounds::{able, call, next},
    support::{Events, Workshop, everything, named},
};

/// What a client answers to a request of that kind.
fn answer(request: &Value) -> Value {
    match request["method"].as_str().unwrap() {
        "elicitation/create" => named("Ada"),
        "sampling/createMessage" => json!({
            "role": "assistant", "content": { "type": "text", "text": "Ada" }, "model": "m",
        }),
        "roots/list" => json!({ "roots": [{ "uri": "file:///Ada" }] }),
        other => panic!("{other} was asked"),
    }
}

/// What comes of the tools that ask, once they have been answered.
const ASKING: [(&str, &str); 6] = [
    ("ask", "Hello, Ada!"),
    ("visit", "Accepted"),
    ("sample", "\"Ada\""),
    ("roots", "\"file:///Ada\""),
    ("ask_twice", "Ada and Ada"),
    ("ask_all", "client model person"),
];

#[tokio::test]
async fn a_client_with_a_session_is_asked_on_the_stream_of_its_call() {
    for more in BOTH {
        let shop = Workshop::behind_a_gateway(more).await;
        let mcp = shop.legacy("2025-11-25", everything()).await;
        for (tool, text) in ASKING {
            let mut events = mcp.open(1, tool, &json!({})).await;
            let result = loop {
                let message = events.message().await;
                if message.get("method").is_none() {
                    break message;
                }
                mcp.answer(&message["id"], &answer(&message)).await;
            };
            let said = result["result"]["content"][0]["text"].as_str().unwrap();
            assert!(said.starts_with(text), "{more} {tool}: {result}");
        }
    }
}

#[tokio::test]
async fn a_client_without_a_session_is_asked_in_rounds() {
    for more in BOTH {
        let shop = Workshop::behind_a_gateway(more).await;
        let mcp = able(&shop).await;
        for (tool, text) in ASKING {
            let params = call(tool);
            let mut result = mcp.result("tools/call", &params).await;
            let mut rounds = 0;
            while result["resultType"] == "input_required" {
                rounds += 1;
                let requests = result["inputRequests"].as_object().unwrap();
                let answers = requests
                    .iter()
                    .map(|(key, request)| (key.clone(), answer(request)));
                let answers = Value::Object(answers.collect());
                result = mcp
                    .result("tools/call", &next(&params, &result, answers))
                    .await;
            }
            let said = result["content"][0]["text"].as_str().unwrap();
            assert!(said.starts_with(text), "{more} {tool}: {result}");
            // What is asked at once is asked in one round.
            assert_eq!(
                rounds,
                if tool == "ask_twice" { 2 } else { 1 },
                "{more} {tool}"
            );
        }
    }
}

#[tokio::test]
async fn a_call_that_waits_for_an_answer_is_its_owners_and_is_made_once() {
    let mut shop = Workshop::behind_a_gateway("sessions_only = true").await;
    let mcp = able(&shop).await;
    let params = call("ask");
    let asked = mcp.result("tools/call", &params).await;
    let key = asked["inputRequests"].as_object().unwrap().keys().next();
    let answers = json!({ key.unwrap().as_str(): named("Ada") });
    let round = next(&params, &asked, answers);
    // Somebody else's state is refused before anything is looked for.
    let stranger = able(&shop).await;
    assert_eq!(
        stranger.request("tools/call", &round).await.rpc_error(),
        -32602
    );
    let result = mcp.result("tools/call", &round).await;
    assert_eq!(result["content"][0]["text"], "Hello, Ada!");
    // It has been answered: there is nothing to go on with.
    let again = mcp.result("tools/call", &round).await;
    assert_eq!(again["isError"], true, "{again}");
    assert!(again.to_string().contains("call again"), "{again}");
    assert_eq!(shop.happened(), [""; 0]);
}

#[tokio::test]
async fn who_declines_or_cannot_be_asked_is_told_so_to_the_upstream() {
    for more in BOTH {
        let shop = Workshop::behind_a_gateway(more).await;
        let mcp = shop.legacy("2025-11-25", everything()).await;
        let mut events = mcp.open(1, "ask", &json!({})).await;
        let request = events.message().await;
        mcp.answer(&request["id"], &json!({ "action": "decline" }))
            .await;
        assert_eq!(told(&mut events, 1).await, "Hello, declined!", "{more}");
        // One that can show no forms.
        let mcp = shop.legacy("2025-11-25", json!({})).await;
        let result = mcp.call("ask", &json!({})).await;
        assert_eq!(result["isError"], true, "{more} {result}");
        assert!(
            result.to_string().contains("elicitation"),
            "{more} {result}"
        );
    }
}

#[tokio::test]
async fn prompts_and_resources_ask_too() {
    for more in BOTH {
        let shop = Workshop::behind_a_gateway(more).await;
        let mcp = able(&shop).await;
        for (method, params, path, text) in [
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
            let key = asked["inputRequests"].as_object().unwrap().keys().next();
            let answers = json!({ key.unwrap().as_str(): named("Ada") });
            let result = mcp.result(method, &next(&params, &asked, answers)).await;
            assert_eq!(result.pointer(path), Some(&json!(text)), "{more} {result}");
        }
    }
}

/// What a call says before its result, in words.
async fn heard(events: &mut Events) -> Vec<String> {
    let messages = events.rest().await;
    let words = |message: &Value| {
        let params = &message["params"];
        match message["method"].as_str() {
            Some("notifications/progress") => {
                assert_eq!(params["progressToken"], 7, "{message}");
                format!("{} {}", params["progress"], params["message"])
            }
            Some("notifications/message") => params["data"].as_str().unwrap().to_owned(),
            _ => message["result"]["content"][0]["text"]
                .as_str()
                .unwrap()
                .to_owned(),
        }
    };
    messages.iter().map(words).collect()
}

#[tokio::test]
async fn progress_and_the_log_come_in_order_and_before_the_result() {
    for more in BOTH {
        let shop = Workshop::behind_a_gateway(more).await;
        let all = ["1.0 \"half\"", "warning", "emergency", "2.0 null", "spoken"];
        let legacy = shop.legacy("2025-11-25", json!({})).await;
        legacy
            .result("logging/setLevel", &json!({ "level": "warning" }))
            .await;
        for _ in 0..5 {
            let mut events = legacy.open(7, "speak", &json!({})).await;
            assert_eq!(heard(&mut events).await, all, "{more}");
        }
        let modern = shop.modern().await;
        let modern = modern
            .saying("progressToken", json!(7))
            .saying("io.modelcontextprotocol/logLevel", json!("warning"));
        let mut events = modern.open("tools/call", &call("speak")).await;
        assert_eq!(heard(&mut events).await, all, "{more}");
        // Nobody else is told anything.
        let quiet = shop.modern().await;
        let result = quiet.call("speak", &json!({})).await;
        assert_eq!(result["content"][0]["text"], "spoken");
    }
}

#[tokio::test]
async fn two_calls_at_once_do_not_hear_each_other() {
    for more in BOTH {
        let shop = Workshop::behind_a_gateway(more).await;
        let mcp = shop.legacy("2025-11-25", everything()).await;
        let mut first = mcp.open(1, "ask", &json!({})).await;
        let asked_first = first.message().await;
        let mut second = mcp.open(2, "ask", &json!({})).await;
        let asked_second = second.message().await;
        mcp.answer(&asked_first["id"], &named("Ada")).await;
        mcp.answer(&asked_second["id"], &named("Grace")).await;
        assert_eq!(told(&mut first, 1).await, "Hello, Ada!", "{more}");
        assert_eq!(told(&mut second, 2).await, "Hello, Grace!", "{more}");
    }
}

#[tokio::test]
async fn a_call_that_is_cancelled_is_cancelled_at_the_upstream() {
    for more in BOTH {
        let mut shop = Workshop::behind_a_gateway(more).await;
        let legacy = shop.legacy("2025-11-25", json!({})).await;
        let mut events = legacy.open(5, "wait", &json!({ "say": true })).await;
        events.message().await;
        shop.happen(["started"]).await;
        legacy
            .notify("notifications/cancelled", &json!({ "requestId": 5 }))
            .await;
        shop.happen(["dropped", "told"]).await;
        assert_eq!(events.rest().await, Vec::<Value>::new(), "{more}");

        let modern = shop.modern().await.saying("progressToken", json!(1));
        let params = json!({ "name": "wait", "arguments": { "say": true } });
        let mut events = modern.open("tools/call", &params).await;
        events.message().await;
        shop.happen(["started"]).await;
        drop(events);
        shop.happen(["dropped", "told"]).await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_has_not_cancelled_and_comes_back_for_the_result() {
    for more in BOTH {
        let mut shop = Workshop::behind_a_gateway(more).await;
        let mcp = shop.legacy("2025-11-25", json!({})).await;
        let mut events = mcp.open(1, "wait", &json!({ "say": true })).await;
        let (last, _) = events.message_event().await;
        shop.happen(["started"]).await;
        drop(events);
        shop.let_go();
        shop.happen(["finished", "dropped", "told"]).await;
        let mut events = mcp.events(last.id.as_deref()).await;
        assert_eq!(told(&mut events, 1).await, "done", "{more}");
    }
}

#[tokio::test]
async fn a_stream_that_the_upstream_closes_is_closed_and_goes_on() {
    let mut shop = Workshop::behind_a_gateway("sessions_only = true").await;
    let mcp = shop.legacy("2025-11-25", json!({})).await;
    let mut events = mcp.open(1, "come_back", &json!({})).await;
    let (last, _) = events.message_event().await;
    shop.let_go();
    shop.happen(["closed"]).await;
    assert_eq!(events.rest().await, Vec::<Value>::new());
    let mut events = mcp.events(last.id.as_deref()).await;
    shop.let_go();
    let rest = events.rest().await;
    assert_eq!(rest[0]["params"]["progress"], 2.0, "{rest:?}");
    assert_eq!(rest[1]["result"]["content"][0]["text"], "back again");
}
