//! Streamable HTTP: methods, media types and bodies, and which era a message belongs to.

use std::sync::Arc;

use axum::{
    Extension,
    body::{Body as HttpBody, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    McpState,
    era::is_modern,
    feature::header_value,
    jsonrpc::{self, Body, INVALID_REQUEST, Malformed, Message, RpcError},
    legacy::{self, Exchange},
    modern,
    rejection::Rejection,
};
use crate::{
    access::Authorization,
    web::body::{self, BodyError},
};

/// The most that a message may have, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";

/// The endpoint, for whoever the guard has let in.
pub(super) async fn endpoint(
    State(mcp): State<Arc<McpState>>,
    Extension(authorization): Extension<Arc<Authorization>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let exchange = Exchange {
        mcp: &mcp,
        authorization: &authorization,
        headers: &parts.headers,
    };
    // The stateless era has one method.
    let only_post = speaks_modern(&parts.headers);
    match parts.method {
        Method::POST => post(exchange, body).await,
        Method::GET if !only_post => match legacy::get(exchange).await {
            Ok(stream) => stream,
            Err(rejection) => rejection.into_response(),
        },
        Method::DELETE if !only_post => match legacy::delete(exchange).await {
            Ok(()) => StatusCode::NO_CONTENT.into_response(),
            Err(rejection) => rejection.into_response(),
        },
        method => Rejection::MethodNotAllowed(method).into_response(),
    }
}

async fn post(exchange: Exchange<'_>, body: HttpBody) -> Response {
    let body = match read_body(exchange.headers, body).await {
        Ok(body) => body,
        Err(rejection) => return rejection.into_response(),
    };
    // The message borrows from the body, and so does a rejection that echoes its id.
    let handled = handle(exchange, &body).await;
    handled.unwrap_or_else(Rejection::into_response)
}

/// Gives a message to its era. What the body says decides; the header is held against it.
async fn handle<'a>(exchange: Exchange<'_>, body: &'a [u8]) -> Result<Response, Rejection<'a>> {
    let parsed = jsonrpc::parse(body).map_err(|error| Rejection::Malformed { id: None, error })?;
    let says_modern = speaks_modern(exchange.headers);
    let message = match parsed {
        Body::Single(Err(Malformed { id, error })) => {
            return Err(Rejection::Malformed { id, error });
        }
        Body::Batch(messages) => {
            let enveloped = messages.iter().any(|message| match message {
                Ok(Message::Request { params, .. }) => modern::is_enveloped(*params),
                _ => false,
            });
            if says_modern || enveloped {
                return Err(not_in_this_era(None, "there are no batches in 2026-07-28"));
            }
            return legacy::batch(exchange, messages).await;
        }
        Body::Single(Ok(message)) => message,
    };
    match message {
        Message::Request { id, method, params } if modern::is_enveloped(params) => {
            Ok(modern::post(exchange, id, &method, params).await)
        }
        Message::Request { id, method, .. } if says_modern && method == "initialize" => {
            let message = "there is no initialize in 2026-07-28; leave the header out to begin a \
                           session";
            let error = RpcError::new(-32020, message);
            Err(Rejection::Malformed {
                id: Some(id),
                error,
            })
        }
        Message::Request { id, method, params }
            if says_modern || matches!(&*method, "server/discover" | "subscriptions/listen") =>
        {
            // It is refused there, naming what is missing.
            Ok(modern::post(exchange, id, &method, params).await)
        }
        Message::Notification { .. } if says_modern => Ok(StatusCode::ACCEPTED.into_response()),
        Message::Response { id, .. } if says_modern => Err(not_in_this_era(
            Some(id),
            "clients post no responses in 2026-07-28",
        )),
        message => legacy::post(exchange, message).await,
    }
}

fn not_in_this_era<'a>(
    id: Option<&'a serde_json::value::RawValue>,
    message: &str,
) -> Rejection<'a> {
    let error = RpcError::new(INVALID_REQUEST, message);
    Rejection::Malformed { id, error }
}

fn speaks_modern(headers: &HeaderMap) -> bool {
    header_value(headers, &modern::VERSION_HEADER).is_some_and(is_modern)
}

/// Accept, size, type, and then the bytes.
async fn read_body(headers: &HeaderMap, body: HttpBody) -> Result<Bytes, Rejection<'static>> {
    if !accepts_json(headers) && !accepts_events(headers) {
        return Err(Rejection::NotAcceptable);
    }
    if body::is_declared_larger(headers, MAX_BODY) {
        return Err(Rejection::Body(BodyError::TooLarge));
    }
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str);
    if !matches!(content_type, Some(Ok(value)) if is_media_type(value, JSON)) {
        return Err(Rejection::UnsupportedMediaType);
    }
    Ok(body::read(body, MAX_BODY).await?)
}

/// Whether a request accepts JSON. Without the header it accepts all.
pub(super) fn accepts_json(headers: &HeaderMap) -> bool {
    accepts(headers, JSON, "application/*")
}

/// Whether a request accepts an event stream.
pub(super) fn accepts_events(headers: &HeaderMap) -> bool {
    accepts(headers, EVENT_STREAM, "text/*")
}

fn accepts(headers: &HeaderMap, media_type: &str, group: &str) -> bool {
    let mut lines = headers.get_all(header::ACCEPT).iter().peekable();
    if lines.peek().is_none() {
        return true;
    }
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|range| {
            [media_type, group, "*/*"]
                .into_iter()
                .any(|accepted| is_media_type(range, accepted))
        })
}

fn is_media_type(value: &str, media_type: &str) -> bool {
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(media_type)
}
