//! The contents page: which rooms there are, and what surrounds them all.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing,
};
use serde_json::json;

use crate::{
    app::App,
    home, identity, mcp, oauth, telemetry,
    web::{Json, cors, method_not_allowed, page::Problem, panic},
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
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(around))
}

/// What surrounds every request, in one layer: each costs every request an allocation or two.
async fn around(request: Request, next: Next) -> Response {
    telemetry::log_request(request, |request| answer(request, next)).await
}

/// Answers a request, whatever happens. Clients in a browser have to see that a document is not
/// there, and look elsewhere: whatever is answered under `/.well-known/`, every page may read it,
/// preflights and failures included.
async fn answer(request: Request, next: Next) -> Response {
    let is_open = is_well_known(&request);
    if is_open && cors::is_preflight(request.method(), request.headers()) {
        return cors::preflight(cors::ANY);
    }
    let mut response = panic::caught(next.run(request)).await;
    if is_open {
        cors::expose(&mut response, cors::ANY);
    }
    response
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
    if is_browser && !is_well_known(&request) {
        return Problem::new("There is nothing here", "The start page is at /.")
            .with_status(StatusCode::NOT_FOUND);
    }
    let body = json!({
        "error": "not_found",
        "error_description": "there is nothing at this path",
    });
    Json(StatusCode::NOT_FOUND, body).into_response()
}

fn is_well_known(request: &Request) -> bool {
    request.uri().path().starts_with("/.well-known/")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{body::Body, http::Method};
    use tokio_util::sync::CancellationToken;
    use tower::Service as _;

    use super::*;
    use crate::{
        app::Parts,
        clock::{Clock, Timestamp},
        config::Config,
        model::resource::PublicUrl,
        secret::Passcode,
    };

    /// A fault that no request should be able to reach.
    struct BrokenClock;

    impl Clock for BrokenClock {
        fn now(&self) -> Timestamp {
            panic!("the clock is broken");
        }
    }

    #[tokio::test]
    async fn a_page_can_read_that_an_endpoint_has_failed() {
        let config = Config::from_settings([("rate_limits", "off")]).unwrap();
        let parts = Parts {
            clock: Arc::new(BrokenClock),
            public_url: PublicUrl::parse("http://localhost:4000").unwrap(),
            passcode: Arc::new(Passcode::generate()),
            offer: Box::new(|_| Ok(())),
            changes: crate::mcp::feature::Changes::default(),
            shutdown: CancellationToken::new(),
        };
        let app = App::new(&config, parts).unwrap();
        let metadata = r#"{"redirect_uris": ["https://client.example/callback"]}"#;
        let connection = crate::web::client_address::Connection {
            peer: ([127, 0, 0, 1], 1).into(),
            local: ([127, 0, 0, 1], 4000).into(),
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri("/register")
            .extension(connection)
            .body(Body::from(metadata))
            .unwrap();
        let response = public(&app).call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let origin = response.headers().get("access-control-allow-origin");
        assert_eq!(origin.unwrap(), "*");
    }
}
