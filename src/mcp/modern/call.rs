//! A call of a handler: at once, in several rounds, or as a task.
//!
//! A client that closes the connection has cancelled its call: the handler is dropped where it
//! waits, and what it started elsewhere is told.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{self, Poll, ready},
};

use axum::{body::Bytes, response::Response};
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::{Map, Value, json, value::RawValue};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    Answer, Cache, Modern, Request, complete, complete_with,
    request_state::{Kept, StateSealer, fingerprint},
    server_meta, told,
};
use crate::mcp::{
    McpState,
    asking::{Asker, OpenQuestions},
    dispatch::{self, Fault, Work},
    era::Era,
    feature::{Answers, Capability, Context, Features, Hints, TaskSupport},
    jsonrpc::{self, Body, INVALID_PARAMS, Message, RpcError, string},
    outlet::{self, Inlet, Outgoing, Outlet},
    params::Params,
    sse::{self, GuardedStream},
    tasks::{self, Task, input_request},
};

/// Runs a handler and answers.
pub(super) async fn answer(
    modern: &Modern<'_>,
    request: &Request<'_>,
    work: Work,
) -> Result<Answer, Fault> {
    let task = check_tool(modern, &work)?;
    let answers = earlier_answers(modern, request)?;
    let (outlet, inlet) = outlet::line(modern.exchange.accepts.events);
    let call = Call {
        mcp: Arc::clone(modern.exchange.mcp),
        features: Arc::clone(modern.exchange.features),
        context: context(modern, outlet, answers),
        body: modern.exchange.body.clone(),
        cache: super::cache(request.method),
    };
    if task {
        // Boxed, so that calls that become none need no room for it.
        return Box::pin(begin_task(call, work)).await.map(Answer::Result);
    }
    let span = tracing::info_span!(
        "call",
        mcp.method = request.method,
        traceparent = modern.envelope.traceparent.as_deref()
    );
    let mut events = CallEvents {
        id: request.id.to_owned(),
        running: Some(Box::pin(call.run(work).instrument(span))),
        outcome: None,
        inlet: Some(inlet),
        sent: None,
    };
    // Whatever comes first: a message, and then the answer is a stream, or the result.
    match poll_fn(|cx| events.poll_message(cx)).await {
        Some(first) => Ok(Answer::Response(open_stream(modern, &first, events))),
        None => events.into_outcome().map(Answer::Result),
    }
}

/// Whether the call becomes a task. Checks on the way what the tool wants of the request.
fn check_tool(modern: &Modern<'_>, work: &Work) -> Result<bool, Fault> {
    let Work::Tool { tool, arguments } = work else {
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
fn earlier_answers(modern: &Modern<'_>, request: &Request<'_>) -> Result<Answers, RpcError> {
    let members = request.params.members()?;
    let mcp = modern.exchange.mcp;
    let Kept {
        mut answers,
        remembered,
    } = match members.request_state {
        None => Kept::default(),
        Some(state) => string(state)
            .and_then(|state| {
                let request = fingerprint(request.method, request.params.text());
                let authorization = modern.exchange.authorization;
                let now = mcp.clock.now();
                let states = StateSealer::new(&mcp.internal.states.keys(now));
                states.open(&state, authorization, &request, now)
            })
            .ok_or_else(|| {
                RpcError::new(
                    INVALID_PARAMS,
                    "requestState is not one that this call was given, or has expired",
                )
            })?,
    };
    let responses = members.input_responses;
    let responses = responses.and_then(|responses| serde_json::from_str(responses.get()).ok());
    if let Some(Value::Object(responses)) = responses {
        answers.extend(responses);
    }
    Ok(Answers::given(answers, remembered))
}

fn context(modern: &Modern<'_>, outlet: Outlet, answers: Answers) -> Context {
    let envelope = &modern.envelope;
    Context {
        authorization: Arc::clone(modern.exchange.authorization),
        capabilities: envelope.capabilities,
        era: Era::Modern,
        changes: modern.exchange.mcp.offered.changes().clone(),
        outlet,
        progress_token: envelope.progress_token.map(ToOwned::to_owned),
        log_level: envelope.log_level,
        asker: Asker::Rounds(OpenQuestions::default()),
        answers: Mutex::new(answers),
        hints: Mutex::default(),
        audit: modern.exchange.mcp.audit,
    }
}

/// A call under way.
struct Call {
    mcp: Arc<McpState>,
    features: Arc<Features>,
    context: Context,
    /// The request, as it came: the state of another round is bound to it.
    body: Bytes,
    cache: Option<Cache>,
}

/// A running call: its result.
type Running = Pin<Box<dyn Future<Output = Result<Vec<u8>, Fault>> + Send>>;

impl Call {
    async fn run(self, work: Work) -> Result<Vec<u8>, Fault> {
        match dispatch::run(&self.features, work, &self.context).await {
            Ok(result) => {
                // What depended on answers is good for this one call.
                let was_asked = !self.context.lock_answers().is_empty();
                let cache = self.cache;
                let Hints { meta, ttl_ms } = std::mem::take(&mut *self.context.lock_hints());
                let cache = cache.map(|(scope, ttl)| {
                    let ttl = ttl_ms.unwrap_or(ttl);
                    (scope, if was_asked { 0 } else { ttl })
                });
                Ok(complete_with(result, cache, meta))
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
        let result = json!({
            "resultType": "input_required",
            "inputRequests": requests,
            "requestState": self.state().ok_or_else(|| {
                RpcError::new(jsonrpc::INTERNAL_ERROR, "the state cannot be kept")
            })?,
            "_meta": server_meta(),
        });
        Ok(result.to_string().into_bytes())
    }

    fn state(&self) -> Option<String> {
        let Ok(Body::Single(Ok(Message::Request { method, params, .. }))) =
            jsonrpc::parse(&self.body)
        else {
            return None;
        };
        let request = fingerprint(&method, Params::of(params).text());
        let authorization = &self.context.authorization;
        let now = self.mcp.clock.now();
        let answers = self.context.lock_answers();
        let states = StateSealer::new(&self.mcp.internal.states.keys(now));
        let (answers, remembered) = (answers.used(), answers.remembered());
        states.seal(authorization, &request, (answers, remembered), now)
    }
}

/// Asks what has to be known first, begins a task and answers with it.
async fn begin_task(mut call: Call, work: Work) -> Result<Vec<u8>, Fault> {
    match dispatch::prepare_task(&work, &call.context).await {
        Ok(None) => {}
        Ok(Some(refusal)) => return Ok(complete(refusal, None)),
        Err(Fault::InputRequired) => return call.input_required(),
        Err(fault) => return Err(fault),
    }
    let mcp = Arc::clone(&call.mcp);
    let changes = mcp.offered.changes().clone();
    let now = mcp.clock.now();
    let authorization = Arc::clone(&call.context.authorization);
    let is_kept = mcp.mail.is_shared();
    let tasks = &mcp.internal.tasks;
    let task = tasks.begin(&authorization, changes, is_kept, now)?;
    tasks::keep(&mcp, &task).await?;
    call.context.asker = Asker::Task(Arc::clone(&task));
    // Neither progress nor log messages are sent for tasks.
    call.context.outlet = Outlet::unheard(task.cancelled.clone());
    let created = created(&task);
    tokio::spawn(async move {
        let outcome = tokio::select! {
            outcome = dispatch::run(&call.features, work, &call.context) => outcome,
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

/// The answer of a call that has something to say before its result.
fn open_stream(modern: &Modern<'_>, first: &[u8], events: CallEvents) -> Response {
    let first = sse::event(first);
    GuardedStream {
        mcp: Arc::clone(modern.exchange.mcp),
        authorization: Arc::clone(modern.exchange.authorization),
        events: Box::pin(stream::iter([first]).chain(events)),
        ended: CancellationToken::new(),
        is_call: true,
        farewell: None,
    }
    .into_response()
}

/// A running call as a stream: its messages, then its result. Dropped when the client has gone, and
/// the handler with it.
struct CallEvents {
    id: Box<RawValue>,
    /// `None` once it is over.
    running: Option<Running>,
    outcome: Option<Result<Vec<u8>, Fault>>,
    /// `None` once something was sent.
    inlet: Option<Inlet>,
    sent: Option<mpsc::Receiver<Outgoing>>,
}

impl CallEvents {
    /// The next message of the handler; `None` when it is over and its outcome is there.
    fn poll_message(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Vec<u8>>> {
        if let Some(running) = &mut self.running
            && let Poll::Ready(outcome) = running.as_mut().poll(cx)
        {
            self.outcome = Some(outcome);
            self.running = None;
        }
        if let Some(inlet) = self.inlet.take() {
            match inlet.opened() {
                Ok(sent) => self.sent = Some(sent),
                Err(inlet) => self.inlet = Some(inlet),
            }
        }
        if let Some(sent) = &mut self.sent {
            while let Poll::Ready(Some(outgoing)) = sent.poll_recv(cx) {
                match outgoing {
                    Outgoing::Message(message) => return Poll::Ready(Some(message)),
                    // There is no coming back for the rest in this era.
                    Outgoing::CloseStream => {}
                }
            }
        }
        match self.running {
            Some(_) => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    /// The outcome of a call that is over.
    fn into_outcome(self) -> Result<Vec<u8>, Fault> {
        self.outcome.unwrap_or_else(|| {
            let message = "the call ended without an outcome";
            Err(RpcError::new(jsonrpc::INTERNAL_ERROR, message).into())
        })
    }
}

impl Stream for CallEvents {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(message) = ready!(self.poll_message(cx)) {
            return Poll::Ready(Some(sse::event(&message)));
        }
        let outcome = self.outcome.take();
        Poll::Ready(outcome.map(|outcome| {
            let answer = match outcome {
                Ok(result) => jsonrpc::result(&self.id, &result),
                Err(fault) => jsonrpc::error(Some(&self.id), &told(fault)),
            };
            sse::event(&answer)
        }))
    }
}
