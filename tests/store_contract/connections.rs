//! What people see of those that they have let in, and the ends of their browser sessions.

use std::{sync::Arc, time::Duration};

use remote_mcp_auth::{
    model::{
        grant::GrantId,
        user::{BrowserSession, UserId},
    },
    store::{MAX_TOOLS, SAME_VISIT, Store},
};

use super::given::{HOUR, INSTANT, MINUTE, NOW, REFRESH_TTL, at_once, digest, issue, let_in};

pub(super) async fn a_person_sees_their_own_live_grants_the_newest_first(store: Arc<dyn Store>) {
    let user = UserId::owner();
    let older = let_in(&*store, "app", "older", NOW).await;
    let newer = let_in(&*store, "app", "newer", NOW + MINUTE).await;
    let mut foreign = issue("app", "foreign", NOW);
    foreign.grant.user = UserId::new("somebody else");
    let foreign_id = foreign.grant.id;
    store.issue(foreign, NOW).await.unwrap();

    let later = NOW + 2 * MINUTE;
    store.touch_grant(older.id, later).await.unwrap();
    let seen = store.connections(&user, later).await.unwrap();
    let ids: Vec<GrantId> = seen.iter().map(|found| found.grant.id).collect();
    assert_eq!(ids, [newer.id, older.id]);
    assert_eq!(seen[1].grant.last_used_at, later);
    assert_eq!(seen[1].grant.origin, older.origin);
    let other = UserId::new("somebody else");
    let theirs = store.connections(&other, later).await.unwrap();
    assert_eq!(theirs[0].grant.id, foreign_id);

    assert!(store.revoke_grant(newer.id).await.unwrap());
    assert_eq!(store.connections(&user, later).await.unwrap().len(), 1);
    let end = NOW + REFRESH_TTL;
    assert!(store.connections(&user, end).await.unwrap().is_empty());
}

pub(super) async fn the_tools_of_a_grant_are_kept_once_each_and_there_is_an_end_to_them(
    store: Arc<dyn Store>,
) {
    let grant = let_in(&*store, "app", "app", NOW).await;
    let tools = |now| {
        let store = Arc::clone(&store);
        async move {
            let seen = store.connections(&UserId::owner(), now).await.unwrap();
            seen.into_iter().next().unwrap().tools
        }
    };
    for tool in ["write_file", "read_file", "write_file"] {
        store.note_tool(grant.id, tool).await.unwrap();
    }
    let noted: Vec<String> = tools(NOW).await.iter().map(ToString::to_string).collect();
    assert_eq!(noted, ["read_file", "write_file"]);
    for number in 0..2 * MAX_TOOLS {
        let tool = format!("tool_{number}");
        store.note_tool(grant.id, &tool).await.unwrap();
    }
    assert_eq!(tools(NOW).await.len(), MAX_TOOLS);
    // Nothing is kept under what is not there, or no longer.
    store.note_tool(GrantId::mint(), "read_file").await.unwrap();
    store.revoke_grant(grant.id).await.unwrap();
    store.note_tool(grant.id, "read_file").await.unwrap();
    let seen = store.connections(&UserId::owner(), NOW).await.unwrap();
    assert!(seen.is_empty(), "{seen:?}");
}

pub(super) async fn many_tools_at_once_are_all_kept(store: Arc<dyn Store>) {
    let grant = let_in(&*store, "app", "app", NOW).await.id;
    let noted = at_once(|number| {
        let store = Arc::clone(&store);
        async move {
            store
                .note_tool(grant, &format!("tool_{}", number % 7))
                .await
        }
    });
    for (_, outcome) in noted.await {
        outcome.unwrap();
    }
    let seen = store.connections(&UserId::owner(), NOW).await.unwrap();
    assert_eq!(seen[0].tools.len(), 7);
}

pub(super) async fn a_visit_is_told_of_the_one_before(store: Arc<dyn Store>) {
    let user = UserId::owner();
    let visit = |now| {
        let (store, user) = (Arc::clone(&store), user.clone());
        async move { store.visit(&user, now).await.unwrap() }
    };
    assert_eq!(visit(NOW).await, None);
    // Whoever looks again a moment later is still there.
    let still = NOW + SAME_VISIT - INSTANT;
    assert_eq!(visit(still).await, None);
    let second = still + SAME_VISIT;
    assert_eq!(visit(second).await, Some(still));
    assert_eq!(visit(second + MINUTE).await, Some(still));
    // Replicas do not always agree on the time.
    assert_eq!(visit(second).await, Some(still));
    let third = second + MINUTE + SAME_VISIT;
    assert_eq!(visit(third).await, Some(second + MINUTE));
    let other = store.visit(&UserId::new("somebody else"), third).await;
    assert_eq!(other.unwrap(), None);
}

pub(super) async fn browser_sessions_end_one_by_one_or_all_at_once(store: Arc<dyn Store>) {
    let session = |user: &str| BrowserSession {
        user: UserId::of_issuer("https://id.example", user),
        authenticated_at: NOW,
        expires_at: NOW + HOUR,
    };
    let people = [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")];
    for (cookie, user) in people {
        let kept = store.insert_browser_session(digest(cookie), session(user));
        kept.await.unwrap();
    }
    let there = || {
        let store = Arc::clone(&store);
        async move {
            let mut there = Vec::new();
            for (cookie, _) in people {
                let later = NOW + Duration::from_secs(1);
                let found = store.browser_session(&digest(cookie), later).await;
                if found.unwrap().is_some() {
                    there.push(cookie);
                }
            }
            there
        }
    };
    store.end_browser_session(&digest("a1")).await.unwrap();
    store.end_browser_session(&digest("a1")).await.unwrap();
    assert_eq!(there().await, ["a2", "a3", "b1"]);
    let user = UserId::of_issuer("https://id.example", "a");
    store.end_browser_sessions(&user).await.unwrap();
    assert_eq!(there().await, ["b1"]);
}
