//! The session-based era (2024-11-05 to 2025-11-25) over Streamable HTTP.

mod call;
mod elsewhere;
mod event_log;
mod handshake;
mod keeper;
mod listening;
mod runtime;
mod sessions;

use std::sync::Arc;

use axum::{
    http::{HeaderMap, HeaderName, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::value::RawValue;

pub(super) use elsewhere::hear;
pub(super) use runtime::{Runtimes, SessionRuntime};

use super::{
    McpState,
    dispatch::{self, Fault, Prepared},
    era::{Era, LegacyVersion},
    exchange::Exchange,
    feature::{Context, LogLevel},
    guard,
    jsonrpc::{
        self, INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, Malformed, Message, RpcError,
    },
    mail, outlet,
    params::Params,
    rejection::Rejection,
    sse::GuardedStream,
};
use crate::{model::session_stream::News, secret::Digest, store::StoreError};
use event_log::{EventId, EventLog};
use keeper::Keeper;
use sessions::{Lookup, Session};

const VERSION_HEADER: HeaderName = HeaderName::from_static("mcp-protocol-version");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// `GET`: the stream for messages that belong to no request, or the rest of one that broke off.
pub(super) async fn get(exchange: &Exchange<'_>) -> Result<Response, Rejection<'static>> {
    if !exchange.accepts.events {
        return Err(Rejection::NotAcceptable);
    }
    let session = required_session(exchange, None).await?;
    let mcp = exchange.mcp;
    let runtime = mcp.internal.runtimes.of(session.id);
    let last = exchange.headers.get(LAST_EVENT_ID);
    let last = last.and_then(|value| EventId::parse(value.to_str().ok()?));
    let read_from = last.map(|last| last.event);
    if let Some(log) = last.and_then(|last| runtime.resume(last)) {
        return Ok(stream(exchange, &runtime, &log, read_from, false));
    }
    let resumed = match last {
        Some(last) => elsewhere::resume(mcp, session, &runtime, last).await,
        None => None,
    };
    let (log, changes, read_from) = if let Some(resumed) = resumed {
        (resumed.log, resumed.changes, read_from)
    } else {
        let changes = mcp.offered.changes().listen();
        let keeper = Keeper::of(&mcp.mail, &mcp.clock, session.id);
        let log = runtime.listen(session.version, keeper).await;
        (log, Some(changes), None)
    };
    // Changes are forwarded while somebody reads, so reading comes first.
    let response = stream(exchange, &runtime, &log, read_from, false);
    if let Some(changes) = changes {
        let owner = &exchange.authorization.owner;
        let subscriptions = mcp.sessions.subscriptions(owner, &session.id).await?;
        let unwatched = runtime.unwatched(&subscriptions);
        runtime.set_subscriptions(owner.clone(), subscriptions);
        listening::forward(changes, &runtime, &log);
        // The client may have subscribed at another replica, or before a restart.
        for uri in unwatched {
            if let Err(fault) = watch(exchange, session, &uri).await {
                tracing::debug!(fault = ?fault, "a resource cannot be watched");
            }
        }
    }
    Ok(response)
}

/// `DELETE`: ends the session.
pub(super) async fn delete(exchange: &Exchange<'_>) -> Result<(), Rejection<'static>> {
    let session = required_session(exchange, None).await?;
    sessions::end(exchange.mcp, exchange.authorization, session).await?;
    Ok(())
}

/// `POST` of a request.
pub(super) async fn request<'a>(
    exchange: &Exchange<'_>,
    id: &'a RawValue,
    method: &str,
    params: &Params<'_>,
) -> Result<Response, Rejection<'a>> {
    if method == "initialize" {
        // Its header names no negotiated version yet; the parameters do.
        return handshake::initialize(exchange, id, params).await;
    }
    let session = required_session(exchange, Some(id)).await?;
    tracing::debug!(mcp.method = %method, "request");
    let prepared = prepare(exchange, session, method, params).await?;
    Ok(match prepared {
        Ok(Prepared::Answer(result)) => exchange.reply(answer(id, Ok(result))),
        Ok(Prepared::Work(work)) => call::answer(exchange, session, id, params, work).await,
        // RFC 6750 §3.1: the status and the challenge make the client ask for more.
        Err(Fault::Scope(scope)) => guard::insufficient_scope(exchange, &scope, Some(id)),
        Err(fault) => {
            let outcome = call::told(fault, false, Era::Legacy(session.version));
            exchange.reply(answer(id, outcome))
        }
    })
}

/// `POST` of a message that wants no answer.
pub(super) async fn post<'a>(
    exchange: &Exchange<'_>,
    message: Message<'a>,
) -> Result<Response, Rejection<'a>> {
    let session = required_session(exchange, None).await?;
    take(exchange, session, message).await;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Takes a message that wants no answer.
async fn take(exchange: &Exchange<'_>, session: Session, message: Message<'_>) {
    match message {
        Message::Notification { method, params } => {
            notification(exchange, session, &method, &Params::of(params)).await;
        }
        // One that answers nothing that we could have asked is ignored.
        Message::Response { id, result } => {
            if let Ok(request) = id.get().parse() {
                let result = result.map(RawValue::get);
                answered(exchange.mcp, session.id, request, result).await;
            }
        }
        Message::Request { .. } => {}
    }
}

/// Passes an answer on to whoever waits for it, here or elsewhere.
async fn answered(mcp: &McpState, session: Digest, request: u64, result: Option<&str>) {
    let runtime = mcp.internal.runtimes.existing(&session);
    if !runtime.is_some_and(|runtime| runtime.answer(request, result)) {
        let news = News::Answered {
            session,
            request,
            result: result.map(Into::into),
        };
        mail::tell(mcp, news).await;
    }
}

/// `POST` of several messages, which only 2025-03-26 has. They are handled in order, and what
/// they ask for is answered together.
pub(super) async fn batch<'a>(
    exchange: &Exchange<'_>,
    messages: Vec<Result<Message<'a>, Malformed<'a>>>,
) -> Result<Response, Rejection<'a>> {
    let session = required_session(exchange, None).await?;
    if !session.version.has_batches() {
        return Err(Rejection::NoBatches(session.version));
    }
    let mut answers = Vec::new();
    for message in messages {
        match message {
            // A handshake is a request of its own, never one of many.
            Ok(Message::Request { id, method, .. }) if method == "initialize" => {
                let error = RpcError::new(INVALID_REQUEST, "initialize must not be in a batch");
                answers.push(jsonrpc::error(Some(id), &error));
            }
            Ok(Message::Request { id, method, params }) => {
                let params = Params::of(params);
                let outcome = in_batch(exchange, session, &method, &params).await?;
                answers.push(answer(id, outcome));
            }
            Ok(message) => take(exchange, session, message).await,
            Err(malformed) => answers.push(jsonrpc::error(malformed.id, &malformed.error)),
        }
    }
    if answers.is_empty() {
        return Ok(StatusCode::ACCEPTED.into_response());
    }
    let body = [b"[", answers.join(&b","[..]).as_slice(), b"]"].concat();
    Ok(exchange.reply(body))
}

/// One of several requests: nothing can be sent before its answer.
async fn in_batch(
    exchange: &Exchange<'_>,
    session: Session,
    method: &str,
    params: &Params<'_>,
) -> Result<Result<Vec<u8>, RpcError>, StoreError> {
    let prepared = prepare(exchange, session, method, params).await?;
    Ok(match prepared {
        Ok(Prepared::Answer(answer)) => Ok(answer),
        Ok(Prepared::Work(work)) => {
            let (outlet, _) = outlet::line(false);
            let context = call::context(exchange, session, params, outlet);
            let features = exchange.features;
            let era = Era::Legacy(session.version);
            let is_tool = matches!(work, dispatch::Work::Tool { .. });
            let outcome = dispatch::run(features, work, &context).await;
            outcome.or_else(|fault| call::told(fault, is_tool, era))
        }
        Err(fault) => call::told(fault, false, Era::Legacy(session.version)),
    })
}

#[derive(Deserialize)]
struct LevelParams {
    level: String,
}

#[derive(Deserialize)]
struct UriParams {
    uri: String,
}

/// Methods that only this era has; the others are the core's.
async fn prepare(
    exchange: &Exchange<'_>,
    session: Session,
    method: &str,
    params: &Params<'_>,
) -> Result<Result<Prepared, Fault>, StoreError> {
    let features = exchange.features;
    let wish = match method {
        "ping" => Ok(None),
        "logging/setLevel" => Wish::of_level(params).map(Some),
        "resources/subscribe" if features.has_resources() => {
            let read = params.read::<UriParams>();
            read.map(|UriParams { uri }| Some(Wish::Subscribe(uri)))
        }
        "resources/unsubscribe" if features.has_resources() => {
            let read = params.read::<UriParams>();
            read.map(|UriParams { uri }| Some(Wish::Unsubscribe(uri)))
        }
        _ => {
            let era = Era::Legacy(session.version);
            return Ok(dispatch::prepare(exchange, era, method, params));
        }
    };
    let granted = match wish {
        // Boxed, as it is rare: calls would have to make room for it as well.
        Ok(Some(wish)) => Box::pin(wish.keep(exchange, session)).await?,
        Ok(None) => Ok(()),
        Err(error) => Err(error.into()),
    };
    Ok(granted.map(|()| Prepared::Answer(b"{}".to_vec())))
}

/// Sees to it that changes of a resource are heard of.
async fn watch(exchange: &Exchange<'_>, session: Session, uri: &str) -> Result<(), Fault> {
    let mcp = exchange.mcp;
    let era = Era::Legacy(session.version);
    let client = session.client.within(era);
    let changes = mcp.offered.changes();
    let context = Context::aside(exchange.authorization, client, era, changes);
    if let Some(watch) = exchange.features.watch(uri, &context).await? {
        mcp.internal.runtimes.of(session.id).keep_watch(uri, watch);
    }
    Ok(())
}

/// What a session's client wants to be told of.
enum Wish {
    Level(LogLevel),
    Subscribe(String),
    Unsubscribe(String),
}

impl Wish {
    fn of_level(params: &Params<'_>) -> Result<Self, RpcError> {
        let LevelParams { level } = params.read()?;
        let level = LogLevel::parse(&level);
        let level = level.ok_or_else(|| RpcError::new(INVALID_PARAMS, "unknown log level"))?;
        Ok(Self::Level(level))
    }

    /// Keeps it with the session, and lets whoever listens know.
    async fn keep(
        self,
        exchange: &Exchange<'_>,
        session: Session,
    ) -> Result<Result<(), Fault>, StoreError> {
        let mcp = exchange.mcp;
        if let Self::Subscribe(uri) = &self
            && let Err(fault) = watch(exchange, session, uri).await
        {
            return Ok(Err(fault));
        }
        let session = session.id;
        let owner = &exchange.authorization.owner;
        let has_room = match &self {
            Self::Level(level) => {
                let kept = mcp.sessions.set_log_level(owner, &session, level.rank());
                kept.await?;
                return Ok(Ok(()));
            }
            Self::Subscribe(uri) => mcp.sessions.subscribe(owner, &session, uri).await?,
            Self::Unsubscribe(uri) => {
                mcp.sessions.unsubscribe(owner, &session, uri).await?;
                if let Some(runtime) = mcp.internal.runtimes.existing(&session) {
                    runtime.stop_watch(uri);
                }
                true
            }
        };
        if !has_room {
            let error = RpcError::new(INVALID_PARAMS, "too many subscriptions");
            return Ok(Err(error.into()));
        }
        if let Some(runtime) = mcp.internal.runtimes.existing(&session) {
            elsewhere::reload_subscriptions(mcp, session, &runtime).await;
        }
        mail::tell(mcp, News::SubscriptionsChanged(session)).await;
        Ok(Ok(()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CancelledParams<'a> {
    #[serde(borrow)]
    request_id: &'a RawValue,
}

/// `notifications/initialized` needs nothing done, and unknown ones are to be ignored.
async fn notification(
    exchange: &Exchange<'_>,
    session: Session,
    method: &str,
    params: &Params<'_>,
) {
    tracing::debug!(mcp.method = %method, "notification");
    if method != "notifications/cancelled" {
        return;
    }
    let Ok(CancelledParams { request_id }) = params.read() else {
        return;
    };
    let request = request_id.get();
    let runtime = exchange.mcp.internal.runtimes.existing(&session.id);
    if !runtime.is_some_and(|runtime| runtime.cancel(request)) {
        let news = News::Cancelled {
            session: session.id,
            request: request.into(),
        };
        mail::tell(exchange.mcp, news).await;
    }
}

fn stream(
    exchange: &Exchange<'_>,
    runtime: &SessionRuntime,
    log: &Arc<EventLog>,
    last: Option<u64>,
    is_call: bool,
) -> Response {
    GuardedStream {
        mcp: Arc::clone(exchange.mcp),
        authorization: Arc::clone(exchange.authorization),
        events: log.read(last),
        ended: runtime.ended.clone(),
        is_call,
        farewell: None,
    }
    .into_response()
}

/// The session of a request that is about something in one.
async fn required_session<'a>(
    exchange: &Exchange<'_>,
    id: Option<&'a RawValue>,
) -> Result<Session, Rejection<'a>> {
    match sessions::find(exchange.mcp, exchange.authorization, exchange.headers).await? {
        Lookup::Found(session) => {
            check_version_header(exchange.headers, id)?;
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

fn answer(id: &RawValue, outcome: Result<Vec<u8>, RpcError>) -> Vec<u8> {
    match outcome {
        Ok(result) => jsonrpc::result(id, &result),
        Err(error) => jsonrpc::error(Some(id), &error),
    }
}

/// The answer to a call. That the server failed is said in the status too.
fn reply_outcome(
    exchange: &Exchange<'_>,
    id: &RawValue,
    outcome: Result<Vec<u8>, RpcError>,
) -> Response {
    match outcome {
        Err(error) if error.code == INTERNAL_ERROR => {
            let body = jsonrpc::error(Some(id), &error);
            jsonrpc::respond(StatusCode::INTERNAL_SERVER_ERROR, body)
        }
        outcome => exchange.reply(answer(id, outcome)),
    }
}
