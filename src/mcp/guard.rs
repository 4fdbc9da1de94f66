//! Who may come in: origin and host first, then the token (RFC 6750), with a proof of possession if
//! it is bound to a key (RFC 9449).

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    McpState,
    exchange::Exchange,
    jsonrpc::{self, RpcError},
    metadata,
    rejection::Rejection,
};
use crate::{
    access::{AccessError, Authorization, Presented},
    clock::Timestamp,
    jose::Algorithm,
    model::scope::Scope,
    web::{
        Json, Repeated, client_address::Connection, cors, note, origin::requested_host, panic,
        sole_header,
    },
};

/// Middleware in front of everything on `/mcp`: only what its token authorizes goes on to `next`.
///
/// It is called, not layered: a layer would cost every call some allocations.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` needs room for its arguments twice"
)]
pub(super) fn guard(
    mcp: Arc<McpState>,
    request: Request,
    next: impl AsyncFnOnce(&Arc<McpState>, &Arc<Authorization>, Parts, Body) -> Response,
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
            Ok(()) => {
                let target = (request.method(), request.uri());
                authorize(&mcp, target, request.headers()).await
            }
            Err(rejection) => Err(rejection.into_response()),
        };
        let mut response = match authorized {
            Ok(authorization) => {
                let (parts, body) = request.into_parts();
                // Here, so that a browser can read the answer to a panic too.
                let answering = panic::caught(next(&mcp, &authorization, parts, body));
                note::from_client(answering.await, || authorization.owner.client.shared())
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
async fn authorize(
    mcp: &McpState,
    (method, uri): (&Method, &Uri),
    headers: &HeaderMap,
) -> Result<Arc<Authorization>, Response> {
    let unauthorized = |scheme: Scheme, error: Option<(&str, &str)>| {
        challenge(mcp, scheme, StatusCode::UNAUTHORIZED, error)
    };
    let (scheme, token) = match token(headers) {
        Ok(Some(found)) => found,
        Ok(None) => return Err(unauthorized(Scheme::Bearer, None)),
        Err(description) => {
            let invalid = Some(("invalid_request", description));
            return Err(challenge(
                mcp,
                Scheme::Bearer,
                StatusCode::BAD_REQUEST,
                invalid,
            ));
        }
    };
    // Made for clients that prove something, and for nobody else.
    let url;
    let presented = match scheme {
        Scheme::Bearer => Presented::Bearer(token),
        Scheme::Dpop => {
            url = mcp.public_url.join(uri.path());
            let proof = proof(headers).map_err(|description| {
                unauthorized(scheme, Some(("invalid_dpop_proof", description)))
            })?;
            Presented::Dpop {
                token,
                proof,
                method: method.as_str(),
                url: &url,
            }
        }
    };
    let verified = mcp.verifier.verify(presented).await;
    verified.map_err(|error| match error {
        AccessError::InvalidToken(description) => {
            unauthorized(scheme, Some(("invalid_token", description)))
        }
        AccessError::InvalidProof(description) => {
            unauthorized(scheme, Some(("invalid_dpop_proof", &description)))
        }
        AccessError::UseNonce(ref nonce) => {
            let response = unauthorized(scheme, Some(("use_dpop_nonce", &error.to_string())));
            with_header(response, HeaderName::from_static("dpop-nonce"), nonce)
        }
        AccessError::Unavailable(_) => unavailable(error),
    })
}

/// How a token is presented, which is how an answer about it is spelled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    /// RFC 6750 §2.1.
    Bearer,
    /// RFC 9449 §7.1.
    Dpop,
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

/// The token of the one `Authorization` header. A token in the query or the body is none.
fn token(headers: &HeaderMap) -> Result<Option<(Scheme, &str)>, &'static str> {
    let value = sole_header(headers, header::AUTHORIZATION)
        .map_err(|Repeated| "send one Authorization header, not several")?;
    let Some(value) = value else {
        return Ok(None);
    };
    // What is no text is no token of ours either.
    let (scheme, token) = value
        .to_str()
        .unwrap_or("Bearer ?")
        .split_once(' ')
        .unwrap_or_default();
    let scheme = match scheme {
        scheme if scheme.eq_ignore_ascii_case("Bearer") => Scheme::Bearer,
        scheme if scheme.eq_ignore_ascii_case("DPoP") => Scheme::Dpop,
        _ => return Ok(None),
    };
    let token = token.trim();
    Ok((!token.is_empty()).then_some((scheme, token)))
}

/// The one proof of possession (RFC 9449 §4.3, check 1).
fn proof(headers: &HeaderMap) -> Result<&str, &'static str> {
    match sole_header(headers, "dpop") {
        // What is no text is no proof either.
        Ok(Some(proof)) => Ok(proof.to_str().unwrap_or_default()),
        Ok(None) => Err("the DPoP header with the proof is missing"),
        Err(Repeated) => Err("send one DPoP header, not several"),
    }
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
    scheme: Scheme,
    status: StatusCode,
    error: Option<(&str, &str)>,
) -> Response {
    let scope = mcp.scopes.default_scopes().to_string();
    let value = challenge_value(mcp, scheme, &scope, error);
    // RFC 6750 §3.1: who sent no token is told of no error in the header.
    let (error, error_description) =
        error.unwrap_or(("unauthorized", "an access token is required"));
    let body = ChallengeBody {
        error,
        error_description,
    };
    with_challenge(Json(status, body).into_response(), &value)
}

/// 403 for a token that does not reach far enough, naming the scope that does (RFC 6750 §3.1).
pub(super) fn insufficient_scope(
    exchange: &Exchange<'_>,
    scope: &Scope,
    id: Option<&RawValue>,
) -> Response {
    let scheme = match exchange.authorization.jkt {
        Some(_) => Scheme::Dpop,
        None => Scheme::Bearer,
    };
    let description = "the access token does not cover this; authorize again with the scope";
    let error = Some(("insufficient_scope", description));
    let value = challenge_value(exchange.mcp, scheme, scope.as_str(), error);
    let message = format!("this needs the scope {}", scope.as_str());
    let body = jsonrpc::error(id, &RpcError::new(jsonrpc::INVALID_REQUEST, message));
    with_challenge(jsonrpc::respond(StatusCode::FORBIDDEN, body), &value)
}

fn challenge_value(
    mcp: &McpState,
    scheme: Scheme,
    scope: &str,
    error: Option<(&str, &str)>,
) -> String {
    let metadata = mcp.public_url.join(metadata::PATH);
    let told = error.map_or_else(String::new, |(code, description)| {
        format!(", error=\"{code}\", error_description=\"{description}\"")
    });
    let scheme = match scheme {
        Scheme::Bearer => "Bearer".to_owned(),
        // RFC 9449 §7.1.
        Scheme::Dpop => format!("DPoP algs=\"{}\",", Algorithm::names().join(" ")),
    };
    format!("{scheme} resource_metadata=\"{metadata}\", scope=\"{scope}\"{told}")
}

fn with_challenge(mut response: Response, value: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    with_header(response, header::WWW_AUTHENTICATE, value)
}

fn with_header(mut response: Response, name: HeaderName, value: &str) -> Response {
    match HeaderValue::try_from(value) {
        Ok(value) => {
            response.headers_mut().insert(name, value);
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
