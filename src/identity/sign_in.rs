//! The sign-in page.

use askama::Template;
use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{IdentityState, ReturnTo, cookies, csrf, problem};
use crate::{
    model::user::{BrowserSession, UserId},
    secret::{BrowserId, BrowserSessionId},
    store::StoreError,
    web::{
        client_address::Connection,
        page::Page,
        params::{self, Params},
        see_other,
        throttle::RetryAfter,
    },
};

/// Where the page is.
pub const PATH: &str = "/sign-in";

/// Keeps this form's token from serving another form.
const FORM: &str = "sign-in form";

#[derive(Debug, Template)]
#[template(path = "identity/sign_in.html")]
struct SignInPage<'a> {
    host: &'a str,
    username: &'a str,
    csrf: String,
    action: String,
    return_to: ReturnTo,
    problem: Option<String>,
}

/// The address of the page that leads on to `return_to`. `again`: even for somebody who has signed
/// in.
pub fn url(return_to: &ReturnTo, again: bool) -> String {
    let return_to = params::encode(return_to.as_str().as_bytes());
    let again = if again { "&again=1" } else { "" };
    format!("{PATH}?return_to={return_to}{again}")
}

/// Shows the page, or goes on at once for somebody who has signed in.
pub(super) async fn get(State(identity): State<IdentityState>, request: Request) -> Response {
    let params = Params::of_query(&request);
    let return_to = destination(&params);
    let again = params.text("again").is_ok_and(|again| again.is_some());
    let headers = request.headers();
    match identity.signed_in(headers).await {
        Ok(Some(_)) if !again => see_other(return_to.as_str()),
        Ok(_) => form(&identity, headers, return_to, StatusCode::OK, None),
        Err(error) => problem::unavailable(error),
    }
}

/// Checks what was entered.
pub(super) async fn post(
    State(identity): State<IdentityState>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let entered = match Params::of_form(request).await {
        Ok(entered) => entered,
        Err(error) => return problem::incomplete(error),
    };
    let entered_text = |name| entered.text(name).ok().flatten().unwrap_or_default();
    let from_our_page = !csrf::is_cross_site(&headers, &identity.public_url)
        && cookies::browser(&headers, &identity.public_url)
            .is_some_and(|browser| csrf::is_token(entered_text("csrf"), FORM, browser.expose()));
    if !from_our_page {
        return problem::not_our_form();
    }
    let return_to = destination(&entered);
    let address = identity
        .proxies
        .client_address(connection.peer.ip(), &headers);
    let now = identity.clock.now();
    if let Some(throttle) = &identity.throttle
        && let Err(retry_after) = throttle.attempt(address, now)
    {
        tracing::warn!(event = "sign_in_throttled", client.address = %address, "too many failed sign-ins");
        return throttled(&identity, &headers, return_to, retry_after);
    }
    // The owner is the only user: a form without the field means them.
    let names_owner = matches!(entered_text("username").trim(), "" | "owner");
    if !(identity.passcode.matches(entered_text("password")) && names_owner) {
        tracing::warn!(event = "sign_in_failed", client.address = %address, "wrong passcode");
        let problem = "That passcode is not right.".to_owned();
        return form(
            &identity,
            &headers,
            return_to,
            StatusCode::FORBIDDEN,
            Some(problem),
        );
    }
    if let Some(throttle) = &identity.throttle {
        throttle.succeeded(address, now);
    }
    // Somebody who has signed in already, in another tab, keeps that session: the forms that are
    // open there are bound to it.
    let user = UserId::owner();
    let id = match identity.signed_in(&headers).await {
        Ok(Some(person)) if person.user == user => person.session,
        Ok(_) => BrowserSessionId::mint(),
        Err(error) => return problem::unavailable(error),
    };
    match keep_session(&identity, id, user).await {
        Ok(cookie) => {
            let mut response = see_other(return_to.as_str());
            response.headers_mut().append(header::SET_COOKIE, cookie);
            response
        }
        Err(error) => problem::unavailable(error),
    }
}

/// Keeps a session from now on. One that nobody had signed in with has a new name: what was planted
/// before signing in is worth nothing.
async fn keep_session(
    identity: &IdentityState,
    id: BrowserSessionId,
    user: UserId,
) -> Result<HeaderValue, StoreError> {
    let now = identity.clock.now();
    let session = BrowserSession {
        user,
        authenticated_at: now,
        expires_at: now + identity.sign_in_ttl,
    };
    identity
        .store
        .insert_browser_session(id.digest(), session)
        .await?;
    Ok(cookies::set_browser_session(
        &id,
        identity.sign_in_ttl,
        &identity.public_url,
    ))
}

fn form(
    identity: &IdentityState,
    headers: &HeaderMap,
    return_to: ReturnTo,
    status: StatusCode,
    problem: Option<String>,
) -> Response {
    let known = cookies::browser(headers, &identity.public_url);
    let is_new = known.is_none();
    let browser = known.unwrap_or_else(BrowserId::mint);
    let page = SignInPage {
        host: identity.public_url.host(),
        username: "owner",
        csrf: csrf::token(FORM, browser.expose()),
        action: url(&return_to, false),
        return_to,
        problem,
    };
    let mut response = Page(status, page).into_response();
    if is_new {
        let cookie = cookies::set_browser(&browser, &identity.public_url);
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn throttled(
    identity: &IdentityState,
    headers: &HeaderMap,
    return_to: ReturnTo,
    retry_after: RetryAfter,
) -> Response {
    let seconds = retry_after.seconds();
    let problem = format!("There were too many failed attempts. Try again in {seconds} seconds.");
    let status = StatusCode::TOO_MANY_REQUESTS;
    let mut response = form(identity, headers, return_to, status, Some(problem));
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, seconds.into());
    response
}

fn destination(params: &Params) -> ReturnTo {
    let asked_for = params.text("return_to").ok().flatten();
    asked_for
        .and_then(ReturnTo::parse)
        .unwrap_or_else(ReturnTo::home)
}
