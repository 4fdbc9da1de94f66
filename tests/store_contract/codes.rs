//! Authorization codes: single use is a step of the store.

use std::sync::Arc;

use remote_mcp_auth::store::{Issue, Redemption, Store};

use super::given::{
    CODE_TTL, HOUR, NOW, at_once, before, client, code_of, digest, issue, let_in, opens, refreshes,
};

pub(super) async fn a_code_is_found_until_the_exact_moment_of_its_expiry(store: Arc<dyn Store>) {
    let (code, kept) = (digest("code"), code_of("app"));
    store.insert_code(code, kept.clone()).await.unwrap();
    let found = store.code(&code, NOW).await.unwrap().unwrap();
    assert_eq!(format!("{:?}", found.code), format!("{kept:?}"));
    assert_eq!(found.redeemed, None);
    assert!(store.code(&digest("other"), NOW).await.unwrap().is_none());

    let end = kept.expires_at;
    assert!(store.code(&code, before(end)).await.unwrap().is_some());
    assert!(store.code(&code, end).await.unwrap().is_none());
}

pub(super) async fn a_code_is_redeemed_by_exactly_one_of_many(store: Arc<dyn Store>) {
    store.insert_client(client("app")).await.unwrap();
    let code = digest("code");
    store.insert_code(code, code_of("app")).await.unwrap();
    let told = at_once(|number| {
        let store = Arc::clone(&store);
        async move {
            let issue = issue("app", &number.to_string(), NOW);
            let grant = issue.grant.id;
            (grant, store.redeem_code(&code, issue, NOW).await.unwrap())
        }
    })
    .await;

    let first = |told: &&(usize, (_, Redemption))| told.1.1 == Redemption::Redeemed;
    let winners: Vec<_> = told.iter().filter(first).collect();
    assert_eq!(winners.len(), 1);
    let (winner, (grant, _)) = winners[0];
    for (number, (_, redemption)) in &told {
        let is_winner = number == winner;
        if !is_winner {
            assert_eq!(*redemption, Redemption::AlreadyRedeemed(*grant));
        }
        let (access, refresh) = (format!("{number} access"), format!("{number} refresh"));
        assert_eq!(opens(&*store, &access, NOW).await, is_winner);
        assert_eq!(refreshes(&*store, &refresh, NOW).await, is_winner);
    }
    let listed = store.grants(NOW).await.unwrap();
    assert!(listed.len() == 1 && listed[0].id == *grant, "{listed:?}");
    let stored = store.code(&code, NOW).await.unwrap().unwrap();
    assert_eq!(stored.redeemed, Some(*grant));
}

pub(super) async fn a_code_that_is_unknown_or_expired_begins_nothing(store: Arc<dyn Store>) {
    let code = digest("code");
    store.insert_code(code, code_of("app")).await.unwrap();
    for (code, now) in [(digest("other"), NOW), (code, NOW + CODE_TTL)] {
        let redeemed = store
            .redeem_code(&code, issue("app", "app", now), now)
            .await;
        assert_eq!(redeemed.unwrap(), Redemption::Unknown);
        assert!(!opens(&*store, "app access", now).await);
        assert!(store.grants(now).await.unwrap().is_empty());
    }
}

pub(super) async fn a_redeemed_code_is_recognised_after_its_expiry(store: Arc<dyn Store>) {
    let grant = let_in(&*store, "app", "app", NOW).await;
    // Long enough for whoever stole it.
    let later = NOW + CODE_TTL + HOUR / 2;
    store.sweep(later).await.unwrap();
    let code = digest("app code");
    let stored = store.code(&code, later).await.unwrap().unwrap();
    assert_eq!(stored.redeemed, Some(grant.id));
    let again = issue("app", "thief", later);
    let told = store.redeem_code(&code, again, later).await.unwrap();
    assert_eq!(told, Redemption::AlreadyRedeemed(grant.id));
    assert!(!opens(&*store, "thief access", later).await);
}

pub(super) async fn a_grant_may_begin_without_a_refresh_token(store: Arc<dyn Store>) {
    let code = digest("code");
    store.insert_code(code, code_of("app")).await.unwrap();
    let issue = Issue {
        refresh: None,
        ..issue("app", "app", NOW)
    };
    let redeemed = store.redeem_code(&code, issue, NOW).await.unwrap();
    assert_eq!(redeemed, Redemption::Redeemed);
    assert!(opens(&*store, "app access", NOW).await);
    assert_eq!(store.grants(NOW).await.unwrap().len(), 1);
    // It ends with its only token.
    assert!(store.grants(NOW + HOUR).await.unwrap().is_empty());
}
