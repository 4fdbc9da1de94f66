//! Tasks (`io.modelcontextprotocol/tasks`): calls that go on after their answer, and that the
//! client follows by asking.

mod elsewhere;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value, json, value::RawValue};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(super) use elsewhere::{
    SIGN_OF_LIFE_EVERY, answered, cancel, cancelled, describe, give_sign_of_life, keep, update,
};

use super::{
    dispatch::{Fault, Outcome},
    era::Era,
    feature::{Change, Changes, Question},
    jsonrpc::{INTERNAL_ERROR, RpcError},
};
use crate::{
    access::Authorization, clock::Timestamp, model::kept_task::KeptTask, store::SessionOwner,
};

/// How long a task is kept, from its beginning.
const TTL: Duration = Duration::from_hours(1);

/// How often a client should ask, in milliseconds.
const POLL_INTERVAL_MS: u64 = 1000;

/// How many tasks one person may have with one client, finished ones included until they expire.
const MAX_TASKS: usize = 1000;

/// How many tasks there may be in all.
const MAX_TASKS_OVERALL: usize = 100_000;

/// The tasks of this process.
#[derive(Default)]
pub(super) struct TaskTable(Mutex<HashMap<Box<str>, Arc<Task>>>);

/// One task.
pub(super) struct Task {
    pub(super) id: Arc<str>,
    owner: SessionOwner,
    created_at: Timestamp,
    pub(super) cancelled: CancellationToken,
    changes: Changes,
    /// Where it is kept for other replicas: woken when there is something new to keep.
    keeper: Option<Notify>,
    state: Mutex<State>,
}

struct State {
    updated_at: Timestamp,
    /// How often anything has changed.
    version: u64,
    outcome: Option<Ended>,
    /// What it waits for, by the key of the question.
    open: BTreeMap<String, (Question, oneshot::Sender<Value>)>,
}

enum Ended {
    /// With a result, in JSON.
    Completed(Box<RawValue>),
    Failed(RpcError),
    Cancelled,
}

impl TaskTable {
    /// Begins a task of the person and client behind `authorization`. `is_kept`: whether others can
    /// be asked about it, who have to be able to tell.
    pub(super) fn begin(
        &self,
        authorization: &Authorization,
        changes: Changes,
        is_kept: bool,
        now: Timestamp,
    ) -> Result<Arc<Task>, RpcError> {
        let owner = &authorization.owner;
        let mut tasks = self.lock();
        tasks.retain(|_, task| !task.has_expired(now));
        let of_owner = tasks.values().filter(|task| task.owner == *owner).count();
        if of_owner >= MAX_TASKS || tasks.len() >= MAX_TASKS_OVERALL {
            return Err(RpcError::new(
                INTERNAL_ERROR,
                "there are too many tasks; try again when some have expired",
            ));
        }
        let task = Arc::new(Task {
            id: format!("task_{}", Uuid::new_v4().simple()).into(),
            owner: owner.clone(),
            created_at: now,
            cancelled: CancellationToken::new(),
            changes,
            keeper: is_kept.then(Notify::new),
            state: Mutex::new(State {
                updated_at: now,
                version: 0,
                outcome: None,
                open: BTreeMap::new(),
            }),
        });
        tasks.insert(Box::from(&*task.id), Arc::clone(&task));
        Ok(task)
    }

    /// The task of that name, for its owner alone.
    fn find(&self, id: &str, authorization: &Authorization, now: Timestamp) -> Option<Arc<Task>> {
        let tasks = self.lock();
        let task = tasks.get(id)?;
        let is_owners = task.owner == authorization.owner;
        (is_owners && !task.has_expired(now)).then(|| Arc::clone(task))
    }

    /// The task of that name, for a replica that has seen that its owner asks.
    fn get(&self, id: &str) -> Option<Arc<Task>> {
        self.lock().get(id).map(Arc::clone)
    }

    /// Whether any of them goes on.
    fn is_busy(&self) -> bool {
        self.lock().values().any(|task| !task.is_over())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Task>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    fn has_expired(&self, now: Timestamp) -> bool {
        now.since(self.created_at) >= TTL
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever listens; first it is kept, where it is: they may ask another replica.
    fn changed(&self) {
        match &self.keeper {
            Some(keeper) => keeper.notify_one(),
            None => self.tell(),
        }
    }

    fn tell(&self) {
        self.changes.tell(Change::Task(Arc::clone(&self.id)));
    }

    fn is_over(&self) -> bool {
        self.lock().outcome.is_some()
    }

    /// What is to be kept of it.
    fn to_keep(&self, runner: Uuid, alive_until: Timestamp) -> KeptTask {
        let state = self.lock();
        KeptTask {
            described: Value::Object(self.detail(&state)).to_string().into(),
            version: state.version,
            is_over: state.outcome.is_some(),
            runner,
            alive_until,
            expires_at: self.created_at + TTL,
        }
    }

    /// Puts questions into the task's state and waits for all answers; `None` if the task ended
    /// without.
    pub(super) async fn ask(
        &self,
        questions: Vec<(String, Question)>,
    ) -> Option<Map<String, Value>> {
        let mut waiting = Vec::new();
        {
            let mut state = self.lock();
            for (key, question) in questions {
                let (sender, answer) = oneshot::channel();
                // Keys are not used again within a task, so an earlier one was another question.
                state.open.insert(key.clone(), (question, sender));
                waiting.push((key, answer));
            }
            state.version += 1;
        }
        self.changed();
        let mut answers = Map::new();
        for (key, answer) in waiting {
            answers.insert(key, answer.await.ok()?);
        }
        Some(answers)
    }

    /// Takes answers. Those that fit no open question are ignored.
    fn update(&self, answers: Map<String, Value>, now: Timestamp) {
        {
            let mut state = self.lock();
            for (key, answer) in answers {
                let fits = state
                    .open
                    .get(&key)
                    .is_some_and(|(q, _)| q.is_answered_by(&answer));
                if fits && let Some((_, waiting)) = state.open.remove(&key) {
                    let _ = waiting.send(answer);
                    state.updated_at = now;
                    state.version += 1;
                }
            }
        }
        self.changed();
    }

    /// Ends the task unless it has ended.
    fn cancel(&self, now: Timestamp) {
        // In this order: the work that is told may end with an error of its own.
        self.end(Ended::Cancelled, now);
        self.cancelled.cancel();
    }

    /// Ends the task with what came of the work.
    pub(super) fn finish(&self, outcome: Outcome, now: Timestamp) {
        let json = |json: Vec<u8>| {
            String::from_utf8(json)
                .ok()
                .and_then(|json| RawValue::from_string(json).ok())
        };
        let ended = match outcome {
            Ok(result) => match json(result) {
                Some(result) => Ended::Completed(result),
                None => Ended::Failed(RpcError::new(INTERNAL_ERROR, "the result is no JSON")),
            },
            Err(Fault::Rpc(error)) => Ended::Failed(error),
            Err(Fault::NoAnswer(why)) => Ended::Failed(RpcError::new(INTERNAL_ERROR, why)),
            Err(fault) => {
                let message = match fault {
                    Fault::Capability(capability) => {
                        format!(
                            "the client cannot do what is needed: {}",
                            capability.declaration()
                        )
                    }
                    _ => "the task could not be done".to_owned(),
                };
                Ended::Failed(RpcError::new(INTERNAL_ERROR, message))
            }
        };
        self.end(ended, now);
    }

    fn end(&self, ended: Ended, now: Timestamp) {
        {
            let mut state = self.lock();
            if state.outcome.is_some() {
                return;
            }
            state.outcome = Some(ended);
            state.open.clear();
            state.updated_at = now;
            state.version += 1;
        }
        self.changed();
    }

    /// The task as `tools/call` answers with it: what it is, and nothing of what it holds.
    pub(super) fn created(&self) -> Value {
        Value::Object(self.describe(&self.lock()))
    }

    /// The task as `tasks/get` answers with it.
    fn detailed(&self) -> Map<String, Value> {
        self.detail(&self.lock())
    }

    fn detail(&self, state: &State) -> Map<String, Value> {
        let mut described = self.describe(state);
        match &state.outcome {
            Some(Ended::Completed(result)) => {
                described.insert("result".to_owned(), json!(result));
            }
            Some(Ended::Failed(error)) => {
                described.insert("error".to_owned(), json!(error));
            }
            None if !state.open.is_empty() => {
                let requests: Map<String, Value> = state
                    .open
                    .iter()
                    .map(|(key, (question, _))| (key.clone(), input_request(question)))
                    .collect();
                described.insert("inputRequests".to_owned(), Value::Object(requests));
            }
            Some(Ended::Cancelled) | None => {}
        }
        described
    }

    fn describe(&self, state: &State) -> Map<String, Value> {
        let status = match &state.outcome {
            Some(Ended::Completed(_)) => "completed",
            Some(Ended::Failed(_)) => "failed",
            Some(Ended::Cancelled) => "cancelled",
            None if !state.open.is_empty() => "input_required",
            None => "working",
        };
        let described = json!({
            "taskId": &*self.id,
            "status": status,
            "createdAt": self.created_at.to_rfc3339_millis(),
            "lastUpdatedAt": state.updated_at.to_rfc3339_millis(),
            "ttlMs": u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX),
            "pollIntervalMs": POLL_INTERVAL_MS,
        });
        match described {
            Value::Object(described) => described,
            _ => Map::new(),
        }
    }
}

/// A question as an answer that asks carries it.
pub(super) fn input_request(question: &Question) -> Value {
    let modes = Era::Modern.has_elicitation_modes();
    json!({ "method": question.method(), "params": question.params(modes, None) })
}
