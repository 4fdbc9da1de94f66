//! Grants and what lives under them.

use std::sync::Arc;

use remote_mcp_auth::{
    clock::Timestamp,
    model::{grant::GrantId, scope::ScopeSet, user::UserId},
    store::{Issue, RefreshOutcome, Store},
};

use super::given::{
    ACCESS_TTL, HOUR, INSTANT, MANY, MINUTE, NOW, REFRESH_TTL, access_token, at_once, before,
    client_id, digest, issue, let_in, opens, refreshes, successor,
};

pub(super) async fn an_access_token_opens_until_the_exact_moment_of_its_expiry(
    store: Arc<dyn Store>,
) {
    let grant = let_in(&*store, "app", "app", NOW).await;
    let token = digest("app access");
    let found = store.access_token(&token, NOW).await.unwrap().unwrap();
    let authorization = &found.authorization;
    assert_eq!(authorization.grant, grant.id);
    assert_eq!(authorization.owner.user, grant.user);
    assert_eq!(authorization.owner.client, grant.client);
    assert_eq!(authorization.scopes, grant.scopes);
    assert_eq!(authorization.resource, grant.resource);
    assert_eq!(authorization.expires_at, NOW + ACCESS_TTL);

    let end = NOW + ACCESS_TTL;
    assert!(opens(&*store, "app access", before(end)).await);
    assert!(!opens(&*store, "app access", end).await);
    // No token of one kind does the work of another.
    for other in ["app refresh", "app code", "other access"] {
        assert!(!opens(&*store, other, NOW).await, "{other}");
    }
}

pub(super) async fn a_refresh_token_is_found_until_the_exact_moment_of_its_expiry(
    store: Arc<dyn Store>,
) {
    let grant = let_in(&*store, "app", "app", NOW).await;
    let token = digest("app refresh");
    let found = store.refresh_token(&token, NOW).await.unwrap().unwrap();
    assert_eq!(format!("{:?}", found.grant), format!("{grant:?}"));
    assert_eq!(found.issued_at, NOW);
    assert_eq!(found.expires_at, NOW + REFRESH_TTL);
    assert!(found.predecessor.is_none() && found.rotation.is_none());

    let end = NOW + REFRESH_TTL;
    assert!(refreshes(&*store, "app refresh", before(end)).await);
    assert!(!refreshes(&*store, "app refresh", end).await);
    for other in ["app access", "app code", "other refresh"] {
        assert!(!refreshes(&*store, other, NOW).await, "{other}");
    }
}

pub(super) async fn the_last_use_of_a_grant_moves_forward_only(store: Arc<dyn Store>) {
    let grant = let_in(&*store, "app", "app", NOW).await;
    let listed = |now| {
        let store = Arc::clone(&store);
        async move { store.grants(now).await.unwrap()[0].last_used_at }
    };
    assert_eq!(listed(NOW).await, NOW);
    store.touch_grant(grant.id, NOW + 5 * MINUTE).await.unwrap();
    assert_eq!(listed(NOW).await, NOW + 5 * MINUTE);
    // Replicas do not always agree on the time.
    store.touch_grant(grant.id, NOW + MINUTE).await.unwrap();
    assert_eq!(listed(NOW).await, NOW + 5 * MINUTE);

    let later = NOW + 10 * MINUTE;
    let successor = successor(&grant, "next", later);
    let used = digest("app refresh");
    let rotated = store.rotate_refresh_token(&used, successor, later).await;
    assert_eq!(rotated.unwrap(), RefreshOutcome::Rotated);
    assert_eq!(listed(later).await, later);
    let created = store.grants(later).await.unwrap()[0].created_at;
    assert_eq!(created, NOW);
}

pub(super) async fn grants_are_listed_oldest_first_while_a_token_of_theirs_lives(
    store: Arc<dyn Store>,
) {
    assert!(store.grants(NOW).await.unwrap().is_empty());
    let second = let_in(&*store, "second", "second", NOW + MINUTE).await;
    let first = let_in(&*store, "first", "first", NOW).await;
    let third = let_in(&*store, "third", "third", NOW + HOUR).await;
    let listed = store.grants(NOW + HOUR).await.unwrap();
    let all = [first, second, third];
    assert_eq!(format!("{listed:?}"), format!("{all:?}"));

    // The refresh tokens outlive the access tokens, and then they end one after the other.
    let count = |now| {
        let store = Arc::clone(&store);
        async move { store.grants(now).await.unwrap().len() }
    };
    let end = NOW + REFRESH_TTL;
    assert_eq!(count(before(end)).await, 3);
    assert_eq!(count(end).await, 2);
    assert_eq!(count(end + MINUTE).await, 1);
    assert_eq!(count(end + HOUR + INSTANT).await, 0);
}

/// What the client `robot` is issued at `now` on its own authority: the token `{tokens} access`.
fn own_issue(tokens: &str, now: Timestamp) -> Issue {
    let mut issue = issue("robot", tokens, now);
    issue.grant.id = GrantId::of_client(&client_id("robot"));
    issue.grant.user = UserId::of_client(&client_id("robot"));
    issue.access = access_token(&issue.grant, &format!("{tokens} access"), now);
    issue.refresh = None;
    issue
}

pub(super) async fn a_grant_of_a_client_itself_begins_once(store: Arc<dyn Store>) {
    let first = own_issue("1", NOW);
    let grant = first.grant.clone();
    store.issue(first, NOW).await.unwrap();
    let listed = store.grants(NOW).await.unwrap();
    assert_eq!(format!("{listed:?}"), format!("{:?}", [&grant]));

    // A token is as narrow as it was asked for, each on its own.
    let later = NOW + MINUTE;
    let mut second = own_issue("2", later);
    second.access.scopes = ScopeSet::parse("mcp");
    store.issue(second, later).await.unwrap();
    for (token, scopes) in [
        ("1 access", &grant.scopes),
        ("2 access", &ScopeSet::parse("mcp")),
    ] {
        let found = store.access_token(&digest(token), later).await.unwrap();
        let authorization = &found.unwrap().authorization;
        assert_eq!(authorization.grant, grant.id);
        assert_eq!(authorization.owner.user, grant.user);
        assert_eq!(authorization.scopes, *scopes);
    }
    let listed = store.grants(later).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((listed[0].id, listed[0].created_at), (grant.id, NOW));
    assert_eq!(listed[0].last_used_at, later);

    // It lasts as long as the last of its tokens.
    assert!(!opens(&*store, "1 access", NOW + ACCESS_TTL).await);
    assert_eq!(store.grants(NOW + ACCESS_TTL).await.unwrap().len(), 1);
    assert!(!opens(&*store, "2 access", later + ACCESS_TTL).await);
    assert!(store.grants(later + ACCESS_TTL).await.unwrap().is_empty());
}

pub(super) async fn many_tokens_at_once_are_kept_under_one_grant(store: Arc<dyn Store>) {
    at_once(|number| {
        let (store, issue) = (Arc::clone(&store), own_issue(&number.to_string(), NOW));
        async move { store.issue(issue, NOW).await.unwrap() }
    })
    .await;
    let opened = async |number: usize| opens(&*store, &format!("{number} access"), NOW).await;
    for number in 0..MANY {
        assert!(opened(number).await, "{number}");
    }
    let listed = store.grants(NOW).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert!(store.revoke_grant(listed[0].id).await.unwrap());
    for number in 0..MANY {
        assert!(!opened(number).await, "{number}");
    }
}

pub(super) async fn a_grant_of_a_client_itself_begins_anew_after_its_end(store: Arc<dyn Store>) {
    let grant = GrantId::of_client(&client_id("robot"));
    store.issue(own_issue("1", NOW), NOW).await.unwrap();
    assert!(store.revoke_grant(grant).await.unwrap());
    let later = NOW + MINUTE;
    store.issue(own_issue("2", later), later).await.unwrap();
    assert!(!opens(&*store, "1 access", later).await);
    assert!(opens(&*store, "2 access", later).await);
    assert_eq!(store.grants(later).await.unwrap()[0].created_at, later);

    // Whether it has expired or was swept as well.
    let end = later + ACCESS_TTL;
    store.sweep(end).await.unwrap();
    store.issue(own_issue("3", end), end).await.unwrap();
    assert!(opens(&*store, "3 access", end).await);
    assert_eq!(store.grants(end).await.unwrap()[0].created_at, end);
}
