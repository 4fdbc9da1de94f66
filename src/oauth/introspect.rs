//! Token introspection (RFC 7662).

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;

use super::{
    OAuthState,
    client_auth::{self, Caller},
    error::OAuthError,
    form,
    token::token_type,
};
use crate::{
    clock::Timestamp,
    jose::Thumbprint,
    model::{
        client::ClientId,
        grant::{Authorization, StoredRefreshToken},
    },
    secret::Digest,
    store::StoreError,
    web::{Json, NoStore, client_address::Connection, note},
};

/// Where tokens are asked about.
pub(super) const PATH: &str = "/introspect";

/// What is said of a token that is good (RFC 7662 §2.2).
#[derive(Serialize)]
struct GoodToken<'a> {
    active: bool,
    scope: String,
    client_id: &'a str,
    username: &'a str,
    sub: &'a str,
    /// Of an access token; refresh tokens have no type (RFC 6749 §5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    iss: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    /// The key that it is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    /// What the token belongs to, and ends with.
    grant_id: String,
}

/// RFC 9449 §6.2.
#[derive(Serialize)]
struct Confirmation {
    jkt: Thumbprint,
}

/// A token that is good.
enum Found {
    Access(Arc<Authorization>),
    Refresh(StoredRefreshToken),
}

/// Tells what a token is good for, to whoever may know.
pub(super) async fn post(
    State(oauth): State<OAuthState>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Result<Response, OAuthError> {
    let headers = request.headers().clone();
    let answering = answer(&oauth, &headers, request);
    oauth
        .counting_refusals(connection, &headers, answering)
        .await
}

async fn answer(
    oauth: &OAuthState,
    headers: &HeaderMap,
    request: Request,
) -> Result<Response, OAuthError> {
    let params = form::read(request).await?;
    let caller = client_auth::caller(oauth, headers, &params).await?;
    let token = Digest::of(form::required(&params, "token")?);
    let found = find(oauth, &token).await?;
    let body = match found.filter(|found| may_know(&caller, found)) {
        Some(found) => Json(StatusCode::OK, found.describe(oauth)).into_response(),
        // RFC 7662 §2.2: of any other token nothing is said, not even why.
        None => Json(StatusCode::OK, json!({ "active": false })).into_response(),
    };
    let response = NoStore(body).into_response();
    Ok(note::from_client(response, || caller.name()))
}

async fn find(oauth: &OAuthState, token: &Digest) -> Result<Option<Found>, StoreError> {
    let now = oauth.clock.now();
    if let Some(stored) = oauth.store.access_token(token, now).await? {
        let authorization = Arc::clone(&stored.authorization);
        return Ok(Some(Found::Access(authorization)));
    }
    let refresh = oauth.store.refresh_token(token, now).await?;
    let unused = refresh.filter(|stored| stored.rotation.is_none());
    Ok(unused.map(Found::Refresh))
}

/// A client knows its own tokens, a resource server the access tokens that it is to accept.
fn may_know(caller: &Caller, found: &Found) -> bool {
    match (caller, found) {
        (Caller::Client(client), found) => *found.client() == client.id,
        (Caller::ResourceServer(server), Found::Access(access)) => {
            *access.resource == *server.audience
        }
        (Caller::ResourceServer(_), Found::Refresh(_)) => false,
    }
}

impl Found {
    fn client(&self) -> &ClientId {
        match self {
            Self::Access(access) => &access.owner.client,
            Self::Refresh(refresh) => &refresh.grant.client,
        }
    }

    fn describe<'a>(&'a self, oauth: &'a OAuthState) -> GoodToken<'a> {
        let seconds = Timestamp::as_secs;
        match self {
            Self::Access(access) => GoodToken {
                active: true,
                scope: access.scopes.to_string(),
                client_id: access.owner.client.as_str(),
                username: access.owner.user.as_str(),
                sub: access.owner.user.as_str(),
                token_type: Some(token_type(access.jkt)),
                iss: oauth.public_url.origin(),
                aud: &access.resource,
                iat: seconds(access.issued_at),
                exp: seconds(access.expires_at),
                cnf: access.jkt.map(|jkt| Confirmation { jkt }),
                grant_id: access.grant.to_string(),
            },
            Self::Refresh(refresh) => GoodToken {
                active: true,
                scope: refresh.grant.scopes.to_string(),
                client_id: refresh.grant.client.as_str(),
                username: refresh.grant.user.as_str(),
                sub: refresh.grant.user.as_str(),
                token_type: None,
                iss: oauth.public_url.origin(),
                aud: &refresh.grant.resource,
                iat: seconds(refresh.issued_at),
                exp: seconds(refresh.expires_at),
                cnf: refresh.grant.jkt.map(|jkt| Confirmation { jkt }),
                grant_id: refresh.grant.id.to_string(),
            },
        }
    }
}
