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
    model::{
        audit_arguments::AuditArguments, client::ClientId, grant::GrantId, scope::ScopeSet,
        user::UserId,
    },
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
    /// Nothing is at this address.
    ResourceNotFound(String),
    /// An error of the protocol.
    Protocol(RpcError),
}

impl CallError {
    /// An error of the protocol, for what is neither a result nor a failure that a model could
    /// do something about. Codes from -32768 to -32000 are JSON-RPC's and MCP's own.
    pub fn protocol(code: i32, message: impl Into<String>) -> Self {
        Self(Stop::Protocol(RpcError::new(code, message)))
    }

    /// The same with what the error says besides.
    pub fn protocol_with(code: i32, message: impl Into<String>, data: Option<Value>) -> Self {
        Self(Stop::Protocol(RpcError {
            data,
            ..RpcError::new(code, message)
        }))
    }

    /// There is nothing at the address that was asked for. Each version of the protocol has a code
    /// of its own for it.
    pub fn resource_not_found(uri: &str) -> Self {
        Self(Stop::ResourceNotFound(uri.to_owned()))
    }

    /// The client cannot do what is needed.
    pub fn missing(capability: Capability) -> Self {
        Self(Stop::MissingCapability(capability))
    }

    /// Whether the handler will be called again, with answers. It must be passed on.
    pub fn is_another_round(&self) -> bool {
        matches!(self.0, Stop::InputRequired)
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

    /// The level that is written so.
    pub fn parse(name: &str) -> Option<Self> {
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

    /// As it is written.
    pub fn as_str(self) -> &'static str {
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
    pub(in crate::mcp) hints: Mutex<Hints>,
    /// What is recorded of its arguments.
    pub(in crate::mcp) audit: AuditArguments,
}

/// What the answer to a request says beside its result.
#[derive(Debug, Default)]
pub(in crate::mcp) struct Hints {
    /// Its `_meta`.
    pub(in crate::mcp) meta: Map<String, Value>,
    /// For how many milliseconds it may be kept.
    pub(in crate::mcp) ttl_ms: Option<u32>,
}

/// Answers of the client, by the keys of their questions.
#[derive(Debug, Default)]
pub(in crate::mcp) struct Answers {
    /// All that came with the call or while it ran.
    given: Map<String, Value>,
    /// Those that the handler asked for.
    used: Map<String, Value>,
    /// What the handler wants to know in the next round.
    remembered: Map<String, Value>,
}

impl Answers {
    /// Answers that came with the call, of which the client may have sent more than it was asked
    /// for, and what an earlier round remembered, which it could not touch.
    pub(in crate::mcp) fn given(given: Map<String, Value>, remembered: Map<String, Value>) -> Self {
        Self {
            given,
            used: Map::new(),
            remembered,
        }
    }

    /// What the next round is to remember.
    pub(in crate::mcp) fn remembered(&self) -> &Map<String, Value> {
        &self.remembered
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
    /// What surrounds something that no call is waiting for: it can neither be told nor asked.
    pub(in crate::mcp) fn aside(
        authorization: &Arc<Authorization>,
        capabilities: ClientCapabilities,
        era: Era,
        changes: &Changes,
    ) -> Self {
        Self {
            authorization: Arc::clone(authorization),
            capabilities,
            era,
            changes: changes.clone(),
            outlet: Outlet::unheard(CancellationToken::new()),
            progress_token: None,
            log_level: None,
            asker: Asker::Nobody,
            answers: Mutex::default(),
            hints: Mutex::default(),
            audit: AuditArguments::default(),
        }
    }

    /// On whose behalf.
    pub fn user(&self) -> &UserId {
        &self.authorization.owner.user
    }

    /// By which client.
    pub fn client(&self) -> &ClientId {
        &self.authorization.owner.client
    }

    /// With which scopes.
    pub fn scopes(&self) -> &ScopeSet {
        &self.authorization.scopes
    }

    /// Under which grant.
    pub fn grant(&self) -> GrantId {
        self.authorization.grant
    }

    /// All that the client can do.
    pub fn capabilities(&self) -> ClientCapabilities {
        self.capabilities
    }

    /// The least grave that the client wants logged; `None`: nothing.
    pub fn log_level(&self) -> Option<LogLevel> {
        self.log_level
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

    /// The same in the name of a part of the server, or of another one.
    pub async fn log_as(&self, logger: Option<&str>, level: LogLevel, data: Value) {
        let Some(logger) = logger else {
            return self.log(level, data).await;
        };
        if self.log_level.is_some_and(|least| level >= least) {
            let params = json!({ "level": level.as_str(), "logger": logger, "data": data });
            self.notify("notifications/message", params).await;
        }
    }

    /// Keeps something for the next round, where a question ends this one. The client carries it
    /// there and can neither read nor change it. Elsewhere it lasts as long as the call.
    pub fn remember(&self, key: &str, value: Value) {
        self.lock_answers().remembered.insert(key.to_owned(), value);
    }

    /// What was kept under that key.
    pub fn remembered(&self, key: &str) -> Option<Value> {
        self.lock_answers().remembered.get(key).cloned()
    }

    /// Adds to the `_meta` of the answer.
    pub fn add_meta(&self, meta: Map<String, Value>) {
        self.lock_hints().meta.extend(meta);
    }

    /// Says for how long the client may keep what it reads.
    pub fn good_for(&self, milliseconds: u32) {
        self.lock_hints().ttl_ms = Some(milliseconds);
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
        let Answers { given, used, .. } = &mut *self.lock_answers();
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

    pub(in crate::mcp) fn lock_hints(&self) -> MutexGuard<'_, Hints> {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
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
