//! People whom identity providers know, in memory.

use std::collections::{HashMap, VecDeque};

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    clock::Timestamp,
    model::{
        provider::Departure,
        user::{Profile, UserId},
    },
    secret::{Digest, DigestMap},
    store::{People, Result},
};

#[derive(Default)]
pub(super) struct PeopleTable {
    departures: DigestMap<Departure>,
    /// In order; those who came back stay until their turn.
    by_age: VecDeque<Digest>,
    /// Of those whom the operator lets in, who bound their number.
    profiles: HashMap<UserId, Profile>,
}

impl PeopleTable {
    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.departures
            .retain(|_, departure| departure.expires_at > now);
        self.by_age.retain(|id| self.departures.contains_key(id));
    }
}

#[async_trait]
impl People for MemoryStore {
    async fn insert_departure(&self, state: Digest, departure: Departure) -> Result<()> {
        let cap = self.limits.pending_authorizations;
        let table = &mut self.write().people;
        table.departures.insert(state, departure);
        table.by_age.push_back(state);
        while table.by_age.len() > cap {
            if let Some(oldest) = table.by_age.pop_front() {
                table.departures.remove(&oldest);
            }
        }
        Ok(())
    }

    async fn take_departure(
        &self,
        state: &Digest,
        browser: &Digest,
        now: Timestamp,
    ) -> Result<Option<Departure>> {
        let table = &mut self.write().people;
        let found = table.departures.get(state);
        let is_theirs = found.is_some_and(|d| d.browser == *browser && d.expires_at > now);
        Ok(is_theirs.then(|| table.departures.remove(state)).flatten())
    }

    async fn keep_profile(&self, user: &UserId, profile: Profile) -> Result<()> {
        self.write().people.profiles.insert(user.clone(), profile);
        Ok(())
    }

    async fn profile(&self, user: &UserId) -> Result<Option<Profile>> {
        Ok(self.read().people.profiles.get(user).cloned())
    }
}
