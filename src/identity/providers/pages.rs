//! What people are told whom a provider has not let in, or we have not. Each page leads on: back to the
//! app, which is told, and to another way to sign in.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::UpstreamError;
use crate::{
    identity::{ReturnTo, consent, sign_in},
    model::{
        provider::{ProvidedPerson, Provider},
        user::UserId,
    },
    secret::BrowserId,
    web::page::{Page, Problem},
};

#[derive(Debug, Template)]
#[template(path = "identity/turned_away.html")]
struct TurnedAway<'a> {
    title: String,
    message: String,
    /// Leads to the sign-in page.
    again: &'a str,
    again_url: String,
    /// Tells the app, if there is one: the question, and what shows that it was asked here.
    leave: Option<(&'a str, String)>,
}

/// Somebody who is not let in, and what they came for.
pub(super) struct Turned<'a> {
    pub(super) provider: &'a Provider,
    pub(super) browser: &'a BrowserId,
    pub(super) return_to: &'a ReturnTo,
}

impl Turned<'_> {
    /// They went back from the provider's page.
    pub(super) fn cancelled(&self) -> Response {
        let name = &self.provider.name;
        let title = format!("You have not signed in with {name}");
        let message = format!(
            "{name} says that you cancelled. Nothing was allowed, and no app has learned anything."
        );
        self.page(StatusCode::FORBIDDEN, title, message, "Try again", false)
    }

    /// The provider knows them, and the operator does not want them here.
    pub(super) fn not_allowed(&self, person: &ProvidedPerson) -> Response {
        let name = &self.provider.name;
        let user = UserId::of_issuer(self.provider.issuer(), &person.subject);
        tracing::warn!(event = "entry_refused", provider = %self.provider.id, user = %user, "somebody signed in who may not enter");
        let who = match (&person.email, &person.name) {
            (Some(email), _) => email,
            (None, Some(name)) => name,
            (None, None) => "you",
        };
        let title = "You may not use this server".to_owned();
        let unverified = if person.email.is_some() && !person.email_verified {
            format!(" {name} has not verified that this address is yours, so it does not count.")
        } else {
            String::new()
        };
        let message = format!(
            "You signed in with {name} as {who}, who is not among those whom this server lets in.\
             {unverified} If you should be, ask whoever runs it."
        );
        let again = "Use another account";
        self.page(StatusCode::FORBIDDEN, title, message, again, true)
    }

    /// The provider has not said who they are.
    pub(super) fn because_of(&self, error: &UpstreamError) -> Response {
        let (id, name) = (&self.provider.id, &self.provider.name);
        match error {
            UpstreamError::Unreachable(_) => {
                tracing::error!(event = "provider_unreachable", provider = %id, error = %error, "nobody can sign in with the provider");
                let title = format!("{name} cannot be reached");
                let message = format!(
                    "This server cannot reach {name} at the moment, so it cannot find out who you \
                     are. Try again in a moment, or sign in another way if you can."
                );
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let mut response = self.page(status, title, message, "Sign in another way", false);
                let soon = HeaderValue::from_static("5");
                response.headers_mut().insert(header::RETRY_AFTER, soon);
                response
            }
            UpstreamError::Refused(_) | UpstreamError::Invalid(_) => {
                tracing::warn!(event = "provider_answer_refused", provider = %id, error = %error, "the provider has not said who somebody is");
                let title = format!("Signing in with {name} did not work");
                let message = format!(
                    "{name} gave an answer that this server cannot accept. Nothing was allowed. \
                     Try again; if that changes nothing, tell whoever runs this server: the reason \
                     is in its log."
                );
                self.page(StatusCode::BAD_GATEWAY, title, message, "Try again", false)
            }
        }
    }

    fn page(
        &self,
        status: StatusCode,
        title: String,
        message: String,
        again: &str,
        anew: bool,
    ) -> Response {
        let leave = consent::question_at(self.return_to)
            .map(|request| (request, consent::token_of_browser(self.browser, request)));
        let page = TurnedAway {
            title,
            message,
            again,
            again_url: sign_in::url(self.return_to, anew),
            leave,
        };
        Page(status, page).into_response()
    }
}

/// The page for an answer that nobody waits for.
pub(super) fn nobody_waits() -> Response {
    Problem::new(
        "This sign-in cannot go on",
        "It was finished already, took longer than ten minutes, or was begun in another browser. \
         Nothing was allowed.",
    )
    .advise("", "Go back to your app and connect again.")
    .advise(
        "If that leads here again",
        "The browser keeps no cookies for this site. Allow them, and connect again.",
    )
    .with_status(StatusCode::BAD_REQUEST)
}

/// The page for a provider that there is not, or no longer.
pub(super) fn no_such_provider() -> Response {
    Problem::new(
        "This way to sign in does not exist",
        "The operator of this server has changed how people sign in. Go back to your app and connect \
         again.",
    )
    .with_status(StatusCode::NOT_FOUND)
}
