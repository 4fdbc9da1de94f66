//! MCP sessions in memory: an owner's sessions lie together, so that nobody finds another's.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    clock::Timestamp,
    model::{
        USE_RECORDED_EVERY,
        mcp_session::{McpSession, ProtocolVersion},
    },
    secret::{Digest, DigestMap},
    store::{Limits, MAX_SUBSCRIPTIONS, McpSessions, Result, SessionOwner},
};

/// At a cap, this fraction of the sessions gives way at once: finding the longest idle means
/// looking at all of them, so it must not happen for every newcomer.
const EVICTED_FRACTION: usize = 64;

#[derive(Default)]
pub(super) struct McpSessionTable {
    by_owner: HashMap<SessionOwner, DigestMap<Entry>>,
    count: usize,
}

struct Entry {
    protocol_version: ProtocolVersion,
    client_capabilities: u8,
    log_level: Option<u8>,
    /// A slice: most sessions want to know of nothing, and then it takes no memory.
    subscriptions: Box<[Box<str>]>,
    /// Milliseconds since the epoch. Atomic, so that a use needs no more than the read lock.
    expires_at: AtomicU64,
}

impl Entry {
    fn expires_at(&self) -> Timestamp {
        Timestamp::from_millis(self.expires_at.load(Ordering::Relaxed))
    }
}

impl McpSessionTable {
    fn insert(&mut self, owner: &SessionOwner, id: Digest, session: McpSession, limits: Limits) {
        let entry = Entry {
            protocol_version: session.protocol_version,
            client_capabilities: session.client_capabilities,
            log_level: session.log_level,
            subscriptions: Box::default(),
            expires_at: AtomicU64::new(session.expires_at.as_millis()),
        };
        let sessions = self.by_owner.entry(owner.clone()).or_default();
        if sessions.insert(id, entry).is_none() {
            self.count += 1;
        }
        if sessions.len() > limits.mcp_sessions_per_grant {
            let oldest = longest_idle(sessions.iter().map(|(id, entry)| (entry, *id)));
            for id in oldest {
                self.remove(owner, &id);
            }
        }
        if self.count > limits.mcp_sessions {
            let everyones = self.by_owner.iter().flat_map(|(owner, sessions)| {
                sessions
                    .iter()
                    .map(move |(id, entry)| (entry, (owner, *id)))
            });
            let oldest: Vec<(SessionOwner, Digest)> = longest_idle(everyones)
                .into_iter()
                .map(|(owner, id)| (owner.clone(), id))
                .collect();
            for (owner, id) in oldest {
                self.remove(&owner, &id);
            }
        }
    }

    fn remove(&mut self, owner: &SessionOwner, id: &Digest) -> bool {
        let Some(sessions) = self.by_owner.get_mut(owner) else {
            return false;
        };
        let removed = sessions.remove(id).is_some();
        if removed {
            self.count -= 1;
        }
        if sessions.is_empty() {
            self.by_owner.remove(owner);
        }
        removed
    }

    fn get_mut(&mut self, owner: &SessionOwner, id: &Digest) -> Option<&mut Entry> {
        self.by_owner.get_mut(owner)?.get_mut(id)
    }

    pub(super) fn owners(&self) -> Vec<SessionOwner> {
        self.by_owner.keys().cloned().collect()
    }

    pub(super) fn sweep(&mut self, owner: &SessionOwner, now: Timestamp) {
        let Some(sessions) = self.by_owner.get_mut(owner) else {
            return;
        };
        let before = sessions.len();
        sessions.retain(|_, entry| entry.expires_at() > now);
        self.count -= before - sessions.len();
        if sessions.is_empty() {
            self.by_owner.remove(owner);
        }
    }
}

/// Names those that have been idle longest: one in [`EVICTED_FRACTION`], at least one.
fn longest_idle<'a, K>(sessions: impl Iterator<Item = (&'a Entry, K)>) -> Vec<K> {
    let mut by_age: Vec<(Timestamp, K)> = sessions
        .map(|(entry, key)| (entry.expires_at(), key))
        .collect();
    let evicted = (by_age.len() / EVICTED_FRACTION).max(1);
    if evicted < by_age.len() {
        by_age.select_nth_unstable_by_key(evicted - 1, |(expires_at, _)| *expires_at);
    }
    by_age
        .into_iter()
        .take(evicted)
        .map(|(_, key)| key)
        .collect()
}

#[async_trait]
impl McpSessions for MemoryStore {
    async fn insert_mcp_session(
        &self,
        owner: &SessionOwner,
        id: Digest,
        session: McpSession,
    ) -> Result<()> {
        let limits = self.limits;
        let table = &mut self.write().mcp_sessions;
        table.insert(owner, id, session, limits);
        Ok(())
    }

    async fn mcp_session(
        &self,
        owner: &SessionOwner,
        id: &Digest,
        now: Timestamp,
        idle_timeout: Duration,
    ) -> Result<Option<McpSession>> {
        let state = self.read();
        let sessions = state.mcp_sessions.by_owner.get(owner);
        let Some(entry) = sessions
            .and_then(|sessions| sessions.get(id))
            .filter(|entry| entry.expires_at() > now)
        else {
            return Ok(None);
        };
        let renewed = now + idle_timeout;
        if renewed.since(entry.expires_at()) >= USE_RECORDED_EVERY {
            entry
                .expires_at
                .store(renewed.as_millis(), Ordering::Relaxed);
        }
        Ok(Some(McpSession {
            protocol_version: entry.protocol_version,
            client_capabilities: entry.client_capabilities,
            log_level: entry.log_level,
            expires_at: entry.expires_at(),
        }))
    }

    async fn end_mcp_session(&self, owner: &SessionOwner, id: &Digest) -> Result<bool> {
        let mut state = self.write();
        let was_there = state.mcp_sessions.remove(owner, id);
        if was_there {
            state.session_streams.end(id);
        }
        Ok(was_there)
    }

    async fn set_log_level(&self, owner: &SessionOwner, id: &Digest, level: u8) -> Result<()> {
        if let Some(entry) = self.write().mcp_sessions.get_mut(owner, id) {
            entry.log_level = Some(level);
        }
        Ok(())
    }

    async fn subscribe(&self, owner: &SessionOwner, id: &Digest, uri: &str) -> Result<bool> {
        let table = &mut self.write().mcp_sessions;
        let Some(entry) = table.get_mut(owner, id) else {
            return Ok(false);
        };
        if entry.subscriptions.iter().any(|kept| **kept == *uri) {
            return Ok(true);
        }
        if entry.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return Ok(false);
        }
        let mut subscriptions = std::mem::take(&mut entry.subscriptions).into_vec();
        subscriptions.push(uri.into());
        entry.subscriptions = subscriptions.into();
        Ok(true)
    }

    async fn unsubscribe(&self, owner: &SessionOwner, id: &Digest, uri: &str) -> Result<()> {
        let table = &mut self.write().mcp_sessions;
        if let Some(entry) = table.get_mut(owner, id) {
            let subscriptions = std::mem::take(&mut entry.subscriptions).into_iter();
            entry.subscriptions = subscriptions.filter(|kept| **kept != *uri).collect();
        }
        Ok(())
    }

    async fn subscriptions(&self, owner: &SessionOwner, id: &Digest) -> Result<Vec<Box<str>>> {
        let state = self.read();
        let sessions = state.mcp_sessions.by_owner.get(owner);
        let entry = sessions.and_then(|sessions| sessions.get(id));
        Ok(entry.map_or_else(Vec::new, |entry| entry.subscriptions.to_vec()))
    }
}
