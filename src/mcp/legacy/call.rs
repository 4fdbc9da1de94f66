//! A call of a handler within a session.
//!
//! A client that goes away has not cancelled its call: the work goes on, and the client may come
//! back for the rest of the stream. So the work runs in a task of its own, unless it is over at
//! once.

use std::sync::{Arc, Mutex};

use axum::response::Response;
use futures_util::future::poll_immediate;
use serde_json::value::RawValue;

use super::{EventLog, Session, keeper::Keeper, reply_outcome, stream};
use crate::mcp::{
    asking::Asker,
    dispatch::{self, Fault, Work},
    era::Era,
    exchange::Exchange,
    feature::{Context, ToolResult},
    jsonrpc::{self, INVALID_REQUEST, RpcError},
    outlet::{self, Outgoing, Outlet},
    params::Params,
    rejection::UNAVAILABLE,
};

/// What surrounds a call in a session.
pub(super) fn context(
    exchange: &Exchange<'_>,
    session: Session,
    params: &Params<'_>,
    outlet: Outlet,
) -> Context {
    let meta = params.members().ok().and_then(|m| m.meta.as_ref());
    let progress_token = meta
        .and_then(|meta| meta.progress_token)
        .filter(|token| jsonrpc::is_id(token))
        .map(ToOwned::to_owned);
    let asker = if outlet.is_heard() {
        Asker::Session {
            mcp: Arc::clone(exchange.mcp),
            session: session.id,
            era: Era::Legacy(session.version),
        }
    } else {
        Asker::Nobody
    };
    Context {
        authorization: Arc::clone(exchange.authorization),
        capabilities: session.client.within(Era::Legacy(session.version)),
        era: Era::Legacy(session.version),
        changes: exchange.mcp.offered.changes().clone(),
        outlet,
        progress_token,
        log_level: session.log_level,
        asker,
        answers: Mutex::default(),
        hints: Mutex::default(),
        audit: exchange.mcp.audit,
    }
}

/// Runs a handler and answers: in one piece if it has nothing to say before its result, else as a
/// stream.
pub(super) async fn answer(
    exchange: &Exchange<'_>,
    session: Session,
    id: &RawValue,
    params: &Params<'_>,
    work: Work,
) -> Response {
    let era = Era::Legacy(session.version);
    let (outlet, inlet) = outlet::line(exchange.accepts.events);
    let context = context(exchange, session, params, outlet);
    let features = Arc::clone(exchange.features);
    let is_tool = matches!(work, Work::Tool { .. });
    let mut running = Box::pin(async move {
        let outcome = dispatch::run(&features, work, &context).await;
        outcome.or_else(|fault| told(fault, is_tool, era))
    });
    let keeper = Keeper::of(&exchange.mcp.mail, &exchange.mcp.clock, session.id);
    // Most handlers are over at once, and need neither a task nor a stream.
    if let Some(outcome) = poll_immediate(&mut running).await {
        let Ok(mut sent) = inlet.opened() else {
            return reply_outcome(exchange, id, outcome);
        };
        let runtime = exchange.mcp.internal.runtimes.of(session.id);
        // Boxed, so that calls which answer in one piece need not make room for it.
        let sending = Box::pin(async {
            let log = runtime.open_stream(session.version, keeper, id).await;
            while let Ok(outgoing) = sent.try_recv() {
                put(&log, outgoing).await;
            }
            log.push(&super::answer(id, outcome)).await;
            log.finish().await;
            log
        });
        let log = sending.await;
        return stream(exchange, &runtime, &log, None, true);
    }

    let runtime = exchange.mcp.internal.runtimes.of(session.id);
    let cancelled = inlet.cancelled();
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
            runtime.finish(&id);
            outcome
        })
    };
    let mut sent = inlet.open();
    let Some(first) = sent.recv().await else {
        // The handler is over and has sent nothing.
        return match call.await {
            Ok(Some(outcome)) => reply_outcome(exchange, id, outcome),
            // HTTP wants an answer even where the protocol does not.
            Ok(None) => {
                let error = RpcError::new(INVALID_REQUEST, "the call was cancelled");
                reply_outcome(exchange, id, Err(error))
            }
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
    };
    let beginning = Box::pin(async {
        let log = runtime.open_stream(session.version, keeper, id).await;
        put(&log, first).await;
        log
    });
    let log = beginning.await;
    let response = stream(exchange, &runtime, &log, None, true);
    let id = id.to_owned();
    tokio::spawn(async move {
        while let Some(message) = sent.recv().await {
            put(&log, message).await;
        }
        match call.await {
            Ok(Some(outcome)) => log.push(&super::answer(&id, outcome)).await,
            // A call that was cancelled is not answered.
            Ok(None) => {}
            Err(_) => {
                let error = RpcError::new(jsonrpc::INTERNAL_ERROR, "the server failed to answer");
                log.push(&jsonrpc::error(Some(&id), &error)).await;
            }
        }
        log.finish().await;
    });
    response
}

async fn put(log: &EventLog, message: Outgoing) {
    match message {
        Outgoing::Message(message) => log.push(&message).await,
        Outgoing::CloseStream => log.detach(),
    }
}

/// What this era makes of a fault: for a tool, a result that the model can read.
pub(super) fn told(fault: Fault, is_tool: bool, era: Era) -> Result<Vec<u8>, RpcError> {
    let message = match fault {
        Fault::Rpc(error) => return Err(error),
        Fault::ResourceNotFound(uri) => return Err(dispatch::no_resource(era, &uri)),
        Fault::Scope(scope) => format!("the access token needs the scope {}", scope.as_str()),
        Fault::Capability(capability) => format!(
            "This needs a client that can do what this one did not declare: {}",
            capability.declaration()
        ),
        Fault::NoAnswer(why) => why.to_owned(),
        Fault::Unavailable(error) => {
            tracing::error!(error = %error, "a call failed on the store");
            UNAVAILABLE.to_owned()
        }
        Fault::InputRequired => "this client cannot be asked in several rounds".to_owned(),
    };
    if is_tool {
        let result = dispatch::tool_result(ToolResult::error(message), era);
        return result.map_err(|_| RpcError::new(jsonrpc::INTERNAL_ERROR, "no result"));
    }
    Err(RpcError::new(INVALID_REQUEST, message))
}
