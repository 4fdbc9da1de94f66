//! What sessions' clients want to be told, what their streams have sent, and what replicas tell each
//! other.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use remote_mcp_auth::{
    clock::Timestamp,
    model::{
        mcp_session::{McpSession, ProtocolVersion},
        session_stream::{KeptEvent, KeptStream, Mail, News},
        user::UserId,
    },
    store::{MAX_EVENTS, MAX_STREAMS, MAX_SUBSCRIPTIONS, STREAM_KEPT, SessionOwner, Store},
};
use tokio::time::timeout;
use uuid::Uuid;

use super::given::{HOUR, INSTANT, NOW, before, client_id, digest};

fn owner(client: &str) -> SessionOwner {
    SessionOwner {
        user: UserId::owner(),
        client: client_id(client),
    }
}

/// The session `session` of the client `app`.
async fn begun(store: &dyn Store) -> SessionOwner {
    let owner = owner("app");
    let session = McpSession {
        protocol_version: ProtocolVersion::parse("2025-11-25").unwrap(),
        client_capabilities: 0,
        log_level: None,
        expires_at: NOW + HOUR,
    };
    let kept = store.insert_mcp_session(&owner, digest("session"), session);
    kept.await.unwrap();
    owner
}

async fn log_level(store: &dyn Store, owner: &SessionOwner) -> Option<u8> {
    let found = store
        .mcp_session(owner, &digest("session"), NOW, HOUR)
        .await;
    found.unwrap().unwrap().log_level
}

async fn subscriptions(store: &dyn Store, owner: &SessionOwner) -> BTreeSet<Box<str>> {
    let found = store.subscriptions(owner, &digest("session")).await;
    found.unwrap().into_iter().collect()
}

async fn subscribes(store: &dyn Store, owner: &SessionOwner, uri: &str) -> bool {
    let kept = store.subscribe(owner, &digest("session"), uri).await;
    kept.unwrap()
}

pub(super) async fn what_a_client_wants_to_be_told_is_kept_with_its_session(store: Arc<dyn Store>) {
    let (store, id) = (&*store, digest("session"));
    let (owner, other) = (begun(store).await, owner("other"));
    assert_eq!(log_level(store, &owner).await, None);
    store.set_log_level(&owner, &id, 4).await.unwrap();
    store.set_log_level(&other, &id, 7).await.unwrap();
    assert_eq!(log_level(store, &owner).await, Some(4));
    store.set_log_level(&owner, &id, 0).await.unwrap();
    assert_eq!(log_level(store, &owner).await, Some(0));

    for uri in ["a", "b", "a"] {
        assert!(subscribes(store, &owner, uri).await);
    }
    assert!(!subscribes(store, &other, "c").await);
    assert_eq!(
        subscriptions(store, &owner).await,
        ["a", "b"].map(Box::from).into()
    );
    assert!(subscriptions(store, &other).await.is_empty());
    store.unsubscribe(&owner, &id, "a").await.unwrap();
    store.unsubscribe(&owner, &id, "never").await.unwrap();
    store.unsubscribe(&other, &id, "b").await.unwrap();
    assert_eq!(subscriptions(store, &owner).await, [Box::from("b")].into());

    store.end_mcp_session(&owner, &id).await.unwrap();
    begun(store).await;
    assert_eq!(log_level(store, &owner).await, None);
    assert!(subscriptions(store, &owner).await.is_empty());
}

pub(super) async fn a_session_subscribes_to_so_many_and_no_more(store: Arc<dyn Store>) {
    let owner = begun(&*store).await;
    for number in 0..MAX_SUBSCRIPTIONS {
        assert!(subscribes(&*store, &owner, &number.to_string()).await);
    }
    assert!(!subscribes(&*store, &owner, "one more").await);
    assert!(subscribes(&*store, &owner, "0").await);
    let id = digest("session");
    store.unsubscribe(&owner, &id, "0").await.unwrap();
    assert!(subscribes(&*store, &owner, "one more").await);
    assert_eq!(
        subscriptions(&*store, &owner).await.len(),
        MAX_SUBSCRIPTIONS
    );
}

fn event(number: u64) -> KeptEvent {
    KeptEvent {
        number,
        message: number.to_string().into_bytes().into(),
    }
}

async fn begin(store: &dyn Store, stream: u64, now: Timestamp) {
    let session = digest("session");
    let begun = store.begin_stream(&session, stream, Some("\"id\""), now);
    begun.await.unwrap();
}

async fn keep(store: &dyn Store, stream: u64, number: u64, now: Timestamp) {
    let session = digest("session");
    let kept = store.keep_event(&session, stream, event(number), now);
    kept.await.unwrap();
}

async fn find(
    store: &dyn Store,
    stream: u64,
    after: Option<u64>,
    now: Timestamp,
) -> Option<KeptStream> {
    let session = digest("session");
    let found = store.kept_stream(&session, stream, after, now);
    found.await.unwrap()
}

pub(super) async fn a_stream_is_found_as_it_was_sent(store: Arc<dyn Store>) {
    let (store, large) = (&*store, u64::from(u32::MAX) << 20);
    begun(store).await;
    begin(store, large, NOW).await;
    for number in 0..3 {
        keep(store, large, number, NOW).await;
    }
    let found = find(store, large, None, NOW).await.unwrap();
    let expected = KeptStream {
        request: Some("\"id\"".into()),
        events: vec![event(0), event(1), event(2)],
        is_finished: false,
    };
    assert_eq!(found, expected);
    let id = digest("session");
    store.finish_stream(&id, large).await.unwrap();
    let found = find(store, large, Some(1), NOW).await.unwrap();
    assert_eq!(found.events, [event(2)]);
    assert!(found.is_finished);
    assert_eq!(find(store, large, Some(2), NOW).await.unwrap().events, []);

    assert_eq!(find(store, 7, None, NOW).await, None);
    let elsewhere = store.kept_stream(&digest("other"), large, None, NOW).await;
    assert_eq!(elsewhere.unwrap(), None);
    store.begin_stream(&id, 8, None, NOW).await.unwrap();
    assert_eq!(find(store, 8, None, NOW).await.unwrap().request, None);
}

pub(super) async fn a_stream_is_kept_for_some_time_after_its_last_event(store: Arc<dyn Store>) {
    let (store, later) = (&*store, NOW + Duration::from_mins(5));
    begun(store).await;
    begin(store, 1, NOW).await;
    begin(store, 2, NOW).await;
    keep(store, 2, 0, later).await;
    for (stream, last) in [(1, NOW), (2, later)] {
        let end = last + STREAM_KEPT;
        assert!(find(store, stream, None, before(end)).await.is_some());
        assert_eq!(find(store, stream, None, end).await, None);
    }
    store.sweep(NOW + STREAM_KEPT + INSTANT).await.unwrap();
    assert_eq!(find(store, 1, None, NOW).await, None);
    assert!(find(store, 2, None, NOW).await.is_some());
}

pub(super) async fn only_the_newest_streams_and_events_are_kept(store: Arc<dyn Store>) {
    let store = &*store;
    begun(store).await;
    let count = MAX_STREAMS as u64;
    for stream in 0..=count {
        begin(
            store,
            stream,
            NOW + INSTANT * u32::try_from(stream).unwrap(),
        )
        .await;
    }
    assert_eq!(find(store, 0, None, NOW).await, None);
    assert!(find(store, 1, None, NOW).await.is_some());
    assert!(find(store, count, None, NOW).await.is_some());
    let count = MAX_EVENTS as u64;
    for number in 0..=count {
        keep(store, 1, number, NOW).await;
    }
    let found = find(store, 1, None, NOW).await.unwrap();
    assert_eq!(found.events.len(), MAX_EVENTS);
    assert_eq!(found.events[0], event(1));
}

pub(super) async fn streams_end_with_their_session(store: Arc<dyn Store>) {
    let owner = begun(&*store).await;
    begin(&*store, 1, NOW).await;
    keep(&*store, 1, 0, NOW).await;
    let ended = store.end_mcp_session(&owner, &digest("session")).await;
    assert!(ended.unwrap());
    assert_eq!(find(&*store, 1, None, NOW).await, None);
}

pub(super) async fn mail_is_heard_by_whoever_listens(store: Arc<dyn Store>) {
    let letter = |news| Mail {
        from: Uuid::from_u128(7),
        news,
    };
    let session = digest("session");
    let news = [
        News::Answered {
            session,
            request: u64::from(u32::MAX) << 20,
            // Longer than what some engines can announce at once.
            result: Some("x".repeat(100_000).into()),
        },
        News::Answered {
            session,
            request: 1,
            result: None,
        },
        News::Cancelled {
            session,
            request: "\"a\\u0000b\"".into(),
        },
        News::Ended(session),
        News::SubscriptionsChanged(session),
        News::TakenOver { session, stream: 1 },
        News::WhoRuns { session, stream: 1 },
        News::Runs { session, stream: 1 },
        News::Changed {
            what: "something".into(),
            which: Some("é".into()),
        },
    ];
    let (mut one, mut other) = (store.mail(), store.mail());
    for news in news {
        store.send_mail(letter(news.clone()), NOW).await.unwrap();
        for listener in [&mut one, &mut other] {
            let heard = timeout(Duration::from_secs(5), listener.recv()).await;
            assert_eq!(heard.unwrap().unwrap(), letter(news.clone()));
        }
    }
}
