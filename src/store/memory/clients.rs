//! Clients in memory.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    model::client::{Client, ClientId},
    store::{Clients, Result},
};

#[derive(Default)]
pub(super) struct ClientTable {
    by_id: HashMap<ClientId, Entry>,
    /// Every client in order of registration. Those that have proven themselves since are skipped
    /// when their turn comes: looking for them here at each authorization would cost more.
    by_age: VecDeque<ClientId>,
    /// How many have never completed an authorization.
    unproven: usize,
}

struct Entry {
    client: Arc<Client>,
    proven: bool,
}

impl ClientTable {
    fn insert(&mut self, client: Client, cap: usize) {
        let id = client.id.clone();
        let entry = Entry {
            client: Arc::new(client),
            proven: false,
        };
        self.by_id.insert(id.clone(), entry);
        self.by_age.push_back(id);
        self.unproven += 1;
        while self.unproven > cap {
            let Some(oldest) = self.by_age.pop_front() else {
                return;
            };
            if self.by_id.get(&oldest).is_some_and(|entry| !entry.proven) {
                self.by_id.remove(&oldest);
                self.unproven -= 1;
            }
        }
    }

    /// Notes that a person has let this client in: it is kept for good.
    pub(super) fn mark_proven(&mut self, id: &ClientId) {
        if let Some(entry) = self.by_id.get_mut(id).filter(|entry| !entry.proven) {
            entry.proven = true;
            self.unproven -= 1;
        }
    }
}

#[async_trait]
impl Clients for MemoryStore {
    async fn insert_client(&self, client: Client) -> Result<()> {
        let cap = self.limits.clients;
        self.write().clients.insert(client, cap);
        Ok(())
    }

    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>> {
        let state = self.read();
        Ok(state.clients.by_id.get(id).map(|e| Arc::clone(&e.client)))
    }
}
