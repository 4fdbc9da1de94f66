//! Several processes with one database: exactly one of all their callers is the first, and what one
//! of them revokes ends on the others.

use std::{sync::Arc, time::Duration};

use remote_mcp_auth::{
    clock::Timestamp,
    model::grant::Revocation,
    store::{KEY_OPENS_FOR, Redemption, RefreshOutcome, SqlStore, Store},
};
use tempfile::TempDir;
use tokio::time::timeout;

use super::{
    LIMITS,
    given::{
        MANY, MINUTE, NOW, answer, at_once, before, client, client_id, code_of, digest, issue,
        let_in, opens, pending, successor,
    },
};
use crate::support::postgres;

/// Two processes, as far as a store can tell.
type Pair = [Arc<dyn Store>; 2];

async fn on_sqlite() -> (Pair, TempDir) {
    let home = TempDir::new().unwrap();
    let path = home.path().join("state.db");
    // At once, as replicas start.
    let (one, other) = tokio::join!(
        SqlStore::sqlite(&path, LIMITS),
        SqlStore::sqlite(&path, LIMITS)
    );
    ([Arc::new(one.unwrap()), Arc::new(other.unwrap())], home)
}

async fn on_postgres() -> Option<Pair> {
    let url = postgres::database().await?;
    let (one, other) = tokio::join!(
        SqlStore::postgres(&url, 10, LIMITS),
        SqlStore::postgres(&url, 10, LIMITS)
    );
    Some([Arc::new(one.unwrap()), Arc::new(other.unwrap())])
}

/// Many callers at once, half of them at each process: how many were told so.
async fn told<F>(pair: &Pair, call: impl Fn(Arc<dyn Store>, usize) -> F + Send + Sync) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    let told = at_once(|number| call(Arc::clone(&pair[number % 2]), number)).await;
    told.iter().filter(|(_, told)| *told).count()
}

async fn exactly_one_is_first(pair: Pair) {
    let store = &pair[0];
    store.insert_client(client("app")).await.unwrap();
    let grant = let_in(&**store, "app", "app", NOW).await;

    let code = digest("code");
    store.insert_code(code, code_of("app")).await.unwrap();
    let redeemed = told(&pair, move |store, number| async move {
        let issue = issue("app", &format!("code {number}"), NOW);
        let redeemed = store.redeem_code(&code, issue, NOW).await.unwrap();
        assert_ne!(redeemed, Redemption::Unknown);
        redeemed == Redemption::Redeemed
    });
    assert_eq!(redeemed.await, 1);

    let rotated = told(&pair, |store, number| {
        let successor = successor(&grant, &number.to_string(), NOW);
        async move {
            let used = digest("app refresh");
            let outcome = store.rotate_refresh_token(&used, successor, NOW).await;
            let outcome = outcome.unwrap();
            let known = matches!(
                outcome,
                RefreshOutcome::Rotated | RefreshOutcome::Repeated(_)
            );
            assert!(known, "{outcome:?}");
            outcome == RefreshOutcome::Rotated
        }
    });
    assert_eq!(rotated.await, 1);

    let first = told(&pair, |store, _| async move {
        let used = store.first_use(digest("proof"), NOW + Duration::from_mins(1), NOW);
        used.await.unwrap()
    });
    assert_eq!(first.await, 1);

    let request = (digest("request"), digest("browser"));
    let kept = store.insert_pending(request.0, pending(None));
    kept.await.unwrap();
    let taken = told(&pair, move |store, _| async move {
        let taken = store.take_pending(&request.0, &request.1, NOW).await;
        taken.unwrap().is_some()
    });
    assert_eq!(taken.await, 1);

    let removed = told(&pair, |store, _| async move {
        let managed_with = digest("registration token");
        let removed = store.remove_client(&client_id("app"), &managed_with).await;
        removed.unwrap()
    });
    assert_eq!(removed.await, 1);
    for store in &pair {
        assert!(store.grants(NOW).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_one_of_all_callers_is_first_on_sqlite() {
    let (pair, _home) = on_sqlite().await;
    exactly_one_is_first(pair).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_one_of_all_callers_is_first_on_postgres() {
    if let Some(pair) = on_postgres().await {
        exactly_one_is_first(pair).await;
    }
}

async fn all_have_the_same_keys(pair: Pair) {
    let keys = at_once(|number| {
        let store = Arc::clone(&pair[number % 2]);
        async move { store.keys("states", NOW).await.unwrap() }
    });
    let keys = keys.await;
    let first = *keys[0].1[0].key.expose();
    for (_, keys) in &keys {
        assert_eq!((keys.len(), *keys[0].key.expose()), (1, first));
    }
    let other = pair[0].keys("others", NOW).await.unwrap();
    assert_ne!(*other[0].key.expose(), first);
    assert_eq!(keys.len(), MANY);

    // Of all who want the next one, one makes it, and it lies before the others.
    at_once(|number| {
        let store = Arc::clone(&pair[number % 2]);
        async move { store.add_key("states", 1, NOW + MINUTE).await.unwrap() }
    })
    .await;
    for store in &pair {
        let keys = store.keys("states", NOW).await.unwrap();
        let dates: Vec<(u64, Timestamp)> = keys
            .iter()
            .map(|key| (key.generation, key.made_at))
            .collect();
        assert_eq!(dates, [(1, NOW + MINUTE), (0, NOW)]);
        assert_eq!(*keys[1].key.expose(), first);
    }
    // The old one goes some time after it was replaced.
    let replaced = NOW + MINUTE + KEY_OPENS_FOR;
    for (now, left) in [(before(replaced), 2), (replaced, 1)] {
        pair[0].sweep(now).await.unwrap();
        let keys = pair[1].keys("states", NOW).await.unwrap();
        assert_eq!(keys.len(), left);
    }
}

#[tokio::test]
async fn all_have_the_same_keys_on_sqlite() {
    let (pair, _home) = on_sqlite().await;
    all_have_the_same_keys(pair).await;
}

#[tokio::test]
async fn all_have_the_same_keys_on_postgres() {
    if let Some(pair) = on_postgres().await {
        all_have_the_same_keys(pair).await;
    }
}

#[tokio::test]
async fn a_revocation_counts_on_the_other_replica_within_a_second() {
    let Some([one, other]) = on_postgres().await else {
        return;
    };
    let first = let_in(&*one, "app", "first", NOW).await;
    let second = let_in(&*one, "app", "second", NOW).await;
    for tokens in ["first access", "second access"] {
        assert!(opens(&*other, tokens, NOW).await);
    }
    let mut revocations = other.revocations();
    let mut heard = async || timeout(Duration::from_secs(1), revocations.recv()).await;
    assert!(one.revoke_grant(first.id).await.unwrap());
    assert_eq!(heard().await.unwrap(), Ok(Revocation::Grant(first.id)));
    assert!(!opens(&*other, "first access", NOW).await);
    assert!(opens(&*other, "second access", NOW).await);

    let token = digest("second access");
    assert!(one.revoke_access_token(&token).await.unwrap());
    assert_eq!(heard().await.unwrap(), Ok(Revocation::AccessToken(token)));
    assert!(!opens(&*other, "second access", NOW).await);
    // By reuse of a refresh token as well.
    let refresh = digest("second refresh");
    for (tokens, now) in [("third", NOW), ("thief", NOW + Duration::from_hours(1))] {
        let successor = successor(&second, tokens, now);
        let used = one.rotate_refresh_token(&refresh, successor, now).await;
        used.unwrap();
    }
    assert_eq!(heard().await.unwrap(), Ok(Revocation::Grant(second.id)));
}

/// The bound that the README names.
const BOUND: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_revocation_that_nobody_hears_of_counts_within_the_bound() {
    // Processes do not hear of each other there.
    let ([one, other], _home) = on_sqlite().await;
    let grant = let_in(&*one, "app", "app", NOW).await;
    assert!(opens(&*other, "app access", NOW).await);
    assert!(one.revoke_grant(grant.id).await.unwrap());
    assert!(!opens(&*one, "app access", NOW).await);
    assert!(!opens(&*other, "app access", NOW + BOUND).await);
}

#[tokio::test]
async fn what_one_replica_did_the_other_knows() {
    let Some([one, other]) = on_postgres().await else {
        return;
    };
    let grant = let_in(&*one, "app", "1", NOW).await;
    let rotate = |store: Arc<dyn Store>, tokens| {
        let next = successor(&grant, tokens, NOW);
        async move {
            let used = digest("1 refresh");
            let outcome = store.rotate_refresh_token(&used, next, NOW).await;
            outcome.unwrap()
        }
    };
    assert_eq!(rotate(one, "2").await, RefreshOutcome::Rotated);
    let again = rotate(Arc::clone(&other), "fork").await;
    assert_eq!(again, RefreshOutcome::Repeated(answer("2")));
    assert!(opens(&*other, "2 access", NOW).await);
}
