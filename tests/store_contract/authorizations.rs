//! Requests that wait for a person, and what people are not asked again.

use std::sync::Arc;

use remote_mcp_auth::{
    model::{redirect_uri::RedirectUri, scope::ScopeSet, user::UserId},
    store::{Consent, Store},
};

use super::{
    PENDING,
    given::{INSTANT, MANY, NOW, at_once, before, client_id, consent_to, digest, pending},
};

/// Whether `browser` finds the request.
async fn finds(store: &dyn Store, request: &str, browser: &str) -> bool {
    let found = store.pending(&digest(request), &digest(browser), NOW).await;
    found.unwrap().is_some()
}

async fn keep(store: &dyn Store, request: &str, browser: Option<&str>) {
    let kept = store.insert_pending(digest(request), pending(browser));
    kept.await.unwrap();
}

pub(super) async fn a_request_is_found_by_the_browser_that_brought_it_and_by_no_other(
    store: Arc<dyn Store>,
) {
    keep(&*store, "request", Some("browser")).await;
    assert!(!finds(&*store, "request", "other").await);
    assert!(!finds(&*store, "other", "browser").await);
    let (request, browser) = (digest("request"), digest("browser"));
    let found = store
        .pending(&request, &browser, NOW)
        .await
        .unwrap()
        .unwrap();
    let kept = pending(Some("browser"));
    assert_eq!(format!("{found:?}"), format!("{kept:?}"));

    let stolen = store.take_pending(&request, &digest("other"), NOW).await;
    assert!(stolen.unwrap().is_none());
    let taken = store.take_pending(&request, &browser, NOW).await.unwrap();
    assert_eq!(taken.unwrap().state, kept.state);
    assert!(!finds(&*store, "request", "browser").await);
}

pub(super) async fn a_request_without_a_browser_is_bound_once(store: Arc<dyn Store>) {
    keep(&*store, "request", None).await;
    assert!(finds(&*store, "request", "first").await);
    assert!(!finds(&*store, "request", "second").await);
    assert!(finds(&*store, "request", "first").await);

    // The first of many at once, too, and it stays the first.
    keep(&*store, "contested", None).await;
    let found = at_once(|number| {
        let store = Arc::clone(&store);
        async move { finds(&*store, "contested", &number.to_string()).await }
    })
    .await;
    let bound: Vec<usize> = found.iter().filter(|f| f.1).map(|f| f.0).collect();
    assert_eq!(bound.len(), 1, "{bound:?}");
    assert!(finds(&*store, "contested", &bound[0].to_string()).await);
}

pub(super) async fn a_request_is_taken_by_exactly_one_of_many(store: Arc<dyn Store>) {
    keep(&*store, "request", Some("browser")).await;
    let taken = at_once(|_| {
        let store = Arc::clone(&store);
        async move {
            let (id, browser) = (digest("request"), digest("browser"));
            let taken = store.take_pending(&id, &browser, NOW).await;
            taken.unwrap().is_some()
        }
    })
    .await;
    assert_eq!(taken.iter().filter(|(_, taken)| *taken).count(), 1);
    assert!(!finds(&*store, "request", "browser").await);
}

pub(super) async fn a_request_expires_at_the_exact_moment(store: Arc<dyn Store>) {
    let mut request = pending(Some("browser"));
    request.expires_at = NOW + INSTANT;
    let (id, browser) = (digest("request"), digest("browser"));
    store.insert_pending(id, request).await.unwrap();
    assert!(finds(&*store, "request", "browser").await);
    let later = NOW + INSTANT;
    assert!(store.pending(&id, &browser, later).await.unwrap().is_none());
    let taken = store.take_pending(&id, &browser, later).await;
    assert!(taken.unwrap().is_none());
}

pub(super) async fn the_oldest_request_gives_way_at_the_cap(store: Arc<dyn Store>) {
    for number in 0..=PENDING {
        keep(&*store, &number.to_string(), Some("browser")).await;
    }
    for number in 0..=PENDING {
        let found = finds(&*store, &number.to_string(), "browser").await;
        assert_eq!(found, number > 0, "request {number}");
    }
}

async fn push(store: &dyn Store, request: &str) {
    let pushed = store.insert_pushed(digest(request), pending(None)).await;
    pushed.unwrap();
}

async fn is_pushed(store: &dyn Store, request: &str) -> bool {
    let found = store.pushed(&digest(request), NOW).await;
    found.unwrap().is_some()
}

pub(super) async fn a_pushed_request_is_found_until_the_exact_moment_of_its_expiry(
    store: Arc<dyn Store>,
) {
    push(&*store, "request").await;
    assert!(!is_pushed(&*store, "other").await);
    let (id, end) = (digest("request"), pending(None).expires_at);
    // However often it is brought: it is bound to nobody by that, and not used up.
    for now in [NOW, NOW, before(end)] {
        let found = store.pushed(&id, now).await.unwrap().unwrap();
        assert_eq!(format!("{found:?}"), format!("{:?}", pending(None)));
    }
    assert!(store.pushed(&id, end).await.unwrap().is_none());
}

pub(super) async fn the_oldest_pushed_request_gives_way_at_the_cap(store: Arc<dyn Store>) {
    for number in 0..=PENDING {
        push(&*store, &number.to_string()).await;
    }
    for number in 0..=PENDING {
        let found = is_pushed(&*store, &number.to_string()).await;
        assert_eq!(found, number > 0, "request {number}");
    }
}

pub(super) async fn what_was_pushed_and_what_waits_are_told_apart(store: Arc<dyn Store>) {
    push(&*store, "pushed").await;
    keep(&*store, "waiting", None).await;
    assert!(!is_pushed(&*store, "waiting").await);
    assert!(!finds(&*store, "pushed", "browser").await);
    let (id, browser) = (digest("pushed"), digest("browser"));
    let taken = store.take_pending(&id, &browser, NOW).await.unwrap();
    assert!(taken.is_none());

    // The one does not drive out the other.
    for number in 0..2 * PENDING {
        push(&*store, &number.to_string()).await;
    }
    assert!(finds(&*store, "waiting", "browser").await);
    push(&*store, "pushed").await;
    for number in 0..2 * PENDING {
        keep(&*store, &number.to_string(), None).await;
    }
    assert!(is_pushed(&*store, "pushed").await);
}

pub(super) async fn consent_is_remembered_exactly(store: Arc<dyn Store>) {
    let consent = consent_to("app");
    assert!(!store.is_consent_remembered(&consent).await.unwrap());
    for _ in 0..MANY {
        store.remember_consent(consent.clone()).await.unwrap();
    }
    assert!(store.is_consent_remembered(&consent).await.unwrap());

    let other_uri = RedirectUri::parse("https://client.example/callback/", &[]).unwrap();
    for other in [
        Consent {
            user: UserId::new("guest"),
            ..consent.clone()
        },
        Consent {
            client: client_id("other"),
            ..consent.clone()
        },
        Consent {
            redirect_uri: other_uri,
            ..consent.clone()
        },
        Consent {
            scopes: ScopeSet::parse("mcp"),
            ..consent.clone()
        },
        Consent {
            scopes: ScopeSet::parse("mcp offline_access more"),
            ..consent.clone()
        },
    ] {
        let remembered = store.is_consent_remembered(&other).await.unwrap();
        assert!(!remembered, "{other:?}");
    }
    // In whatever order a client names them.
    let same = Consent {
        scopes: ScopeSet::parse("offline_access mcp"),
        ..consent
    };
    assert!(store.is_consent_remembered(&same).await.unwrap());
}
