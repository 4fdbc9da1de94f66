//! Who is calling (RFC 6749 §2.3): clients, and the resource servers that ask about tokens.

use std::{borrow::Cow, sync::Arc};

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode;

use super::{
    OAuthState, ResourceServer, client_assertion, client_document::DocumentError, error::OAuthError,
};
use crate::{
    model::{
        client::{Client, ClientId},
        client_metadata::AuthMethod,
    },
    secret::Digest,
    web::params::Params,
};

/// What a request says about its sender.
struct Credentials {
    id: String,
    proof: Proof,
    /// Whether they came in the `Authorization` header.
    basic: bool,
}

/// What is to show that it is true.
enum Proof {
    Nothing,
    /// A secret, in every way in which what was sent can be read.
    Secret(Vec<String>),
    /// A signed assertion (RFC 7523 §2.2).
    Assertion(String),
}

/// A client that a request names, before it has proved that it sent it.
pub(super) struct Claim {
    pub(super) client: Arc<Client>,
    credentials: Credentials,
}

/// The client that sent a request.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) client: &'a Client,
    /// Whether it has shown that it did. Public clients cannot.
    pub(super) is_authenticated: bool,
}

/// Whoever may ask about tokens.
pub(super) enum Caller {
    Client(Arc<Client>),
    ResourceServer(ResourceServer),
}

impl Caller {
    /// What it calls itself.
    pub(super) fn name(&self) -> Arc<str> {
        match self {
            Self::Client(client) => client.id.shared(),
            Self::ResourceServer(server) => Arc::clone(&server.id),
        }
    }
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
    claim.prove(oauth).await?;
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
        // RFC 7662 §2.1: whoever is not authenticated could try out tokens that it found.
        if !claim.prove(oauth).await?.is_authenticated {
            let refused = "a client that does not authenticate cannot ask about tokens";
            return Err(OAuthError::invalid_client(refused));
        }
        return Ok(Caller::Client(claim.client));
    };
    match &credentials.proof {
        Proof::Secret(readings) => credentials.check_secret(readings, &server.secret)?,
        _ => return Err(credentials.refused("a resource server authenticates with its secret")),
    }
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
    /// Checks the client's proof, if it has one to give. A client with a secret may use either
    /// place for it: libraries choose one by a default of their own, and neither is weaker.
    pub(super) async fn prove(&self, oauth: &OAuthState) -> Result<Sender<'_>, OAuthError> {
        let client = &*self.client;
        let refused = |description: &'static str| Err(self.credentials.refused(description));
        let signs = client.metadata.accepts(AuthMethod::PrivateKeyJwt);
        let is_authenticated = match (&self.credentials.proof, &client.secret) {
            (Proof::Assertion(assertion), _) if signs => {
                client_assertion::check(oauth, client, assertion).await?;
                true
            }
            (Proof::Assertion(_), _) => return refused("this client has no key to sign with"),
            (Proof::Secret(readings), Some(expected)) => {
                self.credentials.check_secret(readings, expected)?;
                true
            }
            (Proof::Secret(_), None) if signs => {
                return refused("this client has no secret: it authenticates with private_key_jwt");
            }
            (Proof::Secret(_), None) => return refused("this client is public and has no secret"),
            (Proof::Nothing, None) if client.metadata.accepts(AuthMethod::None) => false,
            (Proof::Nothing, None) => {
                return refused("this client has to authenticate with private_key_jwt");
            }
            (Proof::Nothing, Some(_)) => {
                return refused("this client has to authenticate with its secret");
            }
        };
        Ok(Sender {
            client,
            is_authenticated,
        })
    }
}

impl Credentials {
    fn check_secret(&self, readings: &[String], expected: &Digest) -> Result<(), OAuthError> {
        let is_right = |secret: &String| expected.matches(&Digest::of(secret));
        if readings.iter().any(is_right) {
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
    let in_body = proof_in_body(params)?;
    let body_id = params.text("client_id")?;
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(authorization) = values.next() else {
        let id = match (body_id, &in_body) {
            (Some(id), _) => Some(id.to_owned()),
            // RFC 7521 §4.2: the assertion says it.
            (None, Proof::Assertion(assertion)) => client_assertion::subject(assertion),
            (None, _) => None,
        };
        let id = id.ok_or_else(|| OAuthError::invalid_client("client_id is missing"))?;
        return Ok(Credentials {
            id,
            proof: in_body,
            basic: false,
        });
    };
    if values.next().is_some() || !matches!(in_body, Proof::Nothing) {
        return Err(several_ways());
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
    let proof = if secrets.is_empty() {
        Proof::Nothing
    } else {
        Proof::Secret(secrets)
    };
    Ok(Credentials {
        id,
        proof,
        basic: true,
    })
}

fn proof_in_body(params: &Params) -> Result<Proof, OAuthError> {
    let assertion = params.text("client_assertion")?;
    let proof = match (params.text("client_secret")?, assertion) {
        (None, None) => Proof::Nothing,
        (Some(secret), None) => Proof::Secret(vec![secret.to_owned()]),
        (None, Some(assertion)) => Proof::Assertion(assertion.to_owned()),
        (Some(_), Some(_)) => return Err(several_ways()),
    };
    let assertion_type = params.text("client_assertion_type")?;
    if assertion.is_some() && assertion_type != Some(client_assertion::TYPE) {
        let problem = format!("client_assertion_type must be {}", client_assertion::TYPE);
        return Err(OAuthError::InvalidRequest(problem));
    }
    Ok(proof)
}

/// RFC 6749 §2.3: one method a request.
fn several_ways() -> OAuthError {
    OAuthError::InvalidRequest("use one way to authenticate, not several".to_owned())
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
