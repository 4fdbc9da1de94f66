//! A database that is down or slow: steps fail in time and without an answer, and work again when it is back.

use std::time::{Duration, Instant};

use remote_mcp_auth::{
    model::grant::Revocation,
    store::{Grants as _, SqlStore, Store as _},
};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::time::sleep;

use super::{
    LIMITS,
    given::{NOW, digest, let_in, opens, refreshes},
};
use crate::support::postgres::{self, Postgres};

/// The most that anybody waits for a step.
const BOUND: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_kept_is_there_again_after_an_outage() {
    let Some(mut postgres) = Postgres::start() else {
        return;
    };
    let url = postgres.database().await;
    let store = SqlStore::postgres(&url, 10, LIMITS).await.unwrap();
    let grant = let_in(&store, "app", "app", NOW).await;
    store.is_ready().await.unwrap();
    let mut revocations = store.revocations();

    postgres.stop();
    let begun = Instant::now();
    // Unknown is not an answer: clients would throw their tokens away.
    let token = store.refresh_token(&digest("app refresh"), NOW).await;
    assert!(token.is_err());
    assert!(store.is_ready().await.is_err());
    assert!(store.revoke_grant(grant.id).await.is_err());
    assert!(begun.elapsed() < 3 * BOUND, "{:?}", begun.elapsed());

    postgres.start_again();
    let back = Instant::now();
    while store.is_ready().await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(5));
        sleep(Duration::from_millis(50)).await;
    }
    assert!(opens(&store, "app access", NOW).await);
    assert!(refreshes(&store, "app refresh", NOW).await);
    // Others may have revoked something meanwhile: whoever relies on it has to look.
    while revocations.recv().await != Ok(Revocation::Missed) {}
    assert!(store.revoke_grant(grant.id).await.unwrap());
    assert!(!opens(&store, "app access", NOW).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_long_for_a_database_that_is_slow() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let store = SqlStore::postgres(&url, 2, LIMITS).await.unwrap();
    let grant = let_in(&store, "app", "app", NOW).await;
    let mut busy = PgConnection::connect(&url).await.unwrap();
    let mut busy = busy.begin().await.unwrap();
    let lock = "LOCK TABLE grants, refresh_tokens IN ACCESS EXCLUSIVE MODE";
    busy.execute(lock).await.unwrap();

    let begun = Instant::now();
    let used = digest("app refresh");
    // More of them than there are connections.
    let (read, revoked, others) = tokio::join!(
        store.refresh_token(&used, NOW),
        store.revoke_grant(grant.id),
        async {
            let read = || store.refresh_token(&used, NOW);
            tokio::join!(read(), read(), read(), read())
        }
    );
    assert!(read.is_err() && revoked.is_err());
    assert!(others.0.is_err() && others.3.is_err());
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());

    // What failed has not happened.
    busy.rollback().await.unwrap();
    assert!(refreshes(&store, "app refresh", NOW).await);
    assert!(opens(&store, "app access", NOW).await);
}
