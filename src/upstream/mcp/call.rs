//! A call on its way through an upstream, with all that comes of it before its answer.

use std::{sync::Arc, time::Duration};

use rmcp::{
    ErrorData, Peer, RoleClient,
    model::{
        CancelledNotification, CancelledNotificationParam, ClientNotification, ErrorCode,
        RequestId, ServerResult,
    },
    service::ServiceError,
};
use serde_json::Value;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{sleep, timeout},
};

use super::{
    connection::{Lease, Sent, is_lost_session, short},
    routes::{Asked, Event, Routes},
};
use crate::mcp::feature::{CallError, Capability, Context};

/// What an upstream asks within so long of its last question is asked together.
const TOGETHER: Duration = Duration::from_millis(25);

/// `MissingRequiredClientCapability` of 2026-07-28.
const MISSING_CAPABILITY: i32 = -32021;

/// Why there is no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The handler has to stop.
    Stop(CallError),
    /// The upstream answered with an error.
    Rpc {
        code: i32,
        message: String,
        data: Option<Value>,
    },
    /// It did not answer.
    Unavailable(String),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Stop(error)
    }
}

/// A call under way. Dropped before its end, it is cancelled.
pub(super) struct Running {
    sent: Sent,
    lease: Lease,
    guard: CancelGuard,
    /// What the upstream waits to be answered.
    open: Vec<(String, Asked)>,
    asked: u32,
    timeout: Duration,
    _permit: OwnedSemaphorePermit,
}

/// How far a call has got.
pub(super) enum Driven {
    /// To its end.
    Ended(Value),
    /// The client has to answer before it goes on, in another round.
    Waits(Box<Running>, CallError),
}

impl Running {
    pub(super) fn new(
        sent: Sent,
        lease: Lease,
        timeout: Duration,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let guard = CancelGuard {
            peer: lease.peer().clone(),
            routes: Arc::clone(&lease.routes),
            id: Some(sent.handle.id.clone()),
        };
        Self {
            sent,
            lease,
            guard,
            open: Vec::new(),
            asked: 0,
            timeout,
            _permit: permit,
        }
    }

    /// Goes on with it for as long as this round lasts.
    pub(super) async fn drive(
        mut self: Box<Self>,
        name: &str,
        context: &Context,
    ) -> Result<Driven, Failure> {
        loop {
            if !self.open.is_empty() {
                self.gather(name, context).await;
                let open = self.open.iter();
                let questions = open.map(|(key, asked)| (key.clone(), asked.question.clone()));
                let asking = context.ask(questions.collect());
                let answered = tokio::select! {
                    answered = asking => answered,
                    // The upstream has gone on without.
                    response = &mut self.sent.handle.rx => return self.end(response, context).await,
                };
                match answered {
                    Ok(mut answers) => {
                        for (key, asked) in self.open.drain(..) {
                            if let Some(answer) = answers.remove(&key) {
                                let _ = asked.answer.send(answer);
                            }
                        }
                    }
                    Err(stop) if stop.is_another_round() => return Ok(Driven::Waits(self, stop)),
                    Err(stop) => {
                        tracing::debug!(stop = ?stop, "an upstream's question was not answered");
                        // Dropping them tells the upstream that there is no answer.
                        self.open.clear();
                    }
                }
            }
            tokio::select! {
                biased;
                Some(event) = self.sent.events.recv() => self.pass_on(event, name, context).await,
                response = &mut self.sent.handle.rx => return self.end(response, context).await,
                () = self.lease.ended.cancelled() => {
                    self.guard.disarm();
                    return Err(Failure::unavailable("it ended while the call ran"));
                }
                () = sleep(self.timeout) => {
                    return Err(Failure::Unavailable(format!(
                        "it has said nothing for {}",
                        humantime::format_duration(self.timeout)
                    )));
                }
            }
        }
    }

    /// Waits a moment for what the upstream asks at the same time, so that it is asked in one round.
    async fn gather(&mut self, name: &str, context: &Context) {
        while let Ok(Some(event)) = timeout(TOGETHER, self.sent.events.recv()).await {
            self.pass_on(event, name, context).await;
        }
    }

    async fn pass_on(&mut self, event: Event, name: &str, context: &Context) {
        match event {
            Event::Progress {
                progress,
                total,
                message,
            } => context.progress(progress, total, message.as_deref()).await,
            Event::Log {
                level,
                logger,
                data,
            } => context.log_as(logger.as_deref(), level, data).await,
            Event::StreamClosed => context.close_stream().await,
            Event::Asked(asked) => {
                self.asked += 1;
                self.open.push((format!("{name}-{}", self.asked), asked));
            }
        }
    }

    async fn end(
        mut self: Box<Self>,
        response: Result<
            Result<ServerResult, ServiceError>,
            tokio::sync::oneshot::error::RecvError,
        >,
        context: &Context,
    ) -> Result<Driven, Failure> {
        self.guard.disarm();
        // What it sent before its answer has arrived before its answer.
        while let Ok(event) = self.sent.events.try_recv() {
            if !matches!(event, Event::Asked(_) | Event::StreamClosed) {
                self.pass_on(event, "", context).await;
            }
        }
        let result = response.unwrap_or(Err(ServiceError::TransportClosed));
        let result = result.map_err(|error| self.failure(error))?;
        match serde_json::to_value(result) {
            Ok(result) => Ok(Driven::Ended(result)),
            Err(_) => Err(Failure::unavailable("its answer cannot be read")),
        }
    }

    fn failure(&self, error: ServiceError) -> Failure {
        let failure = failure(error);
        let is_lost = match &failure {
            Failure::Unavailable(_) => true,
            Failure::Rpc { code, message, .. } => is_lost_session(ErrorCode(*code), message),
            Failure::Stop(_) => false,
        };
        if is_lost {
            self.lease.close();
        }
        failure
    }
}

/// What an error of rmcp means.
pub(super) fn failure(error: ServiceError) -> Failure {
    match error {
        ServiceError::McpError(error) => refused(error),
        ServiceError::Timeout { .. } => Failure::unavailable("it does not answer"),
        ServiceError::UnexpectedResponse => Failure::unavailable("its answer cannot be read"),
        ServiceError::TransportSend(error) => {
            tracing::debug!(error = %error, "an upstream could not be sent to");
            Failure::unavailable("it cannot be reached")
        }
        _ => Failure::unavailable("it ended while the call ran"),
    }
}

fn refused(error: ErrorData) -> Failure {
    if error.code.0 == MISSING_CAPABILITY
        && let Some(missing) = error.data.as_ref().and_then(Capability::read_missing)
    {
        // Each revision has its own way to say it.
        return Failure::Stop(CallError::missing(missing));
    }
    Failure::Rpc {
        code: error.code.0,
        message: error.message.into_owned(),
        data: error.data,
    }
}

impl Failure {
    pub(super) fn unavailable(why: &str) -> Self {
        Self::Unavailable(why.to_owned())
    }

    /// For whoever called something that has no results of its own for failures.
    pub(super) fn into_call_error(self, label: &str) -> CallError {
        match self {
            Self::Stop(stop) => stop,
            Self::Rpc {
                code,
                message,
                data,
            } => CallError::protocol_with(code, message, data),
            Self::Unavailable(why) => CallError::protocol(-32603, format!("{label}: {why}")),
        }
    }

    /// For the log.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Stop(_) => "the client has to answer first".to_owned(),
            Self::Rpc { code, message, .. } => format!("{code}: {}", short(message)),
            Self::Unavailable(why) => why.clone(),
        }
    }
}

/// Tells the upstream that nobody waits for an answer any more.
struct CancelGuard {
    peer: Peer<RoleClient>,
    routes: Arc<Routes>,
    id: Option<RequestId>,
}

impl CancelGuard {
    fn disarm(&mut self) {
        if let Some(id) = self.id.take() {
            self.routes.finish(&id);
        }
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else {
            return;
        };
        self.routes.finish(&id);
        let peer = self.peer.clone();
        let reason = Some("nobody waits for the answer any more".to_owned());
        let cancelled = ClientNotification::CancelledNotification(CancelledNotification::new(
            CancelledNotificationParam::new(Some(id), reason),
        ));
        // There is no runtime any more where the whole server has ended.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = peer.send_notification(cancelled).await;
            });
        }
    }
}
