//! Who is calling (RFC 6749 §2.3): clients, and the resource servers that ask about tokens.

use std::{borrow::Cow, sync::Arc};

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode;

use super::{OAuthState, ResourceServer, client_document::DocumentError, error::OAuthError};
use crate::{
    model::client::{Client, ClientId},
    secret::Digest,
    web::params::Params,
};

/// What a request says about its sender.
struct Credentials {
    id: String,
    /// The readings of what was sent as the secret; none: nothing was.
    secrets: Vec<String>,
    /// Whether they came in the `Authorization` header.
    basic: bool,
}

/// A client that a request names, before it has proved that it sent it.
pub(super) struct Claim {
    pub(super) client: Arc<Client>,
    credentials: Credentials,
}

/// Whoever may ask about tokens.
pub(super) enum Caller {
    Client(Arc<Client>),
    ResourceServer(ResourceServer),
}

/// Finds the client that a request names.
pub(super) async fn identify(
    oauth: &OAuthState,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Claim, OAuthError> {
    claim(oauth, credentials(headers, params)?).await
}

/// The client that sent a request.
pub(super) async fn authenticated(
    oauth: &OAuthState,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Arc<Client>, OAuthError> {
    let claim = identify(oauth, headers, params).await?;
    claim.prove()?;
    Ok(claim.client)
}

/// The client or resource server that sent a request.
pub(super) async fn caller(
    oauth: &OAuthState,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Caller, OAuthError> {
    let credentials = credentials(headers, params)?;
    let mut servers = oauth.resource_servers.iter();
    let Some(server) = servers.find(|server| *server.id == *credentials.id) else {
        let claim = claim(oauth, credentials).await?;
        claim.prove()?;
        return Ok(Caller::Client(claim.client));
    };
    credentials.check_secret(&server.secret)?;
    Ok(Caller::ResourceServer(server.clone()))
}

async fn claim(oauth: &OAuthState, credentials: Credentials) -> Result<Claim, OAuthError> {
    let id = ClientId::presented(&credentials.id);
    // Whoever is known by a document and was never here before is looked up now.
    let client = match oauth.client(&id).await? {
        Some(client) => Some(client),
        None => oauth
            .current_client(&id)
            .await
            .map_err(|e| credentials.unidentified(e))?,
    };
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
        match &self.client.secret {
            Some(expected) => self.credentials.check_secret(expected)?,
            None if self.credentials.secrets.is_empty() => {}
            None => {
                let refused = "this client is public and has no secret";
                return Err(self.credentials.refused(refused));
            }
        }
        Ok(&self.client)
    }
}

impl Credentials {
    fn check_secret(&self, expected: &Digest) -> Result<(), OAuthError> {
        if self.secrets.is_empty() {
            return Err(self.refused("this client has to authenticate with its secret"));
        }
        let is_right = |secret: &String| expected.matches(&Digest::of(secret));
        if self.secrets.iter().any(is_right) {
            return Ok(());
        }
        tracing::warn!(event = "client_authentication_failed", client.id = %self.id, "wrong client secret");
        Err(self.refused("the client secret is not right"))
    }

    fn refused(&self, description: impl Into<Cow<'static, str>>) -> OAuthError {
        OAuthError::InvalidClient {
            description: description.into(),
            challenge: self.basic,
        }
    }

    /// A document that cannot be fetched now may be fetched later: a client that is told otherwise
    /// throws its tokens away.
    fn unidentified(&self, error: DocumentError) -> OAuthError {
        match error {
            DocumentError::Store(error) => OAuthError::Unavailable(error),
            error if error.will_pass() => OAuthError::DocumentUnavailable(error),
            error => self.refused(format!("this client cannot be identified: {error}")),
        }
    }
}

fn credentials(headers: &HeaderMap, params: &Params) -> Result<Credentials, OAuthError> {
    let body_id = params.text("client_id")?;
    let body_secret = params.text("client_secret")?;
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(authorization) = values.next() else {
        let id = body_id.ok_or(OAuthError::InvalidClient {
            description: "client_id is missing".into(),
            challenge: false,
        })?;
        return Ok(Credentials {
            id: id.to_owned(),
            secrets: body_secret.map(str::to_owned).into_iter().collect(),
            basic: false,
        });
    };
    // RFC 6749 §2.3: one method a request.
    if values.next().is_some() || body_secret.is_some() {
        return Err(OAuthError::InvalidRequest(
            "use one way to authenticate, not several".to_owned(),
        ));
    }
    let (id, secrets) =
        decode_basic(authorization.as_bytes()).ok_or(OAuthError::InvalidClient {
            description: "the Authorization header is not HTTP Basic with a client_id".into(),
            challenge: true,
        })?;
    if body_id.is_some_and(|body_id| body_id != id) {
        return Err(OAuthError::InvalidRequest(
            "client_id is not the one in the Authorization header".to_owned(),
        ));
    }
    Ok(Credentials {
        id,
        secrets,
        basic: true,
    })
}

/// RFC 6749 §2.3.1: both halves are form-encoded before they are joined. Many clients forget to, and
/// some write a blank as `%20`. To our own secrets it is all the same; one that an operator has chosen
/// can read differently, so every reading is tried.
fn decode_basic(header: &[u8]) -> Option<(String, Vec<String>)> {
    let (scheme, encoded) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let unescaped = |text: &str| -> Option<String> {
        let decoded = percent_decode(text.as_bytes()).decode_utf8().ok()?;
        Some(decoded.into_owned())
    };
    let readings = [
        unescaped(&secret.replace('+', " ")),
        unescaped(secret),
        Some(secret.to_owned()),
    ];
    let readings = readings.into_iter().flatten();
    let secrets = readings.filter(|secret| !secret.is_empty());
    Some((unescaped(id)?, secrets.collect()))
}
