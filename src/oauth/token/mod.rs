//! The token endpoint (OAuth 2.1 §3.2).

mod answer;
mod authorization_code;
mod refresh_token;

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};

use answer::TokenAnswer;

use super::{OAuthState, client_auth, error::OAuthError, form};
use crate::{
    clock::Timestamp,
    model::{
        client::{Client, GrantType},
        grant::{Authorization, Grant},
        scope::ScopeSet,
    },
    secret::AccessToken,
    store::NewAccessToken,
    web::{note, params::Params},
};

/// Where clients get tokens.
pub(super) const PATH: &str = "/token";

/// Exchanges a grant for tokens.
pub(super) async fn post(State(oauth): State<OAuthState>, request: Request) -> Response {
    let headers = request.headers().clone();
    let params = match form::read(request).await {
        Ok(params) => params,
        Err(error) => return error.into_response(),
    };
    let claim = match client_auth::identify(&oauth, &headers, &params).await {
        Ok(claim) => claim,
        Err(error) => return error.into_response(),
    };
    let answer = match claim.prove() {
        Ok(client) => exchange(&oauth, client, &params).await,
        Err(error) => Err(error),
    };
    note::from_client(answer.into_response(), claim.client.id.shared())
}

async fn exchange(
    oauth: &OAuthState,
    client: &Client,
    params: &Params,
) -> Result<TokenAnswer, OAuthError> {
    match grant_type(params)? {
        GrantType::AuthorizationCode => authorization_code::redeem(oauth, client, params).await,
        GrantType::RefreshToken => {
            let answer = refresh_token::refresh(oauth, client, params).await?;
            Ok(answer.into())
        }
    }
}

fn grant_type(params: &Params) -> Result<GrantType, OAuthError> {
    let name = required(params, "grant_type")?;
    GrantType::ALL
        .into_iter()
        .find(|grant| grant.as_str() == name)
        .ok_or(OAuthError::UnsupportedGrantType)
}

/// An access token for some scopes of a grant, and what the store is to keep of it.
fn mint_access_token(
    oauth: &OAuthState,
    grant: &Grant,
    scopes: ScopeSet,
    now: Timestamp,
) -> (AccessToken, NewAccessToken) {
    let token = AccessToken::mint();
    let kept = NewAccessToken {
        digest: token.digest(),
        authorization: Authorization {
            user: grant.user.clone(),
            client: grant.client.clone(),
            grant: grant.id,
            scopes,
            resource: Arc::clone(&grant.resource),
            expires_at: now + oauth.lifetimes.access_token,
        },
    };
    (token, kept)
}

fn required<'a>(params: &'a Params, name: &'static str) -> Result<&'a str, OAuthError> {
    params
        .text(name)?
        .ok_or_else(|| OAuthError::InvalidRequest(format!("{name} is missing")))
}

/// RFC 8707 §2.2: only what was authorized, which is the one resource here. Absent means that.
fn check_resource(oauth: &OAuthState, params: &Params) -> Result<(), OAuthError> {
    let ours = |resource: Cow<'_, str>| oauth.public_url.is_resource(&resource);
    if params.all("resource").all(ours) {
        Ok(())
    } else {
        let resource = oauth.public_url.resource().to_string();
        Err(OAuthError::InvalidTarget(resource))
    }
}
