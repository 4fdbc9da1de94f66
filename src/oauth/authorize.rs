//! The authorization endpoint (OAuth 2.1 §4.1.1).

use std::{borrow::Cow, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};

use super::{
    OAuthState, client_document::DocumentError, consent, error::describing, form, par, problem,
};
use crate::{
    clock::Timestamp,
    identity::{self, PostedForm, cookies},
    jose::Thumbprint,
    model::{
        authorization::{CodeChallenge, PendingAuthorization, Prompt},
        client::{Client, ClientId},
        client_metadata::GrantType,
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
const MAX_LOGIN_HINT: usize = 200;

/// Why an authorization request is not answered with a question to the person. The two families
/// are kept apart by type: what carries no checked redirect URI cannot be redirected.
pub(super) enum AuthorizeError {
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
    /// Where the answer to a request that was checked goes.
    pub(super) fn of(pending: &PendingAuthorization) -> Self {
        Self {
            redirect_uri: pending.redirect_uri.clone(),
            state: pending.state.clone(),
        }
    }

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
            ("error_description", &describing(&reply.description)),
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
    note::from_client(answer, || client.id.shared())
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
        ..requested(oauth, client, params).await?
    };
    // Somebody who has signed in and allowed this before is not asked; nothing is kept then.
    if let Some(response) = consent::without_asking(oauth, headers, client, &pending).await? {
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
    headers: HeaderMap,
    PostedForm(params): PostedForm,
) -> Response {
    let client = match client(&oauth, &params).await {
        Ok(client) => client,
        Err(error) => return refuse(&oauth, error),
    };
    let answer = ask_anew(&oauth, &client, &params, connection, &headers).await;
    let answer = answer.unwrap_or_else(|error| refuse(&oauth, error));
    note::from_client(answer, || client.id.shared())
}

async fn ask_anew(
    oauth: &OAuthState,
    client: &Client,
    params: &Params,
    connection: Connection,
    headers: &HeaderMap,
) -> Result<Response, AuthorizeError> {
    let request = requested(oauth, client, params).await?;
    let prompt = Prompt {
        always: true,
        ..request.prompt
    };
    let pending = PendingAuthorization { prompt, ..request };
    ask(oauth, pending, connection, headers).await
}

/// Keeps the request and sends the browser to the question, if there may be one. It is open to
/// everyone, and what is kept has a cap: nobody may fill it alone and drive out what others wait for.
async fn ask(
    oauth: &OAuthState,
    pending: PendingAuthorization,
    connection: Connection,
    headers: &HeaderMap,
) -> Result<Response, AuthorizeError> {
    if pending.prompt.never {
        let reply = consent::why_not_without_asking(oauth, headers, &pending).await?;
        let reply_to = ReplyTo::of(&pending);
        return Err(AuthorizeError::RedirectToClient(reply_to, reply));
    }
    oauth
        .take_turn(
            oauth.throttles.authorization.as_deref(),
            connection,
            headers,
        )
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

/// What the browser brings: a request, or the name of one.
async fn requested(
    oauth: &OAuthState,
    client: &Client,
    params: &Params,
) -> Result<PendingAuthorization, AuthorizeError> {
    match params.text("request_uri") {
        Ok(Some(request_uri)) => pushed(oauth, client, request_uri).await,
        _ => validate(oauth, client, params),
    }
}

/// The request that a client pushed beforehand (RFC 9126 §4). Browsers may bring it twice: a program
/// looks before the person does.
async fn pushed(
    oauth: &OAuthState,
    client: &Client,
    request_uri: &str,
) -> Result<PendingAuthorization, AuthorizeError> {
    let now = oauth.clock.now();
    let pushed = match par::id_of(request_uri) {
        Some(id) => oauth.store.pushed(&id.digest(), now).await?,
        None => None,
    };
    let pushed = pushed.filter(|pushed| pushed.client == client.id);
    let pushed = pushed.ok_or_else(|| {
        let message = "The app's request has expired or is not its own.".to_owned();
        AuthorizeError::ShowToUser(problem::malformed(message))
    })?;
    // It may have taken the address out since.
    if client.redirect_uri(pushed.redirect_uri.as_str()).is_none() {
        let problem = problem::unregistered_redirect_uri();
        return Err(AuthorizeError::ShowToUser(problem));
    }
    Ok(PendingAuthorization {
        expires_at: now + PENDING_TTL,
        ..(*pushed).clone()
    })
}

/// Checks a request that a browser brings.
fn validate(
    oauth: &OAuthState,
    client: &Client,
    params: &Params,
) -> Result<PendingAuthorization, AuthorizeError> {
    let pending = check(oauth, client, params)?;
    if client.metadata.require_pushed_authorization_requests {
        let reply = invalid_request("this client has to push its authorization requests first");
        return Err(AuthorizeError::RedirectToClient(
            ReplyTo::of(&pending),
            reply,
        ));
    }
    Ok(pending)
}

/// Checks a request of a known client: first where the answer goes, then the rest.
pub(super) fn check(
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
    let client = match oauth.current_client(&ClientId::presented(id)).await {
        Ok(client) => client,
        Err(DocumentError::Store(error)) => return Err(AuthorizeError::Unavailable(error)),
        // Said here: where the client could be told is what could not be found out.
        Err(error) => {
            return Err(AuthorizeError::ShowToUser(problem::unusable_document(
                &error,
            )));
        }
    };
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
    if !client
        .metadata
        .grant_types
        .contains(&GrantType::AuthorizationCode)
    {
        return Err(ErrorReply {
            error: "unauthorized_client",
            description: "the operator has not allowed this client to ask people".to_owned(),
        });
    }
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
    if params.text("request")?.is_some() {
        return Err(ErrorReply {
            error: "request_not_supported",
            description: "send the parameters themselves, or push them (RFC 9126)".to_owned(),
        });
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
    let now = oauth.clock.now();
    Ok(PendingAuthorization {
        client: client.id.clone(),
        redirect_uri: reply_to.redirect_uri.clone(),
        state: reply_to.state.clone(),
        code_challenge,
        dpop_jkt: dpop_jkt(params)?,
        scopes: oauth.scopes.narrow(&requested),
        resource: Arc::clone(oauth.public_url.resource()),
        prompt: prompt(params, now)?,
        browser: None,
        expires_at: now + PENDING_TTL,
    })
}

/// How the person is to be asked (OpenID Connect Core §3.1.2.1). Values that we do not know are
/// ignored.
fn prompt(params: &Params, now: Timestamp) -> Result<Prompt, ErrorReply> {
    let values: Vec<&str> = params
        .text("prompt")?
        .unwrap_or_default()
        .split_ascii_whitespace()
        .collect();
    let asks_for = |value| values.contains(&value);
    if asks_for("none") && values.len() > 1 {
        return Err(invalid_request("prompt=none must stand alone"));
    }
    let max_age = match params.text("max_age")? {
        Some(seconds) => Some(
            seconds
                .parse()
                .map_err(|_| invalid_request("max_age must be a whole number of seconds"))?,
        ),
        None => None,
    };
    let since = max_age.map(|seconds: u32| now - Duration::from_secs(seconds.into()));
    let login_hint = params.text("login_hint")?;
    let login_hint = login_hint.filter(|hint| hint.len() <= MAX_LOGIN_HINT);
    Ok(Prompt {
        always: asks_for("consent"),
        never: asks_for("none"),
        // There is one account in a browser: to select another is to sign in anew.
        authenticated_since: if asks_for("login") || asks_for("select_account") {
            Some(now)
        } else {
            since
        },
        login_hint: login_hint.map(Into::into),
    })
}

/// The key that whoever redeems the code must hold (RFC 9449 §10).
fn dpop_jkt(params: &Params) -> Result<Option<Thumbprint>, ErrorReply> {
    let Some(jkt) = params.text("dpop_jkt")? else {
        return Ok(None);
    };
    let jkt = Thumbprint::parse(jkt);
    jkt.map(Some)
        .ok_or_else(|| invalid_request("dpop_jkt must be a SHA-256 thumbprint in base64url"))
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
