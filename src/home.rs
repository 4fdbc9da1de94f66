//! The page at `/`: what this is, and how to connect each client to it.

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing,
};

use crate::{model::resource::PublicUrl, web::page::Page};

#[derive(Debug, Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    connector_url: &'a str,
}

/// The page's route.
pub(crate) fn routes(public_url: PublicUrl) -> Router {
    Router::new()
        .route("/", routing::get(get))
        .with_state(public_url)
}

async fn get(State(public_url): State<PublicUrl>) -> Response {
    let page = HomePage {
        connector_url: public_url.resource(),
    };
    Page(StatusCode::OK, page).into_response()
}
