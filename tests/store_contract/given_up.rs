//! Steps that nobody waits for any more, because a client went away: they have happened or not, and
//! what is written after them is written.

use std::time::{Duration, Instant};

use remote_mcp_auth::{
    model::grant::GrantId,
    store::{Clients as _, Grants as _, SqlStore},
};
use tokio::task::yield_now;

use super::{
    LIMITS,
    given::{client, client_id},
};
use crate::support::postgres;

/// Moments at which a step is given up, of which some are in the middle of each of its parts.
const MOMENTS: u32 = 60;

/// How far they lie apart. The runtime's own clock is too coarse.
const APART: Duration = Duration::from_micros(20);

async fn passes(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_written_after_a_step_was_given_up_is_written() {
    let Some(url) = postgres::database().await else {
        return;
    };
    // One connection beside the one that listens, so that it is the same one each time.
    let store = SqlStore::postgres(&url, 2, LIMITS).await.unwrap();
    let other = SqlStore::postgres(&url, 2, LIMITS).await.unwrap();
    for moment in 0..MOMENTS {
        tokio::select! {
            biased;
            revoked = store.revoke_grant(GrantId::mint()) => assert!(!revoked.unwrap()),
            () = passes(moment * APART) => {}
        }
        let name = format!("app {moment}");
        store.insert_client(client(&name)).await.unwrap();
        let seen = other.client(&client_id(&name)).await.unwrap();
        assert!(seen.is_some(), "lost after {:?}", moment * APART);
    }
}
