//! Clients in memory.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    model::client::{Client, ClientId},
    secret::Digest,
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
        self.drop_skipped();
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

    /// Keeps the queue from growing by those that will be skipped.
    fn drop_skipped(&mut self) {
        const SPARE: usize = 1000;
        if self.by_age.len() > 2 * self.unproven + SPARE {
            let by_id = &self.by_id;
            let waits = |id: &ClientId| by_id.get(id).is_some_and(|entry| !entry.proven);
            self.by_age.retain(waits);
        }
    }

    fn managed_by(&mut self, id: &ClientId, registration_token: &Digest) -> Option<&mut Entry> {
        self.by_id.get_mut(id).filter(|entry| {
            let expected = entry.client.registration_token.as_ref();
            expected.is_some_and(|expected| expected.matches(registration_token))
        })
    }

    /// Its place in the queue is skipped when its turn comes.
    fn remove(&mut self, id: &ClientId) {
        if let Some(entry) = self.by_id.remove(id)
            && !entry.proven
        {
            self.unproven -= 1;
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

    async fn keep_document(&self, client: Client) -> Result<()> {
        let cap = self.limits.clients;
        let clients = &mut self.write().clients;
        match clients.by_id.get_mut(&client.id) {
            Some(entry) => entry.client = Arc::new(client),
            None => clients.insert(client, cap),
        }
        Ok(())
    }

    async fn update_client(&self, registration_token: &Digest, client: Client) -> Result<bool> {
        let clients = &mut self.write().clients;
        let entry = clients.managed_by(&client.id, registration_token);
        Ok(entry.map(|entry| entry.client = Arc::new(client)).is_some())
    }

    async fn remove_client(&self, id: &ClientId, registration_token: &Digest) -> Result<bool> {
        let ended = {
            let state = &mut *self.write();
            if state.clients.managed_by(id, registration_token).is_none() {
                return Ok(false);
            }
            state.clients.remove(id);
            state.authorizations.forget_client(id);
            let grants = state.grants.of_client(id);
            for grant in &grants {
                state.revoke(*grant);
            }
            grants
        };
        for grant in ended {
            self.announce(grant);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        clock::Timestamp,
        model::client_metadata::{ClientMetadata, MetadataRules, MetadataSource},
        secret::RegistrationToken,
    };

    const CAP: usize = 10;
    const MANY: usize = 10_000;

    fn client() -> Client {
        let members = json!({ "redirect_uris": ["https://client.example/callback"] });
        let (source, rules) = (MetadataSource::Registration, MetadataRules::default());
        Client {
            id: ClientId::mint(),
            issued_at: Timestamp::from_millis(0),
            secret: None,
            registration_token: Some(RegistrationToken::mint().digest()),
            document: None,
            metadata: ClientMetadata::accept(members.as_object().unwrap(), source, &rules).unwrap(),
        }
    }

    /// Registers a client and returns its name.
    fn register(table: &mut ClientTable) -> ClientId {
        let client = client();
        let id = client.id.clone();
        table.insert(client, CAP);
        id
    }

    /// Checks how many clients there are, how many of them are strangers, and that the queue is not
    /// much longer than it has to be.
    #[track_caller]
    fn check(table: &ClientTable, clients: usize, unproven: usize) {
        assert_eq!((table.by_id.len(), table.unproven), (clients, unproven));
        let queue = table.by_age.len();
        assert!(
            queue <= 2 * (unproven + 1) + 1_000,
            "{queue} places in the queue"
        );
    }

    #[test]
    fn who_registers_and_deletes_in_a_loop_does_not_fill_the_memory() {
        let mut table = ClientTable::default();
        let friend = register(&mut table);
        table.mark_proven(&friend);
        let neighbours = [register(&mut table), register(&mut table)];
        for _ in 0..MANY {
            let id = register(&mut table);
            table.remove(&id);
            check(&table, 3, 2);
        }
        // Nor does it drive anybody out.
        for id in neighbours.iter().chain([&friend]) {
            assert!(table.by_id.contains_key(id));
        }
    }

    #[test]
    fn who_is_let_in_and_deletes_in_a_loop_does_not_either() {
        let mut table = ClientTable::default();
        for _ in 0..MANY {
            let id = register(&mut table);
            table.mark_proven(&id);
            table.remove(&id);
            check(&table, 0, 0);
        }
    }

    #[test]
    fn removing_twice_is_removing_once() {
        let mut table = ClientTable::default();
        let ids = [register(&mut table), register(&mut table)];
        for _ in 0..3 {
            table.remove(&ids[0]);
            check(&table, 1, 1);
        }
        // And the cap still counts right.
        for _ in 0..2 * CAP {
            register(&mut table);
        }
        check(&table, CAP, CAP);
    }
}
