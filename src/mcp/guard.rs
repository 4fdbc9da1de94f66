//! Who may come in: origin and host first, then the bearer token (RFC 6750).

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    McpState,
    jsonrpc::{self, RpcError},
    metadata,
    rejection::Rejection,
};
use crate::{
    access::{AccessError, Authorization},
    clock::Timestamp,
    model::scope::Scope,
    web::{Json, client_address::Connection, cors, note, origin::requested_host, panic},
};

/// Middleware in front of everything on `/mcp`: only what its token authorizes goes on to `next`.
///
/// It is called, not layered: a layer would cost every call some allocations.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` needs room for its arguments twice"
)]
pub(super) fn guard<N: Future<Output = Response>>(
    mcp: Arc<McpState>,
    request: Request,
    next: impl FnOnce(Arc<McpState>, Arc<Authorization>, Parts, Body) -> N,
) -> impl Future<Output = Response> {
    async move {
        let origin = match allowed_origin(&mcp, request.headers()) {
            Ok(origin) => origin,
            Err(rejection) => return rejection.into_response(),
        };
        if let Some(origin) = &origin
            && cors::is_preflight(request.method(), request.headers())
        {
            return cors::preflight(origin.clone());
        }
        let authorized = match check_host(&mcp, &request) {
            Ok(()) => authorize(&mcp, request.headers()).await,
            Err(rejection) => Err(rejection.into_response()),
        };
        let mut response = match authorized {
            Ok(authorization) => {
                let client = authorization.client.shared();
                let (parts, body) = request.into_parts();
                // Here, so that a browser can read the answer to a panic too.
                let answering = panic::caught(next(mcp, authorization, parts, body));
                note::from_client(answering.await, client)
            }
            Err(refusal) => refusal,
        };
        if let Some(origin) = origin {
            cors::expose(&mut response, origin);
        }
        response
    }
}

/// The request's origin, if it has one. Browsers send it, and other clients need not.
fn allowed_origin(
    mcp: &McpState,
    headers: &HeaderMap,
) -> Result<Option<HeaderValue>, Rejection<'static>> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return Ok(None);
    };
    let is_allowed =
        origins.next().is_none() && origin.to_str().is_ok_and(|text| mcp.origins.allows(text));
    if is_allowed {
        return Ok(Some(origin.clone()));
    }
    let shown = String::from_utf8_lossy(origin.as_bytes());
    Err(Rejection::Forbidden(format!(
        "pages of {shown} may not use this server; its operator can allow them with ALLOWED_ORIGINS"
    )))
}

/// What the request's token authorizes.
async fn authorize(mcp: &McpState, headers: &HeaderMap) -> Result<Arc<Authorization>, Response> {
    let token = match bearer(headers) {
        Ok(Some(token)) => token,
        Ok(None) => return Err(challenge(mcp, StatusCode::UNAUTHORIZED, None)),
        Err(description) => {
            let invalid = Some(("invalid_request", description));
            return Err(challenge(mcp, StatusCode::BAD_REQUEST, invalid));
        }
    };
    mcp.verifier
        .verify(token)
        .await
        .map_err(|error| match error {
            AccessError::InvalidToken(description) => {
                let invalid = Some(("invalid_token", description));
                challenge(mcp, StatusCode::UNAUTHORIZED, invalid)
            }
            AccessError::Unavailable(_) => unavailable(error),
        })
}

/// DNS rebinding: a page that gave its own name our address still sends that name.
fn check_host(mcp: &McpState, request: &Request) -> Result<(), Rejection<'static>> {
    let host = requested_host(request.uri(), request.headers());
    let local = request.extensions().get::<Connection>();
    let is_allowed = match (host, local) {
        (Some(host), Some(connection)) => mcp.hosts.allows(host, connection.local.ip()),
        _ => false,
    };
    if is_allowed {
        return Ok(());
    }
    let Some(host) = host else {
        let message = "the request has no Host header".to_owned();
        return Err(Rejection::Forbidden(message));
    };
    mcp.internal.unknown_hosts.log(host, mcp.clock.now());
    Err(Rejection::Forbidden(format!(
        "this server does not answer for {host}; its operator can set PUBLIC_URL=https://{host}"
    )))
}

/// The token of the one `Authorization` header (RFC 6750 §2.1). A token in the query or the body is
/// none.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err("send one Authorization header, not several");
    }
    // What is no text is no token of ours either.
    let (scheme, token) = value
        .to_str()
        .unwrap_or("Bearer ?")
        .split_once(' ')
        .unwrap_or_default();
    let token = token.trim();
    Ok((scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty()).then_some(token))
}

#[derive(Serialize)]
struct ChallengeBody<'a> {
    error: &'a str,
    error_description: &'a str,
}

/// Tells the client where to get a token, and what was wrong with the one it sent (RFC 6750 §3,
/// RFC 9728 §5.1).
fn challenge(
    mcp: &McpState,
    status: StatusCode,
    error: Option<(&'static str, &'static str)>,
) -> Response {
    let value = challenge_value(mcp, &mcp.scopes.default_scopes().to_string(), error);
    // RFC 6750 §3.1: who sent no token is told of no error in the header.
    let (error, error_description) =
        error.unwrap_or(("unauthorized", "an access token is required"));
    let body = ChallengeBody {
        error,
        error_description,
    };
    with_challenge(Json(status, body).into_response(), value)
}

/// 403 for a token that does not reach far enough, naming the scope that does (RFC 6750 §3.1).
pub(super) fn insufficient_scope(mcp: &McpState, scope: &Scope, id: Option<&RawValue>) -> Response {
    let description = "the access token does not cover this; authorize again with the scope";
    let error = Some(("insufficient_scope", description));
    let value = challenge_value(mcp, scope.as_str(), error);
    let message = format!("this needs the scope {}", scope.as_str());
    let body = jsonrpc::error(id, &RpcError::new(jsonrpc::INVALID_REQUEST, message));
    with_challenge(jsonrpc::respond(StatusCode::FORBIDDEN, body), value)
}

fn challenge_value(mcp: &McpState, scope: &str, error: Option<(&str, &str)>) -> String {
    let metadata = mcp.public_url.join(metadata::PATH);
    let told = error.map_or_else(String::new, |(code, description)| {
        format!(", error=\"{code}\", error_description=\"{description}\"")
    });
    format!("Bearer resource_metadata=\"{metadata}\", scope=\"{scope}\"{told}")
}

fn with_challenge(mut response: Response, value: String) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match HeaderValue::try_from(value) {
        Ok(value) => {
            headers.insert(header::WWW_AUTHENTICATE, value);
            response
        }
        Err(error) => note::failed(StatusCode::INTERNAL_SERVER_ERROR.into_response(), error),
    }
}

/// 503, never 401: a client that is told that its token is bad throws it away.
fn unavailable(error: AccessError) -> Response {
    let body = ChallengeBody {
        error: "temporarily_unavailable",
        error_description: "access tokens cannot be checked at the moment; try again",
    };
    let response = Json(StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    note::unavailable(response, error)
}

/// Hosts that were refused, so that each is logged once and not a million times. Now and then the
/// list begins anew: invented hosts must not keep the real one from being logged for ever.
#[derive(Default)]
pub(super) struct UnknownHosts(Mutex<(Timestamp, HashSet<String>)>);

impl UnknownHosts {
    fn log(&self, host: &str, now: Timestamp) {
        const MOST: usize = 16;
        const BEGIN_ANEW_AFTER: Duration = Duration::from_mins(10);
        let (since, seen) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(*since) >= BEGIN_ANEW_AFTER {
            *since = now;
            seen.clear();
        }
        if seen.len() < MOST && seen.insert(host.to_owned()) {
            tracing::warn!(
                event = "host_refused",
                "requests come for {host}: set PUBLIC_URL=https://{host}"
            );
        }
    }
}
