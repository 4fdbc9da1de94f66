//! How a connection gets on, and when patience with it ends.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{task::AbortHandle, time::Instant};

/// From the first byte of a request (or, on a new connection, from the start) to the end of its
/// headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may lie idle between requests, or a client may refuse to read. Longer
/// than proxies keep theirs (cloudflared: 90 s, nginx and AWS: 60 s), so that it is they who close
/// and no request is lost to a close that crosses it. Open streams send something more often.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);

/// How long a connection that was accepted just before that may take to say something.
const NEWCOMER_TIMEOUT: Duration = Duration::from_secs(1);

/// How long after an answer a connection counts as one that is used over and over.
const IN_USE: Duration = Duration::from_millis(500);

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Accepted; nothing has been read.
    New,
    /// Some of a request's headers have been read.
    Headers,
    /// A handler is at work.
    Handling,
    /// An answer has begun and goes on.
    Answering,
    /// The answer is whole; the last of it may still be on its way.
    Answered,
}

/// How a connection gets on. Written by the reading and writing side, looked at by the task that
/// owns the connection.
pub(super) struct Progress {
    start: Instant,
    phase: AtomicU8,
    /// When the headers of a request, or its handling, began, in milliseconds from the start. Other
    /// phases are measured by what was last read or written.
    phase_began: AtomicU64,
    /// When something was last read or written.
    last_io: AtomicU64,
    /// Requests so far.
    requests: AtomicU64,
    /// The request whose body is still coming, counted from 1; 0: none is.
    body_of: AtomicU64,
    /// Whether some of the next request came before the answer to this one was whole.
    is_next_here: AtomicBool,
    /// Ends the connection, wherever it is.
    task: OnceLock<AbortHandle>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            phase: AtomicU8::new(Phase::New as u8),
            phase_began: AtomicU64::new(0),
            last_io: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            body_of: AtomicU64::new(0),
            is_next_here: AtomicBool::new(false),
            task: OnceLock::new(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::New,
            1 => Phase::Headers,
            2 => Phase::Handling,
            3 => Phase::Answering,
            _ => Phase::Answered,
        }
    }

    /// When it came to be where it is.
    pub(super) fn phase_began(&self) -> Instant {
        self.start + Duration::from_millis(self.phase_began.load(Ordering::Relaxed))
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn enter_at(&self, phase: Phase, now: u64) {
        self.phase_began.store(now, Ordering::Relaxed);
        self.enter(phase);
    }

    /// The headers of a request are complete. Says which request it is.
    pub(super) fn request_begins(&self, has_body: bool) -> u64 {
        let request = self.requests.load(Ordering::Relaxed) + 1;
        self.requests.store(request, Ordering::Relaxed);
        let body_of = if has_body { request } else { 0 };
        self.body_of.store(body_of, Ordering::Relaxed);
        self.is_next_here.store(false, Ordering::Relaxed);
        // Its headers have just been read, so the clock need not be asked once more.
        self.enter_at(Phase::Handling, self.last_io.load(Ordering::Relaxed));
        request
    }

    /// Nothing of this request's body will come any more. By then, another may have begun.
    pub(super) fn body_ended(&self, request: u64) {
        let body_of = &self.body_of;
        let _ = body_of.compare_exchange(request, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn answer_begins(&self) {
        self.enter(Phase::Answering);
    }

    pub(super) fn answer_ended(&self) {
        if self.is_next_here.load(Ordering::Relaxed) {
            self.enter_at(Phase::Headers, self.now());
        } else {
            self.enter(Phase::Answered);
        }
    }

    pub(super) fn bytes_read(&self) {
        let now = self.now();
        self.last_io.store(now, Ordering::Relaxed);
        if self.body_of.load(Ordering::Relaxed) != 0 {
            return;
        }
        match self.phase() {
            Phase::New | Phase::Answered => self.enter_at(Phase::Headers, now),
            Phase::Headers => {}
            // Sent ahead; its time begins when its turn comes.
            Phase::Handling | Phase::Answering => self.is_next_here.store(true, Ordering::Relaxed),
        }
    }

    pub(super) fn bytes_written(&self) {
        self.last_io.store(self.now(), Ordering::Relaxed);
    }

    fn last_io(&self) -> Instant {
        self.start + Duration::from_millis(self.last_io.load(Ordering::Relaxed))
    }

    /// When the connection has to be closed, as things are.
    fn deadline(&self) -> Option<Instant> {
        match self.phase() {
            Phase::New | Phase::Headers => Some(self.phase_began() + HEADER_TIMEOUT),
            Phase::Handling => None,
            Phase::Answering | Phase::Answered => Some(self.last_io() + IDLE_TIMEOUT),
        }
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.deadline()
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// When to look again. No deadline that is not there yet can be nearer than the shortest
    /// timeout.
    pub(super) fn next_look(&self) -> Instant {
        let soonest_new = Instant::now() + HEADER_TIMEOUT;
        self.deadline()
            .map_or(soonest_new, |deadline| deadline.min(soonest_new))
    }

    /// The task that owns the connection.
    pub(super) fn belongs_to(&self, task: AbortHandle) {
        let _ = self.task.set(task);
    }

    /// Ends the connection.
    pub(super) fn end(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// How long nothing has passed since everything was answered. `None`: it is at work.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        let is_idle = self.phase() == Phase::Answered && self.body_of.load(Ordering::Relaxed) == 0;
        is_idle.then(|| self.last_io().elapsed())
    }

    /// Whether it is at work, or so likely to be given some that closing it might cross a request:
    /// on a connection this young, and on one that a load balancer keeps and has just used.
    pub(super) fn is_in_use(&self) -> bool {
        match self.phase() {
            Phase::New => self.start.elapsed() < NEWCOMER_TIMEOUT,
            Phase::Headers | Phase::Handling | Phase::Answering => true,
            Phase::Answered => self.last_io().elapsed() < IN_USE,
        }
    }
}
