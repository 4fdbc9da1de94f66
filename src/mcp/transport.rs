//! Streamable HTTP: methods, media types, sessions and bodies. What messages mean is for
//! [`dispatch`](super::dispatch).

use std::sync::Arc;

use axum::{
    Extension,
    body::{Body as HttpBody, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::value::RawValue;

use super::{
    McpState,
    dispatch::{self, Call},
    era::LegacyVersion,
    jsonrpc::{self, Body, Malformed, Message},
    rejection::Rejection,
    sessions::{self, Lookup, Session},
    stream,
};
use crate::{
    access::Authorization,
    web::body::{self, BodyError},
};

/// The most that a message may have, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

const VERSION_HEADER: HeaderName = HeaderName::from_static("mcp-protocol-version");
const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";

/// The endpoint, for whoever the guard has let in.
pub(super) async fn endpoint(
    State(mcp): State<McpState>,
    Extension(authorization): Extension<Arc<Authorization>>,
    request: Request,
) -> Response {
    match *request.method() {
        Method::POST => post(&mcp, &authorization, request).await,
        Method::GET => match get(mcp, authorization, request.headers()).await {
            Ok(stream) => stream,
            Err(rejection) => rejection.into_response(),
        },
        Method::DELETE => match delete(&mcp, &authorization, request.headers()).await {
            Ok(()) => StatusCode::NO_CONTENT.into_response(),
            Err(rejection) => rejection.into_response(),
        },
        _ => Rejection::MethodNotAllowed(request.method().clone()).into_response(),
    }
}

async fn get(
    mcp: McpState,
    authorization: Arc<Authorization>,
    headers: &HeaderMap,
) -> Result<Response, Rejection<'static>> {
    if !accepts(headers, EVENT_STREAM) {
        return Err(Rejection::NotAcceptable);
    }
    let session = required_session(&mcp, &authorization, headers, None).await?;
    Ok(stream::open(mcp, authorization, headers.clone(), session))
}

async fn delete(
    mcp: &McpState,
    authorization: &Authorization,
    headers: &HeaderMap,
) -> Result<(), Rejection<'static>> {
    let session = required_session(mcp, authorization, headers, None).await?;
    sessions::end(mcp, authorization, session).await?;
    Ok(())
}

async fn post(mcp: &McpState, authorization: &Arc<Authorization>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read_body(&parts.headers, body).await {
        Ok(body) => body,
        Err(rejection) => return rejection.into_response(),
    };
    // The message borrows from the body, and so does a rejection that echoes its id.
    let handled = handle(mcp, authorization, &parts.headers, &body).await;
    handled.unwrap_or_else(Rejection::into_response)
}

async fn handle<'a>(
    mcp: &McpState,
    authorization: &Arc<Authorization>,
    headers: &HeaderMap,
    body: &'a [u8],
) -> Result<Response, Rejection<'a>> {
    let parsed = jsonrpc::parse(body).map_err(|error| Rejection::Malformed { id: None, error })?;
    let message = match parsed {
        Body::Single(Err(Malformed { id, error })) => {
            return Err(Rejection::Malformed { id, error });
        }
        Body::Single(Ok(message)) => message,
        Body::Batch(messages) => {
            let session = required_session(mcp, authorization, headers, None).await?;
            if !session.version.has_batches() {
                return Err(Rejection::NoBatches(session.version));
            }
            let call = call(mcp, authorization, session.version);
            return Ok(reply(headers, dispatch::batch(&call, messages).await));
        }
    };
    if let Message::Request { id, method, params } = &message
        && method == "initialize"
    {
        check_version_header(headers, Some(id))?;
        return initialize(mcp, authorization, headers, id, *params).await;
    }
    let session = required_session(mcp, authorization, headers, message.id()).await?;
    let call = call(mcp, authorization, session.version);
    Ok(reply(headers, dispatch::message(&call, message).await))
}

/// Begins a session. Its name goes out in a header, and clients must send it from then on.
async fn initialize<'a>(
    mcp: &McpState,
    authorization: &Authorization,
    headers: &HeaderMap,
    id: &RawValue,
    params: Option<&RawValue>,
) -> Result<Response, Rejection<'a>> {
    let (version, answer) = dispatch::initialize(id, params);
    let mut response = reply(headers, Some(answer));
    if let Some(version) = version {
        let session = sessions::begin(mcp, authorization, version).await?;
        let value = HeaderValue::try_from(session.expose())
            .expect("a minted secret is visible ASCII, as the specification asks");
        response.headers_mut().insert(sessions::HEADER, value);
    }
    Ok(response)
}

fn call<'a>(
    mcp: &'a McpState,
    authorization: &'a Arc<Authorization>,
    version: LegacyVersion,
) -> Call<'a> {
    Call {
        tools: &mcp.tools,
        authorization,
        version,
    }
}

/// Accept, size, type, and then the bytes.
async fn read_body(headers: &HeaderMap, body: HttpBody) -> Result<Bytes, Rejection<'static>> {
    if !accepts(headers, JSON) && !accepts(headers, EVENT_STREAM) {
        return Err(Rejection::NotAcceptable);
    }
    if body::is_declared_larger(headers, MAX_BODY) {
        return Err(Rejection::Body(BodyError::TooLarge));
    }
    let content_type = headers.get(header::CONTENT_TYPE);
    let is_json = content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| is_media_type(value, JSON));
    if !is_json {
        return Err(Rejection::UnsupportedMediaType);
    }
    Ok(body::read(body, MAX_BODY).await?)
}

/// The session of a request that is about something in one.
async fn required_session<'a>(
    mcp: &McpState,
    authorization: &Authorization,
    headers: &HeaderMap,
    id: Option<&'a RawValue>,
) -> Result<Session, Rejection<'a>> {
    match sessions::find(mcp, authorization, headers).await? {
        Lookup::Found(session) => {
            check_version_header(headers, id)?;
            Ok(session)
        }
        Lookup::Missing => Err(Rejection::SessionMissing { id }),
        Lookup::Unknown => Err(Rejection::SessionUnknown { id }),
    }
}

/// From 2025-06-18 on clients repeat the version in a header.
fn check_version_header<'a>(
    headers: &HeaderMap,
    id: Option<&'a RawValue>,
) -> Result<(), Rejection<'a>> {
    let Some(value) = headers.get(VERSION_HEADER) else {
        return Ok(());
    };
    let version = value.to_str().ok().and_then(LegacyVersion::parse);
    version
        .map(|_| ())
        .ok_or(Rejection::UnsupportedVersion { id })
}

/// The answer as JSON, or as a stream of one event for a client that takes nothing else. 202 where
/// nothing wanted an answer.
fn reply(headers: &HeaderMap, answer: Option<Vec<u8>>) -> Response {
    match answer {
        None => StatusCode::ACCEPTED.into_response(),
        Some(answer) if accepts(headers, JSON) => {
            let content_type = HeaderValue::from_static(JSON);
            ([(header::CONTENT_TYPE, content_type)], answer).into_response()
        }
        Some(answer) => stream::of_one(&answer),
    }
}

/// Whether a request accepts a media type. Without the header it accepts all.
fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let mut lines = headers.get_all(header::ACCEPT).iter().peekable();
    if lines.peek().is_none() {
        return true;
    }
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|range| {
            let group = media_type.split('/').next().unwrap_or_default();
            is_media_type(range, media_type)
                || is_media_type(range, "*/*")
                || is_media_type(range, &format!("{group}/*"))
        })
}

fn is_media_type(value: &str, media_type: &str) -> bool {
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(media_type)
}
