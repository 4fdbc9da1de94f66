//! The server's own keys in memory: as short-lived as what they seal.

use std::collections::HashMap;

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    secret::ServerKey,
    store::{Keys, Result},
};

pub(super) type KeyTable = HashMap<String, ServerKey>;

#[async_trait]
impl Keys for MemoryStore {
    async fn key(&self, name: &str) -> Result<ServerKey> {
        let keys = &mut self.write().keys;
        let key = keys.entry(name.to_owned()).or_insert_with(ServerKey::mint);
        Ok(key.clone())
    }
}
