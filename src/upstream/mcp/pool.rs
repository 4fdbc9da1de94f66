//! The connections to one upstream: made on demand, kept while they are used, made again with
//! growing patience where that fails.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    connection::{Connection, Lease},
    connector::Connector,
    routes::Routes,
};
use crate::{
    mcp::feature::{ClientCapabilities, Context},
    model::grant::GrantId,
    upstream::identity::Caller,
};

/// How long to wait after a first failure; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A connection that lasted this long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// Whose connection it is, and what it says that its client can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// `None`: everybody's.
    grant: Option<GrantId>,
    capabilities: ClientCapabilities,
}

impl Key {
    /// The connection that lists are read on. Where one is shared it is that.
    pub(super) fn of_everybody() -> Self {
        Self {
            grant: None,
            capabilities: ClientCapabilities::all(),
        }
    }

    /// The connection of whoever makes a call.
    pub(super) fn of(context: &Context, shared: bool) -> Self {
        if shared {
            return Self::of_everybody();
        }
        Self {
            grant: Some(context.grant()),
            capabilities: context.capabilities().of_calls(),
        }
    }
}

/// How many times in a row something has failed, and when it may be tried again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failures {
    count: u32,
    until: Instant,
}

impl Failures {
    pub(super) fn none() -> Self {
        Self {
            count: 0,
            until: Instant::now(),
        }
    }

    /// One more.
    pub(super) fn and_another(self) -> Self {
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.count.min(16));
        Self {
            count: self.count + 1,
            until: Instant::now() + pause.min(LONGEST_PAUSE),
        }
    }

    /// When it may be tried again.
    pub(super) fn until(self) -> Instant {
        self.until
    }
}

#[derive(Clone)]
enum State {
    Starting,
    Ready(Arc<Connection>),
    Failed(Arc<str>),
}

struct Slot {
    state: watch::Receiver<State>,
    failures: Failures,
    since: Instant,
}

/// The connections.
pub(super) struct Pool {
    connector: Arc<Connector>,
    slots: Mutex<HashMap<Key, Slot>>,
}

impl Pool {
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        Self {
            connector,
            slots: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection of `key`. It is made if there is none, or none any more; what comes back in its
    /// place is why it could not be.
    pub(super) async fn lease(&self, key: Key, caller: Option<Caller>) -> Result<Lease, Arc<str>> {
        let mut state = self.slot(key, caller)?;
        let state = state
            .wait_for(|state| !matches!(state, State::Starting))
            .await;
        match state.as_deref() {
            Ok(State::Ready(connection)) => Ok(Lease::of(connection)),
            Ok(State::Failed(why)) => Err(Arc::clone(why)),
            Ok(State::Starting) | Err(_) => Err("it could not be started".into()),
        }
    }

    fn slot(&self, key: Key, caller: Option<Caller>) -> Result<watch::Receiver<State>, Arc<str>> {
        let now = Instant::now();
        let mut slots = self.lock();
        let mut failures = Failures::none();
        if let Some(slot) = slots.get(&key) {
            match &*slot.state.borrow() {
                State::Starting => return Ok(slot.state.clone()),
                State::Ready(connection) if !connection.has_ended() => {
                    return Ok(slot.state.clone());
                }
                State::Ready(_) if now - slot.since >= GOOD => {}
                State::Failed(why) if now < slot.failures.until() => return Err(Arc::clone(why)),
                // One that ends soon after it has begun will do so again.
                State::Ready(_) | State::Failed(_) => failures = slot.failures,
            }
        } else if slots.len() >= self.connector.settings.limits.connections {
            Self::make_room(&mut slots)?;
        }
        let (sender, state) = watch::channel(State::Starting);
        let slot = Slot {
            state: state.clone(),
            failures: failures.and_another(),
            since: now,
        };
        slots.insert(key, slot);
        drop(slots);
        let connector = Arc::clone(&self.connector);
        // In a task of its own: whoever asked first may go away, and others wait for it too.
        self.connector.tasks.spawn(async move {
            // One that ended at once is not begun again at once.
            if failures.count > 1 {
                tokio::time::sleep_until(failures.until().min(now + LONGEST_PAUSE)).await;
            }
            let state = match connector
                .connect(caller, key.capabilities, key.grant.is_none())
                .await
            {
                Ok(connection) => State::Ready(connection),
                Err(why) => State::Failed(why.into()),
            };
            let _ = sender.send(state.clone());
            drop(sender);
            if let State::Ready(connection) = state
                && key.grant.is_some()
            {
                let (routes, ended) = (Arc::clone(&connection.routes), connection.ended.clone());
                // Whoever keeps it decides when it ends.
                drop(connection);
                tell_changes(&connector, &routes, &ended).await;
            }
        });
        Ok(state)
    }

    /// Ends the connection that nobody has used for the longest.
    fn make_room(slots: &mut HashMap<Key, Slot>) -> Result<(), Arc<str>> {
        let idle = slots
            .iter()
            .filter_map(|(key, slot)| match &*slot.state.borrow() {
                State::Starting => None,
                State::Ready(connection) if !connection.has_ended() => {
                    Some((*key, connection.idle_since()?))
                }
                State::Ready(_) | State::Failed(_) => Some((*key, slot.since)),
            });
        let longest = idle.min_by_key(|(_, since)| *since);
        let (key, _) = longest.ok_or("all its connections are in use")?;
        if let Some(slot) = slots.remove(&key) {
            close(&slot);
        }
        Ok(())
    }

    /// Ends what nobody has used for as long as is configured, and forgets what has ended.
    pub(super) fn sweep(&self) {
        let idle = self.connector.settings.limits.idle;
        let now = Instant::now();
        self.lock().retain(|_, slot| {
            let keep = match &*slot.state.borrow() {
                State::Starting => true,
                State::Ready(connection) if connection.has_ended() => now - slot.since < GOOD,
                State::Ready(connection) => connection
                    .idle_since()
                    .is_none_or(|since| now - since < idle),
                State::Failed(_) => now < slot.failures.until() + LONGEST_PAUSE,
            };
            if !keep {
                close(slot);
            }
            keep
        });
    }
}

/// Tells of lists that have changed for one person: some servers say so only where it was done. The
/// lists of everybody are read again too.
async fn tell_changes(connector: &Connector, routes: &Routes, ended: &CancellationToken) {
    loop {
        tokio::select! {
            () = ended.cancelled() => return,
            () = routes.lists_changed.notified() => {}
        }
        for list in routes.changed_lists() {
            connector.changes.tell(list);
        }
        connector.doubt.notify_one();
    }
}

fn close(slot: &Slot) {
    if let State::Ready(connection) = &*slot.state.borrow() {
        connection.close();
    }
}
