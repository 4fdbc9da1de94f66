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
        "It did not come from this server's own page in this browser, or it is from before you \
         signed in or out. Nothing was allowed and nothing was changed.",
    )
    .advise("", "Go back to your app and connect again.")
    .advise(
        "If that leads here again",
        "The browser keeps no cookies for this site. Allow them; or, if an app shows this page in a \
         window of its own, open the link in your usual browser.",
    )
    .leading_to("/", "Go to the start page")
    .with_status(StatusCode::FORBIDDEN)
}

/// The page for a form that did not arrive whole.
pub fn incomplete(error: BodyError) -> Response {
    let status = match error {
        BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
        BodyError::Broken => StatusCode::BAD_REQUEST,
    };
    Problem::new("This form did not arrive whole", format!("{error}."))
        .advise(
            "",
            "Go back one page, load it again, and send the form once more.",
        )
        .leading_to("/", "Go to the start page")
        .with_status(status)
}

/// The page for an address that asks for too much.
pub fn too_many_requests(retry_after: RetryAfter) -> Response {
    let seconds = retry_after.seconds();
    let message = format!("There were too many requests. Try again in {seconds} seconds.");
    let page = Problem::new("Try again in a moment", message)
        .advise("", "Wait for that long, then load this page again.");
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
    )
    .advise("", "Wait a few seconds, then load this page again.");
    let response = page.with_status(StatusCode::SERVICE_UNAVAILABLE);
    note::unavailable(response, error)
}
