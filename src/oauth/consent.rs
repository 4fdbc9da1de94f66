//! From a question to an answer: who is asked, what the answer means, and the code.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};

use super::{
    OAuthState,
    authorize::{ErrorReply, ReplyTo},
    problem,
};
use crate::{
    identity::{self, Leaving, ReturnTo, SignedIn, consent, cookies, csrf, sign_in},
    model::{
        authorization::{CodeGrant, PendingAuthorization},
        client::Client,
        client_document::DocumentUrl,
        scope::ScopeSet,
    },
    secret::{AuthorizationCode, BrowserId, Digest, PendingId},
    store::{Consent, StoreError},
    web::{client_address::Connection, note, page::Problem, params::Params, see_other},
};

/// The address of the question.
pub(super) fn url(id: &PendingId) -> String {
    consent::url(id.expose())
}

/// Answers for a person who has signed in and need not be asked again.
pub(super) async fn without_asking(
    oauth: &OAuthState,
    headers: &HeaderMap,
    client: &Client,
    pending: &PendingAuthorization,
) -> Result<Option<Response>, StoreError> {
    if pending.prompt.always {
        return Ok(None);
    }
    let Some(person) = signed_in(oauth, headers, pending).await? else {
        return Ok(None);
    };
    if !is_remembered(oauth, &person, client, pending).await? {
        return Ok(None);
    }
    issue_code(oauth, &person, pending).await.map(Some)
}

/// Who has signed in, if it was recently enough for this request.
async fn signed_in(
    oauth: &OAuthState,
    headers: &HeaderMap,
    pending: &PendingAuthorization,
) -> Result<Option<SignedIn>, StoreError> {
    let person = oauth.identity.signed_in(headers).await?;
    let since = pending.prompt.authenticated_since;
    Ok(person.filter(|person| since.is_none_or(|since| person.authenticated_at >= since)))
}

/// What a request that must not ask anything is told (OpenID Connect Core §3.1.2.6).
pub(super) async fn why_not_without_asking(
    oauth: &OAuthState,
    headers: &HeaderMap,
    pending: &PendingAuthorization,
) -> Result<ErrorReply, StoreError> {
    let (error, description) = match signed_in(oauth, headers, pending).await? {
        Some(_) => ("consent_required", "the person has to be asked"),
        None => ("login_required", "the person has to sign in"),
    };
    Ok(ErrorReply {
        error,
        description: description.to_owned(),
    })
}

/// Shows the question, once somebody has signed in.
pub(super) async fn get(State(oauth): State<OAuthState>, request: Request) -> Response {
    let params = Params::of_query(&request);
    let shown = show(&oauth, request.headers(), &params).await;
    shown.unwrap_or_else(identity::problem::unavailable)
}

/// Takes the answer.
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
    let answered = answer(&oauth, connection, &headers, &params).await;
    answered.unwrap_or_else(identity::problem::unavailable)
}

async fn show(
    oauth: &OAuthState,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Response, StoreError> {
    let now = oauth.clock.now();
    let Some(id) = request_id(params).map(PendingId::presented) else {
        return Ok(problem::no_open_request());
    };
    let Some(browser) = browser(oauth, headers) else {
        return follow_up(oauth, &id).await;
    };
    let Some(pending) = oauth.store.pending(&id.digest(), &browser, now).await? else {
        return Ok(problem::no_open_request());
    };
    let asked = match before_sign_in(oauth, params) {
        Some(next) if signed_in(oauth, headers, &pending).await?.is_none() => {
            ask_before_sign_in(oauth, headers, &id, &pending, next).await?
        }
        _ => ask(oauth, headers, &id, &browser, &pending, params).await?,
    };
    Ok(note::from_client(asked, pending.client.shared()))
}

/// Asks, unless the answer is known.
async fn ask(
    oauth: &OAuthState,
    headers: &HeaderMap,
    id: &PendingId,
    browser: &Digest,
    pending: &PendingAuthorization,
    params: &Params,
) -> Result<Response, StoreError> {
    let Some(person) = signed_in(oauth, headers, pending).await? else {
        return ask_to_sign_in(oauth, id, pending).await;
    };
    let client = match who_asks(oauth, pending).await? {
        Ok(client) => client,
        Err(problem) => return Ok(problem.with_status(StatusCode::BAD_REQUEST)),
    };
    if !pending.prompt.always && is_remembered(oauth, &person, &client, pending).await? {
        let now = oauth.clock.now();
        let taken = oauth.store.take_pending(&id.digest(), browser, now).await?;
        return match taken {
            Some(pending) => issue_code(oauth, &person, &pending).await,
            None => Ok(problem::no_open_request()),
        };
    }
    // They were asked before they went to sign in.
    let allowed = consent::answered_before(&person, id.expose(), params);
    if let Some(scopes) = allowed.and_then(|allowed| allowed_before(&client, allowed)) {
        let now = oauth.clock.now();
        let taken = oauth.store.take_pending(&id.digest(), browser, now).await?;
        let Some(pending) = taken else {
            return Ok(problem::no_open_request());
        };
        let granted = PendingAuthorization {
            scopes: pending.scopes.intersection(&scopes),
            ..(*pending).clone()
        };
        return decide(oauth, &person, &client, &granted, true).await;
    }
    Ok(with_prompt(oauth, id, &client, pending, |prompt| {
        prompt.ask(&person)
    }))
}

/// Asks whoever is at the browser, before they go to a provider and sign in there.
async fn ask_before_sign_in(
    oauth: &OAuthState,
    headers: &HeaderMap,
    id: &PendingId,
    pending: &PendingAuthorization,
    next: Next<'_>,
) -> Result<Response, StoreError> {
    let Some(browser) = cookies::browser(headers, &oauth.public_url) else {
        return Ok(problem::no_open_request());
    };
    let client = match who_asks(oauth, pending).await? {
        Ok(client) => client,
        Err(problem) => return Ok(problem.with_status(StatusCode::BAD_REQUEST)),
    };
    let again = next.again || pending.prompt.authenticated_since.is_some();
    Ok(with_prompt(oauth, id, &client, pending, |prompt| {
        prompt.ask_before_sign_in(&browser, (next.provider, next.name), again)
    }))
}

/// The provider that somebody goes on to.
struct Next<'a> {
    provider: &'a str,
    name: &'a str,
    again: bool,
}

fn before_sign_in<'a>(oauth: &'a OAuthState, params: &'a Params) -> Option<Next<'a>> {
    let provider = params.text(consent::WITH).ok().flatten()?;
    Some(Next {
        provider,
        name: oauth.identity.providers.name(provider)?,
        again: params.text("again").ok().flatten().is_some(),
    })
}

/// What was allowed before signing in, in words for [`allowed_before`].
fn allowing(client: &Client, scopes: &ScopeSet) -> String {
    let appearance = client.appearance().to_base64url();
    format!("{appearance} {scopes}")
}

/// The scopes that were allowed before signing in. Whoever was shown another name has not allowed
/// this one.
fn allowed_before(client: &Client, allowed: &str) -> Option<ScopeSet> {
    let (appearance, scopes) = allowed.split_once(' ')?;
    let is_this_one = appearance == client.appearance().to_base64url();
    is_this_one.then(|| ScopeSet::parse(scopes))
}

/// Shows the question.
fn with_prompt(
    oauth: &OAuthState,
    id: &PendingId,
    client: &Client,
    pending: &PendingAuthorization,
    show: impl FnOnce(consent::ConsentPrompt<'_>) -> Response,
) -> Response {
    let abilities: Vec<&str> = oauth
        .scopes
        .all()
        .filter(|definition| pending.scopes.contains(&definition.scope))
        .map(|definition| definition.description.as_str())
        .collect();
    let document = client
        .document
        .and_then(|_| DocumentUrl::parse(&client.id).ok());
    let prompt = consent::ConsentPrompt {
        request: id.expose(),
        appearance: &client.appearance().to_base64url(),
        client_name: client.metadata.client_name.as_deref(),
        vouched_for_by: document.as_ref().map(DocumentUrl::host),
        destination: &pending.redirect_uri.display_host(),
        is_local: pending.redirect_uri.is_local(),
        resource: oauth.public_url.resource(),
        abilities: &abilities,
    };
    show(prompt)
}

/// The client that a request is of. While a person thinks it may delete its registration, or take
/// out the address that the answer was to go to.
async fn who_asks(
    oauth: &OAuthState,
    pending: &PendingAuthorization,
) -> Result<Result<Arc<Client>, Problem>, StoreError> {
    let Some(client) = oauth.client(&pending.client).await? else {
        return Ok(Err(problem::unknown_client()));
    };
    if client.redirect_uri(pending.redirect_uri.as_str()).is_none() {
        return Ok(Err(problem::unregistered_redirect_uri()));
    }
    Ok(Ok(client))
}

/// A browser without our cookie follows up on a request that was posted across sites. It gets the
/// cookie, and the request is its own from now on.
async fn follow_up(oauth: &OAuthState, id: &PendingId) -> Result<Response, StoreError> {
    let browser = BrowserId::mint();
    let now = oauth.clock.now();
    let bound = oauth
        .store
        .pending(&id.digest(), &browser.digest(), now)
        .await?;
    let Some(bound) = bound else {
        return Ok(problem::no_open_request());
    };
    let mut response = ask_to_sign_in(oauth, id, &bound).await?;
    let cookie = cookies::set_browser(&browser, &oauth.public_url);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

async fn answer(
    oauth: &OAuthState,
    connection: Connection,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Response, StoreError> {
    if csrf::is_cross_site(headers, &oauth.public_url) {
        return Ok(identity::problem::not_our_form());
    }
    let (Some(request), Some(browser)) = (request_id(params), browser(oauth, headers)) else {
        return Ok(identity::problem::not_our_form());
    };
    let id = PendingId::presented(request);
    let now = oauth.clock.now();
    let Some(pending) = oauth.store.pending(&id.digest(), &browser, now).await? else {
        return Ok(problem::no_open_request());
    };
    let Some(person) = signed_in(oauth, headers, &pending).await? else {
        let from = (connection, headers);
        return answer_before_sign_in(oauth, from, params, &id, &pending).await;
    };
    let client = match who_asks(oauth, &pending).await? {
        Ok(client) => client,
        Err(problem) => return Ok(problem.with_status(StatusCode::BAD_REQUEST)),
    };
    let field = |name| params.text(name).ok().flatten().unwrap_or_default();
    if !consent::is_answer_of(&person, request, field("csrf")) {
        return Ok(identity::problem::not_our_form());
    }
    // Whoever was shown another name has not allowed this one.
    if field(consent::APPEARANCE) != client.appearance().to_base64url() {
        return ask(oauth, headers, &id, &browser, &pending, params).await;
    }
    let allowed = match params.text("decision") {
        Ok(Some("allow")) => true,
        Ok(Some("deny")) => false,
        _ => {
            let problem = problem::malformed("The answer must be allow or deny.".to_owned());
            return Ok(problem.with_status(StatusCode::BAD_REQUEST));
        }
    };
    let taken = oauth
        .store
        .take_pending(&id.digest(), &browser, now)
        .await?;
    let Some(pending) = taken else {
        return Ok(problem::no_open_request());
    };
    let answered = decide(oauth, &person, &client, &pending, allowed).await?;
    Ok(note::from_client(answered, pending.client.shared()))
}

/// Takes an answer that is given before signing in: to go on to a provider, or to leave.
async fn answer_before_sign_in(
    oauth: &OAuthState,
    (connection, headers): (Connection, &HeaderMap),
    params: &Params,
    id: &PendingId,
    pending: &PendingAuthorization,
) -> Result<Response, StoreError> {
    let field = |name| params.text(name).ok().flatten().unwrap_or_default();
    let browser = cookies::browser(headers, &oauth.public_url);
    let asked = browser
        .filter(|browser| consent::is_answer_of_browser(browser, id.expose(), field("csrf")));
    let Some(browser) = asked else {
        return ask_to_sign_in(oauth, id, pending).await;
    };
    if params.text("decision") == Ok(Some("deny")) {
        let (digest, now) = (browser.digest(), oauth.clock.now());
        let taken = oauth.store.take_pending(&id.digest(), &digest, now).await?;
        let Some(pending) = taken else {
            return Ok(problem::no_open_request());
        };
        tracing::info!(event = "consent_denied", client.id = %pending.client, "access was denied before anybody signed in");
        let denied = with_access_denied(oauth, &pending);
        return Ok(note::from_client(denied, pending.client.shared()));
    }
    let Some(next) = before_sign_in(oauth, params) else {
        return ask_to_sign_in(oauth, id, pending).await;
    };
    let client = match who_asks(oauth, pending).await? {
        Ok(client) => client,
        Err(problem) => return Ok(problem.with_status(StatusCode::BAD_REQUEST)),
    };
    let is_what_was_shown = field(consent::APPEARANCE) == client.appearance().to_base64url();
    if params.text("decision") != Ok(Some("allow")) || !is_what_was_shown {
        return ask_before_sign_in(oauth, headers, id, pending, next).await;
    }
    let leaving = Leaving {
        provider: next.provider,
        return_to: &back_to(id),
        allowed: Some(allowing(&client, &pending.scopes)),
        anew: next.again,
        address: oauth.identity.address(connection, headers),
    };
    let left = oauth.identity.leave(&browser, leaving).await;
    Ok(note::from_client(left, pending.client.shared()))
}

fn with_access_denied(oauth: &OAuthState, pending: &PendingAuthorization) -> Response {
    let reply = ErrorReply {
        error: "access_denied",
        description: "the person did not allow it".to_owned(),
    };
    ReplyTo::of(pending).with_error(oauth, &reply)
}

/// Does what the person decided.
async fn decide(
    oauth: &OAuthState,
    person: &SignedIn,
    client: &Client,
    pending: &PendingAuthorization,
    allowed: bool,
) -> Result<Response, StoreError> {
    if !allowed {
        tracing::info!(event = "consent_denied", client.id = %pending.client, user = %person.user, "access was denied");
        return Ok(with_access_denied(oauth, pending));
    }
    // RFC 8252 §8.6: what waits on a loopback address or private-use scheme may be another program
    // next time, so the person is asked every time.
    if !pending.redirect_uri.is_local() {
        let consent = remembered_as(person, client, pending);
        oauth.store.remember_consent(consent).await?;
    }
    issue_code(oauth, person, pending).await
}

async fn issue_code(
    oauth: &OAuthState,
    person: &SignedIn,
    pending: &PendingAuthorization,
) -> Result<Response, StoreError> {
    let code = AuthorizationCode::mint();
    let grant = CodeGrant {
        client: pending.client.clone(),
        user: person.user.clone(),
        redirect_uri: pending.redirect_uri.clone(),
        code_challenge: pending.code_challenge.clone(),
        dpop_jkt: pending.dpop_jkt,
        scopes: pending.scopes.clone(),
        resource: Arc::clone(&pending.resource),
        expires_at: oauth.clock.now() + oauth.lifetimes.code,
    };
    oauth.store.insert_code(code.digest(), grant).await?;
    tracing::info!(event = "authorization_granted", client.id = %pending.client, user = %person.user, "access was allowed");
    Ok(ReplyTo::of(pending).with_code(oauth, code.expose()))
}

async fn is_remembered(
    oauth: &OAuthState,
    person: &SignedIn,
    client: &Client,
    pending: &PendingAuthorization,
) -> Result<bool, StoreError> {
    let consent = remembered_as(person, client, pending);
    oauth.store.is_consent_remembered(&consent).await
}

fn remembered_as(person: &SignedIn, client: &Client, pending: &PendingAuthorization) -> Consent {
    Consent {
        user: person.user.clone(),
        client: pending.client.clone(),
        appearance: client.appearance(),
        redirect_uri: pending.redirect_uri.clone(),
        scopes: pending.scopes.clone(),
    }
}

async fn ask_to_sign_in(
    oauth: &OAuthState,
    id: &PendingId,
    pending: &PendingAuthorization,
) -> Result<Response, StoreError> {
    let back = back_to(id);
    let again = pending.prompt.authenticated_since.is_some();
    // Where there is nothing to choose, the question comes first.
    Ok(match oauth.identity.only_way().await? {
        Some(provider) => see_other(&consent::url_before_sign_in(id.expose(), provider, again)),
        None => see_other(&sign_in::url(&back, again)),
    })
}

fn back_to(id: &PendingId) -> ReturnTo {
    ReturnTo::parse(&url(id)).unwrap_or_else(ReturnTo::home)
}

fn request_id(params: &Params) -> Option<&str> {
    params.text("request").ok().flatten()
}

fn browser(oauth: &OAuthState, headers: &HeaderMap) -> Option<Digest> {
    cookies::browser(headers, &oauth.public_url).map(|browser| browser.digest())
}
