//! Sessions: of browsers in which somebody has signed in, and of MCP clients.

use std::{sync::Arc, time::Duration};

use remote_mcp_auth::{
    clock::Timestamp,
    model::{
        mcp_session::{McpSession, ProtocolVersion},
        user::{BrowserSession, UserId},
    },
    store::{SessionOwner, Store},
};

use super::{
    MCP_SESSIONS, MCP_SESSIONS_PER_OWNER,
    given::{HOUR, INSTANT, MINUTE, NOW, at_once, before, client_id, digest},
};

/// How long a session may be idle here.
const IDLE: Duration = Duration::from_mins(10);

fn owner(client: &str) -> SessionOwner {
    SessionOwner {
        user: UserId::owner(),
        client: client_id(client),
    }
}

pub(super) fn version() -> ProtocolVersion {
    ProtocolVersion::parse("2025-06-18").unwrap()
}

async fn begin(store: &dyn Store, owner: &SessionOwner, id: &str, now: Timestamp) {
    let session = McpSession {
        protocol_version: version(),
        client_capabilities: 0,
        log_level: None,
        expires_at: now + IDLE,
    };
    let kept = store.insert_mcp_session(owner, digest(id), session);
    kept.await.unwrap();
}

/// Uses a session; whether it is there.
async fn uses(store: &dyn Store, owner: &SessionOwner, id: &str, now: Timestamp) -> bool {
    let found = store.mcp_session(owner, &digest(id), now, IDLE).await;
    found.unwrap().is_some()
}

pub(super) async fn a_browser_session_lasts_until_the_exact_moment_of_its_expiry(
    store: Arc<dyn Store>,
) {
    let session = BrowserSession {
        user: UserId::owner(),
        authenticated_at: NOW,
        expires_at: NOW + HOUR,
    };
    let id = digest("cookie");
    store
        .insert_browser_session(id, session.clone())
        .await
        .unwrap();
    let found = async |id, now| store.browser_session(&id, now).await.unwrap();
    assert_eq!(found(id, NOW).await, Some(session.clone()));
    assert_eq!(found(digest("other cookie"), NOW).await, None);
    let last = before(session.expires_at);
    assert_eq!(found(id, last).await, Some(session.clone()));
    assert_eq!(found(id, last + INSTANT).await, None);

    // Whoever signs in anew in the same browser keeps the cookie.
    let again = BrowserSession {
        authenticated_at: NOW + MINUTE,
        expires_at: NOW + HOUR + MINUTE,
        ..session
    };
    let kept = store.insert_browser_session(id, again.clone());
    kept.await.unwrap();
    assert_eq!(found(id, NOW + HOUR).await, Some(again));
}

pub(super) async fn an_mcp_session_is_found_by_its_owner_and_by_nobody_else(store: Arc<dyn Store>) {
    let mine = owner("app");
    let strangers = [
        owner("other"),
        SessionOwner {
            user: UserId::new("guest"),
            ..owner("app")
        },
    ];
    begin(&*store, &mine, "session", NOW).await;
    for stranger in &strangers {
        assert!(!uses(&*store, stranger, "session", NOW).await);
        let ended = store.end_mcp_session(stranger, &digest("session")).await;
        assert!(!ended.unwrap());
    }
    assert!(!uses(&*store, &mine, "other session", NOW).await);
    let found = store
        .mcp_session(&mine, &digest("session"), NOW, IDLE)
        .await;
    assert_eq!(found.unwrap().unwrap().protocol_version, version());
}

pub(super) async fn an_mcp_session_lasts_as_long_as_it_is_used(store: Arc<dyn Store>) {
    let mine = owner("app");
    begin(&*store, &mine, "idle", NOW).await;
    begin(&*store, &mine, "used", NOW).await;
    for minutes in [9, 18, 27] {
        assert!(uses(&*store, &mine, "used", NOW + minutes * MINUTE).await);
    }
    let last = NOW + 27 * MINUTE + IDLE;
    // A use may count as of up to a minute before: most calls write nothing.
    assert!(uses(&*store, &mine, "idle", before(NOW + 9 * MINUTE)).await);
    assert!(!uses(&*store, &mine, "idle", NOW + 9 * MINUTE + IDLE).await);
    assert!(!uses(&*store, &mine, "used", last).await);
    assert!(!uses(&*store, &mine, "used", last + INSTANT).await);
}

pub(super) async fn the_longest_idle_session_of_an_owner_gives_way(store: Arc<dyn Store>) {
    let (mine, other) = (owner("app"), owner("other"));
    begin(&*store, &other, "bystander", NOW).await;
    for number in 0..MCP_SESSIONS_PER_OWNER {
        let id = number.to_string();
        begin(&*store, &mine, &id, NOW + MINUTE).await;
    }
    // The first one is used, so that another has been idle longest.
    for number in [0, 2] {
        let now = NOW + 5 * MINUTE;
        assert!(uses(&*store, &mine, &number.to_string(), now).await);
    }
    let now = NOW + 6 * MINUTE;
    begin(&*store, &mine, "newcomer", now).await;
    assert!(!uses(&*store, &mine, "1", now).await);
    for id in ["0", "2", "newcomer"] {
        assert!(uses(&*store, &mine, id, now).await, "{id}");
    }
    assert!(uses(&*store, &other, "bystander", now).await);
}

pub(super) async fn the_longest_idle_session_of_all_gives_way(store: Arc<dyn Store>) {
    for number in 0..=MCP_SESSIONS {
        let now = NOW + INSTANT * u32::try_from(number).unwrap();
        let owner = owner(&format!("client {}", number % 3));
        begin(&*store, &owner, &number.to_string(), now).await;
    }
    for number in 0..=MCP_SESSIONS {
        let owner = owner(&format!("client {}", number % 3));
        let now = NOW + MINUTE;
        let found = uses(&*store, &owner, &number.to_string(), now).await;
        assert_eq!(found, number > 0, "session {number}");
    }
}

pub(super) async fn an_mcp_session_is_ended_by_exactly_one_of_many(store: Arc<dyn Store>) {
    let mine = owner("app");
    begin(&*store, &mine, "session", NOW).await;
    begin(&*store, &mine, "other", NOW).await;
    let told = at_once(|_| {
        let (store, mine) = (Arc::clone(&store), mine.clone());
        async move {
            let id = digest("session");
            store.end_mcp_session(&mine, &id).await.unwrap()
        }
    })
    .await;
    assert_eq!(told.iter().filter(|(_, ended)| *ended).count(), 1);
    assert!(!uses(&*store, &mine, "session", NOW).await);
    assert!(uses(&*store, &mine, "other", NOW).await);
}
