//! The private listener: health, readiness, grants, the server's own keys.

pub mod client;

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    app::App,
    clock::Clock,
    model::{
        grant::{Grant, GrantId},
        resource::is_loopback_host,
    },
    router,
    state::KEYS,
    store::{self, Store, StoreError},
    web::{Json, note, origin},
};

#[derive(Clone)]
struct AdminState {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

/// Everything that the private listener serves.
pub(crate) fn routes(app: &App) -> Router {
    let state = AdminState {
        store: Arc::clone(&app.store),
        clock: Arc::clone(&app.clock),
    };
    let rooms = Router::new()
        .route("/healthz", routing::get(router::healthz))
        .route("/readyz", routing::get(readyz))
        .route("/grants", routing::get(list))
        .route("/grants/{id}", routing::delete(revoke))
        .route("/keys", routing::post(replace_keys))
        .route("/look-again", routing::post(look_again))
        .layer(middleware::from_fn(check_host))
        .with_state(state);
    router::surround(rooms, app.brand.clone())
}

/// A page that gave its own name our address (DNS rebinding) would otherwise read and revoke.
/// Such a page always has a name; probes and people use addresses or loopback names.
async fn check_host(request: Request, next: Next) -> Response {
    let host = origin::requested_host(request.uri(), request.headers()).map(origin::without_port);
    let is_allowed = host.is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        is_loopback_host(host) || bare.parse::<IpAddr>().is_ok()
    });
    if is_allowed {
        return next.run(request).await;
    }
    let body = json!({
        "error": "forbidden",
        "error_description": "use the address of the admin listener, or localhost, as host",
    });
    Json(StatusCode::FORBIDDEN, body).into_response()
}

/// Whether requests can be served, the store included.
async fn readyz(State(admin): State<AdminState>) -> Response {
    match admin.store.is_ready().await {
        Ok(()) => "ready".into_response(),
        Err(error) => unavailable(error),
    }
}

/// The body of `GET /grants`.
#[derive(Debug, Serialize, Deserialize)]
pub struct GrantList {
    /// Every live grant, oldest first.
    pub grants: Vec<GrantEntry>,
}

/// What somebody allowed.
#[derive(Debug, Serialize, Deserialize)]
pub struct GrantEntry {
    /// Names it: `remote-mcp-auth grants revoke ID`.
    pub id: String,
    /// Who allowed it.
    pub user: String,
    /// To which client.
    pub client_id: String,
    /// What that client calls itself.
    pub client_name: String,
    /// What was allowed, space-delimited.
    pub scope: String,
    /// For which resource.
    pub resource: String,
    /// When, in seconds since the Unix epoch.
    pub created_at: u64,
    /// When it was last used, to the minute, in seconds since the Unix epoch.
    pub last_used_at: u64,
}

impl From<Grant> for GrantEntry {
    fn from(grant: Grant) -> Self {
        Self {
            id: grant.id.to_string(),
            user: grant.user.to_string(),
            client_id: grant.client.to_string(),
            client_name: grant.client_name,
            scope: grant.scopes.to_string(),
            resource: grant.resource.to_string(),
            created_at: grant.created_at.as_secs(),
            last_used_at: grant.last_used_at.as_secs(),
        }
    }
}

async fn list(State(admin): State<AdminState>) -> Response {
    match admin.store.grants(admin.clock.now()).await {
        Ok(grants) => {
            let grants = grants.into_iter().map(GrantEntry::from).collect();
            Json(StatusCode::OK, GrantList { grants }).into_response()
        }
        Err(error) => unavailable(error),
    }
}

async fn revoke(State(admin): State<AdminState>, Path(id): Path<String>) -> Response {
    let revoked = match GrantId::parse(&id) {
        Some(id) => admin.store.revoke_grant(id).await,
        None => Ok(false),
    };
    match revoked {
        Ok(true) => {
            tracing::info!(event = "grant_revoked", grant.id = %id, "a grant was revoked");
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(false) => {
            let body = json!({
                "error": "not_found",
                "error_description": "there is no grant of that id",
            });
            Json(StatusCode::NOT_FOUND, body).into_response()
        }
        Err(error) => unavailable(error),
    }
}

/// Replaces the server's own keys. What the old ones have sealed stays good until it has expired.
async fn replace_keys(State(admin): State<AdminState>) -> Response {
    for name in KEYS {
        let replaced = store::replace_key(&*admin.store, name, admin.clock.now());
        if let Err(error) = replaced.await {
            return unavailable(error);
        }
    }
    tracing::info!(
        event = "keys_replaced",
        "the server's own keys were replaced"
    );
    StatusCode::NO_CONTENT.into_response()
}

/// Somebody else has changed what is kept, and could not say so.
async fn look_again(State(admin): State<AdminState>) -> StatusCode {
    admin.store.look_again();
    StatusCode::NO_CONTENT
}

fn unavailable(error: StoreError) -> Response {
    let body = json!({
        "error": "temporarily_unavailable",
        "error_description": "the store cannot be reached",
    });
    let response = Json(StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    note::unavailable(response, error)
}
