//! The contents page: which rooms there are, and what surrounds them all.

use std::{any::Any, sync::Arc};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing,
};
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    app::App,
    home, identity, mcp, oauth, telemetry,
    web::{Json, cors, page::Problem},
};

/// Everything that the public listener serves.
pub(crate) fn public(app: &App) -> Router {
    let rooms = Router::new()
        .merge(home::routes(app.oauth.public_url.clone()))
        .merge(identity::routes(app.oauth.identity.clone()))
        .merge(oauth::routes(app.oauth.clone()))
        .merge(mcp::routes(Arc::clone(&app.mcp)))
        .route("/healthz", routing::get(healthz));
    surround(rooms)
}

/// What every listener has around its routes: answers for unknown paths, panics and the log.
pub(crate) fn surround(rooms: Router) -> Router {
    rooms
        .fallback(not_found)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(telemetry::log_request))
}

/// The process can serve.
pub(crate) async fn healthz() -> &'static str {
    "ok"
}

/// A JSON 404: clients that look for metadata that we do not have would trip over a page. Only a
/// person's browser gets one, and never under `/.well-known/`.
async fn not_found(request: Request) -> Response {
    let accept = request.headers().get(header::ACCEPT);
    let is_browser = accept
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    let is_well_known = request.uri().path().starts_with("/.well-known/");
    if is_browser && !is_well_known {
        return Problem::new("There is nothing here", "The start page is at /.")
            .with_status(StatusCode::NOT_FOUND);
    }
    let body = json!({
        "error": "not_found",
        "error_description": "there is nothing at this path",
    });
    let mut response = Json(StatusCode::NOT_FOUND, body).into_response();
    if is_well_known {
        // Clients in a browser have to see that it is not there, and look elsewhere.
        cors::expose(&mut response, HeaderValue::from_static("*"));
    }
    response
}

/// The panic itself is logged by the hook that telemetry installs.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature of a panic handler"
)]
fn panicked(payload: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!(
        event = "handler_panicked",
        "{}",
        telemetry::panic_message(payload.as_ref())
    );
    let body = json!({
        "error": "server_error",
        "error_description": "the server failed to answer; it has been logged",
    });
    Json(StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
}
