//! What was read a moment ago: answers for a few seconds, so that most calls ask no database.
//!
//! Entries lie in two halves. When the younger one is old or full it becomes the elder one, and what
//! the elder one held is forgotten; so nothing has to be searched for what is too old.

use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use crate::{
    clock::Timestamp,
    model::grant::GrantId,
    secret::{Digest, DigestMap},
};

/// For how long an entry answers. Where a revocation elsewhere is not heard of, it counts here after
/// this time.
pub(super) const FRESH_FOR: Duration = Duration::from_secs(5);

/// The most entries of a half. Some 50 MB when both are full.
const HALF: usize = 50_000;

/// Entries by digest, each perhaps of a grant.
pub(super) struct Recent<V>(RwLock<Halves<V>>);

struct Halves<V> {
    /// How often something has been taken out. Who began to read before may have read what is
    /// gone since.
    epoch: u64,
    young: Half<V>,
    elder: Half<V>,
}

struct Half<V> {
    since: Timestamp,
    entries: DigestMap<Entry<V>>,
    /// Grants that have ended: their entries are passed over. Finding them all would take as long
    /// as there are entries.
    ended: HashSet<GrantId>,
}

struct Entry<V> {
    value: V,
    grant: Option<GrantId>,
    read_at: Timestamp,
}

/// What was the case when somebody began to read.
#[derive(Clone, Copy)]
pub(super) struct Epoch(u64);

impl<V: Clone> Recent<V> {
    pub(super) fn new() -> Self {
        Self(RwLock::new(Halves {
            epoch: 0,
            young: Half::begun(Timestamp::default()),
            elder: Half::begun(Timestamp::default()),
        }))
    }

    /// The entry, if it is fresh.
    pub(super) fn find(&self, key: &Digest, now: Timestamp) -> Option<V> {
        let halves = self.read();
        let young = halves.young.entries.get(key);
        let entry = young.or_else(|| halves.elder.entries.get(key))?;
        // A clock that was put back makes nothing last longer.
        let is_fresh = entry.read_at <= now && now < entry.read_at + FRESH_FOR;
        let has_ended = entry.grant.is_some_and(|grant| halves.has_ended(&grant));
        (is_fresh && !has_ended).then(|| entry.value.clone())
    }

    /// To be asked before reading what [`keep`](Self::keep) is given.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.read().epoch)
    }

    /// Keeps what was read, unless something has been taken out since reading began.
    pub(super) fn keep(
        &self,
        begun: Epoch,
        key: Digest,
        (value, grant): (V, Option<GrantId>),
        now: Timestamp,
    ) {
        let mut halves = self.write();
        if halves.epoch != begun.0 {
            return;
        }
        let is_old = now.since(halves.young.since) >= FRESH_FOR;
        if is_old || halves.young.entries.len() >= HALF {
            halves.elder = std::mem::replace(&mut halves.young, Half::begun(now));
        }
        let entry = Entry {
            value,
            grant,
            read_at: now,
        };
        halves.young.entries.insert(key, entry);
    }

    /// Takes an entry out.
    pub(super) fn remove(&self, key: &Digest) {
        let mut halves = self.write();
        halves.epoch += 1;
        halves.young.entries.remove(key);
        halves.elder.entries.remove(key);
    }

    /// Takes out whatever belongs to a grant.
    pub(super) fn end(&self, grant: GrantId) {
        let mut halves = self.write();
        halves.epoch += 1;
        if halves.young.ended.len() >= HALF {
            halves.forget();
        }
        // The mark lies in the younger half, so it is forgotten no sooner than what it marks.
        halves.young.ended.insert(grant);
    }

    /// Takes everything out.
    pub(super) fn clear(&self) {
        let mut halves = self.write();
        halves.epoch += 1;
        halves.forget();
    }

    fn read(&self) -> RwLockReadGuard<'_, Halves<V>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Halves<V>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Halves<V> {
    fn forget(&mut self) {
        let since = self.young.since;
        self.young = Half::begun(since);
        self.elder = Half::begun(since);
    }

    fn has_ended(&self, grant: &GrantId) -> bool {
        self.young.ended.contains(grant) || self.elder.ended.contains(grant)
    }
}

impl<V> Half<V> {
    fn begun(since: Timestamp) -> Self {
        Self {
            since,
            entries: DigestMap::default(),
            ended: HashSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn key(number: usize) -> Digest {
        Digest::of(&number.to_string())
    }

    fn keep(recent: &Recent<usize>, number: usize, grant: Option<GrantId>, now: Timestamp) {
        let begun = recent.epoch();
        recent.keep(begun, key(number), (number, grant), now);
    }

    #[test]
    fn an_entry_answers_for_a_few_seconds() {
        let recent = Recent::new();
        keep(&recent, 1, None, NOW);
        let moment = Duration::from_millis(1);
        let last = NOW + Duration::from_millis(4_999);
        for (now, expected) in [
            (NOW, Some(1)),
            (last, Some(1)),
            (NOW + FRESH_FOR, None),
            (NOW - moment, None),
        ] {
            assert_eq!(recent.find(&key(1), now), expected, "{now:?}");
        }
        assert_eq!(recent.find(&key(2), NOW), None);
    }

    #[test]
    fn there_are_no_more_than_two_halves() {
        let recent = Recent::new();
        for number in 0..5 * HALF / 2 {
            keep(&recent, number, None, NOW);
        }
        let halves = recent.read();
        assert_eq!(halves.young.entries.len(), HALF / 2);
        assert_eq!(halves.elder.entries.len(), HALF);
        drop(halves);
        assert_eq!(recent.find(&key(HALF), NOW), Some(HALF));
        assert_eq!(recent.find(&key(HALF - 1), NOW), None);
    }

    #[test]
    fn what_is_taken_out_is_gone() {
        let (ended, other) = (GrantId::mint(), GrantId::mint());
        let recent = Recent::new();
        for (number, grant) in [(1, ended), (2, other), (3, other)] {
            keep(&recent, number, Some(grant), NOW);
        }
        recent.end(ended);
        recent.remove(&key(2));
        let left = [1, 2, 3].map(|number| recent.find(&key(number), NOW));
        assert_eq!(left, [None, None, Some(3)]);
        recent.clear();
        assert_eq!(recent.find(&key(3), NOW), None);
    }

    #[test]
    fn what_was_read_before_something_was_taken_out_is_not_kept() {
        let recent = Recent::new();
        for take_out in [
            &(|| recent.remove(&key(1))) as &dyn Fn(),
            &|| recent.end(GrantId::mint()),
            &|| recent.clear(),
        ] {
            let begun = recent.epoch();
            take_out();
            recent.keep(begun, key(1), (1, None), NOW);
            assert_eq!(recent.find(&key(1), NOW), None);
        }
    }

    #[test]
    fn the_end_of_a_grant_is_remembered_as_long_as_its_entries() {
        let grant = GrantId::mint();
        let recent = Recent::new();
        keep(&recent, 1, Some(grant), NOW);
        recent.end(grant);
        for second in 1..10 {
            let now = NOW + Duration::from_secs(second);
            keep(&recent, 2, None, now);
            assert_eq!(recent.find(&key(1), now), None);
        }
    }
}
