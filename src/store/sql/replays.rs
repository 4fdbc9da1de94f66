//! What has been used and must not be used again, in a database.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use super::{SqlStore, statement::sql};
use crate::{
    clock::Timestamp,
    secret::Digest,
    store::{Replays, Result},
};

/// How long it is not looked whether there is room again, at least: looking means counting.
const FULL_FOR: u64 = 1_000;

/// Until when there is no room, in milliseconds since the epoch.
#[derive(Debug, Default)]
pub(super) struct FullUntil(AtomicU64);

impl FullUntil {
    fn is_over(&self, now: Timestamp) -> bool {
        self.0.load(Ordering::Relaxed) <= now.as_millis()
    }

    fn set(&self, until: u64) {
        self.0.store(until, Ordering::Relaxed);
    }
}

impl SqlStore {
    async fn has_room_for_replay(&self, now: Timestamp) -> Result<bool> {
        if self.quotas.replays.take() {
            return Ok(true);
        }
        if !self.quotas.replays_full.is_over(now) {
            return Ok(false);
        }
        let count = sql("SELECT COUNT(*) AS count FROM replays WHERE until > $1");
        let count = self.count(count.bind(now)).await?;
        let has_room = self.quotas.replays.counted(count) == 0;
        if !has_room {
            let soon = now.as_millis().saturating_add(FULL_FOR);
            self.quotas.replays_full.set(soon);
        }
        Ok(has_room)
    }
}

#[async_trait]
impl Replays for SqlStore {
    async fn first_use(&self, key: Digest, until: Timestamp, now: Timestamp) -> Result<bool> {
        if !self.has_room_for_replay(now).await? {
            return Ok(false);
        }
        let remember = sql("INSERT INTO replays (key, until) VALUES ($1, $2) \
             ON CONFLICT (key) DO UPDATE SET until = excluded.until WHERE replays.until <= $3")
        .bind(&key)
        .bind(until)
        .bind(now);
        Ok(self.db.run(remember).await? > 0)
    }
}
