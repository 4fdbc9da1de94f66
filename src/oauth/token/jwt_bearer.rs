//! Tokens for a person whom an identity provider vouches for: the assertion grant of enterprise-managed
//! authorization (RFC 7523 §2.1; `io.modelcontextprotocol/enterprise-managed-authorization`;
//! draft-ietf-oauth-identity-assertion-authz-grant).
//!
//! The person's company has decided at its provider which clients may act for them here, so nobody
//! is asked. Off until the operator names a provider and the clients that may bring its assertions.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Asking, answer::TokenAnswer, check_resource, mint_access_token};
use crate::{
    clock::Timestamp,
    jose::{Claims, ClaimsError, Jws, JwsError},
    model::{
        assertion_issuer::AssertionIssuer,
        client::Client,
        grant::{Grant, GrantId},
        scope::ScopeSet,
        user::UserId,
    },
    oauth::{OAuthState, error::OAuthError, form::required, keys::VerifyError},
    secret::Digest,
    store::Issue,
};

/// What the one kind of assertion that is understood calls itself.
const TYPE: &str = "oauth-id-jag+jwt";

/// Why an assertion is refused.
#[derive(Debug, thiserror::Error)]
enum AssertionError {
    #[error(transparent)]
    Message(#[from] JwsError),
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    #[error("its type (typ) must be {TYPE}")]
    Type,
    #[error("this server trusts no such issuer (iss), or not with this client")]
    Issuer,
    #[error("it was issued to another client (client_id)")]
    Client,
    #[error("it was issued for another resource (resource)")]
    Resource,
    #[error("it has been used before (jti)")]
    Replayed,
    #[error(transparent)]
    Keys(VerifyError),
}

/// What a good assertion comes to.
struct Vouched<'a> {
    issuer: &'a AssertionIssuer,
    user: UserId,
    /// What the provider lets the client do; `None`: it does not say.
    scopes: Option<ScopeSet>,
    /// What the assertion is remembered by, and until when.
    used: (Digest, Timestamp),
}

/// Exchanges an assertion for an access token. There is no refresh token: the provider decides
/// again next time.
pub(super) async fn exchange(
    oauth: &OAuthState,
    asking: Asking<'_>,
) -> Result<TokenAnswer, OAuthError> {
    let (client, params) = (asking.sender.client, asking.params);
    if !asking.sender.is_authenticated {
        return Err(OAuthError::UnauthorizedClient(
            "a client has to authenticate to bring an assertion",
        ));
    }
    let assertion = required(params, "assertion")?;
    check_resource(oauth, params)?;
    let now = oauth.clock.now();
    let refused = |error: AssertionError| {
        tracing::warn!(event = "assertion_refused", client.id = %client.id, "an assertion is not accepted: {error}");
        OAuthError::InvalidGrant(format!("the assertion is not accepted: {error}").into())
    };
    let vouched = match verify(oauth, client, assertion, now).await {
        Err(AssertionError::Keys(error)) if error.will_pass() => {
            return Err(OAuthError::KeysUnavailable(error));
        }
        vouched => vouched.map_err(refused)?,
    };
    let requested = ScopeSet::parse(params.text("scope")?.unwrap_or_default());
    let scopes = scopes(oauth, &vouched, &requested)?;
    let grant = Grant {
        id: GrantId::of_assertions(&vouched.user, &client.id),
        user: vouched.user,
        client: client.id.clone(),
        client_name: client.display_name().to_owned(),
        scopes: scopes.clone(),
        resource: Arc::clone(oauth.public_url.resource()),
        jkt: None,
        origin: asking.origin.clone(),
        created_at: now,
        last_used_at: now,
    };
    let jkt = asking.possession.jkt();
    let (token, access) = mint_access_token(oauth, &grant, scopes, jkt, now);
    let answer = TokenAnswer::new(token, &access, None, now);
    asking.possession.use_up(oauth, client, now).await?;
    let (jti, until) = vouched.used;
    if !oauth.store.first_use(jti, until, now).await? {
        return Err(refused(AssertionError::Replayed));
    }
    let user = grant.user.clone();
    let issue = Issue {
        grant,
        access,
        refresh: None,
    };
    oauth.store.issue(issue, now).await?;
    tracing::info!(event = "assertion_granted", client.id = %client.id, user = %user, "a client got a token for a person whom an identity provider vouches for");
    Ok(answer)
}

/// The checks of the extension, in the order in which they cost something.
async fn verify<'a>(
    oauth: &'a OAuthState,
    client: &Client,
    assertion: &str,
    now: Timestamp,
) -> Result<Vouched<'a>, AssertionError> {
    let message = Jws::parse(assertion)?;
    // RFC 8725 §3.11: neither an ID token nor anything else that the provider signs.
    if !message.is_a(TYPE) {
        return Err(AssertionError::Type);
    }
    let named = message
        .unverified("iss")
        .ok_or(ClaimsError::Missing("iss"))?;
    let mut issuers = oauth.assertion_issuers.iter();
    let issuer = issuers
        .find(|issuer| *issuer.issuer == *named && issuer.clients.contains(&client.id))
        .ok_or(AssertionError::Issuer)?;
    let verified = oauth.keys.verify(&issuer.jwks_uri, &message, now).await;
    let claims = verified.map_err(|error| match error {
        VerifyError::Message(error) => error.into(),
        error => AssertionError::Keys(error),
    })?;
    judge(oauth, issuer, client, &claims, now)
}

fn judge<'a>(
    oauth: &OAuthState,
    issuer: &'a AssertionIssuer,
    client: &Client,
    all: &Map<String, Value>,
    now: Timestamp,
) -> Result<Vouched<'a>, AssertionError> {
    let claims = Claims::read(all)?;
    claims.check_issuer(&issuer.issuer)?;
    claims.check_audience(|audience| audience == oauth.public_url.origin())?;
    claims.check_times(now)?;
    claims.iat.ok_or(ClaimsError::Missing("iat"))?;
    let (jti, until) = claims.single_use(now)?;
    let subject = claims.sub.as_deref().filter(|subject| !subject.is_empty());
    let subject = subject.ok_or(ClaimsError::Missing("sub"))?;
    // It will be read in lists and logs, and not every database can keep it.
    if subject.chars().any(char::is_control) {
        return Err(ClaimsError::Malformed("sub").into());
    }
    let text = |name| all.get(name).and_then(Value::as_str);
    if text("client_id") != Some(client.id.as_str()) {
        return Err(AssertionError::Client);
    }
    if !is_for_us(oauth, all.get("resource")) {
        return Err(AssertionError::Resource);
    }
    let name = format!("identity assertion\n{}", issuer.issuer);
    Ok(Vouched {
        issuer,
        user: UserId::of_issuer(&issuer.issuer, subject),
        scopes: text("scope").map(ScopeSet::parse),
        used: (Digest::derive(&name, jti), until),
    })
}

/// One resource or several, as in RFC 8707; ours must be all of them.
fn is_for_us(oauth: &OAuthState, resource: Option<&Value>) -> bool {
    let is_ours = |one: &Value| {
        one.as_str()
            .is_some_and(|one| oauth.public_url.is_resource(one))
    };
    match resource {
        Some(Value::Array(several)) => !several.is_empty() && several.iter().all(is_ours),
        Some(one) => is_ours(one),
        None => false,
    }
}

/// What was asked for, of what the provider lets the client do, of what the operator lets the
/// provider say.
fn scopes(
    oauth: &OAuthState,
    vouched: &Vouched<'_>,
    requested: &ScopeSet,
) -> Result<ScopeSet, OAuthError> {
    let known: ScopeSet = oauth
        .scopes
        .resource_scopes()
        .map(|definition| definition.scope.clone())
        .collect();
    let most = vouched.issuer.scopes.as_ref();
    let asserted = match (&vouched.scopes, most) {
        (Some(asserted), Some(most)) => asserted.intersection(most),
        (Some(asserted), None) => asserted.clone(),
        (None, Some(most)) => most.clone(),
        (None, None) => oauth.scopes.default_scopes().clone(),
    };
    let granted = asserted.intersection(&known);
    let granted = if requested.is_empty() {
        granted
    } else {
        granted.intersection(requested)
    };
    if granted.is_empty() {
        let problem = "the assertion does not cover the scope that is asked for".to_owned();
        return Err(OAuthError::InvalidScope(problem));
    }
    Ok(granted)
}
