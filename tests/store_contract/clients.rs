//! Clients: kept as they registered, and bounded in number without hurting anyone who is let in.

use std::sync::Arc;

use remote_mcp_auth::store::Store;

use super::{
    CLIENTS,
    given::{NOW, client, client_id, code_of, digest, let_in},
};

async fn is_known(store: &dyn Store, name: &str) -> bool {
    store.client(&client_id(name)).await.unwrap().is_some()
}

pub(super) async fn a_client_is_found_as_it_was_kept(store: Arc<dyn Store>) {
    let kept = client("app");
    store.insert_client(kept.clone()).await.unwrap();
    let found = store.client(&client_id("app")).await.unwrap().unwrap();
    assert_eq!(format!("{found:?}"), format!("{kept:?}"));
    assert_eq!(found.secret, Some(digest("client secret")));
    assert!(!is_known(&*store, "App").await);
}

pub(super) async fn those_that_nobody_allowed_give_way_oldest_first(store: Arc<dyn Store>) {
    // A code that nobody redeemed completes nothing.
    store
        .insert_code(digest("code"), code_of("1"))
        .await
        .unwrap();
    for number in 1..=CLIENTS + 2 {
        store
            .insert_client(client(&number.to_string()))
            .await
            .unwrap();
    }
    for number in 1..=CLIENTS + 2 {
        let known = is_known(&*store, &number.to_string()).await;
        assert_eq!(known, number > 2, "client {number}");
    }
}

pub(super) async fn a_client_that_was_let_in_once_never_gives_way(store: Arc<dyn Store>) {
    store.insert_client(client("old friend")).await.unwrap();
    store.insert_client(client("stranger")).await.unwrap();
    let_in(&*store, "old friend", "first", NOW).await;

    // It does not take up the strangers' room either.
    for number in 2..=CLIENTS {
        store
            .insert_client(client(&number.to_string()))
            .await
            .unwrap();
    }
    assert!(is_known(&*store, "stranger").await);

    // Not even when its grant is gone: it may keep its identity for ever.
    let grants = store.grants(NOW).await.unwrap();
    store.revoke_grant(grants[0].id).await.unwrap();
    for number in 0..3 * CLIENTS {
        store
            .insert_client(client(&format!("late {number}")))
            .await
            .unwrap();
    }
    assert!(is_known(&*store, "old friend").await);
    assert!(!is_known(&*store, "stranger").await);
}
