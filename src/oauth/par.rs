//! Pushed authorization requests (RFC 9126): the client sends the parameters itself, and the browser
//! brings nothing but their name.

use std::time::Duration;

use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    OAuthState,
    authorize::{self, AuthorizeError},
    client_auth,
    dpop::Possession,
    error::OAuthError,
    form,
};
use crate::{
    model::authorization::PendingAuthorization,
    secret::PendingId,
    web::{Json, NoStore, client_address::Connection, note},
};

/// Where clients push.
pub(super) const PATH: &str = "/par";

/// What names of pushed requests begin with (RFC 9126 §2.2).
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// How long the browser has to bring the name.
const LIFETIME: Duration = Duration::from_secs(90);

#[derive(Serialize)]
struct PushedResponse {
    request_uri: String,
    expires_in: u64,
}

/// Checks a request whole and keeps it.
pub(super) async fn post(
    State(oauth): State<OAuthState>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Result<Response, OAuthError> {
    let headers = request.headers().clone();
    oauth
        .take_turn(
            oauth.throttles.authorization.as_deref(),
            connection,
            &headers,
        )
        .map_err(OAuthError::TooManyRequests)?;
    let params = form::read(request).await?;
    let client = client_auth::authenticated(&oauth, &headers, &params).await?;
    // RFC 9126 §2.1: a pushed request cannot refer to another.
    if params.text("request_uri")?.is_some() {
        let problem = "request_uri must not be pushed".to_owned();
        return Err(OAuthError::InvalidRequest(problem));
    }
    let checked = authorize::check(&oauth, &client, &params).map_err(refused)?;
    // RFC 9449 §10.1: a proof says the same as dpop_jkt.
    let possession = Possession::read(&oauth, &headers, PATH)?;
    if possession.jkt().is_some() {
        possession.check(checked.dpop_jkt)?;
    }
    let now = oauth.clock.now();
    possession.use_up(&oauth, &client, now).await?;
    let id = PendingId::mint();
    let pushed = PendingAuthorization {
        dpop_jkt: checked.dpop_jkt.or(possession.jkt()),
        expires_at: now + LIFETIME,
        ..checked
    };
    oauth.store.insert_pushed(id.digest(), pushed).await?;
    let body = PushedResponse {
        request_uri: format!("{PREFIX}{}", id.expose()),
        expires_in: LIFETIME.as_secs(),
    };
    let response = NoStore(Json(StatusCode::CREATED, body)).into_response();
    Ok(note::from_client(response, || client.id.shared()))
}

/// The name within a `request_uri` of ours.
pub(super) fn id_of(request_uri: &str) -> Option<PendingId> {
    request_uri.strip_prefix(PREFIX).map(PendingId::presented)
}

/// What a browser would have been told is told the client (RFC 9126 §2.3).
fn refused(error: AuthorizeError) -> OAuthError {
    match error {
        AuthorizeError::ShowToUser(problem) => OAuthError::InvalidRequest(problem.message),
        AuthorizeError::RedirectToClient(_, reply) => OAuthError::Authorization(reply),
        AuthorizeError::TooManyRequests(wait) => OAuthError::TooManyRequests(wait),
        AuthorizeError::Unavailable(error) => OAuthError::Unavailable(error),
    }
}
