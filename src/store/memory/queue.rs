//! What strangers may have waiting, in order of arrival. It has a cap.

use std::collections::VecDeque;

use crate::{
    clock::Timestamp,
    secret::{Digest, DigestMap},
};

/// What waits until somebody comes for it, or nobody does.
pub(super) struct Queue<T> {
    by_id: DigestMap<T>,
    /// What was taken stays until its turn.
    by_age: VecDeque<Digest>,
}

/// Something that does not wait for ever.
pub(super) trait Expires {
    fn expires_at(&self) -> Timestamp;
}

impl<T: Expires> Queue<T> {
    /// Lets something wait. Where there is no room, the oldest gives way.
    pub(super) fn insert(&mut self, id: Digest, waiting: T, cap: usize) {
        self.by_id.insert(id, waiting);
        self.by_age.push_back(id);
        // What was taken counts too until it is the oldest, which bounds the queue as well.
        while self.by_age.len() > cap {
            if let Some(oldest) = self.by_age.pop_front() {
                self.by_id.remove(&oldest);
            }
        }
    }

    pub(super) fn get(&self, id: &Digest, now: Timestamp) -> Option<&T> {
        let found = self.by_id.get(id);
        found.filter(|waiting| waiting.expires_at() > now)
    }

    pub(super) fn get_mut(&mut self, id: &Digest, now: Timestamp) -> Option<&mut T> {
        let found = self.by_id.get_mut(id);
        found.filter(|waiting| waiting.expires_at() > now)
    }

    pub(super) fn take(&mut self, id: &Digest) -> Option<T> {
        self.by_id.remove(id)
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.by_id.retain(|_, waiting| waiting.expires_at() > now);
        self.by_age.retain(|id| self.by_id.contains_key(id));
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            by_id: DigestMap::default(),
            by_age: VecDeque::new(),
        }
    }
}
