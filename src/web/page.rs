//! Pages for people: how each is headed, styled and protected.
//!
//! A room renders what it has to say. Whose server it is, the [`Brand`] adds when the answer leaves
//! ([`dress`]), so that nobody has to carry that through a failure.

use askama::Template;
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{brand::Brand, note};

// Where the brand's parts belong. No text can look like these: in a text, `<` is escaped.
/// The name, for the window.
pub const NAME: &str = "<!-- name -->";
/// The stylesheet.
pub const HEAD: &str = "<!-- head -->";
/// The name and the logo.
pub const BANNER: &str = "<!-- banner -->";
/// The links.
pub const FOOTER: &str = "<!-- footer -->";

/// A page.
#[derive(Debug)]
pub struct Page<T>(pub StatusCode, pub T);

/// A page that does not say yet whose it is.
#[derive(Debug, Clone)]
struct Undressed(String);

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let html = match self.1.render() {
            Ok(html) => html,
            Err(error) => {
                return note::failed(StatusCode::INTERNAL_SERVER_ERROR.into_response(), error);
            }
        };
        let headers = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            ),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ),
            (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            (
                header::REFERRER_POLICY,
                HeaderValue::from_static("same-origin"),
            ),
        ];
        let mut response = (self.0, headers).into_response();
        response.extensions_mut().insert(Undressed(html));
        response
    }
}

/// Finishes a page, if the response is one.
pub fn dress(response: Response, brand: &Brand) -> Response {
    // Most responses are none, and they are many.
    if response.extensions().get::<Undressed>().is_none() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Some(Undressed(html)) = parts.extensions.remove() else {
        return Response::from_parts(parts, body);
    };
    let html = match brand.dress(html) {
        Ok(html) => html,
        Err(error) => {
            return note::failed(StatusCode::INTERNAL_SERVER_ERROR.into_response(), error);
        }
    };
    parts.headers.insert(
        header::CONTENT_SECURITY_POLICY,
        brand.content_security_policy(),
    );
    parts
        .headers
        .insert(header::CONTENT_LENGTH, html.len().into());
    Response::from_parts(parts, Body::from(html))
}

/// A page that says what went wrong and what helps.
#[derive(Debug, Template)]
#[template(path = "web/problem.html")]
pub struct Problem {
    /// What happened, in a few words.
    title: &'static str,
    /// What it means, in a sentence or two.
    pub message: String,
    /// What to do.
    advice: Vec<Advice>,
    /// Where to go from here.
    way_on: Option<WayOn>,
}

/// One thing to do.
#[derive(Debug)]
struct Advice {
    /// For whom; empty: for everyone.
    who: &'static str,
    /// What.
    what: String,
}

/// A link that leads on.
#[derive(Debug)]
struct WayOn {
    /// Where to: a path of ours.
    href: &'static str,
    /// What is there.
    label: &'static str,
}

impl Problem {
    /// A problem whose message says it all.
    pub fn new(title: &'static str, message: impl Into<String>) -> Self {
        Self {
            title,
            message: message.into(),
            advice: Vec::new(),
            way_on: None,
        }
    }

    /// The same with something to do.
    #[must_use]
    pub fn advise(mut self, who: &'static str, what: impl Into<String>) -> Self {
        self.advice.push(Advice {
            who,
            what: what.into(),
        });
        self
    }

    /// The same with a link that leads on.
    #[must_use]
    pub fn leading_to(mut self, href: &'static str, label: &'static str) -> Self {
        self.way_on = Some(WayOn { href, label });
        self
    }

    /// The same for whoever has to begin anew.
    #[must_use]
    pub fn leading_to_connecting(self) -> Self {
        self.leading_to("/", "How to connect an app")
    }

    /// The page.
    pub fn with_status(self, status: StatusCode) -> Response {
        Page(status, self).into_response()
    }
}
