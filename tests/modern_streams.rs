//! 2026-07-28: answers that are streams, and their end.

use std::time::Duration;

use remote_mcp_auth::mcp::feature::Change;
use serde_json::{Value, json};

use crate::support::{Events, Workshop};

const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

fn call(tool: &str) -> Value {
    json!({ "name": tool, "arguments": { "say": true } })
}

#[tokio::test]
async fn nothing_is_said_that_was_not_asked_for() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    // Without anything to say first the answer is JSON.
    let answer = mcp.request("tools/call", &call("speak")).await.expect(200);
    assert_eq!(answer.json()["result"]["content"][0]["text"], "spoken");
    // A client that takes streams alone gets one of a single event.
    let request = mcp.http(&mcp.message("tools/call", &call("speak")));
    let answer = Events::of(request.header("accept", "text/event-stream").open().await)
        .rest()
        .await;
    assert_eq!(answer.len(), 1, "{answer:?}");
    assert_eq!(answer[0]["result"]["content"][0]["text"], "spoken");
    // And one that takes none gets none.
    let mcp = mcp.saying("progressToken", json!("p"));
    let request = mcp.http(&mcp.message("tools/call", &call("speak")));
    let answer = request
        .header("accept", "application/json")
        .send()
        .await
        .expect(200);
    assert_eq!(answer.json()["result"]["content"][0]["text"], "spoken");
}

#[tokio::test]
async fn progress_is_told_under_the_token_that_asked_for_it() {
    let shop = Workshop::open().await;
    for token in [json!("p-1"), json!(7), json!("7")] {
        let mcp = shop.modern().await.saying("progressToken", token.clone());
        let mut events = mcp.open("tools/call", &call("speak")).await;
        assert_eq!(events.header("x-accel-buffering"), Some("no"));
        let messages = events.rest().await;
        let expected = [
            json!({ "progressToken": token, "progress": 1.0, "total": 2.0, "message": "half" }),
            json!({ "progressToken": token, "progress": 2.0, "total": 2.0 }),
        ];
        assert_eq!(messages.len(), 3, "{messages:?}");
        for (message, params) in messages.iter().zip(&expected) {
            assert_eq!(message["method"], "notifications/progress");
            assert_eq!(&message["params"], params);
            assert!(message.get("id").is_none(), "{message}");
        }
        // The result comes last, and nothing after it.
        assert_eq!(messages[2]["id"], 1);
        assert_eq!(messages[2]["result"]["resultType"], "complete");
    }
}

#[tokio::test]
async fn the_log_is_told_from_the_level_that_was_asked_for() {
    let shop = Workshop::open().await;
    for (level, expected) in [
        ("debug", vec!["debug", "warning", "emergency"]),
        ("info", vec!["warning", "emergency"]),
        ("warning", vec!["warning", "emergency"]),
        ("error", vec!["emergency"]),
        ("emergency", vec!["emergency"]),
    ] {
        let mcp = shop.modern().await.saying(LOG_LEVEL, json!(level));
        let messages = mcp.open("tools/call", &call("speak")).await.rest().await;
        let (result, logged) = messages.split_last().unwrap();
        assert_eq!(result["result"]["resultType"], "complete");
        let levels: Vec<&str> = logged
            .iter()
            .map(|message| {
                assert_eq!(message["method"], "notifications/message");
                assert_eq!(message["params"]["data"], message["params"]["level"]);
                message["params"]["level"].as_str().unwrap()
            })
            .collect();
        assert_eq!(levels, expected, "{level}");
    }
    let mcp = shop.modern().await.saying(LOG_LEVEL, json!("loud"));
    let answer = mcp.request("tools/call", &call("speak")).await;
    assert_eq!(answer.rpc_error(), -32602);
}

#[tokio::test]
async fn closing_the_connection_cancels_the_call() {
    let mut shop = Workshop::open().await;
    let mcp = shop.modern().await.saying("progressToken", json!(1));
    // In the middle of a stream.
    let mut events = mcp.open("tools/call", &call("wait")).await;
    assert_eq!(events.message().await["method"], "notifications/progress");
    shop.happen(["started"]).await;
    drop(events);
    shop.happen(["dropped", "told"]).await;
    // Before there is any answer.
    let quiet = shop.modern().await;
    let waiting = tokio::spawn(async move { quiet.call("wait", &json!({})).await });
    shop.happen(["started"]).await;
    waiting.abort();
    shop.happen(["dropped", "told"]).await;
    assert_eq!(shop.happened(), [""; 0], "it does not go on");
}

#[tokio::test]
async fn streams_do_not_break_off_for_clients_that_cannot_come_back() {
    let mut shop = Workshop::open().await;
    let mcp = shop.modern().await.saying("progressToken", json!(1));
    let mut events = mcp.open("tools/call", &call("come_back")).await;
    let first = events.next().await.unwrap();
    // There is no resuming in this era, so events have no ids.
    assert_eq!((first.id, first.retry), (None, None));
    shop.let_go();
    shop.happen(["closed"]).await;
    shop.let_go();
    let messages = events.rest().await;
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert_eq!(messages[1]["result"]["content"][0]["text"], "back again");
}

#[tokio::test]
async fn a_stream_ends_with_the_grant_it_was_opened_under() {
    let mut shop = Workshop::open().await;
    let mcp = shop.modern().await.saying("progressToken", json!(1));
    let mut call = mcp.open("tools/call", &call("wait")).await;
    call.message().await;
    shop.happen(["started"]).await;
    let (mut listening, _) = mcp.listen(&json!({ "toolsListChanged": true })).await;

    shop.revoke_all().await;
    assert_eq!(call.rest().await, Vec::<Value>::new());
    shop.happen(["dropped", "told"]).await;
    let farewell = listening.rest().await;
    assert_eq!(farewell.len(), 1, "{farewell:?}");
    assert_eq!(farewell[0]["result"]["resultType"], "complete");
}

#[tokio::test]
async fn a_stream_ends_when_its_token_expires() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    // A second before the token's hour is over.
    shop.advance(Duration::from_secs(3599));
    let (mut listening, _) = mcp.listen(&json!({ "toolsListChanged": true })).await;
    shop.advance(Duration::from_secs(1));
    let farewell = listening.rest().await;
    assert_eq!(farewell.len(), 1, "{farewell:?}");
    assert_eq!(farewell[0]["result"]["resultType"], "complete");
}

#[tokio::test]
async fn nothing_is_told_once_the_token_has_expired() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let (mut listening, _) = mcp.listen(&json!({ "toolsListChanged": true })).await;
    shop.advance(Duration::from_hours(1));
    shop.changes().tell(Change::Tools);
    let farewell = listening.message().await;
    assert_eq!(farewell["result"]["resultType"], "complete", "{farewell}");
}

#[tokio::test]
async fn an_acknowledgement_grants_what_is_offered() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let everything = json!({
        "toolsListChanged": true,
        "promptsListChanged": true,
        "resourcesListChanged": true,
        "resourceSubscriptions": ["test://note"],
    });
    assert_eq!(mcp.listen(&everything).await.1, everything);
    for (asked, granted) in [
        (json!({}), json!({})),
        (json!({ "toolsListChanged": false }), json!({})),
        (json!({ "resourceSubscriptions": [] }), json!({})),
        (
            json!({ "notOfThisWorld": true, "promptsListChanged": true }),
            json!({ "promptsListChanged": true }),
        ),
        // Tasks are followed by clients that declare it, and only their own.
        (json!({ "taskIds": ["task_x"] }), json!({})),
    ] {
        assert_eq!(mcp.listen(&asked).await.1, granted, "{asked}");
    }
}

#[tokio::test]
async fn every_message_carries_the_id_of_the_request_as_it_was() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    for id in [json!(5), json!("5"), json!("seven"), json!(-1)] {
        let filter = json!({ "notifications": { "toolsListChanged": true } });
        let mut message = mcp.message("subscriptions/listen", &filter);
        message["id"] = id.clone();
        let mut events = Events::of(mcp.http(&message).open().await);
        assert_eq!(events.header("x-accel-buffering"), Some("no"));
        for method in [
            "notifications/subscriptions/acknowledged",
            "notifications/tools/list_changed",
        ] {
            let message = events.message().await;
            assert_eq!(message["method"], method);
            assert_eq!(message["params"]["_meta"][SUBSCRIPTION], id);
            // It is there the moment the acknowledgement is.
            shop.changes().tell(Change::Tools);
        }
    }
}

#[tokio::test]
async fn only_what_was_asked_for_is_told_and_to_everyone_who_did() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let (mut prompts, _) = mcp.listen(&json!({ "promptsListChanged": true })).await;
    let watch = json!({ "resourceSubscriptions": ["test://note"], "promptsListChanged": true });
    let (mut resources, _) = mcp.listen(&watch).await;

    shop.changes().tell(Change::Tools);
    shop.changes().tell(Change::Resources);
    shop.changes().tell(Change::Resource("test://other".into()));
    shop.changes().tell(Change::Resource("test://note".into()));
    shop.changes().tell(Change::Prompts);

    let updated = resources.message().await;
    assert_eq!(updated["method"], "notifications/resources/updated");
    assert_eq!(updated["params"]["uri"], "test://note");
    for events in [&mut resources, &mut prompts] {
        assert_eq!(
            events.message().await["method"],
            "notifications/prompts/list_changed"
        );
    }
}

#[tokio::test]
async fn a_server_that_stops_says_farewell() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let (mut events, _) = mcp.listen(&json!({ "toolsListChanged": true })).await;
    shop.begin_shutdown();
    let farewell = events.rest().await;
    assert_eq!(farewell.len(), 1, "{farewell:?}");
    assert_eq!(farewell[0]["id"], 1);
    assert_eq!(farewell[0]["result"]["resultType"], "complete");
    assert_eq!(farewell[0]["result"]["_meta"][SUBSCRIPTION], 1);
}

#[tokio::test]
async fn listening_takes_a_client_that_reads_streams() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let message = mcp.message("subscriptions/listen", &json!({ "notifications": {} }));
    let request = mcp.http(&message).header("accept", "application/json");
    let answer = request.send().await;
    assert!((400..500).contains(&answer.status), "{answer:#?}");
    answer.rpc_error();
    assert_eq!(answer.rpc()["id"], 1);
    let wrong = json!({ "notifications": { "toolsListChanged": "yes" } });
    assert_eq!(
        mcp.request("subscriptions/listen", &wrong)
            .await
            .rpc_error(),
        -32602
    );
}

#[tokio::test]
async fn the_farewell_says_who_said_it() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let (mut events, _) = mcp.listen(&json!({ "toolsListChanged": true })).await;
    shop.begin_shutdown();
    let farewell = events.rest().await;
    // basic, “_meta”: servers SHOULD put serverInfo in every result.
    let info = &farewell[0]["result"]["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert!(info["name"].is_string(), "{farewell:?}");
}
