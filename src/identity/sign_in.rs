//! The sign-in page.

use askama::Template;
use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    IdentityState, PostedForm, ReturnTo, Ways, cookies, csrf,
    password::{Checked, HashingError},
    problem,
};
use crate::{
    model::user::{UserId, UserName},
    secret::{BrowserId, Password},
    store::StoreError,
    web::{
        client_address::Connection,
        note,
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
    password: Option<PasswordForm>,
    /// Identifiers and names.
    providers: Vec<(&'a str, &'a str)>,
    again: bool,
    csrf: String,
    action: String,
    return_to: ReturnTo,
    problem: Option<String>,
}

/// The part for those who sign in with something that they know.
#[derive(Debug)]
struct PasswordForm {
    username: String,
    /// Nobody but the owner can be meant, who has a passcode.
    only_owner: bool,
}

/// What the page is shown with.
struct Shown {
    return_to: ReturnTo,
    status: StatusCode,
    problem: Option<String>,
    /// Who was named before, if anybody.
    username: String,
    /// Whether they are to show who they are, even to a provider that knows.
    again: bool,
}

impl Shown {
    fn first(return_to: ReturnTo) -> Self {
        Self {
            return_to,
            status: StatusCode::OK,
            problem: None,
            username: String::new(),
            again: false,
        }
    }
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
    let again = asks_again(&params);
    let headers = request.headers();
    match identity.signed_in(headers).await {
        Ok(Some(_)) if !again => see_other(return_to.as_str()),
        Ok(_) => {
            let shown = Shown {
                again,
                ..Shown::first(return_to)
            };
            form(&identity, headers, shown).await
        }
        Err(error) => problem::unavailable(error),
    }
}

/// Checks what was entered.
pub(super) async fn post(
    State(identity): State<IdentityState>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    PostedForm(entered): PostedForm,
) -> Response {
    let entered_text = |name| entered.only(name).unwrap_or_default();
    if sent_by(&identity, &headers, &entered).is_none() {
        return problem::not_our_form();
    }
    let return_to = destination(&entered);
    let again = asks_again(&entered);
    let address = identity.address(connection, &headers);
    let now = identity.clock.now();
    let username = entered_text("username").trim().to_owned();
    if let Some(throttle) = &identity.throttle
        && let Err(retry_after) = throttle.attempt(address, now)
    {
        tracing::warn!(event = "sign_in_throttled", client.address = %address, "too many failed sign-ins");
        let shown = Shown {
            username,
            again,
            ..Shown::first(return_to)
        };
        return throttled(&identity, &headers, shown, retry_after).await;
    }
    let not_failed = || {
        if let Some(throttle) = &identity.throttle {
            throttle.succeeded(address, now);
        }
    };
    let password = Password::typed(entered_text("password"));
    match recognise(&identity, &username, password).await {
        Ok(Some(user)) => {
            not_failed();
            let go_on = |_: &_| return_to.as_str().to_owned();
            let admitted = identity.admit(&headers, user, go_on).await;
            admitted.unwrap_or_else(problem::unavailable)
        }
        Ok(None) => {
            // Not what was typed as a name: it may be a password.
            tracing::warn!(event = "sign_in_failed", client.address = %address, "wrong passcode, user or password");
            let shown = Shown {
                status: StatusCode::FORBIDDEN,
                problem: Some(String::new()),
                username,
                again,
                ..Shown::first(return_to)
            };
            form(&identity, &headers, shown).await
        }
        Err(error) => {
            not_failed();
            error.page()
        }
    }
}

/// The browser that sent a form of this page, if it was this page's.
pub(super) fn sent_by(
    identity: &IdentityState,
    headers: &HeaderMap,
    entered: &Params,
) -> Option<BrowserId> {
    if csrf::is_cross_site(headers, &identity.public_url) {
        return None;
    }
    let token = entered.only("csrf").unwrap_or_default();
    cookies::browser(headers, &identity.public_url)
        .filter(|browser| csrf::is_token(token, FORM, browser.expose()))
}

/// Whether somebody is to show who they are, even if that is known.
pub(super) fn asks_again(params: &Params) -> bool {
    params.text("again").is_ok_and(|again| again.is_some())
}

/// Why it was not found out who somebody is.
#[derive(Debug, thiserror::Error)]
enum SignInError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Hashing(#[from] HashingError),
}

impl SignInError {
    fn page(self) -> Response {
        match self {
            Self::Store(error) => problem::unavailable(error),
            Self::Hashing(HashingError::Busy) => problem::busy(),
            Self::Hashing(error) => {
                note::failed(StatusCode::INTERNAL_SERVER_ERROR.into_response(), error)
            }
        }
    }
}

/// Who that is; `None`: nobody, or not with that password.
async fn recognise(
    identity: &IdentityState,
    username: &str,
    password: Password,
) -> Result<Option<UserId>, SignInError> {
    let ways = identity.ways().await?;
    // A form without the field means the owner.
    if let Some(passcode) = &ways.passcode
        && matches!(username, "" | "owner")
    {
        let is_right = passcode.matches(password.expose());
        return Ok(is_right.then(UserId::owner));
    }
    if !ways.has_users {
        return Ok(None);
    }
    let store = &identity.store;
    let user = match UserName::parse(username) {
        Ok(name) => store.user(&name).await?,
        Err(_) => None,
    };
    let known = user.as_ref().map(|user| user.password.clone());
    let checked = identity.passwords.check(password, known).await?;
    let Some(user) = user else { return Ok(None) };
    match checked {
        Checked::Wrong => return Ok(None),
        Checked::Right => {}
        Checked::RightAndRehashed(hash) => {
            let replaced = store.replace_password_hash(&user.name, &user.password, hash);
            replaced.await?;
        }
    }
    Ok(Some(UserId::named(&user.name)))
}

async fn form(identity: &IdentityState, headers: &HeaderMap, shown: Shown) -> Response {
    let ways = match identity.ways().await {
        Ok(ways) => ways,
        Err(error) => return problem::unavailable(error),
    };
    let known = cookies::browser(headers, &identity.public_url);
    let is_new = known.is_none();
    let browser = known.unwrap_or_else(BrowserId::mint);
    let only_owner = !ways.has_users;
    let problem = shown.problem.map(|problem| match problem.as_str() {
        "" if only_owner => "That passcode is not right.".to_owned(),
        "" => "That user and that password do not belong together.".to_owned(),
        _ => problem,
    });
    let page = SignInPage {
        host: identity.public_url.host(),
        password: password_form(&ways, shown.username),
        providers: identity
            .providers
            .iter()
            .map(|provider| (&*provider.id, &*provider.name))
            .collect(),
        again: shown.again,
        csrf: csrf::token(FORM, browser.expose()),
        action: url(&shown.return_to, false),
        return_to: shown.return_to,
        problem,
    };
    let mut response = Page(shown.status, page).into_response();
    if is_new {
        let cookie = cookies::set_browser(&browser, &identity.public_url);
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn password_form(ways: &Ways, username: String) -> Option<PasswordForm> {
    if ways.has_users {
        // What cannot be a name is not repeated: it may be the password.
        let is_name = username == "owner" || UserName::parse(&username).is_ok();
        return Some(PasswordForm {
            username: if is_name { username } else { String::new() },
            only_owner: false,
        });
    }
    ways.passcode.as_ref().map(|_| PasswordForm {
        username: "owner".to_owned(),
        only_owner: true,
    })
}

async fn throttled(
    identity: &IdentityState,
    headers: &HeaderMap,
    shown: Shown,
    retry_after: RetryAfter,
) -> Response {
    let seconds = retry_after.seconds();
    let problem = format!("There were too many failed attempts. Try again in {seconds} seconds.");
    let shown = Shown {
        status: StatusCode::TOO_MANY_REQUESTS,
        problem: Some(problem),
        ..shown
    };
    let mut response = form(identity, headers, shown).await;
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, seconds.into());
    response
}

pub(super) fn destination(params: &Params) -> ReturnTo {
    let asked_for = params.only("return_to");
    asked_for
        .and_then(ReturnTo::parse)
        .unwrap_or_else(ReturnTo::home)
}
