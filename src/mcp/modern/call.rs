//! A call of a handler: at once, in several rounds, or as a task.
//!
//! A client that closes the connection has cancelled its call: the handler is dropped where it
//! waits, and what it started elsewhere is told.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

use axum::body::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument as _;

use super::{Answer, Cache, Modern, complete, request_state::fingerprint, server_meta, told};
use crate::mcp::{
    McpState,
    asking::{Asker, OpenQuestions},
    dispatch::{self, Fault, Work, read_params},
    era::Era,
    feature::{Capability, Context, Outgoing, TaskSupport},
    jsonrpc::{self, INVALID_PARAMS, RpcError},
    sse::{self, GuardedStream},
    tasks::{Task, input_request},
    transport::accepts_events,
};

/// Messages that a handler may be ahead of its stream by.
const BACKLOG: usize = 16;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoundParams<'a> {
    #[serde(borrow, default)]
    input_responses: Option<&'a RawValue>,
    #[serde(borrow, default)]
    request_state: Option<&'a RawValue>,
}

/// Runs a handler and answers.
pub(super) async fn answer(
    modern: &Modern<'_>,
    id: &RawValue,
    method: &str,
    params: Option<&RawValue>,
    work: Work,
) -> Result<Answer, Fault> {
    let task = check_tool(modern, &work)?;
    let answers = earlier_answers(modern, method, params)?;
    let (outlet, sent) = mpsc::channel(BACKLOG);
    let outlet = accepts_events(modern.exchange.headers).then_some(outlet);
    let context = context(modern, outlet, answers);
    let call = Call {
        mcp: Arc::clone(modern.exchange.mcp),
        context,
        method: method.to_owned(),
        params: params.map(ToOwned::to_owned),
        cache: super::cache(method),
    };
    if task {
        return begin_task(call, work).await.map(Answer::Result);
    }
    let span = tracing::info_span!(
        "call",
        mcp.method = method,
        traceparent = modern.envelope.traceparent.as_deref()
    );
    let cancelled = call.context.cancelled.clone().drop_guard();
    let running: Running = Box::pin(call.run(work).instrument(span));
    first_word(modern, id, running, sent, cancelled).await
}

/// Whether the call becomes a task. Checks on the way what the tool wants of the request.
fn check_tool(modern: &Modern<'_>, work: &Work) -> Result<bool, Fault> {
    let Work::Tool { name, arguments } = work else {
        return Ok(false);
    };
    let Some(tool) = modern.exchange.mcp.features.tool(name) else {
        return Ok(false);
    };
    tool.header_params
        .check(modern.exchange.headers, arguments)
        .map_err(|header| super::envelope::mismatch(header, "its argument"))?;
    let follows_tasks = modern.envelope.capabilities.contains(Capability::Tasks);
    match tool.definition.task {
        TaskSupport::Never => Ok(false),
        TaskSupport::Required if !follows_tasks => Err(Fault::Capability(Capability::Tasks)),
        TaskSupport::Optional | TaskSupport::Required => Ok(follows_tasks),
    }
}

/// What was answered in earlier rounds and what this request answers.
fn earlier_answers(
    modern: &Modern<'_>,
    method: &str,
    request: Option<&RawValue>,
) -> Result<Map<String, Value>, RpcError> {
    let params: RoundParams<'_> = read_params(request)?;
    let mcp = modern.exchange.mcp;
    let mut answers = match params.request_state {
        None => Map::new(),
        Some(state) => serde_json::from_str::<String>(state.get())
            .ok()
            .and_then(|state| {
                let now = mcp.clock.now();
                let authorization = modern.exchange.authorization;
                mcp.internal
                    .states
                    .open(&state, authorization, &fingerprint(method, request), now)
            })
            .ok_or_else(|| {
                RpcError::new(
                    INVALID_PARAMS,
                    "requestState is not one that this call was given, or has expired",
                )
            })?,
    };
    let responses = params.input_responses;
    let responses = responses.and_then(|responses| serde_json::from_str(responses.get()).ok());
    if let Some(Value::Object(responses)) = responses {
        answers.extend(responses);
    }
    Ok(answers)
}

fn context(
    modern: &Modern<'_>,
    outlet: Option<mpsc::Sender<Outgoing>>,
    answers: Map<String, Value>,
) -> Context {
    let envelope = &modern.envelope;
    Context {
        authorization: Arc::clone(modern.exchange.authorization),
        capabilities: envelope.capabilities,
        era: Era::Modern,
        cancelled: CancellationToken::new(),
        changes: modern.exchange.mcp.changes.clone(),
        outlet,
        progress_token: envelope.progress_token.map(ToOwned::to_owned),
        log_level: envelope.log_level,
        asker: Asker::Rounds(OpenQuestions::default()),
        answers: Mutex::new(answers),
    }
}

/// A call under way.
struct Call {
    mcp: Arc<McpState>,
    context: Context,
    /// What the request was, for the state of another round.
    method: String,
    params: Option<Box<RawValue>>,
    cache: Option<Cache>,
}

/// A running call: its result.
type Running = Pin<Box<dyn Future<Output = Result<Vec<u8>, Fault>> + Send>>;

impl Call {
    async fn run(self, work: Work) -> Result<Vec<u8>, Fault> {
        let features = &self.mcp.features;
        match dispatch::run(features, work, &self.context, Era::Modern).await {
            Ok(result) => {
                // What depended on answers is good for this one call.
                let was_asked = !self.context.lock_answers().is_empty();
                let cache = self.cache;
                let cache = cache.map(|(scope, ttl)| (scope, if was_asked { 0 } else { ttl }));
                Ok(complete(result, cache))
            }
            Err(Fault::InputRequired) => self.input_required(),
            Err(fault) => Err(fault),
        }
    }

    /// The answer that asks for another round, with all that has been answered sealed into it.
    fn input_required(&self) -> Result<Vec<u8>, Fault> {
        let Asker::Rounds(open) = &self.context.asker else {
            return Err(Fault::InputRequired);
        };
        let requests: Map<String, Value> = open
            .take()
            .iter()
            .map(|(key, question)| (key.clone(), input_request(question)))
            .collect();
        let answers = self.context.lock_answers().clone();
        let authorization = &self.context.authorization;
        let now = self.mcp.clock.now();
        let request = fingerprint(&self.method, self.params.as_deref());
        let states = &self.mcp.internal.states;
        let state = states
            .seal(authorization, &request, answers, now)
            .ok_or_else(|| RpcError::new(jsonrpc::INTERNAL_ERROR, "the state cannot be kept"))?;
        let result = json!({
            "resultType": "input_required",
            "inputRequests": requests,
            "requestState": state,
            "_meta": server_meta(),
        });
        Ok(result.to_string().into_bytes())
    }
}

/// Asks what has to be known first, begins a task and answers with it.
async fn begin_task(mut call: Call, work: Work) -> Result<Vec<u8>, Fault> {
    let features = Arc::clone(&call.mcp.features);
    match dispatch::prepare_task(&features, &work, &call.context).await {
        Ok(None) => {}
        Ok(Some(refusal)) => return Ok(complete(refusal, None)),
        Err(Fault::InputRequired) => return call.input_required(),
        Err(fault) => return Err(fault),
    }
    let mcp = Arc::clone(&call.mcp);
    let changes = mcp.changes.clone();
    let now = mcp.clock.now();
    let authorization = Arc::clone(&call.context.authorization);
    let task = mcp.internal.tasks.begin(&authorization, changes, now)?;
    call.context.asker = Asker::Task(Arc::clone(&task));
    call.context.cancelled = task.cancelled.clone();
    // Neither progress nor log messages are sent for tasks.
    call.context.outlet = None;
    let created = created(&task);
    tokio::spawn(async move {
        let outcome = tokio::select! {
            outcome = dispatch::run(&features, work, &call.context, Era::Modern) => outcome,
            () = task.cancelled.cancelled() => return,
        };
        task.finish(outcome, mcp.clock.now());
    });
    Ok(created)
}

fn created(task: &Task) -> Vec<u8> {
    let mut created = task.created();
    if let Some(created) = created.as_object_mut() {
        created.insert("resultType".to_owned(), json!("task"));
        created.insert("_meta".to_owned(), server_meta());
    }
    created.to_string().into_bytes()
}

/// Waits for whatever comes first: a message, and then the answer is a stream, or the result.
async fn first_word(
    modern: &Modern<'_>,
    id: &RawValue,
    mut running: Running,
    mut sent: mpsc::Receiver<Outgoing>,
    cancelled: DropGuard,
) -> Result<Answer, Fault> {
    let mut sending = true;
    let first = loop {
        tokio::select! {
            biased;
            message = sent.recv(), if sending => match message {
                Some(Outgoing::Message(message)) => break Ok(message),
                // There is no coming back for the rest in this era.
                Some(Outgoing::CloseStream) => {}
                None => sending = false,
            },
            outcome = &mut running => break Err(outcome),
        }
    };
    let (first, outcome) = match first {
        Ok(message) => (message, None),
        // The result is there; what was said before it comes first all the same.
        Err(outcome) => match next_message(&mut sent) {
            Some(message) => (message, Some(outcome)),
            None => return outcome.map(Answer::Result),
        },
    };
    let events = CallEvents {
        id: id.to_owned(),
        first: Some(first),
        outcome,
        running: Some(running),
        sent,
        _cancelled: cancelled,
    };
    let events = stream::unfold(events, |mut events| async move {
        let event = events.next().await?;
        Some((event, events))
    });
    Ok(Answer::Response(
        GuardedStream {
            mcp: Arc::clone(modern.exchange.mcp),
            authorization: Arc::clone(modern.exchange.authorization),
            events: Box::pin(events),
            ended: CancellationToken::new(),
            is_call: true,
            farewell: None,
        }
        .into_response(),
    ))
}

fn next_message(sent: &mut mpsc::Receiver<Outgoing>) -> Option<Vec<u8>> {
    loop {
        match sent.try_recv().ok()? {
            Outgoing::Message(message) => return Some(message),
            Outgoing::CloseStream => {}
        }
    }
}

/// The stream of a call: its messages, then its result.
struct CallEvents {
    id: Box<RawValue>,
    first: Option<Vec<u8>>,
    outcome: Option<Result<Vec<u8>, Fault>>,
    running: Option<Running>,
    sent: mpsc::Receiver<Outgoing>,
    /// Dropped with the stream: the client has gone, or everything was sent.
    _cancelled: DropGuard,
}

impl CallEvents {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(sse::event(&first));
        }
        let mut sending = true;
        while self.outcome.is_none() {
            let running = self.running.as_mut()?;
            tokio::select! {
                biased;
                message = self.sent.recv(), if sending => match message {
                    Some(Outgoing::Message(message)) => return Some(sse::event(&message)),
                    Some(Outgoing::CloseStream) => {}
                    None => sending = false,
                },
                outcome = running => self.outcome = Some(outcome),
            }
        }
        if let Some(message) = next_message(&mut self.sent) {
            return Some(sse::event(&message));
        }
        // Polling a call that is over would be a mistake; without it the stream ends.
        drop(self.running.take()?);
        let answer = match self.outcome.take()? {
            Ok(result) => jsonrpc::result(&self.id, &result),
            Err(fault) => jsonrpc::error(Some(&self.id), &told(fault)),
        };
        Some(sse::event(&answer))
    }
}
