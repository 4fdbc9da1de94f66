//! Tokens for a client on its own authority (RFC 6749 §4.4;
//! `io.modelcontextprotocol/oauth-client-credentials`).

use std::sync::Arc;

use super::{Asking, answer::TokenAnswer, check_resource, mint_access_token};
use crate::{
    model::{
        client::Client,
        client_metadata::GrantType,
        grant::{Grant, GrantId},
        scope::{OFFLINE_ACCESS, ScopeSet},
        user::UserId,
    },
    oauth::{OAuthState, error::OAuthError},
    store::Issue,
    web::params::Params,
};

/// Issues an access token. There is no refresh token: the client can come again (RFC 6749 §4.4.3).
pub(super) async fn issue(
    oauth: &OAuthState,
    asking: Asking<'_>,
) -> Result<TokenAnswer, OAuthError> {
    let (client, params) = (asking.sender.client, asking.params);
    if !client
        .metadata
        .grant_types
        .contains(&GrantType::ClientCredentials)
    {
        return Err(OAuthError::UnauthorizedClient(
            "the operator has not allowed this client to act on its own authority",
        ));
    }
    if !asking.sender.is_authenticated {
        return Err(OAuthError::UnauthorizedClient(
            "a client that does not authenticate has no authority of its own",
        ));
    }
    check_resource(oauth, params)?;
    let scopes = scopes(oauth, client, params)?;
    let now = oauth.clock.now();
    let grant = Grant {
        id: GrantId::of_client(&client.id),
        user: UserId::of_client(&client.id),
        client: client.id.clone(),
        client_name: client.display_name().to_owned(),
        scopes: allowed(oauth, client),
        resource: Arc::clone(oauth.public_url.resource()),
        jkt: None,
        origin: asking.origin.clone(),
        created_at: now,
        last_used_at: now,
    };
    let jkt = asking.possession.jkt();
    let (token, access) = mint_access_token(oauth, &grant, scopes, jkt, now);
    let answer = TokenAnswer::new(token, &access, None, now);
    let issue = Issue {
        grant,
        access,
        refresh: None,
    };
    asking.possession.use_up(oauth, client, now).await?;
    oauth.store.issue(issue, now).await?;
    tracing::info!(event = "client_credentials_granted", client.id = %client.id, "a client got a token on its own authority");
    Ok(answer)
}

/// All that the client may have, whatever it asks for this time: what the operator wrote for it, or
/// everything.
fn allowed(oauth: &OAuthState, client: &Client) -> ScopeSet {
    match client.metadata.scope.as_deref() {
        Some(scope) => ScopeSet::parse(scope),
        None => oauth
            .scopes
            .resource_scopes()
            .map(|definition| definition.scope.clone())
            .collect(),
    }
}

/// What was asked for, within what the operator wrote for this client. Without either it is the
/// default.
fn scopes(oauth: &OAuthState, client: &Client, params: &Params) -> Result<ScopeSet, OAuthError> {
    let text = params.text("scope")?.unwrap_or_default();
    let asked = ScopeSet::parse(text);
    let allowed = client.metadata.scope.as_deref().map(ScopeSet::parse);
    let wanted = match &allowed {
        Some(allowed) if text.trim().is_empty() => allowed.clone(),
        Some(allowed) => allowed.intersection(&asked),
        None => asked,
    };
    // RFC 6749 §3.3: less may be granted, but not nothing.
    if wanted.is_empty() && allowed.is_some() {
        let problem = "this client may not have the scope that it asks for".to_owned();
        return Err(OAuthError::InvalidScope(problem));
    }
    let granted = oauth.scopes.narrow(&wanted);
    let lasting = |name: &str| name == OFFLINE_ACCESS;
    Ok(granted
        .iter()
        .filter(|s| !lasting(s.as_str()))
        .cloned()
        .collect())
}
