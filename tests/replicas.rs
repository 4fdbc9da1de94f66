//! Several servers behind one name that share a store: a request of a session may land on any of
//! them.

use std::time::Duration;

use remote_mcp_auth::{
    mcp::feature::Change,
    store::{Limits, MemoryStore},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{McpClient, Workshop, postgres as installed};

/// The kinds of stores that several servers can share.
#[derive(Clone, Copy)]
pub(crate) enum Stores {
    /// Within one process.
    Memory,
    /// The real thing.
    Postgres,
}

impl Stores {
    /// Two servers with a store of that kind.
    pub(crate) async fn two(self) -> (Workshop, Workshop) {
        match self {
            Self::Memory => {
                let store = MemoryStore::shared(Limits::default());
                let one = Workshop::replica(&store).await;
                (one, Workshop::replica(&store).await)
            }
            Self::Postgres => {
                let url = installed::database().await.expect("it was there before");
                let one = Workshop::replica_with(&url).await;
                (one, Workshop::replica_with(&url).await)
            }
        }
    }
}

/// Tells each story with each kind of store.
macro_rules! with_each_store {
    ($($story:ident)+) => {
        mod memory {$(
            #[tokio::test]
            async fn $story() {
                super::$story($crate::replicas::Stores::Memory).await;
            }
        )+}
        mod postgres {$(
            #[tokio::test]
            async fn $story() {
                if crate::support::postgres::is_there() {
                    super::$story($crate::replicas::Stores::Postgres).await;
                }
            }
        )+}
    };
}

pub(crate) use with_each_store;

with_each_store! {
    a_session_is_known_to_every_replica_and_ends_on_all
    what_a_session_wants_to_be_told_holds_everywhere
    changes_reach_the_stream_wherever_it_is_held
    changes_reach_listeners_of_the_new_era_too
    an_answer_reaches_the_tool_that_asked_wherever_it_is_posted
    a_call_is_cancelled_wherever_the_client_says_so
    a_stream_that_is_over_is_read_at_any_replica
    a_stream_that_goes_on_is_followed_at_another_replica
    a_listener_goes_on_at_another_replica_and_misses_nothing
    a_call_that_went_down_with_its_replica_is_answered_by_another
}

/// Two replicas, and a client with a session that began at the first.
struct Pair {
    one: Workshop,
    other: Workshop,
    at_one: McpClient,
    at_other: McpClient,
}

impl Pair {
    async fn open(stores: &Stores, version: &str) -> Self {
        let (one, other) = stores.two().await;
        let capabilities = json!({ "elicitation": { "form": {} } });
        let at_one = one.legacy(version, capabilities).await;
        let at_other = at_one.at(&other);
        Self {
            one,
            other,
            at_one,
            at_other,
        }
    }
}

/// The progress of a message.
fn progress(message: &Value) -> Option<f64> {
    message["params"]["progress"].as_f64()
}

async fn a_session_is_known_to_every_replica_and_ends_on_all(stores: Stores) {
    let pair = Pair::open(&stores, "2025-11-25").await;
    assert_eq!(pair.at_one.ping().await, 200);
    assert_eq!(pair.at_other.ping().await, 200);
    let mut listening = pair.at_one.events(None).await;
    let mut running = pair.at_one.open(1, "wait", &json!({ "say": true })).await;
    running.message().await;
    pair.at_other.end().await.expect(204);
    assert_eq!(listening.rest().await, Vec::<Value>::new());
    assert_eq!(running.rest().await, Vec::<Value>::new());
    assert_eq!(pair.at_one.ping().await, 404);
    assert_eq!(pair.at_other.ping().await, 404);
}

async fn what_a_session_wants_to_be_told_holds_everywhere(stores: Stores) {
    let pair = Pair::open(&stores, "2025-11-25").await;
    let level = json!({ "level": "error" });
    pair.at_other.result("logging/setLevel", &level).await;
    let logged = async || {
        let mut events = pair.at_one.open(1, "speak", &json!({})).await;
        let logged = events.rest().await.into_iter();
        let logged = logged.filter(|message| message["method"] == "notifications/message");
        let levels = logged.map(|message| message["params"]["level"].clone());
        levels.collect::<Vec<_>>()
    };
    // The other one hears of it, and clients may be quicker.
    let heard = async { while logged().await != ["emergency"] {} };
    timeout(Duration::from_secs(1), heard)
        .await
        .expect("to hear");
}

async fn changes_reach_the_stream_wherever_it_is_held(stores: Stores) {
    let pair = Pair::open(&stores, "2025-11-25").await;
    let note = json!({ "uri": "test://note" });
    pair.at_other.result("resources/subscribe", &note).await;
    let mut events = pair.at_one.events(None).await;
    let other = json!({ "uri": "test://items/1" });
    pair.at_other.result("resources/subscribe", &other).await;

    // Told of at the other replica, and at this one.
    for (replica, uri) in [
        (&pair.other, "test://note"),
        (&pair.one, "test://note"),
        (&pair.other, "test://items/1"),
    ] {
        replica.changes().tell(Change::Resource(uri.into()));
        let message = events.message().await;
        assert_eq!(message["method"], "notifications/resources/updated");
        assert_eq!(message["params"]["uri"], uri);
    }
    pair.at_other.result("resources/unsubscribe", &note).await;
    pair.other
        .changes()
        .tell(Change::Resource("test://note".into()));
    pair.other.changes().tell(Change::Tools);
    let message = events.message().await;
    assert_eq!(message["method"], "notifications/tools/list_changed");
}

async fn changes_reach_listeners_of_the_new_era_too(stores: Stores) {
    let (one, other) = stores.two().await;
    let client = one.modern().await;
    let wanted = json!({ "toolsListChanged": true });
    let (mut events, _) = client.listen(&wanted).await;
    other.changes().tell(Change::Tools);
    let message = events.message().await;
    assert_eq!(message["method"], "notifications/tools/list_changed");
}

async fn an_answer_reaches_the_tool_that_asked_wherever_it_is_posted(stores: Stores) {
    let pair = Pair::open(&stores, "2025-11-25").await;
    let mut events = pair.at_one.open(1, "ask", &json!({})).await;
    let request = events.message().await;
    assert_eq!(request["method"], "elicitation/create");
    let answer = json!({ "action": "accept", "content": { "name": "Ada" } });
    pair.at_other.answer(&request["id"], &answer).await;
    let rest = events.rest().await;
    assert_eq!(rest[0]["result"]["content"][0]["text"], "Hello, Ada!");
}

async fn a_call_is_cancelled_wherever_the_client_says_so(stores: Stores) {
    let mut pair = Pair::open(&stores, "2025-11-25").await;
    let mut events = pair.at_one.open(7, "wait", &json!({ "say": true })).await;
    events.message().await;
    pair.one.happen(["started"]).await;
    let cancelled = json!({ "requestId": 7 });
    pair.at_other
        .notify("notifications/cancelled", &cancelled)
        .await;
    pair.one.happen(["told", "dropped"]).await;
    assert_eq!(events.rest().await, Vec::<Value>::new());
}

async fn a_stream_that_is_over_is_read_at_any_replica(stores: Stores) {
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let pair = Pair::open(&stores, version).await;
        let mut events = pair.at_one.open(1, "speak", &json!({})).await;
        let (first, _) = events.message_event().await;
        events.rest().await;
        let rest = pair.at_other.events(first.id.as_deref()).await.rest().await;
        assert_eq!(progress(&rest[0]), Some(2.0), "{version}: {rest:?}");
        assert_eq!(rest[1]["result"]["content"][0]["text"], "spoken");
        assert_eq!(rest[1]["id"], 1);
        // What was begun there has other numbers.
        let mut events = pair.at_other.open(2, "speak", &json!({})).await;
        let (other, _) = events.message_event().await;
        let stream =
            |id: &Option<String>| id.as_ref().unwrap().split_once('-').unwrap().0.to_owned();
        assert_ne!(stream(&first.id), stream(&other.id));
    }
}

async fn a_stream_that_goes_on_is_followed_at_another_replica(stores: Stores) {
    let pair = Pair::open(&stores, "2025-11-25").await;
    let mut events = pair.at_one.open(1, "chatter", &json!({})).await;
    let (first, _) = events.message_event().await;
    drop(events);
    let mut events = pair.at_other.events(first.id.as_deref()).await;
    for step in [2.0, 3.0] {
        pair.one.let_go();
        assert_eq!(progress(&events.message().await), Some(step));
    }
    pair.one.let_go();
    let rest = events.rest().await;
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert_eq!(rest[0]["result"]["content"][0]["text"], "enough said");
}

async fn a_listener_goes_on_at_another_replica_and_misses_nothing(stores: Stores) {
    let pair = Pair::open(&stores, "2025-11-25").await;
    let mut events = pair.at_one.events(None).await;
    pair.one.changes().tell(Change::Tools);
    let (seen, _) = events.message_event().await;
    drop(events);
    pair.one.changes().tell(Change::Prompts);
    // It arrives at the first, where nobody reads.
    let mut again = pair.at_one.events(seen.id.as_deref()).await;
    again.message().await;
    drop(again);

    let mut events = pair.at_other.events(seen.id.as_deref()).await;
    let missed = events.message().await;
    assert_eq!(missed["method"], "notifications/prompts/list_changed");
    pair.one.changes().tell(Change::Resources);
    let (last, message) = events.message_event().await;
    assert_eq!(message["method"], "notifications/resources/list_changed");
    // And back.
    drop(events);
    pair.other.changes().tell(Change::Tools);
    let mut again = pair.at_other.events(last.id.as_deref()).await;
    again.message().await;
    drop(again);
    let mut events = pair.at_one.events(last.id.as_deref()).await;
    let message = events.message().await;
    assert_eq!(message["method"], "notifications/tools/list_changed");
}

async fn a_call_that_went_down_with_its_replica_is_answered_by_another(stores: Stores) {
    let pair = Pair::open(&stores, "2025-11-25").await;
    let mut events = pair.at_one.open(9, "chatter", &json!({})).await;
    let (first, _) = events.message_event().await;
    drop(events);
    // Gone without a word, as a process that was killed.
    let Pair {
        mut one, at_other, ..
    } = pair;
    one.end().await;
    let rest = at_other.events(first.id.as_deref()).await.rest().await;
    let [answer] = &rest[..] else {
        panic!("not one message: {rest:?}");
    };
    assert_eq!(answer["id"], 9);
    assert_eq!(answer["error"]["code"], -32603);
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(text.contains("restarted"), "{text}");
    // Whoever asks once more is told the same.
    let again = at_other.events(first.id.as_deref()).await.rest().await;
    assert_eq!(again, rest);
}
