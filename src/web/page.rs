//! Pages for people: how each is headed, styled and protected.

use std::sync::LazyLock;

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use super::note;

/// The one stylesheet, written into every page: a page that explains a failure must not depend on
/// a second request.
pub const STYLE: &str = include_str!("style.css");

/// Nothing may be loaded, run or framed; the stylesheet is allowed by its hash.
///
/// There is no `form-action`: Chromium applies it to the redirect that answers a form, and that
/// leads to the client. The forms have no part that an attacker could write.
static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("a policy of printable ASCII")
});

/// A page.
#[derive(Debug)]
pub struct Page<T>(pub StatusCode, pub T);

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
            (
                header::CONTENT_SECURITY_POLICY,
                CONTENT_SECURITY_POLICY.clone(),
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
        (self.0, headers, html).into_response()
    }
}

/// A page that says what went wrong and what helps.
#[derive(Debug, Template)]
#[template(path = "web/problem.html")]
pub struct Problem {
    /// What happened, in a few words.
    pub title: &'static str,
    /// What it means, in a sentence or two.
    pub message: String,
    /// What to do.
    pub advice: Vec<Advice>,
}

/// One thing to do.
#[derive(Debug, Clone)]
pub struct Advice {
    /// For whom; empty: for everyone.
    pub who: &'static str,
    /// What.
    pub what: String,
}

impl Problem {
    /// A problem whose message says it all.
    pub fn new(title: &'static str, message: impl Into<String>) -> Self {
        Self {
            title,
            message: message.into(),
            advice: Vec::new(),
        }
    }

    /// The page.
    pub fn with_status(self, status: StatusCode) -> Response {
        Page(status, self).into_response()
    }
}
