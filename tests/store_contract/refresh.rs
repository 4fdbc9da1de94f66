//! Refresh tokens: rotation is compare-and-swap, and the same token yields the same answer again
//! for a while.

use std::sync::Arc;

use remote_mcp_auth::{
    clock::Timestamp,
    model::grant::{Grant, Revocation, SealedAnswer},
    store::{RefreshOutcome, Store},
};

use super::given::{
    ACCESS_TTL, GRACE, HOUR, INSTANT, MINUTE, NOW, REFRESH_TTL, access_token, answer, at_once,
    consent_to, digest, let_in, opens, refreshes, successor,
};

/// Uses the refresh token `{from} refresh` for the tokens of `to`.
async fn rotate(
    store: &dyn Store,
    grant: &Grant,
    (from, to): (&str, &str),
    now: Timestamp,
) -> RefreshOutcome {
    let token = digest(&format!("{from} refresh"));
    let rotated = store.rotate_refresh_token(&token, successor(grant, to, now), now);
    rotated.await.unwrap()
}

pub(super) async fn a_refresh_token_is_replaced_by_its_successor(store: Arc<dyn Store>) {
    let grant = let_in(&*store, "app", "1", NOW).await;
    let now = NOW + 30 * MINUTE;
    let told = rotate(&*store, &grant, ("1", "2"), now).await;
    assert_eq!(told, RefreshOutcome::Rotated);

    let used = store
        .refresh_token(&digest("1 refresh"), now)
        .await
        .unwrap();
    let rotation = used.unwrap().rotation.unwrap();
    assert_eq!(rotation.answer, answer("2"));
    assert_eq!(rotation.repeatable_until, now + GRACE);
    let next = store
        .refresh_token(&digest("2 refresh"), now)
        .await
        .unwrap();
    let next = next.unwrap();
    assert_eq!(next.predecessor, Some(digest("1 refresh")));
    assert_eq!(next.grant.id, grant.id);
    assert_eq!(next.issued_at, now);
    assert_eq!(next.expires_at, now + REFRESH_TTL);
    assert!(next.rotation.is_none());
    // Calls that are under way with the old access token go on.
    assert!(opens(&*store, "1 access", now).await);
    assert!(opens(&*store, "2 access", now).await);

    // Whoever keeps using it stays connected.
    let later = NOW + REFRESH_TTL + HOUR / 4;
    assert!(!refreshes(&*store, "1 refresh", later).await);
    let told = rotate(&*store, &grant, ("2", "3"), later).await;
    assert_eq!(told, RefreshOutcome::Rotated);
    assert_eq!(store.grants(later).await.unwrap().len(), 1);
}

pub(super) async fn a_refresh_token_is_rotated_by_exactly_one_of_many(store: Arc<dyn Store>) {
    let grant = let_in(&*store, "app", "first", NOW).await;
    let told = at_once(|number| {
        let (store, grant) = (Arc::clone(&store), grant.clone());
        async move { rotate(&*store, &grant, ("first", &number.to_string()), NOW).await }
    })
    .await;

    let first = |told: &&(usize, RefreshOutcome)| told.1 == RefreshOutcome::Rotated;
    let winners: Vec<usize> = told.iter().filter(first).map(|told| told.0).collect();
    assert_eq!(winners.len(), 1, "{told:?}");
    let same = RefreshOutcome::Repeated(answer(&winners[0].to_string()));
    for (number, outcome) in &told {
        let is_winner = winners.contains(number);
        assert!(is_winner || *outcome == same, "{number}: {outcome:?}");
        // Nothing forks.
        let (access, refresh) = (format!("{number} access"), format!("{number} refresh"));
        assert_eq!(opens(&*store, &access, NOW).await, is_winner);
        assert_eq!(refreshes(&*store, &refresh, NOW).await, is_winner);
    }
}

pub(super) async fn the_answer_is_repeated_to_the_end_of_the_grace_window(store: Arc<dyn Store>) {
    let grant = let_in(&*store, "app", "1", NOW).await;
    rotate(&*store, &grant, ("1", "2"), NOW).await;
    // That its successor has been used meanwhile changes nothing.
    rotate(&*store, &grant, ("2", "3"), NOW + MINUTE).await;
    for now in [NOW, NOW + MINUTE, NOW + GRACE] {
        store.sweep(now).await.unwrap();
        let told = rotate(&*store, &grant, ("1", "fork"), now).await;
        assert_eq!(told, RefreshOutcome::Repeated(answer("2")), "{now:?}");
    }
    assert!(!refreshes(&*store, "fork refresh", NOW).await);
    assert!(refreshes(&*store, "3 refresh", NOW + GRACE).await);
}

pub(super) async fn reuse_after_the_grace_window_revokes_everything(store: Arc<dyn Store>) {
    let grant = let_in(&*store, "app", "1", NOW).await;
    let other = let_in(&*store, "other", "other", NOW).await;
    for client in ["app", "other"] {
        store.remember_consent(consent_to(client)).await.unwrap();
    }
    let mut revocations = store.revocations();
    rotate(&*store, &grant, ("1", "2"), NOW).await;
    rotate(&*store, &grant, ("2", "3"), NOW).await;
    let now = NOW + GRACE + INSTANT;
    store.sweep(now).await.unwrap();

    let told = rotate(&*store, &grant, ("1", "thief"), now).await;
    assert_eq!(told, RefreshOutcome::Reused(grant.id));
    assert_eq!(revocations.try_recv().unwrap(), Revocation::Grant(grant.id));
    for tokens in ["1", "2", "3", "thief"] {
        assert!(!opens(&*store, &format!("{tokens} access"), now).await);
        assert!(!refreshes(&*store, &format!("{tokens} refresh"), now).await);
    }
    let listed = store.grants(now).await.unwrap();
    assert!(listed.len() == 1 && listed[0].id == other.id, "{listed:?}");
    let remembered = async |client| {
        store
            .is_consent_remembered(&consent_to(client))
            .await
            .unwrap()
    };
    assert!(!remembered("app").await);
    assert!(remembered("other").await);

    // There is nothing left to revoke, or to announce.
    let told = rotate(&*store, &grant, ("1", "thief"), now).await;
    assert_eq!(told, RefreshOutcome::Unknown);
    assert!(revocations.try_recv().is_err());
    assert!(opens(&*store, "other access", now).await);
}

pub(super) async fn a_refresh_token_that_is_unknown_or_expired_yields_nothing(
    store: Arc<dyn Store>,
) {
    let grant = let_in(&*store, "app", "app", NOW).await;
    for (from, now) in [("other", NOW), ("app", NOW + REFRESH_TTL)] {
        let told = rotate(&*store, &grant, (from, "next"), now).await;
        assert_eq!(told, RefreshOutcome::Unknown);
        assert!(!opens(&*store, "next access", now).await);
        assert!(!refreshes(&*store, "next refresh", now).await);
    }
    assert!(opens(&*store, "app access", NOW).await);
}

/// Replaces the answer of `1 refresh`, whose access token has expired, by one with the access token
/// `{to} access`.
async fn replace(
    store: &dyn Store,
    grant: &Grant,
    (previous, to): (&SealedAnswer, &str),
    now: Timestamp,
) -> bool {
    let access = access_token(grant, &format!("{to} access"), now);
    let token = digest("1 refresh");
    let replaced = store.replace_answer(&token, previous, answer(to), access, now);
    replaced.await.unwrap()
}

pub(super) async fn the_answer_is_replaced_by_exactly_one_of_many(store: Arc<dyn Store>) {
    let grant = let_in(&*store, "app", "1", NOW).await;
    rotate(&*store, &grant, ("1", "2"), NOW).await;
    let now = NOW + MINUTE;
    let told = at_once(|number| {
        let (store, grant) = (Arc::clone(&store), grant.clone());
        let change = format!("again {number}");
        async move { replace(&*store, &grant, (&answer("2"), &change), now).await }
    })
    .await;

    let winners: Vec<usize> = told.iter().filter(|t| t.1).map(|t| t.0).collect();
    assert_eq!(winners.len(), 1, "{told:?}");
    for (number, is_winner) in &told {
        let access = format!("again {number} access");
        assert_eq!(opens(&*store, &access, now).await, *is_winner);
    }
    let told = rotate(&*store, &grant, ("1", "fork"), now).await;
    let same = answer(&format!("again {}", winners[0]));
    assert_eq!(told, RefreshOutcome::Repeated(same));
    // It is a token like any other.
    let access = format!("again {} access", winners[0]);
    assert!(opens(&*store, &access, NOW + ACCESS_TTL).await);
    assert!(!opens(&*store, &access, now + ACCESS_TTL).await);
    store.revoke_grant(grant.id).await.unwrap();
    assert!(!opens(&*store, &access, now).await);
}

pub(super) async fn only_the_answer_that_was_read_is_replaced(store: Arc<dyn Store>) {
    let grant = let_in(&*store, "app", "1", NOW).await;
    // It has not been used: there is no answer.
    assert!(!replace(&*store, &grant, (&answer("2"), "early"), NOW).await);
    rotate(&*store, &grant, ("1", "2"), NOW).await;
    assert!(!replace(&*store, &grant, (&answer("other"), "wrong"), NOW).await);
    assert!(replace(&*store, &grant, (&answer("2"), "right"), NOW).await);
    assert!(!replace(&*store, &grant, (&answer("2"), "late"), NOW).await);
    store.revoke_grant(grant.id).await.unwrap();
    assert!(!replace(&*store, &grant, (&answer("right"), "dead"), NOW).await);
    for refused in ["early", "wrong", "right", "late", "dead"] {
        assert!(
            !opens(&*store, &format!("{refused} access"), NOW).await,
            "{refused}"
        );
    }
}
