//! The token endpoint (OAuth 2.1 §3.2).

mod answer;
mod authorization_code;
mod client_credentials;
mod jwt_bearer;
mod refresh_token;

use std::{borrow::Cow, sync::Arc};

use axum::{
    Extension,
    extract::{Request, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use answer::TokenAnswer;
pub(super) use answer::token_type;

use super::{
    OAuthState,
    client_auth::{self, Sender},
    dpop::Possession,
    error::OAuthError,
    form::{self, required},
};
use crate::{
    clock::Timestamp,
    jose::Thumbprint,
    model::{
        client_metadata::GrantType,
        grant::{Authorization, Grant, Origin},
        scope::ScopeSet,
    },
    secret::AccessToken,
    web::{client_address::Connection, device, note, params::Params},
};

/// Where clients get tokens.
pub(super) const PATH: &str = "/token";

/// Exchanges a grant for tokens.
pub(super) async fn post(
    State(oauth): State<OAuthState>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Result<Response, OAuthError> {
    let headers = request.headers().clone();
    // Only what is refused counts. Hosted clients come from a few addresses on behalf of many people.
    let turn = oauth
        .take_turn(oauth.throttles.token.as_deref(), connection, &headers)
        .map_err(OAuthError::TooManyRequests)?;
    let params = form::read(request).await?;
    let claim = client_auth::identify(&oauth, &headers, &params).await?;
    let answer = match claim.prove(&oauth).await {
        Ok(sender) => {
            let origin = Origin {
                address: Some(oauth.proxies.client_address(connection.peer.ip(), &headers)),
                device: device::of(&headers),
            };
            exchange(&oauth, sender, &origin, &headers, &params).await
        }
        Err(error) => Err(error),
    };
    if answer.is_ok() {
        turn.give_back(&oauth);
    }
    Ok(note::from_client(answer.into_response(), || {
        claim.client.id.shared()
    }))
}

async fn exchange(
    oauth: &OAuthState,
    sender: Sender<'_>,
    origin: &Origin,
    headers: &HeaderMap,
    params: &Params,
) -> Result<TokenAnswer, OAuthError> {
    let grant_type = grant_type(oauth, params)?;
    let possession = Possession::read(oauth, headers, PATH)?;
    possession.suffices_for(sender.client)?;
    let asking = Asking {
        sender,
        origin,
        possession,
        params,
    };
    match grant_type {
        GrantType::AuthorizationCode => authorization_code::redeem(oauth, asking).await,
        GrantType::RefreshToken => {
            let answer = refresh_token::refresh(oauth, asking).await?;
            Ok(answer.into())
        }
        GrantType::ClientCredentials => client_credentials::issue(oauth, asking).await,
        GrantType::JwtBearer => jwt_bearer::exchange(oauth, asking).await,
    }
}

/// A request for tokens.
#[derive(Clone, Copy)]
struct Asking<'a> {
    sender: Sender<'a>,
    /// From where it comes.
    origin: &'a Origin,
    possession: Possession,
    params: &'a Params,
}

fn grant_type(oauth: &OAuthState, params: &Params) -> Result<GrantType, OAuthError> {
    let name = required(params, "grant_type")?;
    let mut offered = oauth.grant_types.iter();
    let found = offered.find(|grant| grant.as_str() == name);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = oauth.grant_types.iter().map(|g| g.as_str()).collect();
        OAuthError::UnsupportedGrantType(names.join(", "))
    })
}

/// An access token for some scopes of a grant, bound to a key if there is one, and what it
/// authorizes.
fn mint_access_token(
    oauth: &OAuthState,
    grant: &Grant,
    scopes: ScopeSet,
    jkt: Option<Thumbprint>,
    now: Timestamp,
) -> (AccessToken, Authorization) {
    let token = AccessToken::mint();
    let authorization = Authorization {
        owner: grant.owner(),
        grant: grant.id,
        scopes,
        resource: Arc::clone(&grant.resource),
        jkt,
        token: token.digest(),
        issued_at: now,
        expires_at: now + oauth.lifetimes.access_token,
    };
    (token, authorization)
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
