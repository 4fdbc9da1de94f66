//! Dynamic client registration (RFC 7591).

use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{OAuthState, error::OAuthError};
use crate::{
    model::{
        client::{AuthMethod, Client, ClientId, ClientMetadata, GrantType},
        redirect_uri::RedirectUri,
    },
    secret::ClientSecret,
    web::{Json, NoStore, body, client_address::Connection, note},
};

/// Where clients register.
pub(super) const PATH: &str = "/register";

/// The most that a registration may hold, in bytes. It is open to everyone.
const MAX_BODY: usize = 64 * 1024;
/// The most that is kept of one.
const MAX_METADATA: usize = 8 * 1024;
const MAX_REDIRECT_URIS: usize = 20;
const MAX_NAME: usize = 200;
const MAX_TEXT: usize = 1000;

#[derive(Serialize)]
struct ClientInformation<'a> {
    client_id: &'a str,
    client_id_issued_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    /// Required wherever a secret is; 0: it does not expire (RFC 7591 §3.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<u64>,
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
            oauth.registration_throttle.as_deref(),
            connection,
            request.headers(),
        )
        .map_err(OAuthError::TooManyRequests)?;
    let body = body::read(request.into_body(), MAX_BODY).await?;
    let members: Map<String, Value> = serde_json::from_slice(&body)
        .map_err(|error| metadata_error(format!("the body must be a JSON object: {error}")))?;
    let (metadata, declined_refresh_tokens) = accept(&members, &oauth.redirect_schemes)?;

    let secret = (metadata.token_endpoint_auth_method != AuthMethod::None).then(ClientSecret::mint);
    let client = Client {
        id: ClientId::mint(),
        issued_at: now,
        secret: secret.as_ref().map(ClientSecret::digest),
        declined_refresh_tokens,
        metadata,
    };
    let information = ClientInformation {
        client_id: client.id.as_str(),
        client_id_issued_at: now.as_secs(),
        client_secret: secret.as_ref().map(ClientSecret::expose),
        client_secret_expires_at: secret.is_some().then_some(0),
        metadata: &client.metadata,
    };
    let response = NoStore(Json(StatusCode::CREATED, information)).into_response();
    let response = note::from_client(response, client.id.shared());
    oauth.store.insert_client(client).await?;
    Ok(response)
}

fn metadata_error(description: impl Into<String>) -> OAuthError {
    OAuthError::InvalidClientMetadata(description.into())
}

/// Understands what a client asks to be. Unknown members are ignored (RFC 7591 §2). Also tells
/// whether the client declined refresh tokens.
fn accept(
    members: &Map<String, Value>,
    redirect_schemes: &[String],
) -> Result<(ClientMetadata, bool), OAuthError> {
    let requested_grants = list(members, "grant_types")?;
    let metadata = ClientMetadata {
        redirect_uris: redirect_uris(members, redirect_schemes)?,
        token_endpoint_auth_method: auth_method(members)?,
        grant_types: grant_types(requested_grants.as_deref())?,
        response_types: response_types(members)?,
        application_type: application_type(members)?,
        client_name: client_name(members)?,
        scope: text(members, "scope")?,
        contacts: contacts(members)?,
        client_uri: https_uri(members, "client_uri")?,
        logo_uri: https_uri(members, "logo_uri")?,
        tos_uri: https_uri(members, "tos_uri")?,
        policy_uri: https_uri(members, "policy_uri")?,
        software_id: text(members, "software_id")?,
        software_version: text(members, "software_version")?,
    };
    let size = serde_json::to_vec(&metadata).map_or(usize::MAX, |json| json.len());
    if size > MAX_METADATA {
        return Err(metadata_error(format!(
            "the metadata is too long: {size} bytes, at most {MAX_METADATA} are kept"
        )));
    }
    let declined = requested_grants.is_some_and(|requested| {
        !requested
            .iter()
            .any(|grant| grant == GrantType::RefreshToken.as_str())
    });
    Ok((metadata, declined))
}

/// A member; null counts as absent.
fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|value| !value.is_null())
}

/// A text; an empty one counts as absent. What people will read must not be able to mislead them.
fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, OAuthError> {
    let Some(value) = member(members, name) else {
        return Ok(None);
    };
    let text = value
        .as_str()
        .ok_or_else(|| metadata_error(format!("{name} must be a string")))?;
    if text.chars().count() > MAX_TEXT {
        return Err(metadata_error(format!("{name} is too long")));
    }
    if text.chars().any(is_deceptive) {
        return Err(metadata_error(format!(
            "{name} must not contain control, bidirectional-override or invisible characters"
        )));
    }
    let text = text.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Control characters, those that make text read in another order than it is written, and those
/// that are not seen at all: Unicode's `Default_Ignorable_Code_Point`, annotation marks, and the
/// Braille pattern without dots.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{2800}'
        )
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}'
        )
        || matches!(c, '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(
            c,
            '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        )
        || matches!(c, '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}')
        || matches!(c, '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A list of texts; an empty one counts as absent.
fn list(members: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, OAuthError> {
    let Some(value) = member(members, name) else {
        return Ok(None);
    };
    let items = value.as_array().and_then(|items| {
        let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<String>>>()
    });
    match items {
        Some(items) => Ok((!items.is_empty()).then_some(items)),
        None => Err(metadata_error(format!("{name} must be a list of strings"))),
    }
}

fn redirect_uris(
    members: &Map<String, Value>,
    schemes: &[String],
) -> Result<Vec<RedirectUri>, OAuthError> {
    let invalid = |problem: String| OAuthError::InvalidRedirectUri(problem);
    let texts = list(members, "redirect_uris")
        .map_err(|error| invalid(error.to_string()))?
        .unwrap_or_default();
    if texts.is_empty() {
        return Err(invalid(
            "redirect_uris must name at least one URI".to_owned(),
        ));
    }
    if texts.len() > MAX_REDIRECT_URIS {
        return Err(invalid(format!(
            "redirect_uris may name {MAX_REDIRECT_URIS} URIs at most"
        )));
    }
    let parse = |(index, text): (usize, &String)| {
        RedirectUri::parse(text, schemes)
            .map_err(|problem| invalid(format!("redirect_uris[{index}] {problem}")))
    };
    texts.iter().enumerate().map(parse).collect()
}

/// RFC 7591 §2: whoever names none means `client_secret_basic`.
fn auth_method(members: &Map<String, Value>) -> Result<AuthMethod, OAuthError> {
    let Some(name) = text(members, "token_endpoint_auth_method")? else {
        return Ok(AuthMethod::ClientSecretBasic);
    };
    AuthMethod::ALL
        .into_iter()
        .find(|method| method.as_str() == name)
        .ok_or_else(|| {
            let supported = AuthMethod::ALL.map(AuthMethod::as_str).join(", ");
            metadata_error(format!(
                "token_endpoint_auth_method must be one of {supported}"
            ))
        })
}

/// Those that we have, of those that were asked for. Clients list grants for other servers too.
fn grant_types(requested: Option<&[String]>) -> Result<Vec<GrantType>, OAuthError> {
    let Some(requested) = requested else {
        // RFC 7591 §2.
        return Ok(vec![GrantType::AuthorizationCode]);
    };
    let accepted: Vec<GrantType> = GrantType::ALL
        .into_iter()
        .filter(|grant| requested.iter().any(|name| name == grant.as_str()))
        .collect();
    if accepted.contains(&GrantType::AuthorizationCode) {
        Ok(accepted)
    } else {
        Err(metadata_error(
            "grant_types must contain authorization_code",
        ))
    }
}

fn response_types(members: &Map<String, Value>) -> Result<[&'static str; 1], OAuthError> {
    match list(members, "response_types")? {
        Some(types) if !types.iter().any(|name| name == "code") => {
            Err(metadata_error("response_types must contain code"))
        }
        _ => Ok(["code"]),
    }
}

fn application_type(members: &Map<String, Value>) -> Result<&'static str, OAuthError> {
    match text(members, "application_type")?.as_deref() {
        Some("native") => Ok("native"),
        Some("web") | None => Ok("web"),
        Some(_) => Err(metadata_error("application_type must be web or native")),
    }
}

fn client_name(members: &Map<String, Value>) -> Result<Option<String>, OAuthError> {
    let name = text(members, "client_name")?;
    match name {
        Some(name) if name.chars().count() > MAX_NAME => Err(metadata_error(format!(
            "client_name may have {MAX_NAME} characters at most"
        ))),
        name => Ok(name),
    }
}

fn contacts(members: &Map<String, Value>) -> Result<Vec<String>, OAuthError> {
    let contacts = list(members, "contacts")?.unwrap_or_default();
    if contacts
        .iter()
        .any(|contact| contact.chars().any(is_deceptive))
    {
        return Err(metadata_error(
            "contacts must not contain control, bidirectional-override or invisible characters",
        ));
    }
    Ok(contacts)
}

fn https_uri(members: &Map<String, Value>, name: &str) -> Result<Option<String>, OAuthError> {
    let Some(uri) = text(members, name)? else {
        return Ok(None);
    };
    let is_https = fluent_uri::Uri::parse(uri.as_str()).is_ok_and(|uri| {
        uri.scheme().as_str().eq_ignore_ascii_case("https")
            && uri.authority().is_some_and(|a| !a.host().is_empty())
    });
    if is_https {
        Ok(Some(uri))
    } else {
        Err(metadata_error(format!("{name} must be an https URL")))
    }
}
