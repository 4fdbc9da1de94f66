//! The sweep: what has expired goes, and nothing else. Asking for an earlier moment shows whether
//! something is gone or merely hidden.

use std::{sync::Arc, time::Duration};

use remote_mcp_auth::{
    clock::Timestamp,
    model::{
        authorization::{CodeGrant, PendingAuthorization},
        mcp_session::McpSession,
        user::{BrowserSession, UserId},
    },
    store::{RefreshOutcome, SessionOwner, Store},
};

use super::{
    MCP_SESSIONS_PER_OWNER, PENDING,
    given::{
        GRACE, HOUR, INSTANT, MINUTE, NOW, REFRESH_TTL, client, client_id, code_of, consent_to,
        digest, let_in, opens, pending, refreshes, successor,
    },
    sessions::version,
};

const YEAR: Duration = Duration::from_hours(365 * 24);

fn owner() -> SessionOwner {
    SessionOwner {
        user: UserId::owner(),
        client: client_id("app"),
    }
}

/// One thing of each kind that lasts until `end`, by the name of `name`.
async fn keep_until(store: &dyn Store, name: &str, end: Timestamp) {
    let request = PendingAuthorization {
        expires_at: end,
        ..pending(Some("browser"))
    };
    let pushed = store.insert_pushed(digest(name), request.clone());
    pushed.await.unwrap();
    store.insert_pending(digest(name), request).await.unwrap();
    let code = CodeGrant {
        expires_at: end,
        ..code_of("app")
    };
    store.insert_code(digest(name), code).await.unwrap();
    let signed_in = BrowserSession {
        user: UserId::owner(),
        authenticated_at: NOW,
        expires_at: end,
    };
    let kept = store.insert_browser_session(digest(name), signed_in);
    kept.await.unwrap();
    let session = McpSession {
        protocol_version: version(),
        client_capabilities: 0,
        log_level: None,
        expires_at: end,
    };
    let (owner, id) = (owner(), digest(name));
    let kept = store.insert_mcp_session(&owner, id, session);
    kept.await.unwrap();
}

/// Which of the things by that name are there at `now`: requests, code, browser and MCP session.
async fn kept(store: &dyn Store, name: &str, now: Timestamp) -> [bool; 5] {
    let (id, browser) = (digest(name), digest("browser"));
    [
        store.pushed(&id, now).await.unwrap().is_some(),
        store.pending(&id, &browser, now).await.unwrap().is_some(),
        store.code(&id, now).await.unwrap().is_some(),
        store.browser_session(&id, now).await.unwrap().is_some(),
        store
            .mcp_session(&owner(), &id, now, INSTANT)
            .await
            .unwrap()
            .is_some(),
    ]
}

pub(super) async fn a_sweep_removes_what_has_expired(store: Arc<dyn Store>) {
    let end = NOW + MINUTE;
    keep_until(&*store, "brief", end).await;
    keep_until(&*store, "long", NOW + HOUR).await;
    assert_eq!(kept(&*store, "brief", NOW).await, [true; 5]);
    for _ in 0..2 {
        store.sweep(end).await.unwrap();
        assert_eq!(kept(&*store, "brief", NOW).await, [false; 5]);
        assert_eq!(kept(&*store, "long", end).await, [true; 5]);
    }

    // Tokens go one by one, and the grant with the last of them.
    let_in(&*store, "app", "app", NOW).await;
    store.sweep(NOW + HOUR).await.unwrap();
    assert!(!opens(&*store, "app access", NOW).await);
    assert!(refreshes(&*store, "app refresh", NOW).await);
    assert_eq!(store.grants(NOW).await.unwrap().len(), 1);
    store.sweep(NOW + REFRESH_TTL).await.unwrap();
    assert!(!refreshes(&*store, "app refresh", NOW).await);
    assert!(store.grants(NOW).await.unwrap().is_empty());
}

pub(super) async fn a_sweep_removes_nothing_else(store: Arc<dyn Store>) {
    store.insert_client(client("nobody's")).await.unwrap();
    store.remember_consent(consent_to("app")).await.unwrap();
    let now = NOW + YEAR;
    let grant = let_in(&*store, "app", "1", now).await;
    let (token, next) = (digest("1 refresh"), successor(&grant, "2", now));
    store.rotate_refresh_token(&token, next, now).await.unwrap();
    let mut revocations = store.revocations();

    let later = now + GRACE + INSTANT;
    store.sweep(later).await.unwrap();
    // Clients go by the cap and never by age: some never register again.
    let id = client_id("nobody's");
    assert!(store.client(&id).await.unwrap().is_some());
    let consent = consent_to("app");
    assert!(store.is_consent_remembered(&consent).await.unwrap());
    assert!(opens(&*store, "1 access", later).await);
    assert!(opens(&*store, "2 access", later).await);
    assert!(refreshes(&*store, "2 refresh", later).await);
    assert_eq!(store.grants(later).await.unwrap()[0].id, grant.id);
    assert!(revocations.try_recv().is_err());
    // A token that was used stays known for as long as it would have lasted, to recognise reuse.
    let next = successor(&grant, "3", later);
    let told = store.rotate_refresh_token(&token, next, later).await;
    assert_eq!(told.unwrap(), RefreshOutcome::Reused(grant.id));
}

pub(super) async fn a_sweep_makes_room(store: Arc<dyn Store>) {
    let end = NOW + MINUTE;
    let many = PENDING.min(MCP_SESSIONS_PER_OWNER);
    for number in 0..many {
        keep_until(&*store, &format!("brief {number}"), end).await;
    }
    store.sweep(end).await.unwrap();
    for number in 0..many {
        keep_until(&*store, &format!("long {number}"), NOW + HOUR).await;
    }
    for number in 0..many {
        let name = format!("long {number}");
        assert_eq!(kept(&*store, &name, end).await, [true; 5], "{name}");
    }
}

pub(super) async fn an_engine_is_ready(store: Arc<dyn Store>) {
    store.is_ready().await.unwrap();
    store.sweep(NOW).await.unwrap();
    store.is_ready().await.unwrap();
}
