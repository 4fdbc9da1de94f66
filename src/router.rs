//! The contents page: which rooms there are, and what surrounds them all.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{self, Route},
};
use futures_util::FutureExt as _;
use serde_json::json;
use tower::{Service, ServiceExt as _, layer::layer_fn};

use crate::{
    account,
    app::App,
    home, identity, mcp,
    model::resource::MCP_PATH,
    oauth,
    telemetry::RequestLog,
    upstream,
    web::{
        Json,
        brand::{self, Brand},
        cors, method_not_allowed,
        page::{self, Problem},
        panic,
    },
};

/// Everything that the public listener serves.
pub(crate) fn public(app: &App) -> Router {
    let rooms = Router::new()
        .merge(home::routes(
            app.oauth.public_url.clone(),
            app.brand.clone(),
        ))
        .merge(identity::routes(app.oauth.identity.clone()))
        .merge(account::routes(app.account.clone()))
        .merge(oauth::routes(app.oauth.clone()))
        .merge(mcp::routes(Arc::clone(&app.mcp)))
        .merge(upstream::routes(Arc::clone(&app.assertions)))
        .merge(brand::routes(app.brand.clone()))
        .route("/healthz", routing::get(healthz));
    let mcp = Arc::clone(&app.mcp);
    let endpoint = Around {
        answer: move |request| mcp::answer(mcp, request),
        brand: app.brand.clone(),
    };
    // Surrounded directly: as one of the rooms, each call would be boxed and cloned twice more. The
    // slash is served, not redirected: a redirect would lose the method or the token.
    surround(rooms, app.brand.clone())
        .route_service(MCP_PATH, endpoint.clone())
        .route_service(&format!("{MCP_PATH}/"), endpoint)
}

/// What every listener has around its routes: answers for unknown paths, panics and the log.
pub(crate) fn surround(rooms: Router, brand: Brand) -> Router {
    rooms
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(layer_fn(move |room: Route| Around {
            answer: move |request| {
                let answering = room.oneshot(request);
                answering.map(|answered| answered.unwrap_or_else(|never| match never {}))
            },
            brand: brand.clone(),
        }))
}

/// What surrounds every request, in one piece: each layer costs every request an allocation or two,
/// and one made by `middleware::from_fn` twice as many.
#[derive(Clone)]
struct Around<F> {
    /// Answers one request.
    answer: F,
    brand: Brand,
}

impl<F, A> Service<Request> for Around<F>
where
    F: FnOnce(Request) -> A + Clone + Send + 'static,
    A: Future<Output = Response> + Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let around = self.clone();
        Box::pin(async move {
            let log = RequestLog::begin(&request);
            let answered = answer(request, around.answer).await;
            let mut response = page::dress(answered, &around.brand);
            log.end(&mut response);
            Ok(response)
        })
    }
}

/// Answers a request, whatever happens. Clients in a browser have to see that a document is not
/// there, and look elsewhere: whatever is answered under `/.well-known/`, every page may read it,
/// preflights and failures included.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` needs room for its arguments twice"
)]
fn answer<A: Future<Output = Response>>(
    request: Request,
    room: impl FnOnce(Request) -> A,
) -> impl Future<Output = Response> {
    async move {
        let is_open = is_well_known(&request);
        if is_open && cors::is_preflight(request.method(), request.headers()) {
            return cors::preflight(cors::ANY);
        }
        let is_person = !is_open && is_browser(&request);
        let mut response = panic::caught_for(is_person, room(request)).await;
        if is_open {
            cors::expose(&mut response, cors::ANY);
        }
        response
    }
}

/// The process can serve.
pub(crate) async fn healthz() -> &'static str {
    "ok"
}

/// A JSON 404: clients that look for metadata that we do not have would trip over a page. Only a
/// person's browser gets one, and never under `/.well-known/`.
async fn not_found(request: Request) -> Response {
    if is_browser(&request) && !is_well_known(&request) {
        return Problem::new(
            "There is nothing here",
            "The address may have been mistyped, or the page may have moved.",
        )
        .leading_to("/", "Go to the start page")
        .with_status(StatusCode::NOT_FOUND);
    }
    let body = json!({
        "error": "not_found",
        "error_description": "there is nothing at this path",
    });
    Json(StatusCode::NOT_FOUND, body).into_response()
}

/// Whether a person's browser asks for a page.
fn is_browser(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    accept
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

fn is_well_known(request: &Request) -> bool {
    request.uri().path().starts_with("/.well-known/")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{body::Body, http::Method};

    use super::*;
    use crate::{
        app::Parts,
        clock::{Clock, Timestamp},
        config::Config,
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
        let parts = Parts::of_a_test(&config, Arc::new(BrokenClock)).await;
        let app = App::new(&config, &parts);
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
        let mut rooms = public(&app);
        let response = rooms.call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let origin = response.headers().get("access-control-allow-origin");
        assert_eq!(origin.unwrap(), "*");

        // A person is told in their own language.
        let request = Request::builder()
            .uri("/consent?request=x")
            .header(header::ACCEPT, "text/html")
            .header(header::COOKIE, "browser=x; session=x")
            .extension(connection)
            .body(Body::empty())
            .unwrap();
        let response = rooms.call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = response.headers().get(header::CONTENT_TYPE);
        assert_eq!(content_type.unwrap(), "text/html; charset=utf-8");
        assert!(
            response
                .headers()
                .contains_key(header::CONTENT_SECURITY_POLICY)
        );
    }
}
