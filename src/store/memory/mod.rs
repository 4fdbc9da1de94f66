//! The engine that forgets on restart: plain maps behind one lock.
//!
//! The lock is never held across an await. Everything that strangers can add to is capped, and
//! what has expired is swept a room at a time, so that no sweep holds the lock for long.

mod authorizations;
mod browser_sessions;
mod clients;
mod connections;
mod grants;
mod kept_tasks;
mod keys;
mod links;
mod mcp_sessions;
mod people;
mod queue;
mod replays;
mod session_mail;
mod users;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::{Limits, Result, Store};
use crate::{
    clock::Timestamp,
    model::{grant::Revocation, session_stream::Mail},
};

/// State in memory, shared by its clones.
#[derive(Clone)]
pub struct MemoryStore {
    limits: Limits,
    state: Arc<RwLock<State>>,
    revocations: broadcast::Sender<Revocation>,
    mail: broadcast::Sender<Mail>,
    is_shared: bool,
}

/// Revocations that a listener may fall behind by, before it is told to look for itself.
const REVOCATION_BACKLOG: usize = 256;

/// The same for what servers tell each other.
const MAIL_BACKLOG: usize = 1024;

#[derive(Default)]
struct State {
    clients: clients::ClientTable,
    authorizations: authorizations::AuthorizationTable,
    grants: grants::GrantTable,
    visits: connections::VisitTable,
    browser_sessions: browser_sessions::BrowserSessionTable,
    mcp_sessions: mcp_sessions::McpSessionTable,
    people: people::PeopleTable,
    links: links::LinkTable,
    replays: replays::ReplayTable,
    session_streams: session_mail::StreamTable,
    tasks: kept_tasks::TaskTable,
    keys: keys::KeyTable,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: Arc::default(),
            revocations: broadcast::Sender::new(REVOCATION_BACKLOG),
            mail: broadcast::Sender::new(MAIL_BACKLOG),
            is_shared: false,
        }
    }

    /// An empty store for several servers of one process, each of which gets a clone.
    #[must_use]
    pub fn shared(limits: Limits) -> Self {
        Self {
            is_shared: true,
            ..Self::new(limits)
        }
    }

    // A panic under the lock cannot leave a table half changed in a way that matters more than
    // serving on: every step checks before it changes.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn sweep(&self, now: Timestamp) -> Result<()> {
        self.write().authorizations.sweep(now);
        self.write().grants.sweep(now);
        self.write().browser_sessions.sweep(now);
        self.write().people.sweep(now);
        let owners = self.read().mcp_sessions.owners();
        for owner in owners {
            self.write().mcp_sessions.sweep(&owner, now);
        }
        self.write().session_streams.sweep(now);
        self.write().tasks.sweep(now);
        let state = &mut *self.write();
        let in_use = state.links.keys();
        state.keys.sweep(&in_use, now);
        Ok(())
    }

    /// There is nobody else.
    fn look_again(&self) {}

    async fn is_ready(&self) -> Result<()> {
        Ok(())
    }
}
