//! Authorization server metadata (RFC 8414).

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{OAuthState, RegistrationPolicy, authorize, introspect, par, register, revoke, token};
use crate::{jose::Algorithm, model::client_metadata::AuthMethod, web::Json};

/// Where clients look for it, the issuer being a bare origin (RFC 8414 §3).
pub(super) const PATH: &str = "/.well-known/oauth-authorization-server";

#[derive(Serialize)]
struct ServerMetadata<'a> {
    issuer: &'a str,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    pushed_authorization_request_endpoint: String,
    /// Left out where nobody can register.
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_endpoint: Option<String>,
    scopes_supported: Vec<&'a str>,
    response_types_supported: [&'a str; 1],
    response_modes_supported: [&'a str; 1],
    grant_types_supported: Vec<&'a str>,
    /// draft-ietf-oauth-identity-assertion-authz-grant §7. Left out where nobody is trusted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorization_grant_profiles_supported: Vec<&'a str>,
    token_endpoint_auth_methods_supported: Vec<&'a str>,
    token_endpoint_auth_signing_alg_values_supported: Vec<&'a str>,
    revocation_endpoint_auth_methods_supported: Vec<&'a str>,
    revocation_endpoint_auth_signing_alg_values_supported: Vec<&'a str>,
    introspection_endpoint_auth_methods_supported: Vec<&'a str>,
    introspection_endpoint_auth_signing_alg_values_supported: Vec<&'a str>,
    /// RFC 9449 §5.1.
    dpop_signing_alg_values_supported: Vec<&'a str>,
    /// Clients of MCP refuse to go on without S256 here.
    code_challenge_methods_supported: [&'a str; 1],
    /// draft-ietf-oauth-client-id-metadata-document §5.
    client_id_metadata_document_supported: bool,
    /// RFC 9207 §3.
    authorization_response_iss_parameter_supported: bool,
}

/// Tells clients where everything is and what is supported.
pub(super) async fn get(State(oauth): State<OAuthState>) -> Response {
    let url = &oauth.public_url;
    let is_open = !matches!(oauth.registration, RegistrationPolicy::Closed);
    let metadata = ServerMetadata {
        issuer: url.origin(),
        authorization_endpoint: url.join(authorize::PATH),
        token_endpoint: url.join(token::PATH),
        revocation_endpoint: url.join(revoke::PATH),
        introspection_endpoint: url.join(introspect::PATH),
        pushed_authorization_request_endpoint: url.join(par::PATH),
        registration_endpoint: is_open.then(|| url.join(register::PATH)),
        scopes_supported: oauth.scopes.all().map(|d| d.scope.as_str()).collect(),
        response_types_supported: ["code"],
        response_modes_supported: ["query"],
        grant_types_supported: oauth.grant_types.iter().map(|g| g.as_str()).collect(),
        authorization_grant_profiles_supported: if oauth.assertion_issuers.is_empty() {
            Vec::new()
        } else {
            vec!["urn:ietf:params:oauth:grant-profile:id-jag"]
        },
        token_endpoint_auth_methods_supported: AuthMethod::ALL.map(AuthMethod::as_str).to_vec(),
        token_endpoint_auth_signing_alg_values_supported: Algorithm::names(),
        revocation_endpoint_auth_methods_supported: AuthMethod::ALL
            .map(AuthMethod::as_str)
            .to_vec(),
        revocation_endpoint_auth_signing_alg_values_supported: Algorithm::names(),
        // Without authentication nothing is told.
        introspection_endpoint_auth_methods_supported: AuthMethod::ALL
            .into_iter()
            .filter(|method| *method != AuthMethod::None)
            .map(AuthMethod::as_str)
            .collect(),
        introspection_endpoint_auth_signing_alg_values_supported: Algorithm::names(),
        dpop_signing_alg_values_supported: Algorithm::names(),
        code_challenge_methods_supported: ["S256"],
        client_id_metadata_document_supported: oauth.documents.is_some(),
        authorization_response_iss_parameter_supported: true,
    };
    Json(StatusCode::OK, metadata).into_response()
}
