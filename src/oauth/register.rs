//! Dynamic client registration (RFC 7591) and its management by the client (RFC 7592).

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{OAuthState, RegistrationPolicy, error::OAuthError};
use crate::{
    model::{
        client::{Client, ClientId},
        client_metadata::{ClientMetadata, MetadataSource},
    },
    secret::{ClientSecret, Digest, RegistrationToken},
    web::{Json, NoStore, body, client_address::Connection, note, sole_header},
};

/// Where clients register.
pub(super) const PATH: &str = "/register";
/// Where a client manages its registration (RFC 7592 §2).
pub(super) const CLIENT_PATH: &str = "/register/{client_id}";

/// The most that a registration may hold, in bytes. It is open to everyone.
const MAX_BODY: usize = 64 * 1024;

/// One text for every token that does not open the registration, so as to tell a stranger nothing.
const NOT_ITS_OWN: &str = "there is no such client, or the token is not its own";
const NOT_YOURS: OAuthError = OAuthError::InvalidToken(NOT_ITS_OWN);

/// The client that a path names. One that is no text is nobody's.
type Named = Result<Path<String>, PathRejection>;

/// RFC 7591 §3.2.1 and RFC 7592 §3.
#[derive(Serialize)]
struct ClientInformation<'a> {
    client_id: &'a str,
    client_id_issued_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    /// Required wherever a secret is; 0: it does not expire (RFC 7591 §3.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<u64>,
    registration_client_uri: String,
    registration_access_token: &'a str,
    #[serde(flatten)]
    metadata: &'a ClientMetadata,
}

/// Registers a client.
pub(super) async fn post(
    State(oauth): State<OAuthState>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Result<Response, OAuthError> {
    let now = oauth.clock.now();
    oauth
        .take_turn(
            oauth.throttles.registration.as_deref(),
            connection,
            request.headers(),
        )
        .map_err(OAuthError::TooManyRequests)?;
    check_policy(&oauth, request.headers())?;
    let members = read(request).await?;
    let metadata = accept(&oauth, &members)?;
    let secret = metadata
        .token_endpoint_auth_method
        .has_secret()
        .then(ClientSecret::mint);
    let token = RegistrationToken::mint();
    let client = Client {
        id: ClientId::mint(),
        issued_at: now,
        secret: secret.as_ref().map(ClientSecret::digest),
        registration_token: Some(token.digest()),
        document: None,
        metadata,
    };
    let secret = secret.as_ref().map(ClientSecret::expose);
    let response = information(&oauth, StatusCode::CREATED, &client, secret, &token);
    oauth.store.insert_client(client).await?;
    Ok(response)
}

/// Tells a client what it has registered (RFC 7592 §2.1). Its secret was told once and is not kept.
pub(super) async fn get(
    State(oauth): State<OAuthState>,
    named: Named,
    headers: HeaderMap,
) -> Result<Response, OAuthError> {
    let (client, token) = authorized(&oauth, named, &headers).await?;
    Ok(information(&oauth, StatusCode::OK, &client, None, &token))
}

/// Replaces what a client has registered (RFC 7592 §2.2). The token is another one from then on.
pub(super) async fn put(
    State(oauth): State<OAuthState>,
    named: Named,
    request: Request,
) -> Result<Response, OAuthError> {
    let (client, token) = authorized(&oauth, named, request.headers()).await?;
    let members = read(request).await?;
    check_update(&client, &members)?;
    let metadata = accept(&oauth, &members)?;
    let (secret, digest) = secret_after_update(&client, &members, &metadata);
    let next_token = RegistrationToken::mint();
    let updated = Client {
        id: client.id.clone(),
        issued_at: client.issued_at,
        secret: digest,
        registration_token: Some(next_token.digest()),
        document: None,
        metadata,
    };
    let secret = secret.as_ref().map(ClientSecret::expose);
    let response = information(&oauth, StatusCode::OK, &updated, secret, &next_token);
    // Of two updates at once one is too late: its token is no longer good.
    if oauth.store.update_client(&token.digest(), updated).await? {
        Ok(response)
    } else {
        Err(NOT_YOURS)
    }
}

/// Forgets a client and ends what people have allowed it (RFC 7592 §2.3).
pub(super) async fn delete(
    State(oauth): State<OAuthState>,
    named: Named,
    headers: HeaderMap,
) -> Result<Response, OAuthError> {
    let (client, token) = authorized(&oauth, named, &headers).await?;
    if !oauth
        .store
        .remove_client(&client.id, &token.digest())
        .await?
    {
        return Err(NOT_YOURS);
    }
    tracing::info!(event = "client_deleted", client.id = %client.id, "a client deleted its registration");
    let response = NoStore(StatusCode::NO_CONTENT).into_response();
    Ok(note::from_client(response, || client.id.shared()))
}

fn check_policy(oauth: &OAuthState, headers: &HeaderMap) -> Result<(), OAuthError> {
    match &oauth.registration {
        RegistrationPolicy::Open => Ok(()),
        RegistrationPolicy::Closed => Err(OAuthError::RegistrationClosed),
        // RFC 7591 §3: an initial access token.
        RegistrationPolicy::WithToken(expected) => {
            let needed = "registration needs the initial access token that the operator gives out";
            let presented = bearer(headers).ok_or(OAuthError::MissingToken(needed))?;
            if expected.matches(&Digest::of(presented)) {
                Ok(())
            } else {
                Err(OAuthError::InvalidToken(needed))
            }
        }
    }
}

async fn read(request: Request) -> Result<Map<String, Value>, OAuthError> {
    let body = body::read(request.into_body(), MAX_BODY).await?;
    serde_json::from_slice(&body).map_err(|error| {
        OAuthError::InvalidClientMetadata(format!("the body must be a JSON object: {error}"))
    })
}

fn accept(oauth: &OAuthState, members: &Map<String, Value>) -> Result<ClientMetadata, OAuthError> {
    let source = MetadataSource::Registration;
    Ok(ClientMetadata::accept(
        members,
        source,
        &oauth.metadata_rules,
    )?)
}

/// The client of that name, for whoever holds its registration access token.
async fn authorized(
    oauth: &OAuthState,
    named: Named,
    headers: &HeaderMap,
) -> Result<(Arc<Client>, RegistrationToken), OAuthError> {
    let Path(id) = named.map_err(|_| NOT_YOURS)?;
    let token = bearer(headers).ok_or(OAuthError::MissingToken(NOT_ITS_OWN))?;
    let token = RegistrationToken::presented(token);
    // RFC 7592 §2: a client that is not there is a token that is not good.
    let client = oauth.store.client(&ClientId::presented(&id)).await?;
    let client = client.filter(|client| {
        let expected = client.registration_token.as_ref();
        expected.is_some_and(|expected| expected.matches(&token.digest()))
    });
    Ok((client.ok_or(NOT_YOURS)?, token))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = sole_header(headers, header::AUTHORIZATION).ok()??;
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty()).then_some(token)
}

/// What an update must and must not hold (RFC 7592 §2.2).
fn check_update(client: &Client, members: &Map<String, Value>) -> Result<(), OAuthError> {
    let invalid = |problem: &str| Err(OAuthError::InvalidRequest(problem.to_owned()));
    if members.get("client_id").and_then(Value::as_str) != Some(client.id.as_str()) {
        return invalid("client_id must be there and be this client's");
    }
    for ours in [
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    ] {
        if members.contains_key(ours) {
            return invalid(&format!("{ours} cannot be set; leave it out"));
        }
    }
    match (&client.secret, members.get("client_secret")) {
        (_, None | Some(Value::Null)) => Ok(()),
        (Some(expected), Some(Value::String(secret))) if expected.matches(&Digest::of(secret)) => {
            Ok(())
        }
        _ => invalid("client_secret must be the present one; it cannot be chosen"),
    }
}

/// The secret to tell, and the digest to keep. A client that had one keeps it; one that becomes
/// confidential gets one.
fn secret_after_update(
    client: &Client,
    members: &Map<String, Value>,
    metadata: &ClientMetadata,
) -> (Option<ClientSecret>, Option<Digest>) {
    if !metadata.token_endpoint_auth_method.has_secret() {
        return (None, None);
    }
    if let Some(kept) = client.secret {
        let told = members.get("client_secret").and_then(Value::as_str);
        return (told.map(ClientSecret::presented), Some(kept));
    }
    let secret = ClientSecret::mint();
    let digest = secret.digest();
    (Some(secret), Some(digest))
}

fn information(
    oauth: &OAuthState,
    status: StatusCode,
    client: &Client,
    secret: Option<&str>,
    token: &RegistrationToken,
) -> Response {
    let information = ClientInformation {
        client_id: client.id.as_str(),
        client_id_issued_at: client.issued_at.as_secs(),
        client_secret: secret,
        client_secret_expires_at: secret.is_some().then_some(0),
        registration_client_uri: oauth.public_url.join(&format!("{PATH}/{}", client.id)),
        registration_access_token: token.expose(),
        metadata: &client.metadata,
    };
    let response = NoStore(Json(status, information)).into_response();
    note::from_client(response, || client.id.shared())
}
