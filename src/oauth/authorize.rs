//! The authorization endpoint (OAuth 2.1 §4.1.1).

use std::{borrow::Cow, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};

use super::{OAuthState, consent, form, problem};
use crate::{
    identity::{self, cookies},
    model::{
        authorization::{CodeChallenge, PendingAuthorization},
        client::{Client, ClientId},
        redirect_uri::RedirectUri,
        scope::ScopeSet,
    },
    secret::{BrowserId, PendingId},
    store::StoreError,
    web::{
        client_address::Connection,
        note,
        page::Problem,
        params::{self, ParamError, Params},
        see_other,
        throttle::RetryAfter,
    },
};

/// Where browsers are sent to.
pub(super) const PATH: &str = "/authorize";

/// How long a person has to sign in and decide.
const PENDING_TTL: Duration = Duration::from_mins(30);

/// The most that one request may make the server remember, in bytes.
const MAX_STATE: usize = 4096;

/// Why an authorization request is not answered with a question to the person. The two families
/// are kept apart by type: what carries no checked redirect URI cannot be redirected.
enum AuthorizeError {
    /// The client or its redirect URI is wrong: say so here, and never redirect.
    ShowToUser(Problem),
    /// The client can be told.
    RedirectToClient(ReplyTo, ErrorReply),
    /// Too many from this address. Said here: the client cannot make the person wait.
    TooManyRequests(RetryAfter),
    /// Our fault.
    Unavailable(StoreError),
}

impl From<StoreError> for AuthorizeError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}

/// A checked address for the answer.
#[derive(Debug, Clone)]
pub(super) struct ReplyTo {
    pub(super) redirect_uri: RedirectUri,
    /// To be returned byte for byte.
    pub(super) state: Option<Box<[u8]>>,
}

/// An error for the client (RFC 6749 §4.1.2.1).
#[derive(Debug)]
pub(super) struct ErrorReply {
    pub(super) error: &'static str,
    pub(super) description: String,
}

impl ReplyTo {
    /// Sends the browser to the client with an answer. `iss` tells the client who answered
    /// (RFC 9207), on errors too.
    fn redirect(&self, oauth: &OAuthState, answer: &[(&str, &str)]) -> Response {
        let mut pairs: Vec<String> = answer
            .iter()
            .map(|(name, value)| format!("{name}={}", params::encode(value.as_bytes())))
            .collect();
        if let Some(state) = &self.state {
            pairs.push(format!("state={}", params::encode(state)));
        }
        let issuer = oauth.public_url.origin();
        pairs.push(format!("iss={}", params::encode(issuer.as_bytes())));
        see_other(&self.redirect_uri.with_query(&pairs.join("&")))
    }

    pub(super) fn with_code(&self, oauth: &OAuthState, code: &str) -> Response {
        self.redirect(oauth, &[("code", code)])
    }

    pub(super) fn with_error(&self, oauth: &OAuthState, reply: &ErrorReply) -> Response {
        let answer = [
            ("error", reply.error),
            ("error_description", &reply.description),
        ];
        self.redirect(oauth, &answer)
    }
}

/// A browser that a client sent here.
pub(super) async fn get(
    State(oauth): State<OAuthState>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Response {
    let params = Params::of_query(&request);
    let headers = request.headers();
    let client = match client(&oauth, &params).await {
        Ok(client) => client,
        Err(error) => return refuse(&oauth, error),
    };
    let answer = authorize(&oauth, &client, &params, connection, headers).await;
    let answer = answer.unwrap_or_else(|error| refuse(&oauth, error));
    note::from_client(answer, client.id.shared())
}

async fn authorize(
    oauth: &OAuthState,
    client: &Client,
    params: &Params,
    connection: Connection,
    headers: &HeaderMap,
) -> Result<Response, AuthorizeError> {
    let known = cookies::browser(headers, &oauth.public_url);
    let browser = known.unwrap_or_else(BrowserId::mint);
    let pending = PendingAuthorization {
        browser: Some(browser.digest()),
        ..validate(oauth, client, params)?
    };
    // Somebody who has signed in and allowed this before is not asked; nothing is kept then.
    if let Some(response) = consent::without_asking(oauth, headers, &pending).await? {
        return Ok(response);
    }
    let mut response = ask(oauth, pending, connection, headers).await?;
    let cookie = cookies::set_browser(&browser, &oauth.public_url);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// The same by POST (RFC 6749 §3.1). A browser that posts across sites sends none of our cookies,
/// so the request is bound to the browser that follows up, and the person is always asked.
pub(super) async fn post(
    State(oauth): State<OAuthState>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let params = match Params::of_form(request).await {
        Ok(params) => params,
        Err(error) => return identity::problem::incomplete(error),
    };
    let client = match client(&oauth, &params).await {
        Ok(client) => client,
        Err(error) => return refuse(&oauth, error),
    };
    let answer = match validate(&oauth, &client, &params) {
        Ok(pending) => {
            let pending = PendingAuthorization {
                ask_always: true,
                ..pending
            };
            ask(&oauth, pending, connection, &headers).await
        }
        Err(error) => Err(error),
    };
    let answer = answer.unwrap_or_else(|error| refuse(&oauth, error));
    note::from_client(answer, client.id.shared())
}

/// Keeps the request and sends the browser to the question. It is open to everyone, and what is
/// kept has a cap: nobody may fill it alone and drive out what others wait for.
async fn ask(
    oauth: &OAuthState,
    pending: PendingAuthorization,
    connection: Connection,
    headers: &HeaderMap,
) -> Result<Response, AuthorizeError> {
    oauth
        .take_turn(oauth.authorization_throttle.as_deref(), connection, headers)
        .map_err(AuthorizeError::TooManyRequests)?;
    let id = PendingId::mint();
    oauth.store.insert_pending(id.digest(), pending).await?;
    Ok(see_other(&consent::url(&id)))
}

fn refuse(oauth: &OAuthState, error: AuthorizeError) -> Response {
    match error {
        AuthorizeError::ShowToUser(problem) => problem.with_status(StatusCode::BAD_REQUEST),
        AuthorizeError::RedirectToClient(reply_to, reply) => reply_to.with_error(oauth, &reply),
        AuthorizeError::TooManyRequests(wait) => identity::problem::too_many_requests(wait),
        AuthorizeError::Unavailable(error) => identity::problem::unavailable(error),
    }
}

/// Checks a request of a known client: first where the answer goes, then the rest.
fn validate(
    oauth: &OAuthState,
    client: &Client,
    params: &Params,
) -> Result<PendingAuthorization, AuthorizeError> {
    let reply_to = ReplyTo {
        redirect_uri: redirect_uri(client, params)?,
        // A state that was sent twice belongs to no request; the refusal below carries none.
        state: params.bytes("state").ok().flatten().map(Into::into),
    };
    let decided = decide(oauth, client, &reply_to, params);
    decided.map_err(|reply| AuthorizeError::RedirectToClient(reply_to, reply))
}

/// Who asks.
async fn client(oauth: &OAuthState, params: &Params) -> Result<Arc<Client>, AuthorizeError> {
    let id = params
        .text("client_id")
        .map_err(|error| AuthorizeError::ShowToUser(problem::malformed(format!("{error}."))))?;
    let Some(id) = id else {
        let problem = problem::malformed("The link does not say which app is asking.".to_owned());
        return Err(AuthorizeError::ShowToUser(problem));
    };
    let client = oauth.store.client(&ClientId::presented(id)).await?;
    client.ok_or_else(|| {
        tracing::warn!(
            event = "unknown_client",
            "an authorization request names a client that is not registered"
        );
        AuthorizeError::ShowToUser(problem::unknown_client())
    })
}

/// May be left out where only one is registered (OAuth 2.1 §4.1.1).
fn redirect_uri(client: &Client, params: &Params) -> Result<RedirectUri, AuthorizeError> {
    let presented = params
        .text("redirect_uri")
        .map_err(|error| AuthorizeError::ShowToUser(problem::malformed(format!("{error}."))))?;
    let found = match (presented, client.metadata.redirect_uris.as_slice()) {
        (Some(presented), _) => client.redirect_uri(presented),
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
    };
    found.ok_or_else(|| AuthorizeError::ShowToUser(problem::unregistered_redirect_uri()))
}

/// Checks what the client can be told about.
fn decide(
    oauth: &OAuthState,
    client: &Client,
    reply_to: &ReplyTo,
    params: &Params,
) -> Result<PendingAuthorization, ErrorReply> {
    form::each_once(params)?;
    if reply_to.state.as_ref().is_some_and(|s| s.len() > MAX_STATE) {
        return Err(invalid_request(format!(
            "state may have {MAX_STATE} bytes at most"
        )));
    }
    match params.text("response_type")? {
        Some("code") => {}
        Some(_) => {
            return Err(ErrorReply {
                error: "unsupported_response_type",
                description: "response_type must be code".to_owned(),
            });
        }
        None => return Err(invalid_request("response_type is missing; send code")),
    }
    if !matches!(params.text("response_mode")?, None | Some("query")) {
        return Err(invalid_request("response_mode must be query"));
    }
    let code_challenge = code_challenge(params)?;
    let is_other = |resource: Cow<'_, str>| !oauth.public_url.is_resource(&resource);
    if params.all("resource").any(is_other) {
        // Not the resource itself: nothing of a query belongs in the log.
        tracing::debug!(client.id = %client.id, "an authorization request for another resource");
        return Err(ErrorReply {
            error: "invalid_target",
            description: format!("resource must be {}", oauth.public_url.resource()),
        });
    }
    let requested = ScopeSet::parse(params.text("scope")?.unwrap_or_default());
    let prompts_consent = params
        .text("prompt")?
        .is_some_and(|prompt| prompt.split(' ').any(|value| value == "consent"));
    Ok(PendingAuthorization {
        client: client.id.clone(),
        redirect_uri: reply_to.redirect_uri.clone(),
        state: reply_to.state.clone(),
        code_challenge,
        scopes: oauth.scopes.narrow(&requested),
        resource: Arc::clone(oauth.public_url.resource()),
        ask_always: prompts_consent,
        browser: None,
        expires_at: oauth.clock.now() + PENDING_TTL,
    })
}

/// PKCE is required, and S256 is the only method (OAuth 2.1 §7.5.1). No method means `plain`
/// (RFC 7636 §4.3), which shows the verifier to whoever sees the request.
fn code_challenge(params: &Params) -> Result<CodeChallenge, ErrorReply> {
    let challenge = params
        .text("code_challenge")?
        .ok_or_else(|| invalid_request("code_challenge is missing: PKCE is required"))?;
    if params.text("code_challenge_method")? != Some("S256") {
        return Err(invalid_request("code_challenge_method must be S256"));
    }
    CodeChallenge::parse(challenge)
        .ok_or_else(|| invalid_request("code_challenge must be 43 characters of base64url"))
}

fn invalid_request(description: impl Into<String>) -> ErrorReply {
    ErrorReply {
        error: "invalid_request",
        description: description.into(),
    }
}

impl From<ParamError> for ErrorReply {
    fn from(error: ParamError) -> Self {
        invalid_request(error.to_string())
    }
}
