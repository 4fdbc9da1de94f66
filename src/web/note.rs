//! What a response tells the request log beside its status. Clients never see it.

use std::{error::Error, fmt, sync::Arc};

use axum::{
    http::{HeaderValue, header},
    response::Response,
};
use tracing::Level;

/// The target of the request log's lines, for filters.
pub const REQUEST_LOG: &str = concat!(env!("CARGO_CRATE_NAME"), "::request");

/// The client that the request came from.
#[derive(Debug, Clone)]
pub struct ClientNote(pub Arc<str>);

/// Why the request could not be served: our fault, for the operator.
#[derive(Clone)]
pub struct FailureNote(pub Arc<dyn Error + Send + Sync>);

impl fmt::Debug for FailureNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Attaches the cause of a failure to the response that hides it.
pub fn failed(mut response: Response, error: impl Into<Box<dyn Error + Send + Sync>>) -> Response {
    let cause = FailureNote(Arc::from(error.into()));
    response.extensions_mut().insert(cause);
    response
}

/// The same for what will pass: the caller is told to try again soon.
pub fn unavailable(
    mut response: Response,
    error: impl Into<Box<dyn Error + Send + Sync>>,
) -> Response {
    const SOON: HeaderValue = HeaderValue::from_static("5");
    response.headers_mut().insert(header::RETRY_AFTER, SOON);
    failed(response, error)
}

/// Attaches the client that a response is for, if there will be a line about it. Only one that is
/// known: what else stands in a request as a `client_id` can be any text.
pub fn from_client(mut response: Response, id: impl FnOnce() -> Arc<str>) -> Response {
    let notes = response.extensions();
    // Every note costs some allocations, and there are many requests.
    if notes.get::<FailureNote>().is_some() || is_logged() {
        response.extensions_mut().insert(ClientNote(id()));
    }
    response
}

/// Whether requests that went well are logged.
fn is_logged() -> bool {
    tracing::enabled!(target: REQUEST_LOG, Level::INFO)
}
