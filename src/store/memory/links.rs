//! What identity providers gave for people, in memory.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    clock::Timestamp,
    model::{
        provider::{Link, SealedTokens},
        user::UserId,
    },
    store::{Links, Result},
};

/// By person and provider. People whom the operator lets in bound their number.
#[derive(Default)]
pub(super) struct LinkTable(HashMap<(UserId, String), Link>);

impl LinkTable {
    /// The keys without which something could not be opened.
    pub(super) fn keys(&self) -> HashSet<u64> {
        self.0.values().map(|link| link.sealed.key).collect()
    }

    fn find(&mut self, user: &UserId, provider: &str, version: u64) -> Option<&mut Link> {
        let link = self.0.get_mut(&(user.clone(), provider.to_owned()));
        link.filter(|link| link.version == version)
    }
}

#[async_trait]
impl Links for MemoryStore {
    async fn keep_link(&self, user: &UserId, provider: &str, sealed: SealedTokens) -> Result<()> {
        let table = &mut self.write().links;
        let key = (user.clone(), provider.to_owned());
        let version = table.0.get(&key).map_or(0, |link| link.version + 1);
        let link = Link {
            version,
            sealed,
            claimed_until: None,
        };
        table.0.insert(key, link);
        Ok(())
    }

    async fn link(&self, user: &UserId, provider: &str) -> Result<Option<Link>> {
        let key = (user.clone(), provider.to_owned());
        Ok(self.read().links.0.get(&key).cloned())
    }

    async fn claim_link(
        &self,
        user: &UserId,
        provider: &str,
        version: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        let table = &mut self.write().links;
        let link = table.find(user, provider, version);
        let free = link.filter(|link| link.claimed_until.is_none_or(|until| until <= now));
        let Some(link) = free else { return Ok(false) };
        link.claimed_until = Some(until);
        Ok(true)
    }

    async fn replace_link(
        &self,
        user: &UserId,
        provider: &str,
        version: u64,
        sealed: Option<SealedTokens>,
    ) -> Result<bool> {
        let table = &mut self.write().links;
        let Some(link) = table.find(user, provider, version) else {
            return Ok(false);
        };
        link.claimed_until = None;
        if let Some(sealed) = sealed {
            link.version += 1;
            link.sealed = sealed;
        }
        Ok(true)
    }

    async fn end_link(&self, user: &UserId, provider: &str, version: u64) -> Result<bool> {
        let table = &mut self.write().links;
        let is_there = table.find(user, provider, version).is_some();
        if is_there {
            table.0.remove(&(user.clone(), provider.to_owned()));
        }
        Ok(is_there)
    }
}
