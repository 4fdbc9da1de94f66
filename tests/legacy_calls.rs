//! The session-based era: what a call tells while it runs, and how it is stopped.

use serde_json::{Value, json};

use crate::{legacy_requests::told, support::Workshop};

#[tokio::test]
async fn progress_is_told_to_those_who_asked() {
    let shop = Workshop::open().await;
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mcp = shop.legacy(version, json!({})).await;
        let messages = mcp.open(7, "speak", &json!({})).await.rest().await;
        assert_eq!(messages.len(), 3, "{version} {messages:?}");
        for (message, progress) in messages.iter().zip([1.0, 2.0]) {
            assert_eq!(message["method"], "notifications/progress");
            assert_eq!(message["params"]["progressToken"], 7);
            assert_eq!(message["params"]["progress"], progress);
        }
        assert_eq!(messages[2]["result"]["content"][0]["text"], "spoken");
        // Without a token nothing is said, and then the answer is JSON.
        let params = json!({ "name": "speak", "arguments": {} });
        let answer = mcp.request("tools/call", &params).await.expect(200);
        assert_eq!(answer.json()["result"]["content"][0]["text"], "spoken");
    }
}

#[tokio::test]
async fn progress_has_no_words_in_the_first_version() {
    let shop = Workshop::open().await;
    let mcp = shop.legacy("2024-11-05", json!({})).await;
    let messages = mcp.open(7, "speak", &json!({})).await.rest().await;
    // The schema of 2024-11-05: progressToken, progress, total.
    assert!(
        messages[0]["params"].get("message").is_none(),
        "{messages:?}"
    );
}

#[tokio::test]
async fn the_log_is_told_from_the_level_that_was_set() {
    let shop = Workshop::open().await;
    let mcp = shop.legacy("2025-11-25", json!({})).await;
    let other = shop.legacy("2025-11-25", json!({})).await;
    for (level, expected) in [
        ("debug", vec!["debug", "warning", "emergency"]),
        ("warning", vec!["warning", "emergency"]),
        ("critical", vec!["emergency"]),
    ] {
        assert_eq!(
            mcp.result("logging/setLevel", &json!({ "level": level }))
                .await,
            json!({})
        );
        let messages = mcp.open(1, "speak", &json!({})).await.rest().await;
        let logged = messages
            .iter()
            .filter(|m| m["method"] == "notifications/message");
        let levels: Vec<&str> = logged
            .map(|m| m["params"]["level"].as_str().unwrap())
            .collect();
        assert_eq!(levels, expected, "{level}");
    }
    // A session that has not asked for it hears nothing.
    let messages = other.open(1, "speak", &json!({})).await.rest().await;
    assert!(
        messages
            .iter()
            .all(|m| m["method"] != "notifications/message"),
        "{messages:?}"
    );
    let answer = mcp
        .request("logging/setLevel", &json!({ "level": "loud" }))
        .await;
    assert_eq!(answer.rpc_error(), -32602);
}

#[tokio::test]
async fn a_cancelled_call_stops_and_is_not_answered() {
    let mut shop = Workshop::open().await;
    let mcp = shop.legacy("2025-11-25", json!({})).await;
    let mut events = mcp.open(5, "wait", &json!({ "say": true })).await;
    events.message().await;
    shop.happen(["started"]).await;
    // Another request, another session, another spelling of the id: nothing to do with it.
    let other = shop.legacy("2025-11-25", json!({})).await;
    for (client, id) in [(&mcp, json!(6)), (&mcp, json!("5")), (&other, json!(5))] {
        let params = json!({ "requestId": id });
        client.notify("notifications/cancelled", &params).await;
    }
    assert_eq!(shop.happened(), [""; 0]);
    let params = json!({ "requestId": 5, "reason": "enough" });
    mcp.notify("notifications/cancelled", &params).await;
    shop.happen(["dropped", "told"]).await;
    // basic/utilities/cancellation: no response for the cancelled request.
    assert_eq!(events.rest().await, Vec::<Value>::new());
    // Too late is harmless.
    mcp.notify("notifications/cancelled", &params).await;
    assert_eq!(mcp.ping().await, 200);
}

#[tokio::test]
async fn a_request_is_answered_with_json_or_a_stream_even_if_it_was_cancelled() {
    let mut shop = Workshop::open().await;
    let mcp = shop.legacy("2025-11-25", json!({})).await;
    let waiting = mcp.clone();
    let waiting = tokio::spawn(async move {
        waiting
            .request("tools/call", &json!({ "name": "wait", "arguments": {} }))
            .await
    });
    shop.happen(["started"]).await;
    mcp.notify("notifications/cancelled", &json!({ "requestId": 1 }))
        .await;
    shop.happen(["dropped", "told"]).await;
    // basic/transports, “Sending Messages to the Server”, 5: for a request, one or the other.
    let answer = waiting.await.unwrap();
    let content_type = answer.find("content-type").unwrap_or_default();
    assert!(
        content_type == "text/event-stream" || content_type == "application/json",
        "{answer:#?}"
    );
}

#[tokio::test]
async fn a_client_that_goes_away_has_not_cancelled() {
    let mut shop = Workshop::open().await;
    let mcp = shop.legacy("2025-11-25", json!({})).await;
    let mut events = mcp.open(1, "wait", &json!({ "say": true })).await;
    let (last, _) = events.message_event().await;
    shop.happen(["started"]).await;
    drop(events);
    shop.let_go();
    shop.happen(["finished", "dropped", "told"]).await;
    // The result waits for whoever comes back.
    let mut events = mcp.events(last.id.as_deref()).await;
    assert_eq!(told(&mut events, 1).await, "done");
}
