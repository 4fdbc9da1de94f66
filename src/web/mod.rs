//! Manners that every room shares: addresses, origins, headers, bodies, pages, limits, turns, and what is
//! fetched from elsewhere. It knows no other room.

pub mod body;
pub mod brand;
pub mod cause;
pub mod certificates;
pub mod client_address;
pub mod cors;
pub mod device;
pub mod fetch;
pub mod listener_address;
pub mod note;
pub mod origin;
pub mod page;
pub mod panic;
pub mod params;
pub mod throttle;
pub mod turns;

use axum::{
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{self, AsHeaderName},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;

/// What this server calls itself where it is the client.
pub const USER_AGENT: &str = concat!("remote-mcp-auth/", env!("CARGO_PKG_VERSION"));

/// A header that may stand in a request once came several times: which of them counts, nobody can
/// tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated;

/// The value of a header that may stand in a request once.
pub fn sole_header(
    headers: &HeaderMap,
    name: impl AsHeaderName,
) -> Result<Option<&HeaderValue>, Repeated> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Repeated),
    }
}

/// A JSON answer. Unlike axum's own it cannot fail half way: what does not serialize is a bug and
/// answers 500.
#[derive(Debug)]
pub struct Json<T>(pub StatusCode, pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.1) {
            Ok(body) => {
                let content_type = HeaderValue::from_static("application/json");
                (self.0, [(header::CONTENT_TYPE, content_type)], body).into_response()
            }
            Err(error) => note::failed(StatusCode::INTERNAL_SERVER_ERROR.into_response(), error),
        }
    }
}

/// Marks an answer that nobody may keep (RFC 6749 §5.1).
#[derive(Debug)]
pub struct NoStore<T>(pub T);

impl<T: IntoResponse> IntoResponse for NoStore<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        response
    }
}

/// A 303: whatever the method was, go there with GET (RFC 9700 §4.12). Anything that cannot stand
/// in a header is a bug of the caller and answers 500.
pub fn see_other(location: &str) -> Response {
    match HeaderValue::try_from(location) {
        Ok(location) => {
            let headers = [
                (header::LOCATION, location),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(error) => note::failed(StatusCode::INTERNAL_SERVER_ERROR.into_response(), error),
    }
}

/// 405 in the shape of OAuth's refusals; axum adds `Allow`.
pub async fn method_not_allowed(method: Method) -> Response {
    let body = json!({
        "error": "invalid_request",
        "error_description": format!("{method} is not supported here"),
    });
    NoStore(Json(StatusCode::METHOD_NOT_ALLOWED, body)).into_response()
}
