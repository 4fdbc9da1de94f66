//! Which of the calls on a connection a message belongs to.
//!
//! rmcp hands every notification to a task of its own, so that they overtake each other and the
//! answer. They are taken off before, in the order in which they came.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rmcp::{
    RoleClient,
    model::{
        GetExtensions as _, GetMeta as _, JsonRpcMessage, ProgressToken, RequestId,
        ServerNotification,
    },
    service::{InboundStreamOrigin, RxJsonRpcMessage, TxJsonRpcMessage},
};
use serde::Deserialize;
use serde_json::Value;
use sse_stream::Sse;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::mcp::feature::{Change, Changes, LogLevel, Question};

/// Messages that a call may be ahead of whoever reads them by. More are dropped.
const BACKLOG: usize = 1024;

/// What comes of a call before its answer.
#[derive(Debug)]
pub(super) enum Event {
    /// How far it has got.
    Progress {
        progress: f64,
        total: Option<f64>,
        message: Option<String>,
    },
    /// Something to log.
    Log {
        level: LogLevel,
        logger: Option<String>,
        data: Value,
    },
    /// A question, which the upstream waits for an answer to.
    Asked(Asked),
    /// The upstream has closed the stream; the rest comes on another one.
    StreamClosed,
}

/// A question of the upstream.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    /// Dropped: there is no answer.
    pub(super) answer: oneshot::Sender<Value>,
}

/// Where a call's messages go. It travels with the request.
#[derive(Debug, Clone)]
pub(super) struct Line(mpsc::Sender<Event>);

/// Both ends of a line.
pub(super) fn line() -> (Line, mpsc::Receiver<Event>) {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    (Line(sender), receiver)
}

impl Line {
    fn send(&self, event: Event) {
        if self.0.try_send(event).is_err() {
            tracing::debug!("a message of an upstream was dropped: nobody reads fast enough");
        }
    }
}

/// The calls of one connection.
pub(super) struct Routes {
    calls: Mutex<Calls>,
    /// Told when a list of the upstream has changed.
    pub(super) lists_changed: Notify,
    /// Which lists those are.
    changed: Mutex<Vec<Change>>,
    changes: Changes,
}

#[derive(Default)]
struct Calls {
    lines: HashMap<RequestId, Line>,
    /// The calls in the order in which they began.
    order: Vec<RequestId>,
    tokens: HashMap<ProgressToken, RequestId>,
    /// The last event of each stream, by which it can be gone on with.
    last_events: HashMap<String, RequestId>,
}

impl Routes {
    /// `changes` tells clients of resources that have changed.
    pub(super) fn new(changes: Changes) -> Self {
        Self {
            calls: Mutex::default(),
            lists_changed: Notify::new(),
            changed: Mutex::default(),
            changes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request that is about to be sent.
    pub(super) fn sending(&self, message: &TxJsonRpcMessage<RoleClient>) {
        let JsonRpcMessage::Request(request) = message else {
            return;
        };
        let Some(line) = request.request.extensions().get::<Line>() else {
            return;
        };
        let mut calls = self.lock();
        if let Some(token) = request.request.get_meta().get_progress_token() {
            calls.tokens.insert(token, request.id.clone());
        }
        calls.order.push(request.id.clone());
        calls.lines.insert(request.id.clone(), line.clone());
    }

    /// Forgets a call that is over.
    pub(super) fn finish(&self, id: &RequestId) {
        let mut calls = self.lock();
        calls.lines.remove(id);
        calls.order.retain(|other| other != id);
        calls.tokens.retain(|_, other| other != id);
        calls.last_events.retain(|_, other| other != id);
    }

    /// Takes what belongs to a call, and news. What rmcp has to see comes back.
    pub(super) fn received(
        &self,
        message: RxJsonRpcMessage<RoleClient>,
    ) -> Option<RxJsonRpcMessage<RoleClient>> {
        let JsonRpcMessage::Notification(notification) = &message else {
            return Some(message);
        };
        let notification = &notification.notification;
        if notification.get_meta().subscription_id().is_some() {
            return Some(message);
        }
        match notification {
            ServerNotification::ProgressNotification(progress) => {
                let progress = &progress.params;
                let event = Event::Progress {
                    progress: progress.progress,
                    total: progress.total,
                    message: progress.message.clone(),
                };
                let calls = self.lock();
                if let Some(id) = calls.tokens.get(&progress.progress_token) {
                    calls.send(id, event);
                }
            }
            ServerNotification::LoggingMessageNotification(log) => {
                let params = serde_json::to_value(&log.params).unwrap_or_default();
                self.log(None, params);
            }
            notification if self.hear(notification) => {}
            ServerNotification::ResourceUpdatedNotification(updated) => {
                let uri = updated.params.uri.as_str().into();
                self.changes.tell(Change::Resource(uri));
            }
            _ => return Some(message),
        }
        None
    }

    /// Notes that a list has changed; `false`: that is not what it says.
    pub(super) fn hear(&self, notification: &ServerNotification) -> bool {
        let list = match notification {
            ServerNotification::ToolListChangedNotification(_) => Change::Tools,
            ServerNotification::PromptListChangedNotification(_) => Change::Prompts,
            ServerNotification::ResourceListChangedNotification(_) => Change::Resources,
            _ => return false,
        };
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if !changed.contains(&list) {
            changed.push(list);
        }
        self.lists_changed.notify_one();
        true
    }

    /// The lists that have changed since the last time.
    pub(super) fn changed_lists(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A log message, of the call whose stream it came on. Where there are no streams it is taken for
    /// one of the call that began last.
    fn log(&self, call: Option<&RequestId>, mut params: Value) {
        let level = params.get("level").and_then(Value::as_str);
        let Some(level) = level.and_then(LogLevel::parse) else {
            return;
        };
        let logger = params.get("logger").and_then(Value::as_str);
        let event = Event::Log {
            level,
            logger: logger.map(str::to_owned),
            data: params.get_mut("data").map(Value::take).unwrap_or_default(),
        };
        let calls = self.lock();
        if let Some(id) = call.or(calls.order.last()) {
            calls.send(id, event);
        }
    }

    /// Passes a question on to the call that it belongs to, and waits for the answer.
    pub(super) async fn ask(
        &self,
        origin: Option<&InboundStreamOrigin>,
        question: Question,
    ) -> Option<Value> {
        let (answer, answered) = oneshot::channel();
        {
            let calls = self.lock();
            let id = match origin {
                Some(InboundStreamOrigin::OutboundRequest(id)) => id,
                Some(InboundStreamOrigin::Unassociated) | None => calls.order.last()?,
            };
            calls.send(id, Event::Asked(Asked { question, answer }));
        }
        answered.await.ok()
    }

    /// Looks at an event of a call's stream before rmcp does.
    pub(super) fn streamed(&self, call: &RequestId, event: Sse) -> Streamed {
        if let Some(id) = &event.id {
            let mut calls = self.lock();
            if calls.lines.contains_key(call) {
                calls.last_events.retain(|_, other| other != call);
                calls.last_events.insert(id.clone(), call.clone());
            }
        }
        let message = event.data.as_deref().and_then(|data| {
            let message: Result<Message<'_>, _> = serde_json::from_str(data);
            message.ok()
        });
        match message {
            Some(Message { method: None, .. }) => Streamed::Answer(event),
            Some(Message {
                method: Some(method @ ("notifications/message" | "notifications/progress")),
                params: Some(params),
            }) => {
                if method == "notifications/message" {
                    self.log(Some(call), params);
                } else if let Some(progress) = progress(&params) {
                    self.lock().send(call, progress);
                }
                // It counts as the last event all the same.
                Streamed::Event(Sse {
                    data: None,
                    ..event
                })
            }
            _ => Streamed::Event(event),
        }
    }

    /// The stream of a call has ended before its answer.
    pub(super) fn stream_ended(&self, call: &RequestId) {
        self.lock().send(call, Event::StreamClosed);
    }

    /// The call whose stream is gone on with after that event.
    pub(super) fn call_after(&self, event: &str) -> Option<RequestId> {
        self.lock().last_events.get(event).cloned()
    }
}

fn progress(params: &Value) -> Option<Event> {
    let message = params.get("message").and_then(Value::as_str);
    Some(Event::Progress {
        progress: params.get("progress")?.as_f64()?,
        total: params.get("total").and_then(Value::as_f64),
        message: message.map(str::to_owned),
    })
}

/// What an event of a call's stream is.
pub(super) enum Streamed {
    /// The answer: the stream may end.
    Answer(Sse),
    /// Something else.
    Event(Sse),
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    method: Option<&'a str>,
    params: Option<Value>,
}

impl Calls {
    fn send(&self, id: &RequestId, event: Event) {
        if let Some(line) = self.lines.get(id) {
            line.send(event);
        }
    }
}
