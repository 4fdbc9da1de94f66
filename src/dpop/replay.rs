//! What has been used and must not be used again (RFC 9449 §11.1, RFC 7523 §3).

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::Timestamp,
    secret::{Digest, DigestMap},
};

/// How much is remembered. Some 20 MB when full.
const MAX_ENTRIES: usize = 200_000;

/// How much a call forgets at most. More than the one entry that it adds, so that what has
/// expired does not pile up, and few enough that nobody waits for it.
const FORGOTTEN_PER_CALL: usize = 16;

/// Remembers what has been used until it would be refused anyway.
///
/// In this process alone: who runs several must see to it that a client stays with one of them.
#[derive(Default)]
pub struct ReplayCache(Mutex<Used>);

#[derive(Default)]
struct Used {
    until: DigestMap<Timestamp>,
    /// The same by the second in which it can be forgotten.
    forget_in: BTreeMap<u64, Vec<Digest>>,
}

impl ReplayCache {
    /// Whether `key` is used for the first time, which it is once. It is remembered as long as
    /// the time is before `until`.
    ///
    /// When the cache is full of what may still come back, everything new is taken for a replay.
    /// The alternatives are worse: with an old entry dropped, or a new one let in unremembered,
    /// whoever can fill the cache could replay. Callers keep `until` near, lest it fill up with
    /// what somebody made to last.
    pub fn first_use(&self, key: Digest, until: Timestamp, now: Timestamp) -> bool {
        let mut used = self.lock();
        used.forget_some(now);
        let is_new = match used.until.get(&key) {
            Some(until) => *until <= now,
            None => used.until.len() < MAX_ENTRIES,
        };
        if is_new {
            used.remember(key, until);
        }
        is_new
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ReplayCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplayCache({} entries)", self.lock().until.len())
    }
}

impl Used {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_500);

    fn at(seconds: u64) -> Timestamp {
        START + Duration::from_secs(seconds)
    }

    fn key(number: usize) -> Digest {
        Digest::of(&number.to_string())
    }

    #[test]
    fn the_second_use_is_a_replay_until_the_first_has_expired() {
        let cache = ReplayCache::default();
        assert!(cache.first_use(key(1), at(10), at(0)));
        assert!(cache.first_use(key(2), at(10), at(0)));
        for seconds in 0..10 {
            assert!(!cache.first_use(key(1), at(10), at(seconds)), "{seconds}");
        }
        assert!(cache.first_use(key(1), at(20), at(10)));
        // The first entry's turn to be forgotten comes, and takes nothing of the second with it.
        for seconds in 10..20 {
            assert!(!cache.first_use(key(1), at(20), at(seconds)), "{seconds}");
        }
        assert!(cache.first_use(key(1), at(30), at(20)));
    }

    #[test]
    fn what_has_expired_is_forgotten_bit_by_bit() {
        let cache = ReplayCache::default();
        for number in 0..1000 {
            assert!(cache.first_use(key(number), at(10), at(0)));
        }
        for number in 1000..1100 {
            assert!(cache.first_use(key(number), at(50), at(20)));
        }
        let used = cache.lock();
        assert_eq!(used.until.len(), 100);
        assert_eq!(used.forget_in.len(), 1);
    }

    #[test]
    fn when_it_is_full_nothing_new_is_let_in_before_something_expires() {
        let cache = ReplayCache::default();
        for number in 0..MAX_ENTRIES {
            assert!(cache.first_use(key(number), at(10), at(0)));
        }
        assert!(!cache.first_use(key(MAX_ENTRIES), at(10), at(0)));
        assert!(!cache.first_use(key(0), at(10), at(0)));
        assert!(cache.first_use(key(MAX_ENTRIES), at(30), at(20)));
        assert!(!cache.first_use(key(MAX_ENTRIES), at(30), at(20)));
    }

    #[test]
    fn the_ends_of_time_do_no_harm() {
        let cache = ReplayCache::default();
        let (first, last) = (Timestamp::default(), Timestamp::from_millis(u64::MAX));
        assert!(cache.first_use(key(1), last, first));
        assert!(!cache.first_use(key(1), last, at(0)));
        // What has expired already cannot come back, so nothing is said about it.
        assert!(cache.first_use(key(2), first, at(0)));
        assert!(cache.first_use(key(3), last, last));
    }
}
