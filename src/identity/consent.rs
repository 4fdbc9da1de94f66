//! The consent page. It shows what it is told; what an answer means is for the asker to decide.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{SignedIn, csrf};
use crate::web::page::Page;

/// Where the page is, and where its form is sent.
pub const PATH: &str = "/consent";

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
    user: &'a str,
    csrf: String,
}

impl ConsentPrompt<'_> {
    /// The page that asks `person`.
    pub fn ask(self, person: &SignedIn) -> Response {
        let page = ConsentPage {
            prompt: self,
            user: person.user.as_str(),
            csrf: csrf::token(&form(self.request), person.session.expose()),
        };
        Page(StatusCode::OK, page).into_response()
    }
}

/// Whether the token of an answer shows that `person` was asked that question.
pub fn is_answer_of(person: &SignedIn, request: &str, csrf: &str) -> bool {
    csrf::is_token(csrf, &form(request), person.session.expose())
}

fn form(request: &str) -> String {
    format!("consent form {request}")
}
