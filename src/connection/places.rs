//! How many connections there may be, and who gives way when there are that many.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::progress::Progress;

/// Who has been idle for less keeps its place: most likely it comes back, and a request that
/// crosses the close is lost.
const SPARED: Duration = Duration::from_secs(5);

/// How often it is looked for somebody who gives way, as long as everybody is spared or busy.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The places of one listener. Without giving way, whoever takes them all and then says nothing
/// would lock everybody out.
pub(super) struct Places {
    free: Arc<Semaphore>,
    max: usize,
    /// Who has a place, and some who had.
    guests: Vec<Weak<Progress>>,
}

impl Places {
    pub(super) fn new(max: usize) -> Self {
        let max = max.min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(max)),
            max,
            guests: Vec::new(),
        }
    }

    /// Waits for a place. If none is free, the connection that has been idle longest ends.
    pub(super) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
                return Some(place);
            }
            self.end_longest_idle();
            let freed = Arc::clone(&self.free).acquire_owned();
            if let Ok(place) = timeout(LOOK_AGAIN, freed).await {
                return place.ok();
            }
        }
    }

    pub(super) fn taken_by(&mut self, guest: Weak<Progress>) {
        // Seldom enough that it costs nothing by the connection.
        if self.guests.len() / 2 >= self.max {
            self.guests.retain(|guest| guest.strong_count() > 0);
        }
        self.guests.push(guest);
    }

    fn end_longest_idle(&self) {
        let idle = self.guests.iter().filter_map(|guest| {
            let guest = guest.upgrade()?;
            Some((guest.idle_for()?, guest))
        });
        if let Some((idle, guest)) = idle.max_by_key(|(idle, _)| *idle)
            && idle >= SPARED
        {
            guest.end();
        }
    }
}
