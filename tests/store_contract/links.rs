//! What identity providers gave for people.

use std::{sync::Arc, time::Duration};

use remote_mcp_auth::{
    model::{
        provider::{Link, SealedTokens},
        user::UserId,
    },
    store::{KEY_OPENS_FOR, LINK_KEYS, Store},
};

use super::given::{MINUTE, NOW, at_once, before};

fn ada() -> UserId {
    UserId::of_issuer("https://idp.example", "ada")
}

fn sealed(text: &str, key: u64) -> SealedTokens {
    SealedTokens {
        key,
        bytes: text.as_bytes().into(),
    }
}

async fn keep(store: &dyn Store, text: &str) {
    let user = ada();
    let kept = store.keep_link(&user, "idp", sealed(text, 0));
    kept.await.unwrap();
}

async fn found(store: &dyn Store) -> Option<Link> {
    store.link(&ada(), "idp").await.unwrap()
}

pub(super) async fn a_link_is_found_as_it_was_kept(store: Arc<dyn Store>) {
    assert_eq!(found(&*store).await, None);
    for (version, text) in ["one", "two"].into_iter().enumerate() {
        keep(&*store, text).await;
        let link = found(&*store).await.unwrap();
        assert_eq!(link.version, version as u64);
        assert_eq!(link.sealed, sealed(text, 0));
        assert_eq!(link.claimed_until, None);
    }
    let others = UserId::of_issuer("https://idp.example", "other");
    assert_eq!(store.link(&others, "idp").await.unwrap(), None);
    assert_eq!(store.link(&ada(), "other").await.unwrap(), None);
}

pub(super) async fn a_link_is_claimed_by_exactly_one_of_many(store: Arc<dyn Store>) {
    keep(&*store, "one").await;
    let told = at_once(|_| {
        let store = Arc::clone(&store);
        async move {
            let user = ada();
            let claimed = store.claim_link(&user, "idp", 0, NOW + MINUTE, NOW);
            claimed.await.unwrap()
        }
    })
    .await;
    assert_eq!(told.iter().filter(|(_, claimed)| *claimed).count(), 1);
}

pub(super) async fn a_claim_ends_with_its_time_or_with_the_link(store: Arc<dyn Store>) {
    let user = ada();
    let claim = async |version, now| {
        let claimed = store.claim_link(&user, "idp", version, NOW + MINUTE, now);
        claimed.await.unwrap()
    };
    keep(&*store, "one").await;
    assert!(!claim(1, NOW).await);
    assert!(claim(0, NOW).await);
    assert!(!claim(0, before(NOW + MINUTE)).await);
    assert!(claim(0, NOW + MINUTE).await);
    // It is given back …
    assert!(store.replace_link(&user, "idp", 0, None).await.unwrap());
    assert!(claim(0, NOW).await);
    // … or nothing is left of it, because the person signed in anew.
    keep(&*store, "two").await;
    assert!(!claim(0, NOW).await);
    assert!(claim(1, NOW).await);
}

pub(super) async fn a_link_is_replaced_and_ended_by_whoever_has_seen_it(store: Arc<dyn Store>) {
    let user = ada();
    let replace = async |version, text| {
        let replaced = store.replace_link(&user, "idp", version, Some(sealed(text, 0)));
        replaced.await.unwrap()
    };
    let end = async |version| store.end_link(&user, "idp", version).await.unwrap();
    assert!(!replace(0, "nothing").await);
    keep(&*store, "one").await;
    assert!(replace(0, "two").await);
    assert!(!replace(0, "too late").await);
    let link = found(&*store).await.unwrap();
    assert_eq!((link.version, link.sealed), (1, sealed("two", 0)));
    assert!(!end(0).await);
    assert!(end(1).await);
    assert!(!end(1).await);
    assert_eq!(found(&*store).await, None);
}

pub(super) async fn keys_stay_as_long_as_a_link_needs_them(store: Arc<dyn Store>) {
    let generations = async |name| {
        let keys = store.keys(name, NOW).await.unwrap();
        let generations = keys.iter().map(|key| key.generation);
        generations.collect::<Vec<u64>>()
    };
    for name in [LINK_KEYS, "others"] {
        assert_eq!(generations(name).await, [0]);
        store.add_key(name, 1, NOW).await.unwrap();
    }
    keep(&*store, "sealed with the first").await;
    let later = NOW + KEY_OPENS_FOR + Duration::from_secs(1);
    store.sweep(later).await.unwrap();
    assert_eq!(generations("others").await, [1]);
    assert_eq!(generations(LINK_KEYS).await, [1, 0]);

    let user = ada();
    let anew = store.keep_link(&user, "idp", sealed("sealed with the second", 1));
    anew.await.unwrap();
    store.sweep(later + Duration::from_hours(1)).await.unwrap();
    assert_eq!(generations(LINK_KEYS).await, [1]);
}
