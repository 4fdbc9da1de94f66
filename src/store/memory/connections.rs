//! What people see of those that they have let in, in memory.

use std::{cmp::Reverse, collections::HashMap};

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    clock::Timestamp,
    model::{
        grant::{Connection, GrantId},
        user::UserId,
    },
    store::{Connections, Result, SAME_VISIT},
};

/// When people looked. There are as many as have signed in.
#[derive(Default)]
pub(super) struct VisitTable(HashMap<UserId, Visit>);

#[derive(Clone, Copy)]
struct Visit {
    last_seen_at: Timestamp,
    /// When the time before this one was.
    before: Option<Timestamp>,
}

#[async_trait]
impl Connections for MemoryStore {
    async fn connections(&self, user: &UserId, now: Timestamp) -> Result<Vec<Connection>> {
        let mut connections = self.read().grants.of_user(user, now);
        connections.sort_by_key(|found| Reverse((found.grant.created_at, found.grant.id)));
        Ok(connections)
    }

    async fn note_tool(&self, grant: GrantId, tool: &str) -> Result<()> {
        self.write().grants.note_tool(grant, tool);
        Ok(())
    }

    async fn visit(&self, user: &UserId, now: Timestamp) -> Result<Option<Timestamp>> {
        let visits = &mut self.write().visits.0;
        let known = visits.get(user).copied();
        let before = match known {
            Some(visit) if now.since(visit.last_seen_at) >= SAME_VISIT => Some(visit.last_seen_at),
            Some(visit) => visit.before,
            None => None,
        };
        let last_seen_at = known.map_or(now, |visit| visit.last_seen_at.max(now));
        visits.insert(
            user.clone(),
            Visit {
                last_seen_at,
                before,
            },
        );
        Ok(before)
    }
}
