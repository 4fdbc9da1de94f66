//! From a question to an answer: who is asked, what the answer means, and the code.

mod before_sign_in;
mod decision;
mod question;

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};

use super::{OAuthState, authorize::ErrorReply, problem};
use crate::{
    identity::{self, PostedForm, ReturnTo, SignedIn, consent, cookies, csrf, sign_in},
    model::{authorization::PendingAuthorization, client::Client},
    secret::{BrowserId, Digest, PendingId},
    store::StoreError,
    web::{client_address::Connection, note, page::Problem, params::Params, see_other},
};
use before_sign_in::{Next, chosen_before};
use decision::{allow, deny, is_remembered, issue_code};
use question::{chosen, narrowed, with_prompt};

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
    headers: HeaderMap,
    PostedForm(params): PostedForm,
) -> Response {
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
    let asked = match Next::of(oauth, params) {
        Some(next) if signed_in(oauth, headers, &pending).await?.is_none() => {
            before_sign_in::ask(oauth, headers, &id, &pending, next).await?
        }
        _ => ask(oauth, headers, &id, &browser, &pending, params).await?,
    };
    Ok(note::from_client(asked, || pending.client.shared()))
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
    let chosen = allowed.and_then(|allowed| chosen_before(oauth, &client, pending, allowed));
    if let Some(chosen) = chosen {
        let now = oauth.clock.now();
        let taken = oauth.store.take_pending(&id.digest(), browser, now).await?;
        return match taken {
            Some(pending) => {
                let granted = narrowed(&pending, chosen);
                allow(oauth, &person, &client, &granted).await
            }
            None => Ok(problem::no_open_request()),
        };
    }
    Ok(with_prompt(oauth, id, &client, pending, |prompt| {
        prompt.ask(&person)
    }))
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
        return before_sign_in::answer(oauth, from, params, &id, &pending).await;
    };
    let client = match who_asks(oauth, &pending).await? {
        Ok(client) => client,
        Err(problem) => return Ok(problem.with_status(StatusCode::BAD_REQUEST)),
    };
    let field = |name| params.only(name).unwrap_or_default();
    if !consent::is_answer_of(&person, request, field("csrf")) {
        return Ok(identity::problem::not_our_form());
    }
    // Whoever was shown another name has not allowed this one.
    if field(consent::APPEARANCE) != client.appearance().to_base64url() {
        return ask(oauth, headers, &id, &browser, &pending, params).await;
    }
    let allowed = match params.only("decision") {
        Some("allow") => true,
        Some("deny") => false,
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
    let answered = if allowed {
        let granted = narrowed(&pending, chosen(oauth, &pending, params));
        allow(oauth, &person, &client, &granted).await?
    } else {
        deny(oauth, &person, &pending)
    };
    Ok(note::from_client(answered, || pending.client.shared()))
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
    params.only("request")
}

fn browser(oauth: &OAuthState, headers: &HeaderMap) -> Option<Digest> {
    cookies::browser(headers, &oauth.public_url).map(|browser| browser.digest())
}
