//! What a caller is told when a handler panics. The server lives on.

use std::{any::Any, panic::AssertUnwindSafe};

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt as _;
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;

use super::{Json, page::Problem};

/// Turns a panic into a 500. It stands inside whatever adds headers that callers rely on.
///
/// It logs nothing: the panic hook does, which knows the place, and which a program that embeds the
/// server may have of its own.
pub fn catch() -> CatchPanicLayer<fn(Box<dyn Any + Send>) -> Response> {
    CatchPanicLayer::custom(answer)
}

/// The same for one answer, without a layer.
pub fn caught(answering: impl Future<Output = Response>) -> impl Future<Output = Response> {
    caught_for(false, answering)
}

/// The same; a person at a browser gets a page.
pub fn caught_for(
    is_person: bool,
    answering: impl Future<Output = Response>,
) -> impl Future<Output = Response> {
    // An `async fn` would need room for `answering` twice.
    let answered = AssertUnwindSafe(answering).catch_unwind();
    answered.map(move |answered| {
        answered.unwrap_or_else(|panic| if is_person { page() } else { answer(panic) })
    })
}

fn page() -> Response {
    Problem::new(
        "Something went wrong here",
        "The server failed to answer. It is not your fault, and it has been logged.",
    )
    .advise("", "Wait a few seconds, then load this page again.")
    .leading_to("/", "Go to the start page")
    .with_status(StatusCode::INTERNAL_SERVER_ERROR)
}

fn answer(_: Box<dyn Any + Send>) -> Response {
    let body = json!({
        "error": "server_error",
        "error_description": "the server failed to answer; it has been logged",
    });
    Json(StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
}
