//! 2026-07-28: `requestState`, which the client carries from round to round and is not trusted with.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    modern_rounds::{able, call, next},
    support::{Answer, ModernClient, Workshop, named},
};

/// Calls with a state and expects to be refused.
async fn refuse_state(mcp: &ModernClient, params: &Value, state: Value) -> Answer {
    let mut params = params.clone();
    params["requestState"] = state;
    params["inputResponses"] = json!({ "name": named("Eve"), "second": named("Eve") });
    let answer = mcp.request("tools/call", &params).await;
    assert_eq!(answer.rpc_error(), -32602, "{params}: {answer:#?}");
    assert_eq!(answer.rpc()["id"], 1);
    answer
}

#[tokio::test]
async fn a_state_that_is_not_ours_is_refused() {
    let shop = Workshop::open().await;
    let mcp = able(&shop).await;
    let params = call("ask");
    let asked = mcp.result("tools/call", &params).await;
    let state = asked["requestState"].as_str().unwrap();

    for tampered in [
        json!(format!("{state}x")),
        json!(format!("x{state}")),
        json!(state.trim_end_matches(|_| true)),
        json!(&state[..state.len() - 4]),
        json!(state.chars().rev().collect::<String>()),
        json!(flipped(state, state.len() / 2)),
        json!(flipped(state, 0)),
        json!("garbage"),
        json!("=?base64?"),
        json!(5),
        json!({}),
    ] {
        refuse_state(&mcp, &params, tampered).await;
    }
}

/// The same text with one character changed.
fn flipped(text: &str, index: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_state_is_good_for_one_client_one_request_and_a_while() {
    let shop = Workshop::open().await;
    let mcp = able(&shop).await;
    let params = call("ask");
    let asked = mcp.result("tools/call", &params).await;
    let state = &asked["requestState"];

    // Somebody else's client.
    refuse_state(&able(&shop).await, &params, state.clone()).await;
    // Another tool, other arguments, another method.
    refuse_state(&mcp, &call("ask_twice"), state.clone()).await;
    let other = json!({ "name": "ask", "arguments": { "more": 1 } });
    refuse_state(&mcp, &other, state.clone()).await;
    let prompt = json!({ "name": "interview", "requestState": state });
    let answer = mcp.request("prompts/get", &prompt).await;
    assert_eq!(answer.rpc_error(), -32602);
    // It can be used again meanwhile: clients repeat requests.
    for _ in 0..2 {
        let answers = json!({ "name": named("Ada") });
        mcp.result("tools/call", &next(&params, &asked, answers))
            .await;
    }
    shop.advance(Duration::from_mins(31));
    refuse_state(&mcp, &params, state.clone()).await;
}

#[tokio::test]
async fn a_state_is_bound_to_arguments_beside_a_member_that_is_too_deep() {
    let shop = Workshop::open().await;
    let mcp = able(&shop).await;
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let post = async |params: &Value| {
        let message = mcp.message("tools/call", params);
        let text = message.to_string().replace("\"DEEP\"", &deep);
        let request = mcp.http(&message).body("application/json", text);
        request.send().await
    };
    let asking = json!({ "name": "ask_twice", "arguments": { "a": 1 }, "x": "DEEP" });
    let asked = post(&asking).await.expect(200).rpc()["result"].clone();
    let mut other = json!({ "name": "ask_twice", "arguments": { "a": 2 }, "x": "DEEP" });
    other["requestState"] = asked["requestState"].clone();
    // basic/patterns/mrtr: the state must be rejected with a request that it was not given to.
    assert_eq!(post(&other).await.rpc_error(), -32602);
}

#[tokio::test]
async fn answers_that_nobody_asked_for_are_not_carried_along() {
    let shop = Workshop::open().await;
    let mcp = able(&shop).await;
    let mut params = call("ask_twice");
    let unasked = "x".repeat(20 * 1024);
    params["inputResponses"] = json!({ "first": named("Ada"), "unasked": unasked });
    let asked = mcp.result("tools/call", &params).await;
    let state = asked["requestState"].as_str().unwrap();
    assert!(state.len() < 4 * 1024, "{} bytes of state", state.len());
    // What was asked for is in it all the same.
    let answers = json!({ "second": named("Grace") });
    let params = next(&call("ask_twice"), &asked, answers);
    let result = mcp.result("tools/call", &params).await;
    assert_eq!(result["content"][0]["text"], "Ada and Grace");
}
