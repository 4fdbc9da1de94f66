//! Browser sessions in memory. They begin with a successful sign-in, so people bound their number.

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    clock::Timestamp,
    model::user::{BrowserSession, UserId},
    secret::{Digest, DigestMap},
    store::{BrowserSessions, Result},
};

#[derive(Default)]
pub(super) struct BrowserSessionTable(DigestMap<BrowserSession>);

impl BrowserSessionTable {
    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.0.retain(|_, session| session.expires_at > now);
    }
}

#[async_trait]
impl BrowserSessions for MemoryStore {
    async fn insert_browser_session(&self, id: Digest, session: BrowserSession) -> Result<()> {
        self.write().browser_sessions.0.insert(id, session);
        Ok(())
    }

    async fn browser_session(&self, id: &Digest, now: Timestamp) -> Result<Option<BrowserSession>> {
        let state = self.read();
        let session = state.browser_sessions.0.get(id);
        Ok(session.filter(|session| session.expires_at > now).cloned())
    }

    async fn end_browser_session(&self, id: &Digest) -> Result<()> {
        self.write().browser_sessions.0.remove(id);
        Ok(())
    }

    async fn end_browser_sessions(&self, user: &UserId) -> Result<()> {
        let sessions = &mut self.write().browser_sessions.0;
        sessions.retain(|_, session| session.user != *user);
        Ok(())
    }
}
