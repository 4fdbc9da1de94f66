//! The server's own keys in memory: as short-lived as what they seal.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    clock::Timestamp,
    secret::ServerKey,
    store::{DatedKey, KEY_OPENS_FOR, Keys, LINK_KEYS, Result},
};

/// By name, the newest last.
#[derive(Default)]
pub(super) struct KeyTable(HashMap<String, Vec<DatedKey>>);

impl KeyTable {
    /// Makes a key, if it would be the newest.
    fn add(&mut self, name: &str, generation: u64, now: Timestamp) {
        let keys = self.0.entry(name.to_owned()).or_default();
        if keys
            .last()
            .is_none_or(|newest| newest.generation < generation)
        {
            keys.push(DatedKey {
                generation,
                key: ServerKey::mint(),
                made_at: now,
            });
        }
    }

    /// `in_use`: the generations of those that seal links, as far as they are needed.
    pub(super) fn sweep(&mut self, in_use: &HashSet<u64>, now: Timestamp) {
        for (name, keys) in &mut self.0 {
            let is_replaced = |key: &DatedKey| key.made_at + KEY_OPENS_FOR <= now;
            let newest = keys.iter().rposition(is_replaced).unwrap_or(0);
            let mut index = 0;
            keys.retain(|key| {
                let is_old = index < newest;
                index += 1;
                !is_old || (name == LINK_KEYS && in_use.contains(&key.generation))
            });
        }
    }
}

#[async_trait]
impl Keys for MemoryStore {
    async fn keys(&self, name: &str, now: Timestamp) -> Result<Vec<DatedKey>> {
        let table = &mut self.write().keys;
        table.add(name, 0, now);
        let keys = table.0.get(name).into_iter().flatten();
        Ok(keys.rev().cloned().collect())
    }

    async fn add_key(&self, name: &str, generation: u64, now: Timestamp) -> Result<()> {
        self.write().keys.add(name, generation, now);
        Ok(())
    }
}
