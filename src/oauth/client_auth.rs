//! Who is calling the token endpoint (RFC 6749 §2.3).

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode;

use super::{OAuthState, error::OAuthError};
use crate::{
    model::client::{Client, ClientId},
    secret::Digest,
    web::params::Params,
};

/// What a request says about its sender.
struct Credentials {
    id: String,
    secret: Option<String>,
    /// Whether they came in the `Authorization` header.
    basic: bool,
}

/// A client that a request names, before it has proved that it sent it.
pub(super) struct Claim {
    pub(super) client: Arc<Client>,
    credentials: Credentials,
}

/// Finds the client that a request names.
pub(super) async fn identify(
    oauth: &OAuthState,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Claim, OAuthError> {
    let credentials = credentials(headers, params)?;
    let id = ClientId::presented(&credentials.id);
    let client = oauth.store.client(&id).await?;
    let client = client.ok_or_else(|| {
        credentials.refused("no client is registered under this client_id; register again")
    })?;
    Ok(Claim {
        client,
        credentials,
    })
}

impl Claim {
    /// Checks the client's secret, if it has one. A confidential client may use either place for
    /// it: libraries choose one by a default of their own, and neither is weaker.
    pub(super) fn prove(&self) -> Result<&Client, OAuthError> {
        let refused = |description| Err(self.credentials.refused(description));
        match (&self.client.secret, &self.credentials.secret) {
            (None, None) => Ok(&self.client),
            (Some(expected), Some(presented)) if expected.matches(&Digest::of(presented)) => {
                Ok(&self.client)
            }
            (Some(_), Some(_)) => {
                tracing::warn!(event = "client_authentication_failed", client.id = %self.client.id, "wrong client secret");
                refused("the client secret is not right")
            }
            (Some(_), None) => refused("this client has to authenticate with its secret"),
            (None, Some(_)) => refused("this client is public and has no secret"),
        }
    }
}

impl Credentials {
    fn refused(&self, description: &'static str) -> OAuthError {
        OAuthError::InvalidClient {
            description,
            challenge: self.basic,
        }
    }
}

fn credentials(headers: &HeaderMap, params: &Params) -> Result<Credentials, OAuthError> {
    let body_id = params.text("client_id")?;
    let body_secret = params.text("client_secret")?;
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(authorization) = values.next() else {
        let id = body_id.ok_or(OAuthError::InvalidClient {
            description: "client_id is missing",
            challenge: false,
        })?;
        return Ok(Credentials {
            id: id.to_owned(),
            secret: body_secret.map(str::to_owned),
            basic: false,
        });
    };
    // RFC 6749 §2.3: one method a request.
    if values.next().is_some() || body_secret.is_some() {
        return Err(OAuthError::InvalidRequest(
            "use one way to authenticate, not several".to_owned(),
        ));
    }
    let (id, secret) = decode_basic(authorization.as_bytes()).ok_or(OAuthError::InvalidClient {
        description: "the Authorization header is not HTTP Basic with a client_id",
        challenge: true,
    })?;
    if body_id.is_some_and(|body_id| body_id != id) {
        return Err(OAuthError::InvalidRequest(
            "client_id is not the one in the Authorization header".to_owned(),
        ));
    }
    Ok(Credentials {
        id,
        secret: (!secret.is_empty()).then_some(secret),
        basic: true,
    })
}

/// RFC 6749 §2.3.1: both halves are form-encoded before they are joined. Identifiers and secrets
/// of ours read the same to clients that forget to.
fn decode_basic(header: &[u8]) -> Option<(String, String)> {
    let (scheme, encoded) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let half = |text: &str| -> Option<String> {
        let decoded = percent_decode(text.as_bytes()).decode_utf8().ok()?;
        Some(decoded.into_owned())
    };
    Some((half(id)?, half(secret)?))
}
