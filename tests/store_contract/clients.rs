//! Clients: kept as they registered, and bounded in number without hurting anyone who is let in.

use std::sync::Arc;

use remote_mcp_auth::{
    model::{
        client::{Client, DocumentCopy},
        grant::Revocation,
        user::UserId,
    },
    store::{Consent, Redemption, RefreshOutcome, Store},
};

use super::{
    CLIENTS,
    given::{
        HOUR, MANY, NOW, at_once, client, client_id, code_of, consent_to, digest, issue, let_in,
        opens, refreshes, successor, updated,
    },
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

/// The token that [`client`] registers with.
const TOKEN: &str = "registration token";

async fn replace(store: &dyn Store, token: &str, client: Client) -> bool {
    let replaced = store.update_client(&digest(token), client).await;
    replaced.unwrap()
}

async fn remove(store: &dyn Store, name: &str, token: &str) -> bool {
    let removed = store.remove_client(&client_id(name), &digest(token)).await;
    removed.unwrap()
}

pub(super) async fn a_document_is_kept_instead_of_the_one_before(store: Arc<dyn Store>) {
    let copy = |name: &str, client_name: &str, until| {
        let mut client = updated(name, client_name);
        client.registration_token = None;
        client.document = Some(DocumentCopy { fresh_until: until });
        client
    };
    let shown = async |name: &str| {
        let found = store.client(&client_id(name)).await.unwrap();
        format!("{found:?}")
    };
    for until in [NOW, NOW + HOUR] {
        let kept = copy("app", &format!("{until:?}"), until);
        store.keep_document(kept.clone()).await.unwrap();
        assert_eq!(shown("app").await, format!("{:?}", Some(kept)));
    }
    // It takes up one place, as one that registered does …
    for number in 2..=CLIENTS {
        store
            .insert_client(client(&number.to_string()))
            .await
            .unwrap();
    }
    assert!(is_known(&*store, "app").await);
    store
        .keep_document(copy("late", "late", NOW))
        .await
        .unwrap();
    assert!(!is_known(&*store, "app").await);
    // … and none once a person has let it in, whatever it says from then on.
    let_in(&*store, "late", "late", NOW).await;
    store.keep_document(copy("late", "new", NOW)).await.unwrap();
    for number in 0..3 * CLIENTS {
        let name = format!("later {number}");
        store.keep_document(copy(&name, &name, NOW)).await.unwrap();
    }
    assert!(is_known(&*store, "late").await);
    assert!(opens(&*store, "late access", NOW).await);
}

pub(super) async fn a_client_is_replaced_by_whoever_holds_its_registration_token(
    store: Arc<dyn Store>,
) {
    for name in ["app", "other"] {
        store.insert_client(client(name)).await.unwrap();
    }
    let shown = async |name: &str| {
        let found = store.client(&client_id(name)).await.unwrap();
        format!("{found:?}")
    };
    let before = shown("app").await;
    for wrong in ["", "Registration token", "client secret", "second"] {
        assert!(!replace(&*store, wrong, updated("app", "second")).await);
    }
    assert!(!replace(&*store, TOKEN, updated("nobody", "second")).await);
    assert!(!is_known(&*store, "nobody").await);
    assert_eq!(shown("app").await, before);

    let second = updated("app", "second");
    assert!(replace(&*store, TOKEN, second.clone()).await);
    assert_eq!(shown("app").await, format!("{:?}", Some(second)));
    assert_eq!(shown("other").await, format!("{:?}", Some(client("other"))));
    // From then on the other token counts, and the first one does not.
    assert!(!replace(&*store, TOKEN, updated("app", "third")).await);
    assert!(replace(&*store, "second", updated("app", "third")).await);
}

pub(super) async fn a_client_is_replaced_by_exactly_one_of_many(store: Arc<dyn Store>) {
    store.insert_client(client("app")).await.unwrap();
    let told = at_once(|number| {
        let store = Arc::clone(&store);
        let next = updated("app", &number.to_string());
        async move { replace(&*store, TOKEN, next).await }
    })
    .await;

    let winners: Vec<usize> = told.iter().filter(|t| t.1).map(|t| t.0).collect();
    assert_eq!(winners.len(), 1, "{told:?}");
    let kept = store.client(&client_id("app")).await.unwrap();
    let winner = updated("app", &winners[0].to_string());
    assert_eq!(format!("{kept:?}"), format!("{:?}", Some(winner)));
}

pub(super) async fn a_client_that_is_replaced_keeps_its_place(store: Arc<dyn Store>) {
    for name in ["old friend", "1"] {
        store.insert_client(client(name)).await.unwrap();
    }
    let_in(&*store, "old friend", "first", NOW).await;
    assert!(replace(&*store, TOKEN, updated("old friend", "second")).await);
    // Whoever updates is no newcomer …
    for number in 2..=CLIENTS {
        let name = number.to_string();
        store.insert_client(client(&name)).await.unwrap();
        assert!(replace(&*store, TOKEN, updated("1", TOKEN)).await);
    }
    store.insert_client(client("late")).await.unwrap();
    assert!(!is_known(&*store, "1").await);
    // … and whom a person has let in is no stranger.
    for number in 0..3 * CLIENTS {
        let name = format!("later {number}");
        store.insert_client(client(&name)).await.unwrap();
    }
    assert!(is_known(&*store, "old friend").await);
    assert!(opens(&*store, "first access", NOW).await);
    assert!(refreshes(&*store, "first refresh", NOW).await);
}

pub(super) async fn a_client_that_did_not_register_is_managed_by_nobody(store: Arc<dyn Store>) {
    let kept = Client {
        registration_token: None,
        ..client("app")
    };
    store.insert_client(kept).await.unwrap();
    for token in ["", TOKEN, "client secret"] {
        assert!(!replace(&*store, token, updated("app", "second")).await);
        assert!(!remove(&*store, "app", token).await);
    }
    assert!(is_known(&*store, "app").await);
}

pub(super) async fn a_client_is_removed_with_everything_under_it(store: Arc<dyn Store>) {
    for name in ["app", "other"] {
        store.insert_client(client(name)).await.unwrap();
        let waiting = digest(&format!("{name} waiting"));
        store.insert_code(waiting, code_of(name)).await.unwrap();
    }
    let first = let_in(&*store, "app", "1", NOW).await;
    let second = let_in(&*store, "app", "2", NOW).await;
    let other = let_in(&*store, "other", "other", NOW).await;
    let refresh = digest("1 refresh");
    let rotated = store.rotate_refresh_token(&refresh, successor(&first, "3", NOW), NOW);
    assert_eq!(rotated.await.unwrap(), RefreshOutcome::Rotated);
    let of_somebody_else = Consent {
        user: UserId::new("guest"),
        ..consent_to("app")
    };
    let consents = [&consent_to("app"), &of_somebody_else, &consent_to("other")];
    for consent in consents {
        store.remember_consent(consent.clone()).await.unwrap();
    }
    let mut revocations = store.revocations();

    assert!(!remove(&*store, "app", "wrong").await);
    assert!(!remove(&*store, "nobody", TOKEN).await);
    assert!(opens(&*store, "1 access", NOW).await);
    assert!(revocations.try_recv().is_err());
    assert!(remove(&*store, "app", TOKEN).await);

    assert!(!is_known(&*store, "app").await);
    for tokens in ["1", "2", "3"] {
        assert!(!opens(&*store, &format!("{tokens} access"), NOW).await);
        assert!(!refreshes(&*store, &format!("{tokens} refresh"), NOW).await);
    }
    for code in ["app waiting", "1 code", "2 code"] {
        let found = store.code(&digest(code), NOW).await.unwrap();
        assert!(found.is_none(), "{code}");
    }
    let mut announced: Vec<_> = std::iter::from_fn(|| revocations.try_recv().ok()).collect();
    announced.sort_by_key(|revocation| format!("{revocation:?}"));
    let mut ended = [first.id, second.id].map(Revocation::Grant);
    ended.sort_by_key(|revocation| format!("{revocation:?}"));
    assert_eq!(announced, ended);
    // Whoever registers again has to ask again.
    for consent in consents {
        let remembered = store.is_consent_remembered(consent).await.unwrap();
        assert_eq!(remembered, consent.client == other.client, "{consent:?}");
    }
    // And nothing else.
    assert!(is_known(&*store, "other").await);
    assert!(opens(&*store, "other access", NOW).await);
    assert!(refreshes(&*store, "other refresh", NOW).await);
    let found = store.code(&digest("other waiting"), NOW).await.unwrap();
    assert!(found.is_some());
    let listed = store.grants(NOW).await.unwrap();
    assert!(listed.len() == 1 && listed[0].id == other.id, "{listed:?}");
    assert!(!remove(&*store, "app", TOKEN).await);
}

pub(super) async fn a_client_is_removed_by_exactly_one_of_many(store: Arc<dyn Store>) {
    store.insert_client(client("app")).await.unwrap();
    let grant = let_in(&*store, "app", "app", NOW).await;
    let mut revocations = store.revocations();
    let told = at_once(|_| {
        let store = Arc::clone(&store);
        async move { remove(&*store, "app", TOKEN).await }
    })
    .await;
    assert_eq!(told.iter().filter(|(_, removed)| *removed).count(), 1);
    assert_eq!(revocations.try_recv().unwrap(), Revocation::Grant(grant.id));
    assert!(revocations.try_recv().is_err());
    assert!(!is_known(&*store, "app").await);
}

pub(super) async fn nothing_begins_under_a_client_that_is_removed(store: Arc<dyn Store>) {
    store.insert_client(client("app")).await.unwrap();
    let grant = let_in(&*store, "app", "app", NOW).await;
    let code = |number: usize| digest(&format!("code {number}"));
    for number in 0..MANY {
        store
            .insert_code(code(number), code_of("app"))
            .await
            .unwrap();
    }
    // One removes it, and the others are about to begin or to go on.
    at_once(|number| {
        let (store, grant) = (Arc::clone(&store), grant.clone());
        let tokens = number.to_string();
        async move {
            if number == 25 {
                assert!(remove(&*store, "app", TOKEN).await);
            } else if number % 2 == 0 {
                let issue = issue("app", &tokens, NOW);
                let redeemed = store.redeem_code(&code(number), issue, NOW).await;
                let told = redeemed.unwrap();
                assert!(matches!(told, Redemption::Redeemed | Redemption::Unknown));
            } else {
                let successor = successor(&grant, &tokens, NOW);
                let used = digest("app refresh");
                let rotated = store.rotate_refresh_token(&used, successor, NOW).await;
                rotated.unwrap();
            }
        }
    })
    .await;
    assert!(store.grants(NOW).await.unwrap().is_empty());
    for number in 0..MANY {
        assert!(!opens(&*store, &format!("{number} access"), NOW).await);
        assert!(!refreshes(&*store, &format!("{number} refresh"), NOW).await);
    }
}

pub(super) async fn a_client_that_is_removed_makes_room(store: Arc<dyn Store>) {
    for number in 1..=CLIENTS {
        let name = number.to_string();
        store.insert_client(client(&name)).await.unwrap();
    }
    assert!(remove(&*store, "2", TOKEN).await);
    store.insert_client(client("new")).await.unwrap();
    for name in ["1", "3", "new"] {
        assert!(is_known(&*store, name).await, "{name}");
    }
    // The oldest is next, and the place of the one that went is nobody's.
    store.insert_client(client("newer")).await.unwrap();
    for (name, known) in [("1", false), ("3", true), ("new", true), ("newer", true)] {
        assert_eq!(is_known(&*store, name).await, known, "{name}");
    }
    // One that was let in took up none.
    let_in(&*store, "new", "new", NOW).await;
    assert!(remove(&*store, "new", TOKEN).await);
    store.insert_client(client("newest")).await.unwrap();
    for name in ["3", "newer", "newest"] {
        assert!(is_known(&*store, name).await, "{name}");
    }
}
