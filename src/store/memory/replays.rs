//! What has been used and must not be used again (RFC 9449 §11.1, RFC 7523 §3).

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    clock::Timestamp,
    secret::{Digest, DigestMap},
    store::{Replays, Result},
};

/// How much a call forgets at most. More than the one entry that it adds, so that what has
/// expired does not pile up, and few enough that nobody waits for it.
const FORGOTTEN_PER_CALL: usize = 16;

/// Remembers what has been used until it would be refused anyway.
#[derive(Default)]
pub(super) struct ReplayTable {
    until: DigestMap<Timestamp>,
    /// The same by the second in which it can be forgotten.
    forget_in: BTreeMap<u64, Vec<Digest>>,
}

impl ReplayTable {
    fn first_use(&mut self, key: Digest, until: Timestamp, now: Timestamp, limit: usize) -> bool {
        self.forget_some(now);
        let is_new = match self.until.get(&key) {
            Some(until) => *until <= now,
            None => self.until.len() < limit,
        };
        if is_new {
            self.remember(key, until);
        }
        is_new
    }

    fn remember(&mut self, key: Digest, until: Timestamp) {
        self.until.insert(key, until);
        // The first whole second at which it has certainly expired.
        let second = until.as_secs() + 1;
        self.forget_in.entry(second).or_default().push(key);
    }

    fn forget_some(&mut self, now: Timestamp) {
        for _ in 0..FORGOTTEN_PER_CALL {
            let Some(mut first) = self.forget_in.first_entry() else {
                return;
            };
            if *first.key() > now.as_secs() {
                return;
            }
            let Some(key) = first.get_mut().pop() else {
                first.remove();
                continue;
            };
            // It may have been used again after it had expired and before it was forgotten.
            if self.until.get(&key).is_some_and(|until| *until <= now) {
                self.until.remove(&key);
            }
        }
    }
}

#[async_trait]
impl Replays for MemoryStore {
    async fn first_use(&self, key: Digest, until: Timestamp, now: Timestamp) -> Result<bool> {
        let limit = self.limits.replays;
        Ok(self.write().replays.first_use(key, until, now, limit))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_has_expired_is_forgotten_bit_by_bit() {
        let at = |seconds| Timestamp::from_millis(1_000_500) + Duration::from_secs(seconds);
        let key = |number: u32| Digest::of(&number.to_string());
        let mut used = ReplayTable::default();
        for number in 0..1000 {
            assert!(used.first_use(key(number), at(10), at(0), usize::MAX));
        }
        for number in 1000..1100 {
            assert!(used.first_use(key(number), at(50), at(20), usize::MAX));
        }
        assert_eq!(used.until.len(), 100);
        assert_eq!(used.forget_in.len(), 1);
    }
}
