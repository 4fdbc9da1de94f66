//! A call of a handler within a session.
//!
//! A client that goes away has not cancelled its call: the work goes on, and the client may come
//! back for the rest of the stream. So the work runs in a task of its own, unless it is over at
//! once.

use std::sync::{Arc, Mutex};

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures_util::future::poll_immediate;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Exchange, Session, reply, stream};
use crate::mcp::{
    asking::Asker,
    dispatch::{self, Fault, Work},
    era::Era,
    feature::{Context, Outgoing, ToolResult},
    jsonrpc::{self, INVALID_REQUEST, RpcError},
    transport::accepts_events,
};

/// Messages that a handler may be ahead of its stream by.
const BACKLOG: usize = 16;

#[derive(Deserialize)]
struct MetaParams<'a> {
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default, rename = "progressToken")]
    progress_token: Option<&'a RawValue>,
}

/// What surrounds a call in a session.
pub(super) fn context(
    exchange: Exchange<'_>,
    session: Session,
    params: Option<&RawValue>,
    outlet: Option<mpsc::Sender<Outgoing>>,
) -> Context {
    let meta = params.and_then(|params| serde_json::from_str::<MetaParams<'_>>(params.get()).ok());
    let progress_token = meta
        .and_then(|params| params.meta?.progress_token)
        .filter(|token| jsonrpc::is_id(token))
        .map(ToOwned::to_owned);
    let runtimes = &exchange.mcp.internal.runtimes;
    let log_level = runtimes.existing(&session.id);
    let log_level = log_level.and_then(|runtime| runtime.log_level());
    let asker = match &outlet {
        Some(_) => Asker::Session {
            mcp: Arc::clone(exchange.mcp),
            session: session.id,
            era: Era::Legacy(session.version),
        },
        None => Asker::Nobody,
    };
    Context {
        authorization: Arc::clone(exchange.authorization),
        capabilities: session.client,
        cancelled: CancellationToken::new(),
        changes: exchange.mcp.changes.clone(),
        outlet,
        progress_token,
        log_level,
        asker,
        answers: Mutex::default(),
    }
}

/// Runs a handler and answers: in one piece if it has nothing to say before its result, else as a
/// stream.
pub(super) async fn answer(
    exchange: Exchange<'_>,
    session: Session,
    id: &RawValue,
    params: Option<&RawValue>,
    work: Work,
) -> Response {
    let era = Era::Legacy(session.version);
    let (outlet, mut sent) = mpsc::channel(BACKLOG);
    let outlet = accepts_events(exchange.headers).then_some(outlet);
    let context = context(exchange, session, params, outlet);
    let cancelled = context.cancelled.clone();
    let features = Arc::clone(&exchange.mcp.features);
    let is_tool = matches!(work, Work::Tool { .. });
    let mut running = Box::pin(async move {
        let outcome = dispatch::run(&features, work, &context, era).await;
        outcome.or_else(|fault| told(fault, is_tool, era))
    });
    // Most handlers are over at once, and need neither a task nor a stream.
    if let Some(outcome) = poll_immediate(&mut running).await {
        let answer = super::answer(id, outcome);
        let Ok(first) = sent.try_recv() else {
            return reply(exchange.headers, answer);
        };
        let runtime = exchange.mcp.internal.runtimes.of(session.id);
        let log = runtime.open_stream(session.version);
        put(&log, first);
        while let Ok(more) = sent.try_recv() {
            put(&log, more);
        }
        log.push(&answer);
        log.finish();
        return stream(exchange, &runtime, &log, None, true);
    }

    let runtime = exchange.mcp.internal.runtimes.of(session.id);
    runtime.begin(id, cancelled.clone());
    let call = {
        let runtime = Arc::clone(&runtime);
        let id = id.to_owned();
        tokio::spawn(async move {
            let outcome = tokio::select! {
                outcome = running => Some(outcome),
                () = cancelled.cancelled() => None,
                () = runtime.ended.cancelled() => None,
            };
            // Work that was started elsewhere is told, however the call ended.
            cancelled.cancel();
            runtime.finish(&id);
            // A call that was cancelled is not answered.
            outcome.map(|outcome| super::answer(&id, outcome))
        })
    };
    let Some(first) = sent.recv().await else {
        // The handler is over and has sent nothing.
        return match call.await {
            Ok(Some(answer)) => reply(exchange.headers, answer),
            Ok(None) => StatusCode::ACCEPTED.into_response(),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
    };
    let log = runtime.open_stream(session.version);
    put(&log, first);
    let response = stream(exchange, &runtime, &log, None, true);
    let id = id.to_owned();
    tokio::spawn(async move {
        while let Some(message) = sent.recv().await {
            put(&log, message);
        }
        match call.await {
            Ok(Some(answer)) => log.push(&answer),
            Ok(None) => {}
            Err(_) => {
                let error = RpcError::new(jsonrpc::INTERNAL_ERROR, "the server failed to answer");
                log.push(&jsonrpc::error(Some(&id), &error));
            }
        }
        log.finish();
    });
    response
}

fn put(log: &super::EventLog, message: Outgoing) {
    match message {
        Outgoing::Message(message) => log.push(&message),
        Outgoing::CloseStream => log.detach(),
    }
}

/// What this era makes of a fault: for a tool, a result that the model can read.
pub(super) fn told(fault: Fault, is_tool: bool, era: Era) -> Result<Vec<u8>, RpcError> {
    let message = match fault {
        Fault::Rpc(error) => return Err(error),
        Fault::Scope(scope) => format!("the access token needs the scope {}", scope.as_str()),
        Fault::Capability(capability) => format!(
            "This needs a client that can do what this one did not declare: {}",
            capability.declaration()
        ),
        Fault::NoAnswer(why) => why.to_owned(),
        Fault::InputRequired => "this client cannot be asked in several rounds".to_owned(),
    };
    if is_tool {
        let result = dispatch::tool_result(ToolResult::error(message), era);
        return result.map_err(|_| RpcError::new(jsonrpc::INTERNAL_ERROR, "no result"));
    }
    Err(RpcError::new(INVALID_REQUEST, message))
}
