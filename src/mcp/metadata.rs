//! Protected resource metadata (RFC 9728).

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::McpState;
use crate::{jose::Algorithm, web::Json};

/// Where RFC 9728 §3.1 puts it for a resource with the path `/mcp`.
pub(super) const PATH: &str = "/.well-known/oauth-protected-resource/mcp";
/// Where clients look that leave the path out.
pub(super) const ROOT_PATH: &str = "/.well-known/oauth-protected-resource";

#[derive(Serialize)]
struct ResourceMetadata<'a> {
    resource: &'a str,
    authorization_servers: [&'a str; 1],
    /// What opens the resource. `offline_access` is between client and authorization server.
    scopes_supported: Vec<&'a str>,
    bearer_methods_supported: [&'a str; 1],
    /// RFC 9728 §2.
    dpop_signing_alg_values_supported: Vec<&'a str>,
    resource_name: &'a str,
}

/// Tells clients who issues tokens for `/mcp`.
pub(super) async fn get(State(mcp): State<Arc<McpState>>) -> Response {
    let scopes = mcp.scopes.resource_scopes();
    let metadata = ResourceMetadata {
        resource: mcp.public_url.resource(),
        authorization_servers: [mcp.public_url.origin()],
        scopes_supported: scopes.map(|d| d.scope.as_str()).collect(),
        bearer_methods_supported: ["header"],
        dpop_signing_alg_values_supported: Algorithm::names(),
        resource_name: "remote-mcp-auth",
    };
    Json(StatusCode::OK, metadata).into_response()
}
