//! Between a handler and whoever waits for it: what it sends before its result, and word that nobody
//! waits any more.
//!
//! Most handlers send nothing and are over at once, so neither channel nor token is made before it
//! is used.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Messages that a handler may be ahead of its stream by.
const BACKLOG: usize = 16;

/// What a handler sends before its result.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A message, complete.
    Message(Vec<u8>),
    /// Close the stream; the client comes back for the rest.
    CloseStream,
}

/// The handler's end. When it is dropped the call is over, or nobody waits for it any more: what the
/// handler started elsewhere is told.
pub(super) struct Outlet {
    line: Arc<Line>,
    is_heard: bool,
}

/// The end of whoever waits for the handler.
pub(super) struct Inlet(Arc<Line>);

#[derive(Default)]
struct Line {
    sender: OnceLock<mpsc::Sender<Outgoing>>,
    receiver: Mutex<Option<mpsc::Receiver<Outgoing>>>,
    cancelled: OnceLock<CancellationToken>,
}

/// Both ends. `is_heard`: whether the client takes messages before the result.
pub(super) fn line(is_heard: bool) -> (Outlet, Inlet) {
    let line = Arc::<Line>::default();
    let outlet = Outlet {
        line: Arc::clone(&line),
        is_heard,
    };
    (outlet, Inlet(line))
}

impl Line {
    fn open(&self) -> &mpsc::Sender<Outgoing> {
        self.sender.get_or_init(|| {
            let (sender, receiver) = mpsc::channel(BACKLOG);
            *self.lock_receiver() = Some(receiver);
            sender
        })
    }

    fn lock_receiver(&self) -> MutexGuard<'_, Option<mpsc::Receiver<Outgoing>>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cancelled(&self) -> &CancellationToken {
        self.cancelled.get_or_init(CancellationToken::new)
    }
}

impl Outlet {
    /// One that nobody listens to, of a handler that `cancelled` stops.
    pub(super) fn unheard(cancelled: CancellationToken) -> Self {
        let line = Line {
            cancelled: OnceLock::from(cancelled),
            ..Line::default()
        };
        Self {
            line: Arc::new(line),
            is_heard: false,
        }
    }

    /// Whether the client takes messages before the result.
    pub(super) fn is_heard(&self) -> bool {
        self.is_heard
    }

    /// Sends, if somebody listens. A reader that is gone wants nothing more.
    pub(super) async fn send(&self, outgoing: Outgoing) {
        if self.is_heard {
            let _ = self.line.open().send(outgoing).await;
        }
    }

    /// Cancelled when nobody waits for the handler any more.
    pub(super) fn cancelled(&self) -> &CancellationToken {
        self.line.cancelled()
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        if let Some(cancelled) = self.line.cancelled.get() {
            cancelled.cancel();
        }
    }
}

impl Inlet {
    /// What was sent and will be, if anything was sent. It ends with the handler.
    pub(super) fn opened(self) -> Result<mpsc::Receiver<Outgoing>, Self> {
        let receiver = self.0.lock_receiver().take();
        receiver.ok_or(self)
    }

    /// What will be sent, if anything is. It ends with the handler.
    pub(super) fn open(self) -> mpsc::Receiver<Outgoing> {
        self.0.open();
        let receiver = self.0.lock_receiver().take();
        receiver.expect("whoever takes the receiver gives the inlet away for it")
    }

    /// Cancels the call.
    pub(super) fn cancelled(&self) -> CancellationToken {
        self.0.cancelled().clone()
    }
}
