//! What a person is told when a form cannot be taken or the server cannot serve.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

use crate::{
    store::StoreError,
    web::{body::BodyError, note, page::Problem, throttle::RetryAfter},
};

/// The page for a form that did not come from our own page.
pub fn not_our_form() -> Response {
    Problem::new(
        "This form cannot be accepted",
        "It was not sent from this server's own page in this browser, or the browser did not send \
         its cookie along. Nothing was allowed. Allow cookies for this site, go back to your app \
         and connect again.",
    )
    .with_status(StatusCode::FORBIDDEN)
}

/// The page for a form that did not arrive whole.
pub fn incomplete(error: BodyError) -> Response {
    let status = match error {
        BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
        BodyError::Broken => StatusCode::BAD_REQUEST,
    };
    Problem::new("This form did not arrive whole", format!("{error}.")).with_status(status)
}

/// The page for an address that asks for too much.
pub fn too_many_requests(retry_after: RetryAfter) -> Response {
    let seconds = retry_after.seconds();
    let message = format!("There were too many requests. Try again in {seconds} seconds.");
    let page = Problem::new("Try again in a moment", message);
    let mut response = page.with_status(StatusCode::TOO_MANY_REQUESTS);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, seconds.into());
    response
}

/// The page for when too many people sign in at once.
pub fn busy() -> Response {
    let page = Problem::new(
        "Try again in a moment",
        "Many people are signing in at the moment. Go back and try again.",
    );
    let mut response = page.with_status(StatusCode::SERVICE_UNAVAILABLE);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    response
}

/// The page for when the store fails: the person can do nothing but wait.
pub fn unavailable(error: StoreError) -> Response {
    let page = Problem::new(
        "Try again in a moment",
        "The server cannot reach its data at the moment. Nothing is lost.",
    );
    let response = page.with_status(StatusCode::SERVICE_UNAVAILABLE);
    note::unavailable(response, error)
}
