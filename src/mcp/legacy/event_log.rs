//! What a stream has sent, so that a client whose connection broke can come back for the rest
//! (`Last-Event-ID`).

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::body::Bytes;
use futures_util::stream;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::keeper::Keeper;
use crate::mcp::sse::Events;

/// How much a stream remembers at most.
const MAX_EVENTS: usize = 1000;
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// How long a client has to come back before what it missed is no longer collected.
const RESUME_WITHIN: Duration = Duration::from_mins(5);

/// How long a client that was cut off should wait before it comes back, in milliseconds.
const RETRY_MS: u32 = 500;

/// One stream of a session.
pub(super) struct EventLog {
    /// Its number within the session; part of every event's id.
    number: u64,
    /// Whether clients know that they may be cut off and come back.
    primed: bool,
    /// Where its events are kept as well, for those who come back elsewhere.
    keeper: Option<Keeper>,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    events: VecDeque<(u64, Bytes)>,
    bytes: usize,
    next: u64,
    finished: bool,
    /// Which reader is the present one: a newer one takes over from an older.
    reader: u64,
    /// Where the present reader ends, although there may be more.
    cut: Option<u64>,
}

/// Where an event stands: the stream's number and the event's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventId {
    pub(super) stream: u64,
    pub(super) event: u64,
}

impl EventId {
    /// Reads what a client sends as `Last-Event-ID`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (stream, event) = text.split_once('-')?;
        Some(Self {
            stream: stream.parse().ok()?,
            event: event.parse().ok()?,
        })
    }
}

impl EventLog {
    /// An empty stream. `primed`: clients are told how to come back.
    pub(super) fn new(number: u64, primed: bool, keeper: Option<Keeper>) -> Self {
        Self {
            number,
            primed,
            keeper,
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// A stream of which everything up to the event `last` was sent elsewhere.
    pub(super) fn resumed(number: u64, primed: bool, keeper: Option<Keeper>, last: u64) -> Self {
        let log = Self::new(number, primed, keeper);
        log.lock().next = last.saturating_add(1);
        log
    }

    /// The number of the next event.
    pub(super) fn next(&self) -> u64 {
        self.lock().next
    }

    /// Whether the stream is written here, where streams are kept at all; not only read along.
    pub(super) const fn is_kept(&self) -> bool {
        self.keeper.is_some()
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Begins the stream: where clients are told how to come back, with an event that carries
    /// nothing but an id. `request`: the call that ends it.
    pub(super) async fn begin(&self, request: Option<&RawValue>) {
        if let Some(keeper) = &self.keeper {
            keeper.begin(self.number, request).await;
        }
        if self.primed {
            self.push(b"").await;
        }
    }

    /// Adds a message, which is kept before anybody can read it.
    pub(super) async fn push(&self, message: &[u8]) {
        let number = {
            let mut state = self.lock();
            state.next += 1;
            state.next - 1
        };
        if let Some(keeper) = &self.keeper {
            keeper.keep(self.number, number, message).await;
        }
        self.append(number, message);
    }

    /// Adds a message that is kept already.
    pub(super) fn append(&self, number: u64, message: &[u8]) {
        let id = format!("{}-{number}", self.number);
        let event = if message.is_empty() {
            format!("id: {id}\nretry: {RETRY_MS}\ndata: \n\n").into_bytes()
        } else {
            let head = format!("id: {id}\nevent: message\ndata: ");
            [head.as_bytes(), message, b"\n\n"].concat()
        };
        let event = Bytes::from(event);
        {
            let mut state = self.lock();
            state.next = state.next.max(number + 1);
            state.bytes += event.len();
            state.events.push_back((number, event));
            while state.events.len() > MAX_EVENTS || state.bytes > MAX_BYTES {
                let Some((_, oldest)) = state.events.pop_front() else {
                    break;
                };
                state.bytes -= oldest.len();
            }
        }
        self.changed.send_replace(());
    }

    /// Nothing will be added, here or elsewhere.
    pub(super) async fn finish(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.finish(self.number).await;
        }
        self.close();
    }

    /// Nothing will be added here; readers end when they have read all.
    pub(super) fn close(&self) {
        self.lock().finished = true;
        self.changed.send_replace(());
    }

    /// Ends the present reader, or the first one, when it has read what there is; not the stream.
    /// Clients that were not told how to come back keep reading.
    pub(super) fn detach(&self) {
        if !self.primed {
            return;
        }
        {
            let mut state = self.lock();
            state.cut = Some(state.next);
        }
        self.changed.send_replace(());
    }

    /// Comes back when nobody has read for so long that nobody is expected any more.
    pub(super) async fn abandoned(&self) {
        loop {
            self.changed.closed().await;
            tokio::time::sleep(RESUME_WITHIN).await;
            if !self.is_read() {
                return;
            }
        }
    }

    /// Whether somebody reads.
    pub(super) fn is_read(&self) -> bool {
        self.changed.receiver_count() > 0
    }

    /// Whether nothing will be added.
    pub(super) fn is_finished(&self) -> bool {
        self.lock().finished
    }

    /// Reads from the event after `last`, or from the beginning, as long as the stream goes on.
    pub(super) fn read(self: &Arc<Self>, last: Option<u64>) -> Events {
        let reader = {
            let mut state = self.lock();
            // Whoever comes back is not cut off once more.
            if state.reader > 0 {
                state.cut = None;
            }
            state.reader += 1;
            state.reader
        };
        let cursor = Cursor {
            log: Arc::clone(self),
            changed: self.changed.subscribe(),
            reader,
            next: last.map_or(0, |last| last.saturating_add(1)),
        };
        Box::pin(stream::unfold(cursor, |mut cursor| async move {
            let event = cursor.next().await?;
            Some((event, cursor))
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Cursor {
    log: Arc<EventLog>,
    changed: watch::Receiver<()>,
    reader: u64,
    next: u64,
}

impl Cursor {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.changed.borrow_and_update();
            {
                let state = self.log.lock();
                if state.reader != self.reader {
                    return None;
                }
                let end = state.cut.unwrap_or(u64::MAX);
                let wanted = self.next..end;
                let mut unread = state.events.iter().filter(|(n, _)| wanted.contains(n));
                if let Some((number, event)) = unread.next() {
                    self.next = number + 1;
                    return Some(event.clone());
                }
                if state.finished || state.cut.is_some() {
                    return None;
                }
            }
            self.changed.changed().await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    async fn read(log: &Arc<EventLog>, last: Option<u64>) -> Vec<String> {
        let text = |event: Bytes| String::from_utf8(event.to_vec()).unwrap();
        log.read(last).map(text).collect().await
    }

    #[tokio::test]
    async fn a_client_that_is_cut_off_comes_back_for_the_rest() {
        let log = Arc::new(EventLog::new(7, true, None));
        log.begin(None).await;
        log.detach();
        log.push(b"{}").await;
        let first = read(&log, None).await;
        assert_eq!(first, ["id: 7-0\nretry: 500\ndata: \n\n"]);
        log.finish().await;
        let rest = read(&log, Some(0)).await;
        assert_eq!(rest, ["id: 7-1\nevent: message\ndata: {}\n\n"]);
    }

    #[tokio::test]
    async fn only_clients_that_were_told_how_to_come_back_are_cut_off() {
        let log = Arc::new(EventLog::new(0, false, None));
        log.begin(None).await;
        log.detach();
        log.push(b"{}").await;
        log.finish().await;
        assert_eq!(read(&log, None).await.len(), 1);
    }
}
