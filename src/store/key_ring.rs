//! The server's own keys as a process uses them: one seals, and those before it still open.
//!
//! They are replaced by themselves now and then, or when the operator says so. A new key is known
//! to every replica before the first of them seals with it, and an old one opens until nothing
//! is left that it has sealed.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use super::{DatedKey, Keys, Result};
use crate::{clock::Timestamp, secret::ServerKey};

/// How long a key seals.
const REPLACED_AFTER: Duration = Duration::from_hours(30 * 24);

/// How long a new key only opens: each replica looks for news once a minute.
const SPREADS_FOR: Duration = Duration::from_mins(3);

/// The keys of one name. The newest is the first.
#[derive(Debug)]
pub struct KeyRing {
    name: &'static str,
    keys: RwLock<Vec<DatedKey>>,
}

impl KeyRing {
    /// The keys of that name, of which there is one from now on.
    pub async fn open(
        store: &(impl Keys + ?Sized),
        name: &'static str,
        now: Timestamp,
    ) -> Result<Self> {
        let keys = store.keys(name, now).await?;
        Ok(Self {
            name,
            keys: RwLock::new(keys),
        })
    }

    /// Looks for news, and makes a new key when it is time.
    pub async fn renew(&self, store: &(impl Keys + ?Sized), now: Timestamp) -> Result<()> {
        let mut keys = store.keys(self.name, now).await?;
        if let Some(newest) = keys.first()
            && now.since(newest.made_at) >= REPLACED_AFTER
        {
            store.add_key(self.name, newest.generation + 1, now).await?;
            keys = store.keys(self.name, now).await?;
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// All of them, the one that seals first.
    pub fn keys(&self, now: Timestamp) -> Vec<ServerKey> {
        let keys = self.dated_keys(now).into_iter();
        keys.map(|dated| dated.key).collect()
    }

    /// The same, with their generations.
    pub fn dated_keys(&self, now: Timestamp) -> Vec<DatedKey> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let has_spread = |key: &DatedKey| now.since(key.made_at) >= SPREADS_FOR;
        // The very first seals at once: there is no other.
        let seals = keys.iter().position(has_spread);
        let seals = seals.unwrap_or(keys.len().saturating_sub(1));
        let (newer, rest) = keys.split_at(seals.min(keys.len()));
        rest.iter().chain(newer).cloned().collect()
    }
}

/// Replaces the newest key of a name.
pub async fn replace_key(store: &(impl Keys + ?Sized), name: &str, now: Timestamp) -> Result<()> {
    let keys = store.keys(name, now).await?;
    let newest = keys.first().map_or(0, |newest| newest.generation);
    store.add_key(name, newest + 1, now).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Limits, MemoryStore, Store as _};

    const START: Timestamp = Timestamp::from_millis(1_750_000_000_000);

    fn bytes(ring: &KeyRing, now: Timestamp) -> Vec<[u8; 32]> {
        let keys = ring.keys(now);
        keys.iter().map(|key| *key.expose()).collect()
    }

    #[tokio::test]
    async fn a_new_key_is_known_before_it_seals_and_the_old_one_opens_for_a_while() {
        let store = MemoryStore::new(Limits::default());
        let one = KeyRing::open(&store, "story", START).await.unwrap();
        let other = KeyRing::open(&store, "story", START).await.unwrap();
        let first = bytes(&one, START);
        assert_eq!((first.len(), bytes(&other, START)), (1, first.clone()));

        let later = START + REPLACED_AFTER;
        one.renew(&store, later).await.unwrap();
        other.renew(&store, later).await.unwrap();
        let both = bytes(&one, later);
        assert_eq!((both.len(), both[0]), (2, first[0]));
        assert_eq!(bytes(&other, later), both);
        let spread = later + SPREADS_FOR;
        let swapped = [both[1], both[0]];
        for ring in [&one, &other] {
            assert_eq!(bytes(ring, spread), swapped);
        }

        // What it has sealed is over by then.
        store
            .sweep(later + super::super::KEY_OPENS_FOR)
            .await
            .unwrap();
        one.renew(&store, later + super::super::KEY_OPENS_FOR)
            .await
            .unwrap();
        assert_eq!(bytes(&one, spread), [both[1]]);
    }

    #[tokio::test]
    async fn the_operator_may_replace_a_key_at_any_time() {
        let store = MemoryStore::new(Limits::default());
        let ring = KeyRing::open(&store, "story", START).await.unwrap();
        let first = bytes(&ring, START);
        replace_key(&store, "story", START).await.unwrap();
        ring.renew(&store, START).await.unwrap();
        let keys = bytes(&ring, START + SPREADS_FOR);
        assert_eq!((keys.len(), keys[1]), (2, first[0]));
        // Other names have other keys.
        let other = KeyRing::open(&store, "another", START).await.unwrap();
        assert!(!keys.contains(&bytes(&other, START)[0]));
    }
}
