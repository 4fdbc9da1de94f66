//! Streamable HTTP: methods, media types and bodies, and which era a message belongs to.

use std::sync::Arc;

use axum::{
    body::{Body as HttpBody, Bytes},
    http::{HeaderMap, Method, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::value::RawValue;

use super::{
    McpState,
    era::is_modern,
    exchange::{Accepts, Exchange, is_json},
    feature::header_value,
    jsonrpc::{self, Body, INVALID_REQUEST, Malformed, Message, RpcError},
    legacy, modern,
    params::Params,
    rejection::Rejection,
};
use crate::{
    access::Authorization,
    web::body::{self, BodyError},
};

/// The most that a message may have, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The endpoint, for whoever the guard has let in.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` needs room for its arguments twice"
)]
pub(super) fn endpoint(
    mcp: &Arc<McpState>,
    authorization: &Arc<Authorization>,
    parts: Parts,
    body: HttpBody,
) -> impl Future<Output = Response> {
    async move {
        let exchange = Exchange {
            mcp,
            features: &mcp.offered.now(),
            authorization,
            headers: &parts.headers,
            says_modern: speaks_modern(&parts.headers),
            accepts: Accepts::read(&parts.headers),
            body: &Bytes::new(),
        };
        // The stateless era has one method.
        let only_post = exchange.says_modern;
        match &parts.method {
            &Method::POST => post(&exchange, body).await,
            &Method::GET if !only_post => match legacy::get(&exchange).await {
                Ok(stream) => stream,
                Err(rejection) => rejection.into_response(),
            },
            &Method::DELETE if !only_post => match legacy::delete(&exchange).await {
                Ok(()) => StatusCode::NO_CONTENT.into_response(),
                Err(rejection) => rejection.into_response(),
            },
            method => Rejection::MethodNotAllowed(method.clone()).into_response(),
        }
    }
}

async fn post(exchange: &Exchange<'_>, body: HttpBody) -> Response {
    let body = match read_body(exchange, body).await {
        Ok(body) => body,
        Err(rejection) => return rejection.into_response(),
    };
    // The message borrows from the body, and so does a rejection that echoes its id.
    let exchange = Exchange {
        body: &body,
        ..*exchange
    };
    let handled = handle(&exchange).await;
    handled.unwrap_or_else(Rejection::into_response)
}

/// Gives a message to its era. What the body says decides; the header is held against it.
async fn handle<'a>(exchange: &'a Exchange<'a>) -> Result<Response, Rejection<'a>> {
    let parsed = jsonrpc::parse(exchange.body);
    let parsed = parsed.map_err(|error| Rejection::Malformed { id: None, error })?;
    let says_modern = exchange.says_modern;
    match parsed {
        Body::Single(Err(Malformed { id, error })) => Err(Rejection::Malformed { id, error }),
        Body::Single(Ok(Message::Request { id, method, params })) => {
            let params = Params::of(params);
            request(exchange, id, &method, &params).await
        }
        Body::Single(Ok(Message::Notification { .. })) if says_modern => {
            Ok(StatusCode::ACCEPTED.into_response())
        }
        Body::Single(Ok(Message::Response { id, .. })) if says_modern => Err(not_in_this_era(
            Some(id),
            "clients post no responses in 2026-07-28",
        )),
        Body::Single(Ok(message)) => legacy::post(exchange, message).await,
        Body::Batch(messages) => {
            let mut messages_of_requests = messages.iter().flatten();
            let enveloped = messages_of_requests.any(|message| match message {
                Message::Request { params, .. } => Params::of(*params).is_enveloped(),
                _ => false,
            });
            if says_modern || enveloped {
                return Err(not_in_this_era(None, "there are no batches in 2026-07-28"));
            }
            // Boxed, so that single messages need no room for it.
            Box::pin(legacy::batch(exchange, messages)).await
        }
    }
}

async fn request<'a>(
    exchange: &'a Exchange<'a>,
    id: &'a RawValue,
    method: &str,
    params: &Params<'a>,
) -> Result<Response, Rejection<'a>> {
    let (says_modern, is_enveloped) = (exchange.says_modern, params.is_enveloped());
    if says_modern && !is_enveloped && method == "initialize" {
        let message =
            "there is no initialize in 2026-07-28; leave the header out to begin a session";
        let error = RpcError::new(-32020, message);
        return Err(Rejection::Malformed {
            id: Some(id),
            error,
        });
    }
    // Without an envelope the request is refused there, naming what is missing.
    let is_modern =
        is_enveloped || says_modern || matches!(method, "server/discover" | "subscriptions/listen");
    if is_modern {
        let request = modern::Request { id, method, params };
        Ok(modern::post(exchange, &request).await)
    } else {
        legacy::request(exchange, id, method, params).await
    }
}

fn not_in_this_era<'a>(id: Option<&'a RawValue>, message: &str) -> Rejection<'a> {
    let error = RpcError::new(INVALID_REQUEST, message);
    Rejection::Malformed { id, error }
}

fn speaks_modern(headers: &HeaderMap) -> bool {
    header_value(headers, &modern::VERSION_HEADER).is_some_and(is_modern)
}

/// Accept, size, type, and then the bytes.
async fn read_body(exchange: &Exchange<'_>, body: HttpBody) -> Result<Bytes, Rejection<'static>> {
    if !exchange.accepts.json && !exchange.accepts.events {
        return Err(Rejection::NotAcceptable);
    }
    if body::is_declared_larger(exchange.headers, MAX_BODY) {
        return Err(Rejection::Body(BodyError::TooLarge));
    }
    if !is_json(exchange.headers) {
        return Err(Rejection::UnsupportedMediaType);
    }
    Ok(body::read(body, MAX_BODY).await?)
}
