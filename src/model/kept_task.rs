//! A task as it is kept, so that every replica can tell how it is.

use uuid::Uuid;

use crate::clock::Timestamp;

/// A task, and who works on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTask {
    /// What its owner is told when they ask, in JSON.
    pub described: Box<str>,
    /// The higher, the newer.
    pub version: u64,
    /// Whether nothing of that will change.
    pub is_over: bool,
    /// The process that works on it.
    pub runner: Uuid,
    /// Until when that process is believed to be there.
    pub alive_until: Timestamp,
    /// When it is forgotten.
    pub expires_at: Timestamp,
}

impl KeptTask {
    /// Whether its process has gone down with it.
    pub fn is_lost(&self, now: Timestamp) -> bool {
        !self.is_over && now >= self.alive_until
    }
}
