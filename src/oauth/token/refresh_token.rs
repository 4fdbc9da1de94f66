//! Refreshing (OAuth 2.1 §4.3), with rotation and a grace window.
//!
//! Clients lose responses, refresh from two addresses at once and from parallel processes. So a
//! token that was used a moment ago yields the same answer again: nothing forks, and nobody has to
//! sign in again. After the window a used token is a stolen one.

use std::borrow::Cow;

use super::{Asking, answer::RefreshAnswer, check_resource, mint_access_token};
use crate::{
    clock::Timestamp,
    jose::Thumbprint,
    model::{
        grant::{Grant, SealedAnswer},
        scope::ScopeSet,
    },
    oauth::{OAuthState, error::OAuthError, form::required},
    secret::RefreshToken,
    store::{RefreshOutcome, Successor},
};

const NOT_GOOD: OAuthError = OAuthError::InvalidGrant(Cow::Borrowed(
    "the refresh token is unknown, expired, revoked or not this client's",
));

/// Exchanges a refresh token for new tokens.
pub(super) async fn refresh(
    oauth: &OAuthState,
    asking: Asking<'_>,
) -> Result<RefreshAnswer, OAuthError> {
    let (client, params) = (asking.sender.client, asking.params);
    let used = RefreshToken::presented(required(params, "refresh_token")?);
    let now = oauth.clock.now();
    let digest = used.digest();
    let stored = oauth.store.refresh_token(&digest, now).await?;
    let stored = stored.ok_or(NOT_GOOD)?;
    if stored.grant.client != client.id {
        tracing::warn!(event = "refresh_by_other_client", client.id = %client.id, grant.id = %stored.grant.id, "a refresh token came from a client that it was not issued to");
        return Err(NOT_GOOD);
    }
    asking.possession.check(stored.grant.jkt)?;
    check_resource(oauth, params)?;
    let requested = ScopeSet::parse(params.text("scope")?.unwrap_or_default());
    let scopes = narrow(oauth, &stored.grant.scopes, &requested);

    asking.possession.use_up(oauth, client, now).await?;

    let jkt = asking.possession.jkt();
    let (access_token, access) = mint_access_token(oauth, &stored.grant, scopes, jkt, now);
    let refresh_token = RefreshToken::mint();
    let successor_digest = refresh_token.digest();
    let answer = RefreshAnswer::new(access_token, &access, refresh_token, now);
    let successor = Successor {
        digest: successor_digest,
        expires_at: now + oauth.lifetimes.refresh_token,
        access,
        answer: answer.seal(&used).map_err(internal)?,
        grace: oauth.lifetimes.refresh_grace,
    };
    match oauth
        .store
        .rotate_refresh_token(&digest, successor, now)
        .await?
    {
        RefreshOutcome::Rotated => Ok(answer),
        RefreshOutcome::Repeated(kept) => repeat(oauth, &used, &stored.grant, kept, jkt, now).await,
        RefreshOutcome::Reused(grant) => {
            tracing::warn!(event = "refresh_token_reuse", client.id = %client.id, grant.id = %grant, "a refresh token was used again after the grace window: its grant is revoked");
            Err(NOT_GOOD)
        }
        RefreshOutcome::Unknown => Err(NOT_GOOD),
    }
}

/// Gives the answer that was given before. If its access token has expired meanwhile, or the client
/// has given that back or shows another key than it is bound to, it is replaced.
async fn repeat(
    oauth: &OAuthState,
    used: &RefreshToken,
    grant: &Grant,
    mut kept: SealedAnswer,
    jkt: Option<Thumbprint>,
    now: Timestamp,
) -> Result<RefreshAnswer, OAuthError> {
    loop {
        let answer = RefreshAnswer::unseal(&kept, used, now).map_err(internal)?;
        let access = answer.access_token.digest();
        if answer.jkt == jkt && oauth.store.access_token(&access, now).await?.is_some() {
            return Ok(answer);
        }
        let scopes = ScopeSet::parse(&answer.scope);
        let (access_token, access) = mint_access_token(oauth, grant, scopes, jkt, now);
        let renewed = RefreshAnswer::new(access_token, &access, answer.refresh_token, now);
        let sealed = renewed.seal(used).map_err(internal)?;
        let digest = used.digest();
        if oauth
            .store
            .replace_answer(&digest, &kept, sealed, access, now)
            .await?
        {
            return Ok(renewed);
        }
        // Somebody else replaced it at the same time: theirs is the answer.
        let stored = oauth.store.refresh_token(&digest, now).await?;
        let rotation = stored.and_then(|stored| stored.rotation);
        kept = rotation.ok_or(NOT_GOOD)?.answer;
    }
}

/// RFC 6749 §6: a client may ask for less. What it asks for beyond the grant is left out, and if
/// nothing that opens anything remains it gets what was granted.
fn narrow(oauth: &OAuthState, granted: &ScopeSet, requested: &ScopeSet) -> ScopeSet {
    let narrowed = granted.intersection(requested);
    let opens_something = oauth
        .scopes
        .resource_scopes()
        .any(|definition| narrowed.contains(&definition.scope));
    if opens_something {
        narrowed
    } else {
        granted.clone()
    }
}

fn internal(error: super::answer::UnsealError) -> OAuthError {
    OAuthError::Internal(Box::new(error))
}
