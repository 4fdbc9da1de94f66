//! What a person is told when an authorization request cannot be answered to the client: there is
//! no client, or no address that is known to be its own (RFC 6749 §4.1.2.1).

use axum::{http::StatusCode, response::Response};

use super::client_document::DocumentError;
use crate::web::page::Problem;

/// The page for a client that is not registered here, with what helps with each kind of client.
pub(super) fn unknown_client() -> Problem {
    Problem::new(
        "This app is not known here",
        "The app used a client_id that this server does not know. That happens when the server was \
         restarted without a durable store, or when the app registered at another server that had \
         the same address. The app has to register again.",
    )
    .advise(
        "VS Code",
        "Run the command “Authentication: Remove Dynamic Authentication Providers”, choose this \
         server, and start the server's connection again.",
    )
    .advise(
        "mcp-remote",
        "Delete its cache folder, ~/.mcp-auth, and start it again.",
    )
    .advise(
        "Claude, ChatGPT, Cursor and others",
        "Remove this connector, add it again, and connect.",
    )
    .advise(
        "If that changes nothing",
        "The app keeps its identity for this address. Only the operator of the server can help: by \
         keeping its state in a durable store, or by giving it a new address.",
    )
    .leading_to_connecting()
}

/// The page for a client whose metadata document cannot be used.
pub(super) fn unusable_document(error: &DocumentError) -> Problem {
    let message = format!(
        "The app is known by a description that it publishes, and {error}. Nothing was sent."
    );
    Problem::new("This app cannot be identified", message)
        .advise(
            "",
            "Try again in a few minutes: the app's own server may be out of reach for a while.",
        )
        .advise(
            "If that changes nothing",
            "The operator of this server can pin a copy of the description; tell them what stands \
             above.",
        )
        .leading_to_connecting()
}

/// The page for a redirect URI that the client has not registered.
pub(super) fn unregistered_redirect_uri() -> Problem {
    Problem::new(
        "This app's return address is not registered",
        "The redirect_uri of the request is not one that the app registered here, so the answer \
         could reach somebody else. Nothing was sent.",
    )
    .advise(
        "",
        "Remove the connector from the app, add it again, and connect: the app then registers the \
         address that it uses now.",
    )
    .advise(
        "VS Code",
        "Run the command “Authentication: Remove Dynamic Authentication Providers” first.",
    )
    .advise("mcp-remote", "Delete its cache folder, ~/.mcp-auth, first.")
    .leading_to_connecting()
}

/// The page for a request that does not say, or says twice, who asks or where to answer.
pub(super) fn malformed(message: String) -> Problem {
    Problem::new("This link is incomplete", message)
        .advise("", "Go back to the app and connect again.")
        .leading_to_connecting()
}

/// The page for a question that is no longer open, or not in this browser.
pub(super) fn no_open_request() -> Response {
    Problem::new(
        "There is nothing to answer here any more",
        "The request was answered already, has expired, or was begun in another browser.",
    )
    .advise(
        "",
        "If the app is connected, close this page. If not, go back to the app and connect again.",
    )
    .advise(
        "If that leads here again",
        "The browser keeps no cookies for this site. Allow them, and connect again.",
    )
    .leading_to("/account", "See what is connected")
    .with_status(StatusCode::BAD_REQUEST)
}
