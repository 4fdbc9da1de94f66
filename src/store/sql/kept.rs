//! How requests and codes are written down: as JSON, for nothing in them is ever searched for.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{
    database::DbResult,
    row::{Row, damaged},
};
use crate::{
    clock::Timestamp,
    jose::Thumbprint,
    model::{
        authorization::{CodeChallenge, CodeGrant, PendingAuthorization, Prompt},
        client::ClientId,
        redirect_uri::RedirectUri,
        scope::ScopeSet,
        user::UserId,
    },
};

/// What a request and the code that comes of it have in common.
#[derive(Serialize, Deserialize)]
struct Asked {
    client: String,
    redirect_uri: RedirectUri,
    code_challenge: String,
    dpop_jkt: Option<Thumbprint>,
    scopes: String,
    resource: String,
}

impl Asked {
    fn challenge(&self, column: &str) -> DbResult<CodeChallenge> {
        CodeChallenge::parse(&self.code_challenge).ok_or_else(|| damaged(column))
    }
}

#[derive(Serialize, Deserialize)]
struct Request {
    asked: Asked,
    /// Any bytes, in base64.
    state: Option<String>,
    always: bool,
    never: bool,
    authenticated_since: Option<u64>,
    login_hint: Option<Box<str>>,
}

/// A request, without the columns that it is found by.
pub(super) fn request_to_json(request: &PendingAuthorization) -> String {
    let prompt = &request.prompt;
    to_json(&Request {
        asked: Asked {
            client: request.client.to_string(),
            redirect_uri: request.redirect_uri.clone(),
            code_challenge: request.code_challenge.as_str().to_owned(),
            dpop_jkt: request.dpop_jkt,
            scopes: request.scopes.to_string(),
            resource: request.resource.to_string(),
        },
        state: request.state.as_ref().map(|state| STANDARD.encode(state)),
        always: prompt.always,
        never: prompt.never,
        authenticated_since: prompt.authenticated_since.map(Timestamp::as_millis),
        login_hint: prompt.login_hint.clone(),
    })
}

/// The request of a row.
pub(super) fn request(row: &Row) -> DbResult<PendingAuthorization> {
    let kept: Request = row.json("request")?;
    let code_challenge = kept.asked.challenge("request")?;
    let state = kept.state.map(|state| STANDARD.decode(state)).transpose();
    Ok(PendingAuthorization {
        client: ClientId::presented(&kept.asked.client),
        redirect_uri: kept.asked.redirect_uri,
        state: state.map_err(|_| damaged("request"))?.map(Box::from),
        code_challenge,
        dpop_jkt: kept.asked.dpop_jkt,
        scopes: ScopeSet::parse(&kept.asked.scopes),
        resource: kept.asked.resource.into(),
        prompt: Prompt {
            always: kept.always,
            never: kept.never,
            authenticated_since: kept.authenticated_since.map(Timestamp::from_millis),
            login_hint: kept.login_hint,
        },
        browser: row.maybe_digest("browser")?,
        expires_at: row.time("expires_at")?,
    })
}

#[derive(Serialize, Deserialize)]
struct Code {
    asked: Asked,
    user: String,
}

/// A code, without the columns that it is found by.
pub(super) fn code_to_json(code: &CodeGrant) -> String {
    to_json(&Code {
        asked: Asked {
            client: code.client.to_string(),
            redirect_uri: code.redirect_uri.clone(),
            code_challenge: code.code_challenge.as_str().to_owned(),
            dpop_jkt: code.dpop_jkt,
            scopes: code.scopes.to_string(),
            resource: code.resource.to_string(),
        },
        user: code.user.to_string(),
    })
}

/// The code of a row.
pub(super) fn code(row: &Row) -> DbResult<CodeGrant> {
    let kept: Code = row.json("code")?;
    Ok(CodeGrant {
        code_challenge: kept.asked.challenge("code")?,
        client: ClientId::presented(&kept.asked.client),
        user: UserId::new(kept.user),
        redirect_uri: kept.asked.redirect_uri,
        dpop_jkt: kept.asked.dpop_jkt,
        scopes: ScopeSet::parse(&kept.asked.scopes),
        resource: kept.asked.resource.into(),
        expires_at: row.time("expires_at")?,
    })
}

/// Plain data with texts as names, which JSON has a place for.
pub(super) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
