//! Caps without counting: how many places are certainly free is remembered, and rows are counted
//! only when it may have become none.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{SqlStore, statement::Statement};
use crate::store::Result;

/// Of the room that a count finds, this process takes a part for itself and leaves the rest to
/// the other replicas: with as many of them as this, all together still keep to the cap.
const REPLICAS: usize = 8;

/// At the cap, this fraction gives way at once: who knows that there is none left has had to
/// count, and must not have to do it for every newcomer.
const EVICTED_FRACTION: usize = 64;

/// How many of something there may be.
#[derive(Debug)]
pub(super) struct Quota {
    cap: usize,
    room: AtomicUsize,
}

impl Quota {
    pub(super) const fn new(cap: usize) -> Self {
        Self {
            cap,
            room: AtomicUsize::new(0),
        }
    }

    /// Takes a place that is certainly free. `false`: somebody has to count.
    pub(super) fn take(&self) -> bool {
        let taken = |room: usize| room.checked_sub(1);
        let order = Ordering::Relaxed;
        self.room.fetch_update(order, order, taken).is_ok()
    }

    /// Notes that there are so many, and says how many of them have to go before there is a place
    /// for one more.
    pub(super) fn counted(&self, count: usize) -> usize {
        let free = self.cap.saturating_sub(count);
        self.room.store(free / REPLICAS, Ordering::Relaxed);
        if free > 0 {
            return 0;
        }
        let excess = count + 1 - self.cap;
        excess.max(self.cap / EVICTED_FRACTION)
    }
}

impl SqlStore {
    /// Sees to it that there is a place for one more. `count` says how many there are, and `evict`, whose
    /// last parameter is how many, lets the first of them go. Whether any had to.
    pub(super) async fn make_room(
        &self,
        quota: &Quota,
        count: Statement,
        evict: Statement,
    ) -> Result<bool> {
        if quota.take() {
            return Ok(false);
        }
        let excess = quota.counted(self.count(count).await?);
        if excess == 0 {
            return Ok(false);
        }
        self.db.run(evict.bind(excess)).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all places that are certainly free, and says how many there were.
    fn places(quota: &Quota) -> usize {
        (0..64_000).take_while(|_| quota.take()).count()
    }

    #[test]
    fn a_low_cap_is_kept_exactly() {
        let quota = Quota::new(3);
        for (count, evicted) in [(0, 0), (2, 0), (3, 1), (4, 2)] {
            assert!(!quota.take());
            assert_eq!(quota.counted(count), evicted, "{count}");
        }
    }

    #[test]
    fn a_high_cap_is_not_counted_for_everyone() {
        let quota = Quota::new(64_000);
        assert!(!quota.take());
        assert_eq!(quota.counted(0), 0);
        assert_eq!(places(&quota), 8_000);
        // Full: a good many go, and then there is no need to count for a while.
        assert_eq!(quota.counted(64_000), 1_000);
        assert_eq!(quota.counted(63_000), 0);
        assert_eq!(places(&quota), 125);
    }
}
