//! What a session has going on in this process: its streams, the calls that run, the questions
//! that wait for an answer. Idle sessions have none of it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard},
};

use serde_json::{Value, json, value::RawValue};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    event_log::{EventId, EventLog},
    keeper::Keeper,
    listening::{Forwarder, LetGo},
};
use crate::{
    mcp::{
        era::{Era, LegacyVersion},
        feature::{Change, Question, Watch},
    },
    secret::{Digest, DigestMap, random_bytes},
    store::{MAX_STREAMS, SessionOwner},
};

/// The sessions of this process that have something going on.
#[derive(Default)]
pub(in crate::mcp) struct Runtimes(RwLock<DigestMap<Arc<SessionRuntime>>>);

impl Runtimes {
    /// What the session has going on; nothing yet, if it is the first that is asked for.
    pub(in crate::mcp) fn of(&self, session: Digest) -> Arc<SessionRuntime> {
        let mut runtimes = self.write();
        if let Some(runtime) = runtimes.get(&session) {
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
    next_stream: u64,
    streams: BTreeMap<u64, Arc<EventLog>>,
    /// The streams for messages that belong to no request, oldest first. Each message goes to one
    /// of them only: the newest that is read, or the newest, for whoever comes back to it.
    listening: Vec<u64>,
    next_request: u64,
    waiting: HashMap<u64, oneshot::Sender<Option<Value>>>,
    running: HashMap<Box<str>, CancellationToken>,
    /// Whoever passes changes on to them.
    forwarder: Option<Forwarder>,
    /// Whose session it is, once somebody has listened to it.
    owner: Option<SessionOwner>,
    /// The resources that its listener wants to know of.
    subscriptions: HashSet<Box<str>>,
    /// What makes them heard of, where something has to be done for it.
    watches: HashMap<Box<str>, Watch>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            next_stream: random_beginning(),
            streams: BTreeMap::new(),
            listening: Vec::new(),
            next_request: random_beginning(),
            waiting: HashMap::new(),
            running: HashMap::new(),
            forwarder: None,
            owner: None,
            subscriptions: HashSet::new(),
            watches: HashMap::new(),
        }
    }
}

/// Where numbers begin, so that those of two replicas do not meet. What they come to is exact in a
/// JSON number of any reader (RFC 8259 §6).
fn random_beginning() -> u64 {
    u64::from(u32::from_ne_bytes(random_bytes())) << 20
}

impl SessionRuntime {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is lost with it.
    fn is_forgettable(&self) -> bool {
        let state = self.lock();
        state.running.is_empty()
            && state
                .streams
                .values()
                .all(|log| log.is_finished() && !log.is_read())
    }

    /// Begins a stream. `request`: the call that ends it.
    pub(super) async fn open_stream(
        &self,
        version: LegacyVersion,
        keeper: Option<Keeper>,
        request: &RawValue,
    ) -> Arc<EventLog> {
        let log = self.new_stream(version, keeper);
        log.begin(Some(request)).await;
        log
    }

    /// Begins the stream for messages that belong to no request. A stream that was open for that
    /// before gets no more of them.
    pub(super) async fn listen(
        &self,
        version: LegacyVersion,
        keeper: Option<Keeper>,
    ) -> Arc<EventLog> {
        let log = self.new_stream(version, keeper);
        log.begin(None).await;
        self.listen_to(&log);
        log
    }

    /// The stream that a client comes back to, if it is one of this process.
    pub(super) fn resume(&self, last: EventId) -> Option<Arc<EventLog>> {
        let state = self.lock();
        let log = state.streams.get(&last.stream)?;
        // Where nothing will be added any more, only the rest of an answer is of use.
        let is_over = log.is_finished() && state.listening.contains(&last.stream);
        (!is_over).then(|| Arc::clone(log))
    }

    /// Takes in a stream that was begun elsewhere.
    pub(super) fn adopt(&self, log: &Arc<EventLog>) {
        let mut state = self.lock();
        Self::make_room(&mut state);
        state.streams.insert(log.number(), Arc::clone(log));
    }

    /// Lets go of a stream that somebody else has taken in.
    pub(super) fn release(&self, stream: u64) {
        let mut state = self.lock();
        state.listening.retain(|number| *number != stream);
        if let Some(log) = state.streams.remove(&stream) {
            log.close();
        }
    }

    /// Whether the call that ends a stream is in this process.
    pub(super) fn runs(&self, stream: u64) -> bool {
        let log = self.lock().streams.get(&stream).cloned();
        log.is_some_and(|log| log.is_kept() && !log.is_finished())
    }

    /// Sends messages that belong to no request to this stream from now on.
    pub(super) fn listen_to(&self, log: &EventLog) {
        let mut state = self.lock();
        // Those that nobody reads are replaced; those that somebody reads stay open, and quiet.
        let State {
            listening, streams, ..
        } = &mut *state;
        listening.retain(|before| match streams.get(before) {
            Some(log) if log.is_read() => true,
            Some(log) => {
                log.close();
                false
            }
            None => false,
        });
        listening.push(log.number());
    }

    fn new_stream(&self, version: LegacyVersion, keeper: Option<Keeper>) -> Arc<EventLog> {
        let mut state = self.lock();
        Self::make_room(&mut state);
        let number = state.next_stream;
        state.next_stream += 1;
        let log = Arc::new(EventLog::new(number, version.has_priming_events(), keeper));
        state.streams.insert(number, Arc::clone(&log));
        log
    }

    /// The oldest streams that have ended are forgotten first.
    fn make_room(state: &mut State) {
        while state.streams.len() >= MAX_STREAMS {
            let over = |(number, log): (&u64, &Arc<EventLog>)| log.is_finished().then_some(*number);
            let oldest = state.streams.iter().find_map(over);
            let Some(oldest) = oldest.or_else(|| state.streams.keys().next().copied()) else {
                break;
            };
            if let Some(log) = state.streams.remove(&oldest) {
                log.close();
            }
        }
    }

    /// Sends a change to the stream for such messages, if the session wants to know.
    pub(super) async fn tell(&self, change: &Change) {
        if let Some((stream, message)) = self.news_for(change) {
            stream.push(message.to_string().as_bytes()).await;
        }
    }

    fn news_for(&self, change: &Change) -> Option<(Arc<EventLog>, Value)> {
        let state = self.lock();
        let newest_first = state.listening.iter().rev();
        let mut logs = newest_first.filter_map(|number| state.streams.get(number));
        let newest = logs.clone().next();
        let stream = logs.find(|log| log.is_read()).or(newest)?;
        let params = match change {
            Change::Tools | Change::Prompts | Change::Resources => None,
            Change::Resource(uri) if state.subscriptions.contains(&**uri) => {
                Some(json!({ "uri": &**uri }))
            }
            Change::Resource(_) | Change::Task(_) => return None,
        };
        let mut message = json!({ "jsonrpc": "2.0", "method": change.method() });
        if let (Some(params), Some(message)) = (params, message.as_object_mut()) {
            message.insert("params".to_owned(), params);
        }
        Some((Arc::clone(stream), message))
    }

    /// Where whoever forwards changes will be asked; `None` if somebody does already.
    pub(super) fn begin_forwarding(&self) -> Option<mpsc::UnboundedReceiver<LetGo>> {
        let mut state = self.lock();
        let is_done = |forwarder: &Forwarder| !forwarder.is_closed();
        if state.forwarder.as_ref().is_some_and(is_done) {
            return None;
        }
        let (forwarder, asked) = mpsc::unbounded_channel();
        state.forwarder = Some(forwarder);
        Some(asked)
    }

    /// Nobody comes back to a stream.
    pub(super) fn stop_listening(&self, stream: u64) {
        let mut state = self.lock();
        state.listening.retain(|number| *number != stream);
        state.streams.remove(&stream);
        if state.listening.is_empty() {
            state.forwarder = None;
        }
    }

    /// Lets go of a stream that somebody else takes over. All that was told before is on it then.
    pub(super) async fn let_go(&self, stream: u64) {
        let forwarder = self.lock().forwarder.clone();
        let (done, is_done) = oneshot::channel();
        let asked = forwarder.map(|forwarder| forwarder.send(LetGo { stream, done }));
        if !matches!(asked, Some(Ok(()))) || is_done.await.is_err() {
            self.release(stream);
        }
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

    /// Takes a posted answer. `false` if nobody waits for it here.
    pub(super) fn answer(&self, request: u64, result: Option<&str>) -> bool {
        let Some(waiting) = self.lock().waiting.remove(&request) else {
            return false;
        };
        let result = result.and_then(|result| serde_json::from_str(result).ok());
        let _ = waiting.send(result);
        true
    }

    /// Notes that a call runs, so that it can be cancelled.
    pub(super) fn begin(&self, id: &RawValue, cancelled: CancellationToken) {
        self.lock().running.insert(id.get().into(), cancelled);
    }

    /// Notes that a call is over.
    pub(super) fn finish(&self, id: &RawValue) {
        self.lock().running.remove(id.get());
    }

    /// Cancels a call. `false` if it does not run here, or no longer.
    pub(super) fn cancel(&self, id: &str) -> bool {
        match self.lock().running.get(id) {
            Some(cancelled) => {
                cancelled.cancel();
                true
            }
            None => false,
        }
    }

    /// Whose session it is, if somebody has listened to it here.
    pub(super) fn owner(&self) -> Option<SessionOwner> {
        self.lock().owner.clone()
    }

    /// Notes what the listener wants to know of.
    pub(super) fn set_subscriptions(&self, owner: SessionOwner, uris: Vec<Box<str>>) {
        let mut state = self.lock();
        state.owner = Some(owner);
        let State {
            subscriptions,
            watches,
            ..
        } = &mut *state;
        *subscriptions = uris.into_iter().collect();
        watches.retain(|uri, _| subscriptions.contains(uri));
    }

    /// Keeps what makes a resource heard of.
    pub(super) fn keep_watch(&self, uri: &str, watch: Watch) {
        self.lock().watches.insert(uri.into(), watch);
    }

    /// Lets go of it.
    pub(super) fn stop_watch(&self, uri: &str) {
        let watch = self.lock().watches.remove(uri);
        drop(watch);
    }

    /// The resources of these that nothing makes heard of here.
    pub(super) fn unwatched(&self, uris: &[Box<str>]) -> Vec<Box<str>> {
        let state = self.lock();
        let unwatched = uris.iter().filter(|uri| !state.watches.contains_key(*uri));
        unwatched.cloned().collect()
    }
}
