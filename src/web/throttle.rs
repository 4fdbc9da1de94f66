//! Token buckets by key, on a clock that can be turned.
//!
//! `governor` would be the crate for this, but it cannot give back what was taken (a successful
//! sign-in must not count) and so could only check first and count later, which parallel guesses
//! slip through.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::clock::Timestamp;

/// How many keys are told apart. Beyond that newcomers share one bucket.
const MAX_KEYS: usize = 100_000;

/// Buckets of `capacity` tokens, each refilled by one token every `refill`.
#[derive(Debug)]
pub struct Throttle<K> {
    capacity: f64,
    refill: Duration,
    buckets: Mutex<Buckets<K>>,
}

#[derive(Debug)]
struct Buckets<K> {
    by_key: HashMap<K, Bucket>,
    shared: Bucket,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

/// Too many: come back after this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter(pub Duration);

impl RetryAfter {
    /// Whole seconds, rounded up, at least one: the value of the `Retry-After` header.
    pub fn seconds(self) -> u64 {
        let rounded_up = self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0);
        rounded_up.max(1)
    }
}

impl<K: Hash + Eq + Clone> Throttle<K> {
    /// Full buckets.
    pub fn new(capacity: u32, refill: Duration) -> Self {
        let capacity = f64::from(capacity);
        let full = Bucket {
            tokens: capacity,
            at: Timestamp::from_millis(0),
        };
        Self {
            capacity,
            refill,
            buckets: Mutex::new(Buckets {
                by_key: HashMap::new(),
                shared: full,
            }),
        }
    }

    /// Takes a token of `key`.
    pub fn take(&self, key: &K, now: Timestamp) -> Result<(), RetryAfter> {
        let mut buckets = self.lock();
        let bucket = self.bucket(&mut buckets, key, now);
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let missing = 1.0 - bucket.tokens;
        Err(RetryAfter(self.refill.mul_f64(missing)))
    }

    /// Gives a token back: what it was taken for did not count after all.
    pub fn give_back(&self, key: &K, now: Timestamp) {
        let mut buckets = self.lock();
        let capacity = self.capacity;
        let bucket = self.bucket(&mut buckets, key, now);
        bucket.tokens = (bucket.tokens + 1.0).min(capacity);
    }

    /// The bucket of `key`, refilled up to now.
    fn bucket<'a>(&self, buckets: &'a mut Buckets<K>, key: &K, now: Timestamp) -> &'a mut Bucket {
        if buckets.by_key.len() >= MAX_KEYS && !buckets.by_key.contains_key(key) {
            // A full bucket says nothing that a new one would not.
            buckets
                .by_key
                .retain(|_, bucket| self.refilled(*bucket, now).tokens < self.capacity);
        }
        let full = Bucket {
            tokens: self.capacity,
            at: now,
        };
        let has_room = buckets.by_key.len() < MAX_KEYS;
        let bucket = if has_room || buckets.by_key.contains_key(key) {
            buckets.by_key.entry(key.clone()).or_insert(full)
        } else {
            &mut buckets.shared
        };
        *bucket = self.refilled(*bucket, now);
        bucket
    }

    fn refilled(&self, bucket: Bucket, now: Timestamp) -> Bucket {
        let gained = now.since(bucket.at).as_secs_f64() / self.refill.as_secs_f64();
        Bucket {
            tokens: (bucket.tokens + gained).min(self.capacity),
            at: bucket.at.max(now),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Buckets<K>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn a_burst_then_one_at_a_time() {
        let throttle = Throttle::new(3, Duration::from_secs(10));
        for _ in 0..3 {
            assert_eq!(throttle.take(&"a", START), Ok(()));
        }
        let refused = throttle.take(&"a", START).unwrap_err();
        assert_eq!(refused.seconds(), 10);
        assert_eq!(throttle.take(&"b", START), Ok(()));
        let later = START + Duration::from_secs(10);
        assert_eq!(throttle.take(&"a", later), Ok(()));
        assert!(throttle.take(&"a", later).is_err());
    }

    #[test]
    fn what_is_given_back_did_not_count() {
        let throttle = Throttle::new(1, Duration::from_secs(10));
        for _ in 0..5 {
            assert_eq!(throttle.take(&(), START), Ok(()));
            throttle.give_back(&(), START);
        }
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let throttle = Throttle::new(1, Duration::from_secs(10));
        assert_eq!(throttle.take(&(), START), Ok(()));
        assert!(throttle.take(&(), Timestamp::from_millis(0)).is_err());
    }

    #[test]
    fn beyond_the_cap_newcomers_share() {
        let throttle = Throttle::new(1, Duration::from_hours(1));
        for key in 0..MAX_KEYS {
            assert_eq!(throttle.take(&key, START), Ok(()));
        }
        assert_eq!(throttle.take(&(MAX_KEYS + 1), START), Ok(()));
        assert!(throttle.take(&(MAX_KEYS + 2), START).is_err());
    }
}
