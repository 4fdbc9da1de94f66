//! Redeeming an authorization code (OAuth 2.1 §4.1.3).

use std::{borrow::Cow, sync::Arc};

use super::{Asking, answer::TokenAnswer, check_resource, mint_access_token};
use crate::{
    clock::Timestamp,
    model::{
        authorization::CodeGrant,
        grant::{Grant, GrantId},
        scope::OFFLINE_ACCESS,
    },
    oauth::{OAuthState, error::OAuthError, form::required},
    secret::{AuthorizationCode, RefreshToken},
    store::{Issue, Redemption},
};

/// One text for every code that is no good, so as to tell a thief nothing.
const NOT_GOOD: OAuthError = OAuthError::InvalidGrant(Cow::Borrowed(
    "the authorization code is unknown, expired, used or not this client's",
));

/// Redeems a code. Nothing is used up until everything has been checked.
pub(super) async fn redeem(
    oauth: &OAuthState,
    asking: Asking<'_>,
) -> Result<TokenAnswer, OAuthError> {
    let (client, params) = (asking.sender.client, asking.params);
    let code = AuthorizationCode::presented(required(params, "code")?);
    let verifier = required(params, "code_verifier")?;
    let now = oauth.clock.now();
    let digest = code.digest();
    let stored = oauth.store.code(&digest, now).await?.ok_or(NOT_GOOD)?;
    let was_redeemed = stored.redeemed.is_some();
    if let Err(error) = check(oauth, asking, verifier, &stored.code) {
        if was_redeemed {
            tracing::warn!(event = "code_replay_refused", client.id = %client.id, "a used code came back with wrong particulars");
        }
        return Err(error);
    }
    asking.possession.use_up(oauth, client, now).await?;
    let (issue, answer) = first_tokens(oauth, asking, &stored.code, now);
    match oauth.store.redeem_code(&digest, issue, now).await? {
        Redemption::Redeemed => Ok(answer),
        Redemption::AlreadyRedeemed(grant) => {
            // OAuth 2.1 §4.1.3: client and verifier are right, so either the code or the answer
            // to it was stolen. What the first redemption got is taken back.
            oauth.store.revoke_grant(grant).await?;
            tracing::warn!(event = "code_replay", client.id = %client.id, grant.id = %grant, "a code was used twice: its grant is revoked");
            Err(NOT_GOOD)
        }
        Redemption::Unknown => Err(NOT_GOOD),
    }
}

fn check(
    oauth: &OAuthState,
    asking: Asking<'_>,
    verifier: &str,
    code: &CodeGrant,
) -> Result<(), OAuthError> {
    let params = asking.params;
    if code.client != asking.sender.client.id {
        return Err(NOT_GOOD);
    }
    asking.possession.check(code.dpop_jkt)?;
    // OAuth 2.1 dropped the parameter from this request; who still sends it must mean it.
    if let Some(redirect_uri) = params.text("redirect_uri")?
        && redirect_uri != code.redirect_uri.as_str()
    {
        return Err(OAuthError::InvalidGrant(
            "redirect_uri is not the one of the authorization request".into(),
        ));
    }
    if !code.code_challenge.is_met_by(verifier) {
        return Err(OAuthError::InvalidGrant(
            "code_verifier does not fit the code_challenge".into(),
        ));
    }
    check_resource(oauth, params)
}

/// Begins a grant. A client that declined refresh tokens gets one only if it asked to stay
/// connected.
fn first_tokens(
    oauth: &OAuthState,
    asking: Asking<'_>,
    code: &CodeGrant,
    now: Timestamp,
) -> (Issue, TokenAnswer) {
    let (client, jkt) = (asking.sender.client, asking.possession.jkt());
    let grant = Grant {
        id: GrantId::mint(),
        user: code.user.clone(),
        client: client.id.clone(),
        client_name: client.display_name().to_owned(),
        scopes: code.scopes.clone(),
        resource: Arc::clone(&code.resource),
        // RFC 9449 §5: a refresh token of a client that authenticates is bound to that client already.
        jkt: jkt.filter(|_| !asking.sender.is_authenticated),
        origin: asking.origin.clone(),
        created_at: now,
        last_used_at: now,
    };
    let asked_to_stay = grant.scopes.iter().any(|s| s.as_str() == OFFLINE_ACCESS);
    let refresh_token =
        (!client.metadata.declined_refresh_tokens || asked_to_stay).then(RefreshToken::mint);
    let (access_token, access) = mint_access_token(oauth, &grant, grant.scopes.clone(), jkt, now);
    let refresh = refresh_token
        .as_ref()
        .map(|token| (token.digest(), now + oauth.lifetimes.refresh_token));
    let answer = TokenAnswer::new(access_token, &access, refresh_token, now);
    let issue = Issue {
        grant,
        access,
        refresh,
    };
    (issue, answer)
}
