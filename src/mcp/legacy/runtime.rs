//! What a session has going on in this process: its streams, the calls that run, the questions
//! that wait for an answer. Idle sessions have none of it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard},
    time::{Duration, Instant},
};

use serde_json::{Value, json, value::RawValue};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::event_log::{EventId, EventLog};
use crate::{
    mcp::{
        era::{Era, LegacyVersion},
        feature::{Change, LogLevel, Question},
    },
    secret::{Digest, DigestMap},
};

/// How many streams a session may come back to. The oldest that have ended are forgotten.
const MAX_STREAMS: usize = 64;

/// How many addresses a session may subscribe to.
const MAX_SUBSCRIPTIONS: usize = 1000;

/// How long a session's log level and subscriptions are kept without being used.
const WISHES_KEPT: Duration = Duration::from_hours(24);

/// The sessions of this process that have something going on.
#[derive(Default)]
pub(in crate::mcp) struct Runtimes(RwLock<DigestMap<Arc<SessionRuntime>>>);

impl Runtimes {
    /// What the session has going on; nothing yet, if it is the first that is asked for.
    pub(in crate::mcp) fn of(&self, session: Digest) -> Arc<SessionRuntime> {
        let mut runtimes = self.write();
        if let Some(runtime) = runtimes.get(&session) {
            runtime.lock().last_used = Instant::now();
            return Arc::clone(runtime);
        }
        if runtimes.len() == runtimes.capacity() {
            // About to grow: see whether those that have nothing to remember make room.
            runtimes
                .retain(|_, runtime| Arc::strong_count(runtime) > 1 || !runtime.is_forgettable());
        }
        Arc::clone(runtimes.entry(session).or_default())
    }

    /// The same, if there is anything.
    pub(super) fn existing(&self, session: &Digest) -> Option<Arc<SessionRuntime>> {
        let runtimes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        runtimes.get(session).cloned()
    }

    /// Ends a session's streams and calls.
    pub(super) fn end(&self, session: &Digest) {
        if let Some(runtime) = self.write().remove(session) {
            runtime.ended.cancel();
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, DigestMap<Arc<SessionRuntime>>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one session has going on.
#[derive(Default)]
pub(in crate::mcp) struct SessionRuntime {
    pub(super) ended: CancellationToken,
    state: Mutex<State>,
}

struct State {
    last_used: Instant,
    next_stream: u64,
    streams: BTreeMap<u64, Arc<EventLog>>,
    /// The streams for messages that belong to no request, oldest first. Each message goes to one
    /// of them only: the newest that is read, or the newest, for whoever comes back to it.
    listening: Vec<u64>,
    next_request: u64,
    waiting: HashMap<u64, oneshot::Sender<Option<Value>>>,
    running: HashMap<Box<str>, CancellationToken>,
    subscriptions: HashSet<Box<str>>,
    log_level: Option<LogLevel>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            last_used: Instant::now(),
            next_stream: 0,
            streams: BTreeMap::new(),
            listening: Vec::new(),
            next_request: 0,
            waiting: HashMap::new(),
            running: HashMap::new(),
            subscriptions: HashSet::new(),
            log_level: None,
        }
    }
}

impl SessionRuntime {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is lost with it. What a session wished for is kept for a while: sessions
    /// that clients leave without a word would pile up otherwise.
    fn is_forgettable(&self) -> bool {
        let state = self.lock();
        let has_wishes = !state.subscriptions.is_empty() || state.log_level.is_some();
        (!has_wishes || state.last_used.elapsed() > WISHES_KEPT)
            && state.running.is_empty()
            && state
                .streams
                .values()
                .all(|log| log.is_finished() && !log.is_read())
    }

    /// Begins a stream.
    pub(super) fn open_stream(&self, version: LegacyVersion) -> Arc<EventLog> {
        let mut state = self.lock();
        Self::new_stream(&mut state, version).1
    }

    /// Begins the stream for messages that belong to no request, or goes on with the one that
    /// `last` names. A stream that was open for that before gets no more of them.
    pub(super) fn listen(
        &self,
        version: LegacyVersion,
        last: Option<EventId>,
    ) -> (Arc<EventLog>, Option<u64>) {
        let mut state = self.lock();
        if let Some(last) = last
            && let Some(log) = state.streams.get(&last.stream)
            // Where nothing will be added any more, only the rest of an answer is of use.
            && !(log.is_finished() && state.listening.contains(&last.stream))
        {
            return (Arc::clone(log), Some(last.event));
        }
        let (number, log) = Self::new_stream(&mut state, version);
        // Those that nobody reads are replaced; those that somebody reads stay open, and quiet.
        let State {
            listening, streams, ..
        } = &mut *state;
        listening.retain(|before| match streams.get(before) {
            Some(log) if log.is_read() => true,
            Some(log) => {
                log.finish();
                false
            }
            None => false,
        });
        listening.push(number);
        (log, None)
    }

    fn new_stream(state: &mut State, version: LegacyVersion) -> (u64, Arc<EventLog>) {
        while state.streams.len() >= MAX_STREAMS {
            let over = |(number, log): (&u64, &Arc<EventLog>)| log.is_finished().then_some(*number);
            let oldest = state.streams.iter().find_map(over);
            let Some(oldest) = oldest.or_else(|| state.streams.keys().next().copied()) else {
                break;
            };
            if let Some(log) = state.streams.remove(&oldest) {
                log.finish();
            }
        }
        let number = state.next_stream;
        state.next_stream += 1;
        let log = Arc::new(EventLog::new(number, version.has_priming_events()));
        state.streams.insert(number, Arc::clone(&log));
        (number, log)
    }

    /// Sends a change to the stream for such messages, if the session wants to know.
    pub(super) fn tell(&self, stream: &Arc<EventLog>, change: &Change) {
        let state = self.lock();
        let newest_first = state.listening.iter().rev();
        let mut logs = newest_first.filter_map(|number| state.streams.get(number));
        let newest = logs.clone().next();
        let is_listening = logs
            .find(|log| log.is_read())
            .or(newest)
            .is_some_and(|log| Arc::ptr_eq(log, stream));
        let params = match change {
            Change::Tools | Change::Prompts | Change::Resources => None,
            Change::Resource(uri) if state.subscriptions.contains(&**uri) => {
                Some(json!({ "uri": &**uri }))
            }
            Change::Resource(_) | Change::Task(_) => return,
        };
        if !is_listening {
            return;
        }
        let mut message = json!({ "jsonrpc": "2.0", "method": change.method() });
        if let (Some(params), Some(message)) = (params, message.as_object_mut()) {
            message.insert("params".to_owned(), params);
        }
        stream.push(message.to_string().as_bytes());
    }

    /// A request of ours, and where its answer will come.
    pub(in crate::mcp) fn request(
        &self,
        question: &Question,
        era: Era,
    ) -> (Vec<u8>, oneshot::Receiver<Option<Value>>) {
        let (sender, answer) = oneshot::channel();
        let mut state = self.lock();
        let id = state.next_request;
        state.next_request += 1;
        // Whoever asked and gave up has dropped the other end.
        state.waiting.retain(|_, waiting| !waiting.is_closed());
        state.waiting.insert(id, sender);
        let elicitation = era
            .has_elicitation_ids()
            .then(|| format!("elicitation-{id}"));
        let params = question.params(era.has_elicitation_modes(), elicitation.as_deref());
        let request = json!({
            "jsonrpc": "2.0",
            "id": id,
            "method": question.method(),
            "params": params,
        });
        (request.to_string().into_bytes(), answer)
    }

    /// Takes a posted answer. One that answers nothing is ignored.
    pub(super) fn answer(&self, id: &RawValue, result: Option<&RawValue>) {
        let Ok(id) = id.get().parse::<u64>() else {
            return;
        };
        let Some(waiting) = self.lock().waiting.remove(&id) else {
            return;
        };
        let result = result.and_then(|result| serde_json::from_str(result.get()).ok());
        let _ = waiting.send(result);
    }

    /// Notes that a call runs, so that it can be cancelled.
    pub(super) fn begin(&self, id: &RawValue, cancelled: CancellationToken) {
        self.lock().running.insert(id.get().into(), cancelled);
    }

    /// Notes that a call is over.
    pub(super) fn finish(&self, id: &RawValue) {
        self.lock().running.remove(id.get());
    }

    /// Cancels a call, if it still runs.
    pub(super) fn cancel(&self, id: &RawValue) {
        if let Some(cancelled) = self.lock().running.get(id.get()) {
            cancelled.cancel();
        }
    }

    pub(super) fn log_level(&self) -> Option<LogLevel> {
        self.lock().log_level
    }

    pub(super) fn set_log_level(&self, level: LogLevel) {
        self.lock().log_level = Some(level);
    }

    /// Subscribes to a resource; `false` if there are too many.
    pub(super) fn subscribe(&self, uri: &str) -> bool {
        let mut state = self.lock();
        if state.subscriptions.len() >= MAX_SUBSCRIPTIONS && !state.subscriptions.contains(uri) {
            return false;
        }
        state.subscriptions.insert(uri.into());
        true
    }

    pub(super) fn unsubscribe(&self, uri: &str) {
        self.lock().subscriptions.remove(uri);
    }
}
