//! Revocation: everything under a grant ends at once, and nothing beside it does.

use std::sync::Arc;

use remote_mcp_auth::{
    model::{
        grant::{GrantId, Revocation},
        scope::ScopeSet,
        user::UserId,
    },
    store::{Consent, RefreshOutcome, Store},
};

use super::given::{
    NOW, at_once, client_id, consent_to, digest, let_in, opens, refreshes, successor,
};

async fn remembers(store: &dyn Store, consent: &Consent) -> bool {
    store.is_consent_remembered(consent).await.unwrap()
}

pub(super) async fn revoking_ends_everything_under_the_grant(store: Arc<dyn Store>) {
    let grant = let_in(&*store, "app", "1", NOW).await;
    let refresh = digest("1 refresh");
    let rotated = store.rotate_refresh_token(&refresh, successor(&grant, "2", NOW), NOW);
    assert_eq!(rotated.await.unwrap(), RefreshOutcome::Rotated);
    let narrower = Consent {
        scopes: ScopeSet::parse("mcp"),
        ..consent_to("app")
    };
    for consent in [&narrower, &consent_to("app")] {
        store.remember_consent(consent.clone()).await.unwrap();
    }

    assert!(store.revoke_grant(grant.id).await.unwrap());
    for tokens in ["1", "2"] {
        assert!(!opens(&*store, &format!("{tokens} access"), NOW).await);
        assert!(!refreshes(&*store, &format!("{tokens} refresh"), NOW).await);
    }
    assert!(!remembers(&*store, &narrower).await);
    assert!(!remembers(&*store, &consent_to("app")).await);
    assert!(store.grants(NOW).await.unwrap().is_empty());
    let rotated = store.rotate_refresh_token(&refresh, successor(&grant, "3", NOW), NOW);
    assert_eq!(rotated.await.unwrap(), RefreshOutcome::Unknown);
    assert!(!opens(&*store, "3 access", NOW).await);

    assert!(!store.revoke_grant(grant.id).await.unwrap());
    assert!(!store.revoke_grant(GrantId::mint()).await.unwrap());
    // A use that was under way does not bring it back.
    store.touch_grant(grant.id, NOW).await.unwrap();
    assert!(store.grants(NOW).await.unwrap().is_empty());
}

pub(super) async fn revoking_leaves_other_grants_alone(store: Arc<dyn Store>) {
    let grant = let_in(&*store, "app", "app", NOW).await;
    let_in(&*store, "app", "again", NOW).await;
    let_in(&*store, "other", "other", NOW).await;
    let others = [
        consent_to("other"),
        Consent {
            user: UserId::new("guest"),
            client: client_id("app"),
            ..consent_to("app")
        },
    ];
    for consent in &others {
        store.remember_consent(consent.clone()).await.unwrap();
    }

    assert!(store.revoke_grant(grant.id).await.unwrap());
    for tokens in ["again", "other"] {
        assert!(opens(&*store, &format!("{tokens} access"), NOW).await);
        assert!(refreshes(&*store, &format!("{tokens} refresh"), NOW).await);
    }
    for consent in &others {
        assert!(remembers(&*store, consent).await, "{consent:?}");
    }
    assert_eq!(store.grants(NOW).await.unwrap().len(), 2);
}

pub(super) async fn a_grant_is_revoked_by_exactly_one_of_many(store: Arc<dyn Store>) {
    let grant = let_in(&*store, "app", "app", NOW).await;
    let mut revocations = store.revocations();
    let told = at_once(|_| {
        let store = Arc::clone(&store);
        async move { store.revoke_grant(grant.id).await.unwrap() }
    })
    .await;
    assert_eq!(told.iter().filter(|(_, revoked)| *revoked).count(), 1);
    assert_eq!(revocations.try_recv().unwrap(), Revocation::Grant(grant.id));
    assert!(revocations.try_recv().is_err());
}

pub(super) async fn a_revocation_is_announced_to_those_who_listen(store: Arc<dyn Store>) {
    let first = let_in(&*store, "app", "first", NOW).await;
    let second = let_in(&*store, "app", "second", NOW).await;
    // Nobody need be listening.
    assert!(store.revoke_grant(first.id).await.unwrap());
    let mut listeners = [store.revocations(), store.revocations()];
    assert!(store.revoke_grant(second.id).await.unwrap());
    for listener in &mut listeners {
        // From now on: the first one is history.
        assert_eq!(listener.recv().await.unwrap(), Revocation::Grant(second.id));
        assert!(listener.try_recv().is_err());
    }
}

pub(super) async fn an_access_token_is_revoked_alone(store: Arc<dyn Store>) {
    let grant = let_in(&*store, "app", "1", NOW).await;
    let refresh = digest("1 refresh");
    let rotated = store.rotate_refresh_token(&refresh, successor(&grant, "2", NOW), NOW);
    assert_eq!(rotated.await.unwrap(), RefreshOutcome::Rotated);
    store.remember_consent(consent_to("app")).await.unwrap();
    let mut revocations = store.revocations();

    let token = digest("1 access");
    assert!(store.revoke_access_token(&token).await.unwrap());
    assert!(!opens(&*store, "1 access", NOW).await);
    let announced = revocations.try_recv().unwrap();
    assert_eq!(announced, Revocation::AccessToken(token));
    assert!(opens(&*store, "2 access", NOW).await);
    assert!(refreshes(&*store, "2 refresh", NOW).await);
    assert!(remembers(&*store, &consent_to("app")).await);
    assert_eq!(store.grants(NOW).await.unwrap().len(), 1);

    // Nothing else is one, and nothing is announced of what is none.
    for other in ["1 access", "2 refresh", "1 code", "other access"] {
        let revoked = store.revoke_access_token(&digest(other)).await;
        assert!(!revoked.unwrap(), "{other}");
    }
    assert!(revocations.try_recv().is_err());
    assert!(refreshes(&*store, "2 refresh", NOW).await);
    // The grant ends with what is left of it.
    assert!(store.revoke_grant(grant.id).await.unwrap());
    assert!(!opens(&*store, "2 access", NOW).await);
}

pub(super) async fn an_access_token_is_revoked_by_exactly_one_of_many(store: Arc<dyn Store>) {
    let_in(&*store, "app", "app", NOW).await;
    let token = digest("app access");
    let mut revocations = store.revocations();
    let told = at_once(|_| {
        let store = Arc::clone(&store);
        async move { store.revoke_access_token(&token).await.unwrap() }
    })
    .await;
    assert_eq!(told.iter().filter(|(_, revoked)| *revoked).count(), 1);
    let announced = revocations.try_recv().unwrap();
    assert_eq!(announced, Revocation::AccessToken(token));
    assert!(revocations.try_recv().is_err());
}
