//! People whom identity providers know, in memory.

use std::collections::HashMap;

use async_trait::async_trait;

use super::{
    MemoryStore,
    queue::{Expires, Queue},
};
use crate::{
    clock::Timestamp,
    model::{
        provider::Departure,
        user::{Profile, UserId},
    },
    secret::Digest,
    store::{People, Result},
};

#[derive(Default)]
pub(super) struct PeopleTable {
    departures: Queue<Departure>,
    /// Of those whom the operator lets in, who bound their number.
    profiles: HashMap<UserId, Profile>,
}

impl PeopleTable {
    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.departures.sweep(now);
    }
}

impl Expires for Departure {
    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

#[async_trait]
impl People for MemoryStore {
    async fn insert_departure(&self, state: Digest, departure: Departure) -> Result<()> {
        let cap = self.limits.pending_authorizations;
        let departures = &mut self.write().people.departures;
        departures.insert(state, departure, cap);
        Ok(())
    }

    async fn take_departure(
        &self,
        state: &Digest,
        browser: &Digest,
        now: Timestamp,
    ) -> Result<Option<Departure>> {
        let departures = &mut self.write().people.departures;
        let found = departures.get(state, now);
        let is_theirs = found.is_some_and(|departure| departure.browser == *browser);
        Ok(is_theirs.then(|| departures.take(state)).flatten())
    }

    async fn keep_profile(&self, user: &UserId, profile: Profile) -> Result<()> {
        self.write().people.profiles.insert(user.clone(), profile);
        Ok(())
    }

    async fn profile(&self, user: &UserId) -> Result<Option<Profile>> {
        Ok(self.read().people.profiles.get(user).cloned())
    }
}
