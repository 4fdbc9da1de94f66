//! The session-based era: streams that break off and are taken up again, changes that belong to no
//! request, and everything that ends a stream (basic/transports, “Streamable HTTP”).

use std::time::Duration;

use remote_mcp_auth::mcp::feature::Change;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{Events, McpClient, Workshop};

const WITH_IDS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// The progress of a message.
fn progress(message: &Value) -> Option<f64> {
    message["params"]["progress"].as_f64()
}

#[tokio::test]
async fn a_broken_stream_is_taken_up_where_it_broke_off() {
    let shop = Workshop::open().await;
    for version in WITH_IDS {
        let mcp = shop.legacy(version, json!({})).await;
        // Two calls at once, each with a stream of its own.
        let mut events = mcp.open(1, "chatter", &json!({})).await;
        let (first, message) = events.message_event().await;
        assert_eq!(progress(&message), Some(1.0));
        drop(events);
        let mut other = mcp.open(2, "speak", &json!({})).await;
        let (elsewhere, _) = other.message_event().await;
        assert_eq!(other.rest().await.len(), 2);

        for _ in 0..3 {
            shop.let_go();
        }
        // Only what followed on that stream, and the answer at its end.
        let mut resumed = mcp.events(first.id.as_deref()).await;
        let (second, message) = resumed.message_event().await;
        assert_eq!(progress(&message), Some(2.0), "{version}");
        let rest = resumed.rest().await;
        assert_eq!(rest.len(), 2, "{rest:?}");
        assert_eq!(rest[1]["result"]["content"][0]["text"], "enough said");
        assert_eq!(rest[1]["id"], 1);
        // Again, from further on; and the other stream from its first event.
        let rest = mcp.events(second.id.as_deref()).await.rest().await;
        assert_eq!(rest.len(), 2, "{rest:?}");
        let rest = mcp.events(elsewhere.id.as_deref()).await.rest().await;
        assert_eq!(rest.len(), 2, "{rest:?}");
        assert_eq!(rest[1]["id"], 2);
    }
}

#[tokio::test]
async fn event_ids_are_unique_within_a_session_and_no_use_in_another() {
    let shop = Workshop::open().await;
    let mcp = shop.legacy("2025-11-25", json!({})).await;
    let mut ids = Vec::new();
    for id in 1..4 {
        let mut events = mcp.open(id, "speak", &json!({})).await;
        while let Some(event) = events.next().await {
            ids.push(event.id.expect("every event has an id"));
        }
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "{ids:?}");

    // Another session's client gets a stream of its own, on which nothing of this is replayed.
    let other = shop.legacy("2025-11-25", json!({})).await;
    let mut events = other.events(Some(&ids[0])).await;
    shop.changes().tell(Change::Tools);
    assert_eq!(
        events.message().await["method"],
        "notifications/tools/list_changed"
    );
}

#[tokio::test]
async fn a_stream_begins_with_an_empty_event_where_clients_know_it() {
    let shop = Workshop::open().await;
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mcp = shop.legacy(version, json!({})).await;
        let mut call = mcp.open(1, "speak", &json!({})).await;
        let mut listening = mcp.events(None).await;
        shop.changes().tell(Change::Tools);
        for events in [&mut call, &mut listening] {
            let first = events.next().await.unwrap();
            if version == "2025-11-25" {
                // SEP-1699: an id, no data, and how long to wait before coming back.
                assert_eq!(first.data, "", "{first:?}");
                assert!(first.id.is_some(), "{first:?}");
                assert!(first.retry.unwrap().parse::<u32>().is_ok());
            } else {
                assert!(first.data.starts_with('{'), "{version}: {first:?}");
                assert_eq!(first.retry, None, "{version}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_the_server_closed_is_taken_up_and_has_the_result() {
    let mut shop = Workshop::open().await;
    let mcp = shop.legacy("2025-11-25", json!({})).await;
    let mut events = mcp.open(1, "come_back", &json!({})).await;
    let (last, _) = events.message_event().await;
    shop.let_go();
    shop.happen(["closed"]).await;
    assert_eq!(events.rest().await, Vec::<Value>::new());
    let mut resumed = mcp.events(last.id.as_deref()).await;
    shop.let_go();
    let rest = resumed.rest().await;
    assert_eq!(progress(&rest[0]), Some(2.0), "{rest:?}");
    assert_eq!(rest[1]["result"]["content"][0]["text"], "back again");
}

#[tokio::test]
async fn older_streams_stay_open_until_they_are_answered() {
    let mut shop = Workshop::open().await;
    for version in ["2025-03-26", "2025-06-18"] {
        let mcp = shop.legacy(version, json!({})).await;
        let mut events = mcp.open(1, "come_back", &json!({})).await;
        events.message().await;
        shop.let_go();
        shop.happen(["closed"]).await;
        shop.let_go();
        // The server SHOULD NOT close the stream before the response has been sent.
        let rest = events.rest().await;
        assert_eq!(rest.len(), 2, "{version}: {rest:?}");
    }
}

#[tokio::test]
async fn a_change_goes_to_one_stream_only() {
    let shop = Workshop::open().await;
    let mcp = shop.legacy("2025-11-25", json!({})).await;
    let mut older = mcp.events(None).await;
    let mut newer = mcp.events(None).await;
    let other = shop.legacy("2025-11-25", json!({})).await;
    let mut elsewhere = other.events(None).await;
    for (change, method) in [
        (Change::Tools, "notifications/tools/list_changed"),
        (Change::Prompts, "notifications/prompts/list_changed"),
        (Change::Resources, "notifications/resources/list_changed"),
    ] {
        shop.changes().tell(change);
        assert_eq!(newer.message().await["method"], method);
        // Another session hears of it too.
        assert_eq!(elsewhere.message().await["method"], method);
    }
    mcp.end().await;
    assert_eq!(older.rest().await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_older_stream_takes_over_when_the_newer_is_gone() {
    let shop = Workshop::open().await;
    let mcp = shop.legacy("2025-11-25", json!({})).await;
    let mut older = mcp.events(None).await;
    let mut newer = mcp.events(None).await;
    shop.changes().tell(Change::Tools);
    newer.message().await;
    drop(newer);
    // However long the server takes to notice: changes are told until one arrives.
    heard_again(&shop, &mut older).await;
}

#[tokio::test]
async fn a_stream_of_changes_is_taken_up_again() {
    let shop = Workshop::open().await;
    let mcp = shop.legacy("2025-11-25", json!({})).await;
    let mut events = mcp.events(None).await;
    shop.changes().tell(Change::Tools);
    let (last, _) = events.message_event().await;
    drop(events);
    let mut resumed = mcp.events(last.id.as_deref()).await;
    heard_again(&shop, &mut resumed).await;
}

/// Tells of changes until one arrives.
async fn heard_again(shop: &Workshop, events: &mut Events) {
    let telling = async {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        loop {
            pace.tick().await;
            shop.changes().tell(Change::Prompts);
        }
    };
    let hearing = timeout(Duration::from_secs(2), events.message());
    tokio::select! {
        () = telling => {}
        heard = hearing => {
            let heard = heard.expect("a change is heard of");
            assert_eq!(heard["method"], "notifications/prompts/list_changed");
        }
    }
}

#[tokio::test]
async fn resources_are_watched_one_by_one() {
    let shop = Workshop::open().await;
    let mcp = shop.legacy("2025-06-18", json!({})).await;
    let mut events = mcp.events(None).await;
    let note = json!({ "uri": "test://note" });
    let told = |uri: &str| shop.changes().tell(Change::Resource(uri.into()));

    told("test://note");
    // When this one is there, the one before was passed over.
    shop.changes().tell(Change::Tools);
    let message = events.message().await;
    assert_eq!(message["method"], "notifications/tools/list_changed");
    assert_eq!(mcp.result("resources/subscribe", &note).await, json!({}));
    let sub = json!({ "uri": "test://items/1" });
    assert_eq!(mcp.result("resources/subscribe", &sub).await, json!({}));
    told("test://other");
    told("test://note");
    told("test://items/1");
    for uri in ["test://note", "test://items/1"] {
        let message = events.message().await;
        assert_eq!(message["method"], "notifications/resources/updated");
        assert_eq!(message["params"], json!({ "uri": uri }));
    }
    assert_eq!(mcp.result("resources/unsubscribe", &note).await, json!({}));
    told("test://note");
    told("test://items/1");
    assert_eq!(events.message().await["params"]["uri"], "test://items/1");
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        for params in [json!({}), json!({ "uri": 5 })] {
            assert_eq!(mcp.request(method, &params).await.rpc_error(), -32602);
        }
    }
}

/// A session with a stream of its own and one of a call that waits.
async fn streams(shop: &mut Workshop) -> (McpClient, [Events; 2]) {
    let mcp = shop.legacy("2025-11-25", json!({})).await;
    let listening = mcp.events(None).await;
    let mut call = mcp.open(1, "wait", &json!({ "say": true })).await;
    call.message().await;
    shop.happen(["started"]).await;
    (mcp, [listening, call])
}

async fn assert_end(streams: [Events; 2]) {
    for mut events in streams {
        assert_eq!(events.rest().await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn streams_and_calls_end_with_their_session() {
    let mut shop = Workshop::open().await;
    let (mcp, streams) = streams(&mut shop).await;
    mcp.end().await.expect(204);
    shop.happen(["dropped", "told"]).await;
    assert_end(streams).await;
}

#[tokio::test]
async fn streams_end_when_what_was_allowed_is_revoked() {
    let mut shop = Workshop::open().await;
    let (_, streams) = streams(&mut shop).await;
    shop.revoke_all().await;
    assert_end(streams).await;
}

#[tokio::test]
async fn streams_end_when_their_token_expires() {
    let mut shop = Workshop::with([("access_token_ttl", "1h")]).await;
    let mcp = shop.legacy("2025-11-25", json!({})).await;
    shop.advance(Duration::from_secs(3599));
    let listening = mcp.events(None).await;
    let mut call = mcp.open(1, "wait", &json!({ "say": true })).await;
    call.message().await;
    shop.happen(["started"]).await;
    shop.advance(Duration::from_secs(1));
    assert_end([listening, call]).await;
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let mut shop = Workshop::open().await;
    let (_, streams) = streams(&mut shop).await;
    shop.begin_shutdown();
    assert_end(streams).await;
}
