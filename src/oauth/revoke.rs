//! Token revocation (RFC 7009). A refresh token ends the whole grant; an access token ends alone.

use std::borrow::Cow;

use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{OAuthState, client_auth, error::OAuthError, form};
use crate::{
    model::client::Client,
    secret::Digest,
    web::{NoStore, client_address::Connection, note, params::Params},
};

/// Where clients give tokens back.
pub(super) const PATH: &str = "/revoke";

/// RFC 7009 §2.1: the request is refused.
const NOT_THEIRS: OAuthError =
    OAuthError::InvalidGrant(Cow::Borrowed("the token belongs to another client"));

/// Ends a token.
pub(super) async fn post(
    State(oauth): State<OAuthState>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Result<Response, OAuthError> {
    let headers = request.headers().clone();
    let answering = async {
        let params = form::read(request).await?;
        let client = client_auth::authenticated(&oauth, &headers, &params).await?;
        revoke(&oauth, &client, &params).await?;
        let response = NoStore(StatusCode::OK).into_response();
        Ok(note::from_client(response, || client.id.shared()))
    };
    oauth
        .counting_refusals(connection, &headers, answering)
        .await
}

/// A hint about the kind of token is not needed: it is one of two, or none.
async fn revoke(oauth: &OAuthState, client: &Client, params: &Params) -> Result<(), OAuthError> {
    let token = Digest::of(form::required(params, "token")?);
    let now = oauth.clock.now();
    if let Some(stored) = oauth.store.refresh_token(&token, now).await? {
        let grant = stored.grant;
        if grant.client != client.id {
            return Err(NOT_THEIRS);
        }
        oauth.store.revoke_grant(grant.id).await?;
        tracing::info!(event = "grant_revoked", client.id = %client.id, grant.id = %grant.id, "a client gave its grant back");
    } else if let Some(stored) = oauth.store.access_token(&token, now).await? {
        if stored.authorization.owner.client != client.id {
            return Err(NOT_THEIRS);
        }
        oauth.store.revoke_access_token(&token).await?;
    }
    // RFC 7009 §2.2: an unknown token is not an error.
    Ok(())
}
