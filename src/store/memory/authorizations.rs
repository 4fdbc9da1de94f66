//! Authorizations on their way, in memory.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    MemoryStore,
    queue::{Expires, Queue},
};
use crate::{
    clock::Timestamp,
    model::{
        authorization::{CodeGrant, PendingAuthorization, StoredCode},
        client::ClientId,
        user::UserId,
    },
    secret::{Digest, DigestMap},
    store::{Authorizations, Consent, Issue, REPLAY_MEMORY, Redemption, Result},
};

#[derive(Default)]
pub(super) struct AuthorizationTable {
    pending: Queue<Arc<PendingAuthorization>>,
    pushed: Queue<Arc<PendingAuthorization>>,
    codes: DigestMap<StoredCode>,
    consents: HashSet<Consent>,
}

impl Expires for Arc<PendingAuthorization> {
    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

impl AuthorizationTable {
    fn bind(
        &mut self,
        id: &Digest,
        browser: &Digest,
        now: Timestamp,
    ) -> Option<Arc<PendingAuthorization>> {
        let pending = self.pending.get_mut(id, now)?;
        match pending.browser {
            Some(bound) if bound == *browser => {}
            Some(_) => return None,
            None => Arc::make_mut(pending).browser = Some(*browser),
        }
        Some(Arc::clone(pending))
    }

    fn live_code(&self, code: &Digest, now: Timestamp) -> Option<&StoredCode> {
        self.codes
            .get(code)
            .filter(|stored| stored.redeemed.is_some() || stored.code.expires_at > now)
    }

    pub(super) fn forget_consent(&mut self, user: &UserId, client: &ClientId) {
        self.consents
            .retain(|consent| consent.user != *user || consent.client != *client);
    }

    /// Codes and consent of a client that is gone. What waits for a person stays: the page that they
    /// come to says that the client is gone.
    pub(super) fn forget_client(&mut self, client: &ClientId) {
        self.codes.retain(|_, stored| stored.code.client != *client);
        self.consents.retain(|consent| consent.client != *client);
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.pending.sweep(now);
        self.pushed.sweep(now);
        self.codes.retain(|_, stored| {
            let keep_for = match stored.redeemed {
                Some(_) => REPLAY_MEMORY,
                None => Duration::ZERO,
            };
            stored.code.expires_at + keep_for > now
        });
    }
}

#[async_trait]
impl Authorizations for MemoryStore {
    async fn insert_pending(&self, id: Digest, pending: PendingAuthorization) -> Result<()> {
        let cap = self.limits.pending_authorizations;
        let table = &mut self.write().authorizations;
        table.pending.insert(id, Arc::new(pending), cap);
        Ok(())
    }

    async fn pending(
        &self,
        id: &Digest,
        browser: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<PendingAuthorization>>> {
        Ok(self.write().authorizations.bind(id, browser, now))
    }

    async fn insert_pushed(&self, id: Digest, pending: PendingAuthorization) -> Result<()> {
        let cap = self.limits.pending_authorizations;
        let table = &mut self.write().authorizations;
        table.pushed.insert(id, Arc::new(pending), cap);
        Ok(())
    }

    async fn pushed(
        &self,
        id: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<PendingAuthorization>>> {
        Ok(self.read().authorizations.pushed.get(id, now).cloned())
    }

    async fn take_pending(
        &self,
        id: &Digest,
        browser: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<PendingAuthorization>>> {
        let table = &mut self.write().authorizations;
        let pending = table.bind(id, browser, now);
        if pending.is_some() {
            table.pending.take(id);
        }
        Ok(pending)
    }

    async fn insert_code(&self, code: Digest, grant: CodeGrant) -> Result<()> {
        let stored = StoredCode {
            code: Arc::new(grant),
            redeemed: None,
        };
        self.write().authorizations.codes.insert(code, stored);
        Ok(())
    }

    async fn code(&self, code: &Digest, now: Timestamp) -> Result<Option<StoredCode>> {
        Ok(self.read().authorizations.live_code(code, now).cloned())
    }

    async fn redeem_code(&self, code: &Digest, issue: Issue, now: Timestamp) -> Result<Redemption> {
        let state = &mut *self.write();
        if state.authorizations.live_code(code, now).is_none() {
            return Ok(Redemption::Unknown);
        }
        let Some(stored) = state.authorizations.codes.get_mut(code) else {
            return Ok(Redemption::Unknown);
        };
        if let Some(grant) = stored.redeemed {
            return Ok(Redemption::AlreadyRedeemed(grant));
        }
        stored.redeemed = Some(issue.grant.id);
        state.clients.mark_proven(&issue.grant.client);
        state.grants.begin(issue, now);
        Ok(Redemption::Redeemed)
    }

    async fn remember_consent(&self, consent: Consent) -> Result<()> {
        self.write().authorizations.consents.insert(consent);
        Ok(())
    }

    async fn is_consent_remembered(&self, consent: &Consent) -> Result<bool> {
        Ok(self.read().authorizations.consents.contains(consent))
    }
}
