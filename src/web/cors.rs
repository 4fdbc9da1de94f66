//! Cross-origin requests from browsers (the Fetch standard's CORS protocol).
//!
//! Written here rather than taken from tower-http because the order of checks on `/mcp` is part of
//! the contract: only a true preflight passes without a token, while that crate's layer answers
//! every `OPTIONS`.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS");
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Session-Id, Mcp-Method, \
     Mcp-Name, Last-Event-ID, X-Request-Id, DPoP",
);
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "WWW-Authenticate, Mcp-Session-Id, Retry-After, X-Request-Id, DPoP-Nonce",
);
/// Any origin.
pub const ANY: HeaderValue = HeaderValue::from_static("*");
/// Two hours, the most that Chromium keeps an answer to a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// Whether a request is a preflight: nothing but a question whether another may be sent.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight from `origin`.
pub fn preflight(origin: HeaderValue) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    expose(&mut response, origin);
    response
}

/// Lets pages of `origin` read a response.
pub fn expose(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    if origin != "*" {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
}

/// Middleware for endpoints that answer any page: they are public or carry their own proof, and
/// never look at cookies.
pub async fn any_origin(request: Request, next: Next) -> Response {
    if is_preflight(request.method(), request.headers()) {
        return preflight(ANY);
    }
    let mut response = next.run(request).await;
    expose(&mut response, ANY);
    response
}
