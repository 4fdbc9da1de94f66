//! Clients that sign (`private_key_jwt`, OpenID Connect Core §9; RFC 7523 §2.2 and §3).

use serde_json::{Map, Value};

use super::{OAuthState, error::OAuthError, keys::VerifyError, par, token};
use crate::{
    clock::Timestamp,
    jose::{Claims, ClaimsError, Jws, JwsError},
    model::client::Client,
    secret::Digest,
};

/// What the one kind of assertion that is understood is called.
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What an assertion may call itself: nothing in particular, or what draft-ietf-oauth-rfc7523bis
/// calls it. Anything else was signed for another purpose (RFC 8725 §3.11).
const TYPES: [&str; 2] = ["JWT", "client-authentication+jwt"];

/// Why an assertion does not show that it came from the client.
#[derive(Debug, thiserror::Error)]
pub(super) enum AssertionError {
    #[error("client_assertion is not accepted: {0}")]
    Message(#[from] JwsError),
    #[error("client_assertion is not accepted: {0}")]
    Claims(#[from] ClaimsError),
    #[error("client_assertion is not accepted: its type (typ) must be JWT")]
    Type,
    #[error("client_assertion is not accepted: the client has registered another algorithm (alg)")]
    Algorithm,
    #[error("client_assertion has been used before (jti)")]
    Replayed,
    #[error("client_assertion cannot be verified: {0}")]
    Keys(VerifyError),
}

/// Whom an assertion claims to come from. That is all that may be believed of it so far.
pub(super) fn subject(assertion: &str) -> Option<String> {
    Jws::parse(assertion).ok()?.unverified("sub")
}

/// Whether an assertion shows that it came from `client`, and for the first time.
pub(super) async fn check(
    oauth: &OAuthState,
    client: &Client,
    assertion: &str,
) -> Result<(), OAuthError> {
    let now = oauth.clock.now();
    let refused = |error: AssertionError| {
        tracing::warn!(event = "client_authentication_failed", client.id = %client.id, "{error}");
        OAuthError::invalid_client(error.to_string())
    };
    let claims = match verify(oauth, client, assertion).await {
        Err(AssertionError::Keys(error)) if error.will_pass() => {
            return Err(OAuthError::KeysUnavailable(error));
        }
        claims => claims.map_err(refused)?,
    };
    let (jti, until) = judge(oauth, client, &claims).map_err(refused)?;
    if oauth.store.first_use(jti, until, now).await? {
        Ok(())
    } else {
        Err(refused(AssertionError::Replayed))
    }
}

async fn verify(
    oauth: &OAuthState,
    client: &Client,
    assertion: &str,
) -> Result<Map<String, Value>, AssertionError> {
    let message = Jws::parse(assertion)?;
    let typ_is_known = TYPES.iter().any(|known| message.is_a(known));
    if message.typ().is_some() && !typ_is_known {
        return Err(AssertionError::Type);
    }
    let metadata = &client.metadata;
    let registered = metadata.token_endpoint_auth_signing_alg;
    if registered.is_some_and(|registered| registered != message.alg()) {
        return Err(AssertionError::Algorithm);
    }
    match (&metadata.jwks, &metadata.jwks_uri) {
        (Some(keys), _) => Ok(message.verify_with(keys)?),
        (None, Some(url)) => {
            let verifying = oauth.keys.verify(url, &message, oauth.clock.now());
            verifying.await.map_err(|error| match error {
                VerifyError::Message(error) => error.into(),
                error => AssertionError::Keys(error),
            })
        }
        (None, None) => Err(JwsError::NoKey.into()),
    }
}

/// The claims of RFC 7523 §3. What is to be remembered of them, and until when.
fn judge(
    oauth: &OAuthState,
    client: &Client,
    claims: &Map<String, Value>,
) -> Result<(Digest, Timestamp), AssertionError> {
    let now = oauth.clock.now();
    let claims = Claims::read(claims)?;
    claims.check_issuer(client.id.as_str())?;
    claims.check_subject(client.id.as_str())?;
    claims.check_audience(|audience| is_us(oauth, audience))?;
    claims.check_times(now)?;
    let (jti, until) = claims.single_use(now)?;
    let name = format!("client assertion\n{}", client.id);
    Ok((Digest::derive(&name, jti), until))
}

/// RFC 7523 §3: the issuer, or the token endpoint; RFC 9126 §2: or the endpoint that requests are
/// pushed to. All of them are this server and no other, whichever of them the client then calls.
fn is_us(oauth: &OAuthState, audience: &str) -> bool {
    let url = &oauth.public_url;
    let issuer = audience.strip_suffix('/').unwrap_or(audience);
    issuer == url.origin() || audience == url.join(token::PATH) || audience == url.join(par::PATH)
}
