//! The consent page. It shows what it is told; what an answer means is for the asker to decide.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{ReturnTo, SignedIn, csrf};
use crate::{
    secret::{BrowserId, BrowserSessionId},
    web::{
        page::Page,
        params::{self, Params},
    },
};

/// Where the page is, and where its form is sent.
pub const PATH: &str = "/consent";

/// The parameter that names the provider which somebody goes on to.
pub const WITH: &str = "with";

/// What was allowed before signing in, and what shows it.
const ALLOWED: &str = "allowed";
const PROOF: &str = "proof";

/// The field of an answer that says which [`ConsentPrompt::appearance`] was shown.
pub const APPEARANCE: &str = "appearance";

/// A question to a person.
#[derive(Debug, Clone, Copy)]
pub struct ConsentPrompt<'a> {
    /// Names the question; comes back with the answer.
    pub request: &'a str,
    /// Tells what is shown of the one who asks from what might have been; comes back with the answer.
    pub appearance: &'a str,
    /// Who asks, in their own words, if they gave any.
    pub client_name: Option<&'a str>,
    /// The host that vouches for that name, if one does.
    pub vouched_for_by: Option<&'a str>,
    /// Where the answer will be sent.
    pub destination: &'a str,
    /// Whether any program on the person's machine could be waiting there.
    pub is_local: bool,
    /// Where the tools are.
    pub resource: &'a str,
    /// What will be possible, in words.
    pub abilities: &'a [&'a str],
}

#[derive(Debug, Template)]
#[template(path = "identity/consent.html")]
struct ConsentPage<'a> {
    prompt: ConsentPrompt<'a>,
    /// Who is asked, if they have signed in.
    user: Option<&'a str>,
    /// The provider that they go to next, if they have not: its identifier and its name.
    next: Option<(&'a str, &'a str)>,
    again: bool,
    csrf: String,
}

impl ConsentPrompt<'_> {
    /// The page that asks `person`.
    pub fn ask(self, person: &SignedIn) -> Response {
        let page = ConsentPage {
            prompt: self,
            user: Some(person.shown()),
            next: None,
            again: false,
            csrf: csrf::token(&form(self.request), person.session.expose()),
        };
        Page(StatusCode::OK, page).into_response()
    }

    /// The page that asks whoever is at a browser, before they go to a provider and sign in there.
    /// `again`: even if it knows them.
    pub fn ask_before_sign_in(
        self,
        browser: &BrowserId,
        provider: (&str, &str),
        again: bool,
    ) -> Response {
        let page = ConsentPage {
            prompt: self,
            user: None,
            next: Some(provider),
            again,
            csrf: token_of_browser(browser, self.request),
        };
        Page(StatusCode::OK, page).into_response()
    }
}

/// Whether the token of an answer shows that `person` was asked that question.
pub fn is_answer_of(person: &SignedIn, request: &str, csrf: &str) -> bool {
    csrf::is_token(csrf, &form(request), person.session.expose())
}

/// Whether it shows that whoever is at that browser was asked, before they signed in.
pub fn is_answer_of_browser(browser: &BrowserId, request: &str, csrf: &str) -> bool {
    csrf::is_token(csrf, &form(request), browser.expose())
}

/// The token of a form that is answered before signing in.
pub(super) fn token_of_browser(browser: &BrowserId, request: &str) -> String {
    csrf::token(&form(request), browser.expose())
}

/// The address of a question.
pub fn url(request: &str) -> String {
    format!("{PATH}?request={request}")
}

/// The same for somebody who goes on to a provider.
pub fn url_before_sign_in(request: &str, provider: &str, again: bool) -> String {
    let again = if again { "&again=1" } else { "" };
    format!("{}&{WITH}={provider}{again}", url(request))
}

/// The question that somebody is on their way to.
pub(super) fn question_at(return_to: &ReturnTo) -> Option<&str> {
    let query = return_to
        .as_str()
        .strip_prefix(PATH)?
        .strip_prefix("?request=")?;
    query.split('&').next()
}

/// The address at which somebody goes on who has answered before they signed in.
pub(super) fn url_of_answered(
    return_to: &ReturnTo,
    allowed: &str,
    session: &BrowserSessionId,
) -> String {
    let Some(request) = question_at(return_to) else {
        return return_to.as_str().to_owned();
    };
    let proof = csrf::token(&answered(request, allowed), session.expose());
    let allowed = params::encode(allowed.as_bytes());
    format!("{}&{ALLOWED}={allowed}&{PROOF}={proof}", url(request))
}

/// What `person` allowed before they signed in, in the words of whoever asked. It is good for that
/// question, with the session that began when they came back.
pub fn answered_before<'a>(
    person: &SignedIn,
    request: &str,
    params: &'a Params,
) -> Option<&'a str> {
    let text = |name| params.text(name).ok().flatten();
    let allowed = text(ALLOWED)?;
    let is_theirs = csrf::is_token(
        text(PROOF)?,
        &answered(request, allowed),
        person.session.expose(),
    );
    is_theirs.then_some(allowed)
}

fn form(request: &str) -> String {
    format!("consent form {request}")
}

fn answered(request: &str, allowed: &str) -> String {
    format!("answer before sign-in {request} {allowed}")
}
