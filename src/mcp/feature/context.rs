//! What a running tool, prompt or resource has at hand: who asks, how to tell how far it has got,
//! how to ask back, and when to stop.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Map, Value, json, value::RawValue};
use tokio_util::sync::CancellationToken;

use super::{
    changes::Changes,
    question::{Capability, ClientCapabilities, Elicited, Question},
};
use crate::{
    access::Authorization,
    mcp::{
        asking::Asker,
        era::Era,
        jsonrpc::RpcError,
        outlet::{Outgoing, Outlet},
    },
    model::{client::ClientId, scope::ScopeSet, user::UserId},
};

/// Why a handler stopped without a result. Handlers pass it on with `?`.
#[derive(Debug)]
pub struct CallError(pub(in crate::mcp) Stop);

/// The reasons, for whoever called the handler.
#[derive(Debug)]
pub(in crate::mcp) enum Stop {
    /// Something has to be answered first; the handler will be called again.
    InputRequired,
    /// The client cannot do what the handler needs.
    MissingCapability(Capability),
    /// The client was asked and did not answer.
    NoAnswer(&'static str),
    /// An error of the protocol.
    Protocol(RpcError),
}

impl CallError {
    /// An error of the protocol, for what is neither a result nor a failure that a model could
    /// do something about. Codes from -32768 to -32000 are JSON-RPC's and MCP's own.
    pub fn protocol(code: i32, message: impl Into<String>) -> Self {
        Self(Stop::Protocol(RpcError::new(code, message)))
    }
}

/// How much a log message matters (RFC 5424).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For whoever debugs.
    Debug,
    /// As expected.
    Info,
    /// As expected, and of interest.
    Notice,
    /// Not as expected.
    Warning,
    /// Failed.
    Error,
    /// A part is failing.
    Critical,
    /// Someone has to act.
    Alert,
    /// Nothing works.
    Emergency,
}

impl LogLevel {
    const NAMES: [(Self, &'static str); 8] = [
        (Self::Debug, "debug"),
        (Self::Info, "info"),
        (Self::Notice, "notice"),
        (Self::Warning, "warning"),
        (Self::Error, "error"),
        (Self::Critical, "critical"),
        (Self::Alert, "alert"),
        (Self::Emergency, "emergency"),
    ];

    pub(in crate::mcp) fn parse(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(_, known)| *known == name);
        found.map(|(level, _)| *level)
    }

    /// The rank by which a session keeps it: the higher, the graver.
    pub(in crate::mcp) const fn rank(self) -> u8 {
        self as u8
    }

    /// The level of that rank.
    pub(in crate::mcp) fn of_rank(rank: u8) -> Option<Self> {
        let (level, _) = Self::NAMES.get(usize::from(rank))?;
        Some(*level)
    }

    fn as_str(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(level, _)| *level == self);
        found.map_or("info", |(_, name)| name)
    }
}

/// What surrounds one call.
pub struct Context {
    pub(in crate::mcp) authorization: Arc<Authorization>,
    pub(in crate::mcp) capabilities: ClientCapabilities,
    pub(in crate::mcp) era: Era,
    pub(in crate::mcp) changes: Changes,
    /// Where notifications go.
    pub(in crate::mcp) outlet: Outlet,
    pub(in crate::mcp) progress_token: Option<Box<RawValue>>,
    /// The least that is logged; `None`: nothing.
    pub(in crate::mcp) log_level: Option<LogLevel>,
    pub(in crate::mcp) asker: Asker,
    pub(in crate::mcp) answers: Mutex<Answers>,
}

/// Answers of the client, by the keys of their questions.
#[derive(Debug, Default)]
pub(in crate::mcp) struct Answers {
    /// All that came with the call or while it ran.
    given: Map<String, Value>,
    /// Those that the handler asked for.
    used: Map<String, Value>,
}

impl Answers {
    /// Answers that came with the call. The client may have sent more than it was asked for.
    pub(in crate::mcp) fn given(given: Map<String, Value>) -> Self {
        Self {
            given,
            used: Map::new(),
        }
    }

    /// Whether none has come.
    pub(in crate::mcp) fn is_empty(&self) -> bool {
        self.given.is_empty() && self.used.is_empty()
    }

    /// Those that the handler asked for: all that another round has to remember.
    pub(in crate::mcp) fn used(&self) -> &Map<String, Value> {
        &self.used
    }
}

impl Context {
    /// On whose behalf.
    pub fn user(&self) -> &UserId {
        &self.authorization.user
    }

    /// By which client.
    pub fn client(&self) -> &ClientId {
        &self.authorization.client
    }

    /// With which scopes.
    pub fn scopes(&self) -> &ScopeSet {
        &self.authorization.scopes
    }

    /// Whether the client can do something. Ask before doing without it.
    pub fn client_can(&self, capability: Capability) -> bool {
        self.capabilities.contains(capability)
    }

    /// Cancelled when nobody waits for the result any more. The handler itself is stopped at its
    /// next await; this is for work that it has started elsewhere.
    pub fn cancelled(&self) -> &CancellationToken {
        self.outlet.cancelled()
    }

    /// Tells clients that something has changed.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Says how far the work has got. `progress` must grow from call to call.
    pub async fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        let Some(token) = &self.progress_token else {
            return;
        };
        let mut params = Map::new();
        params.insert("progressToken".to_owned(), json!(token));
        params.insert("progress".to_owned(), json!(progress));
        if let Some(total) = total {
            params.insert("total".to_owned(), json!(total));
        }
        if let Some(message) = message.filter(|_| self.era.has_progress_messages()) {
            params.insert("message".to_owned(), json!(message));
        }
        self.notify("notifications/progress", Value::Object(params))
            .await;
    }

    /// Logs to the client, if it wants that much. Never secrets.
    pub async fn log(&self, level: LogLevel, data: Value) {
        if self.log_level.is_some_and(|least| level >= least) {
            let params = json!({ "level": level.as_str(), "data": data });
            self.notify("notifications/message", params).await;
        }
    }

    /// Asks the person to fill in a form. `key` names the question within this call.
    ///
    /// A handler may be called again from its beginning once the answer is there, with all answers
    /// so far: ask first, and act after the last question.
    pub async fn elicit(
        &self,
        key: &str,
        message: impl Into<String>,
        schema: Value,
    ) -> Result<Elicited, CallError> {
        let question = Question::Form {
            message: message.into(),
            schema,
        };
        let answer = self.ask_one(key, question).await?;
        Ok(Elicited::read(&answer).unwrap_or(Elicited::Cancelled))
    }

    /// Asks the person to visit a page.
    pub async fn elicit_url(
        &self,
        key: &str,
        message: impl Into<String>,
        url: impl Into<String>,
    ) -> Result<Elicited, CallError> {
        let question = Question::Url {
            message: message.into(),
            url: url.into(),
        };
        let answer = self.ask_one(key, question).await?;
        Ok(Elicited::read(&answer).unwrap_or(Elicited::Cancelled))
    }

    /// Asks the client's model: parameters and result of `sampling/createMessage`.
    pub async fn sample(&self, key: &str, params: Value) -> Result<Value, CallError> {
        self.ask_one(key, Question::Sampling(params)).await
    }

    /// Asks which folders the client works in: the result of `roots/list`.
    pub async fn roots(&self, key: &str) -> Result<Value, CallError> {
        self.ask_one(key, Question::Roots).await
    }

    /// Asks several things at once. The answers come under the keys of their questions.
    pub async fn ask(
        &self,
        questions: Vec<(String, Question)>,
    ) -> Result<Map<String, Value>, CallError> {
        for (_, question) in &questions {
            let capability = question.capability();
            if !self.client_can(capability) {
                return Err(CallError(Stop::MissingCapability(capability)));
            }
        }
        let (mut answers, open) = self.given(questions);
        if !open.is_empty() {
            let fresh = self.asker.ask(self, open).await?;
            self.lock_answers().used.extend(fresh.clone());
            answers.extend(fresh);
        }
        Ok(answers)
    }

    /// Tells the questions that have been answered already from those that have not.
    fn given(
        &self,
        questions: Vec<(String, Question)>,
    ) -> (Map<String, Value>, Vec<(String, Question)>) {
        let Answers { given, used } = &mut *self.lock_answers();
        let mut answers = Map::new();
        let mut open = Vec::new();
        for (key, question) in questions {
            let answer = used.get(&key).or_else(|| given.get(&key));
            match answer.filter(|answer| question.is_answered_by(answer)) {
                Some(answer) => {
                    let answer = answer.clone();
                    used.insert(key.clone(), answer.clone());
                    answers.insert(key, answer);
                }
                None => open.push((key, question)),
            }
        }
        (answers, open)
    }

    pub(in crate::mcp) fn lock_answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails unless the client can do something.
    pub fn require(&self, capability: Capability) -> Result<(), CallError> {
        if self.client_can(capability) {
            return Ok(());
        }
        Err(CallError(Stop::MissingCapability(capability)))
    }

    /// Closes the stream that the client reads, where the protocol lets it come back for the rest:
    /// for work that takes longer than connections last. Elsewhere this does nothing.
    pub async fn close_stream(&self) {
        self.outlet.send(Outgoing::CloseStream).await;
    }

    async fn ask_one(&self, key: &str, question: Question) -> Result<Value, CallError> {
        let mut answers = self.ask(vec![(key.to_owned(), question)]).await?;
        answers
            .remove(key)
            .ok_or(CallError(Stop::NoAnswer("the client did not answer")))
    }

    async fn notify(&self, method: &str, params: Value) {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        let message = message.to_string().into_bytes();
        self.outlet.send(Outgoing::Message(message)).await;
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("authorization", &self.authorization)
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}
