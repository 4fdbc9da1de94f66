//! Grants and their tokens, in memory.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::{MemoryStore, State};
use crate::{
    clock::Timestamp,
    model::{
        client::ClientId,
        grant::{
            Authorization, Connection, Grant, GrantId, Revocation, Rotation, SealedAnswer,
            StoredAccessToken, StoredRefreshToken,
        },
        user::UserId,
    },
    secret::{Digest, DigestMap},
    store::{
        Grants, Issue, MAX_ACCESS_TOKENS, MAX_REFRESH_TOKENS, MAX_TOOLS, RefreshOutcome, Result,
        Successor,
    },
};

#[derive(Default)]
pub(super) struct GrantTable {
    grants: HashMap<GrantId, Entry>,
    access_tokens: DigestMap<Arc<StoredAccessToken>>,
    refresh_tokens: DigestMap<StoredRefreshToken>,
}

struct Entry {
    grant: Arc<Grant>,
    last_used_at: Timestamp,
    tools: BTreeSet<Box<str>>,
    /// What has to go when the grant goes, oldest first.
    access_tokens: VecDeque<Digest>,
    refresh_tokens: VecDeque<Digest>,
}

impl Entry {
    fn grant(&self) -> Grant {
        Grant {
            last_used_at: self.last_used_at,
            ..(*self.grant).clone()
        }
    }
}

impl GrantTable {
    pub(super) fn begin(&mut self, issue: Issue, now: Timestamp) {
        let grant = Arc::new(issue.grant);
        let entry = Entry {
            grant: Arc::clone(&grant),
            last_used_at: now,
            tools: BTreeSet::new(),
            access_tokens: VecDeque::new(),
            refresh_tokens: VecDeque::new(),
        };
        self.grants.insert(grant.id, entry);
        self.keep_access(grant.id, issue.access, now);
        if let Some((digest, expires_at)) = issue.refresh {
            let token = StoredRefreshToken {
                grant,
                issued_at: now,
                expires_at,
                predecessor: None,
                rotation: None,
            };
            self.keep_refresh(digest, token);
        }
    }

    fn keep_access(&mut self, grant: GrantId, token: Authorization, now: Timestamp) {
        if let Some(entry) = self.grants.get_mut(&grant) {
            entry.access_tokens.push_back(token.token);
            if entry.access_tokens.len() > MAX_ACCESS_TOKENS
                && let Some(oldest) = entry.access_tokens.pop_front()
            {
                self.access_tokens.remove(&oldest);
            }
            let name = token.token;
            let stored = StoredAccessToken::new(token, now);
            self.access_tokens.insert(name, Arc::new(stored));
        }
    }

    fn keep_refresh(&mut self, digest: Digest, token: StoredRefreshToken) {
        if let Some(entry) = self.grants.get_mut(&token.grant.id) {
            entry.refresh_tokens.push_back(digest);
            if entry.refresh_tokens.len() > MAX_REFRESH_TOKENS
                && let Some(oldest) = entry.refresh_tokens.pop_front()
            {
                self.refresh_tokens.remove(&oldest);
            }
            self.refresh_tokens.insert(digest, token);
        }
    }

    fn live_refresh(&self, token: &Digest, now: Timestamp) -> Option<&StoredRefreshToken> {
        self.refresh_tokens
            .get(token)
            .filter(|stored| stored.expires_at > now)
    }

    fn rotate(&mut self, token: &Digest, successor: Successor, now: Timestamp) -> RefreshOutcome {
        let Some(stored) = self.live_refresh(token, now) else {
            return RefreshOutcome::Unknown;
        };
        let grant = Arc::clone(&stored.grant);
        match &stored.rotation {
            Some(rotation) if now <= rotation.repeatable_until => {
                return RefreshOutcome::Repeated(rotation.answer.clone());
            }
            Some(_) => return RefreshOutcome::Reused(grant.id),
            None => {}
        }
        if let Some(stored) = self.refresh_tokens.get_mut(token) {
            stored.rotation = Some(Rotation {
                repeatable_until: now + successor.grace,
                answer: successor.answer,
            });
        }
        self.touch(grant.id, now);
        self.keep_access(grant.id, successor.access, now);
        let next = StoredRefreshToken {
            grant,
            issued_at: now,
            expires_at: successor.expires_at,
            predecessor: Some(*token),
            rotation: None,
        };
        self.keep_refresh(successor.digest, next);
        RefreshOutcome::Rotated
    }

    fn touch(&mut self, grant: GrantId, now: Timestamp) {
        if let Some(entry) = self.grants.get_mut(&grant) {
            entry.last_used_at = entry.last_used_at.max(now);
        }
    }

    /// The live grants of a person, in no order.
    pub(super) fn of_user(&self, user: &UserId, now: Timestamp) -> Vec<Connection> {
        let theirs = self.grants.values().filter(|e| e.grant.user == *user);
        let live = theirs.filter(|entry| self.is_live(entry, now));
        live.map(|entry| Connection {
            grant: entry.grant(),
            tools: entry.tools.iter().cloned().collect(),
        })
        .collect()
    }

    pub(super) fn note_tool(&mut self, grant: GrantId, tool: &str) {
        if let Some(entry) = self.grants.get_mut(&grant)
            && entry.tools.len() < MAX_TOOLS
        {
            entry.tools.insert(tool.into());
        }
    }

    fn end(&mut self, grant: GrantId) -> Option<Arc<Grant>> {
        let entry = self.grants.remove(&grant)?;
        for token in &entry.access_tokens {
            self.access_tokens.remove(token);
        }
        for token in &entry.refresh_tokens {
            self.refresh_tokens.remove(token);
        }
        Some(entry.grant)
    }

    pub(super) fn of_client(&self, client: &ClientId) -> Vec<GrantId> {
        let entries = self.grants.iter();
        let theirs = entries.filter(|(_, entry)| entry.grant.client == *client);
        theirs.map(|(id, _)| *id).collect()
    }

    fn is_live(&self, entry: &Entry, now: Timestamp) -> bool {
        let usable = |token: &Digest| {
            self.live_refresh(token, now)
                .is_some_and(|stored| stored.rotation.is_none())
        };
        // The newest tokens are last, and are the likeliest to be alive.
        entry.refresh_tokens.iter().rev().any(usable)
            || entry.access_tokens.iter().rev().any(|token| {
                self.access_tokens
                    .get(token)
                    .is_some_and(|stored| stored.authorization.expires_at > now)
            })
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.access_tokens
            .retain(|_, stored| stored.authorization.expires_at > now);
        self.refresh_tokens
            .retain(|_, stored| stored.expires_at > now);
        for stored in self.refresh_tokens.values_mut() {
            // The token itself stays, so that its reuse is recognised; its answer need not.
            if let Some(rotation) = stored.rotation.as_mut()
                && rotation.repeatable_until < now
            {
                rotation.answer = SealedAnswer(Arc::default());
            }
        }
        let (access, refresh) = (&self.access_tokens, &self.refresh_tokens);
        self.grants.retain(|_, entry| {
            entry.access_tokens.retain(|t| access.contains_key(t));
            entry.refresh_tokens.retain(|t| refresh.contains_key(t));
            !entry.access_tokens.is_empty() || !entry.refresh_tokens.is_empty()
        });
    }
}

impl State {
    pub(super) fn revoke(&mut self, grant: GrantId) -> bool {
        let Some(ended) = self.grants.end(grant) else {
            return false;
        };
        self.authorizations
            .forget_consent(&ended.user, &ended.client);
        true
    }
}

impl MemoryStore {
    pub(super) fn announce(&self, revoked: GrantId) {
        // Nobody need be listening.
        let _ = self.revocations.send(Revocation::Grant(revoked));
    }
}

#[async_trait]
impl Grants for MemoryStore {
    async fn access_token(
        &self,
        token: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<StoredAccessToken>>> {
        let state = self.read();
        let stored = state.grants.access_tokens.get(token);
        Ok(stored
            .filter(|stored| stored.authorization.expires_at > now)
            .cloned())
    }

    async fn refresh_token(
        &self,
        token: &Digest,
        now: Timestamp,
    ) -> Result<Option<StoredRefreshToken>> {
        Ok(self.read().grants.live_refresh(token, now).cloned())
    }

    async fn issue(&self, issue: Issue, now: Timestamp) -> Result<()> {
        let grants = &mut self.write().grants;
        let grant = issue.grant.id;
        if grants.grants.contains_key(&grant) {
            grants.touch(grant, now);
            grants.keep_access(grant, issue.access, now);
        } else {
            grants.begin(issue, now);
        }
        Ok(())
    }

    async fn rotate_refresh_token(
        &self,
        token: &Digest,
        successor: Successor,
        now: Timestamp,
    ) -> Result<RefreshOutcome> {
        let outcome = {
            let state = &mut *self.write();
            let outcome = state.grants.rotate(token, successor, now);
            if let RefreshOutcome::Reused(grant) = outcome {
                state.revoke(grant);
            }
            outcome
        };
        if let RefreshOutcome::Reused(grant) = outcome {
            self.announce(grant);
        }
        Ok(outcome)
    }

    async fn replace_answer(
        &self,
        token: &Digest,
        previous: &SealedAnswer,
        answer: SealedAnswer,
        access: Authorization,
        now: Timestamp,
    ) -> Result<bool> {
        let grants = &mut self.write().grants;
        let Some(stored) = grants.refresh_tokens.get_mut(token) else {
            return Ok(false);
        };
        let grant = stored.grant.id;
        let Some(rotation) = stored.rotation.as_mut().filter(|r| r.answer == *previous) else {
            return Ok(false);
        };
        rotation.answer = answer;
        grants.keep_access(grant, access, now);
        Ok(true)
    }

    async fn touch_grant(&self, grant: GrantId, now: Timestamp) -> Result<()> {
        self.write().grants.touch(grant, now);
        Ok(())
    }

    async fn grants(&self, now: Timestamp) -> Result<Vec<Grant>> {
        let table = &self.read().grants;
        let live = table.grants.values().filter(|e| table.is_live(e, now));
        let mut grants: Vec<Grant> = live.map(Entry::grant).collect();
        grants.sort_by_key(|grant| (grant.created_at, grant.id));
        Ok(grants)
    }

    async fn revoke_grant(&self, grant: GrantId) -> Result<bool> {
        let revoked = self.write().revoke(grant);
        if revoked {
            self.announce(grant);
        }
        Ok(revoked)
    }

    async fn revoke_access_token(&self, token: &Digest) -> Result<bool> {
        let revoked = self.write().grants.access_tokens.remove(token).is_some();
        if revoked {
            let _ = self.revocations.send(Revocation::AccessToken(*token));
        }
        Ok(revoked)
    }

    fn revocations(&self) -> broadcast::Receiver<Revocation> {
        self.revocations.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        model::{grant::Origin, scope::ScopeSet},
        secret::{AccessToken, RefreshToken},
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn access(grant: &Grant) -> Authorization {
        Authorization {
            owner: grant.owner(),
            grant: grant.id,
            scopes: grant.scopes.clone(),
            resource: Arc::clone(&grant.resource),
            jkt: None,
            token: AccessToken::mint().digest(),
            issued_at: NOW,
            expires_at: NOW + Duration::from_hours(1),
        }
    }

    #[test]
    fn a_client_that_refreshes_in_a_loop_does_not_fill_the_memory() {
        let grant = Grant {
            id: GrantId::mint(),
            user: UserId::owner(),
            client: ClientId::mint(),
            client_name: String::new(),
            scopes: ScopeSet::parse("mcp"),
            resource: "https://mcp.example/mcp".into(),
            jkt: None,
            origin: Origin::default(),
            created_at: NOW,
            last_used_at: NOW,
        };
        let later = NOW + Duration::from_hours(1);
        let first = RefreshToken::mint().digest();
        let mut table = GrantTable::default();
        let issue = Issue {
            access: access(&grant),
            refresh: Some((first, later)),
            grant: grant.clone(),
        };
        table.begin(issue, NOW);

        let mut newest = first;
        for _ in 0..2 * MAX_REFRESH_TOKENS {
            let next = RefreshToken::mint().digest();
            let successor = Successor {
                digest: next,
                expires_at: later,
                access: access(&grant),
                answer: SealedAnswer(Arc::default()),
                grace: Duration::ZERO,
            };
            let outcome = table.rotate(&newest, successor, NOW);
            assert_eq!(outcome, RefreshOutcome::Rotated);
            newest = next;
        }
        assert_eq!(table.refresh_tokens.len(), MAX_REFRESH_TOKENS);
        assert_eq!(table.access_tokens.len(), MAX_ACCESS_TOKENS);
        assert!(table.live_refresh(&newest, NOW).is_some());
        assert!(table.live_refresh(&first, NOW).is_none());

        table.end(grant.id);
        assert!(table.refresh_tokens.is_empty() && table.access_tokens.is_empty());
    }
}
