//! The server's own keys.

use std::time::Duration;

use async_trait::async_trait;

use super::Result;
use crate::{clock::Timestamp, secret::ServerKey};

/// How long a key still opens what it has sealed, from when there is a newer one. Nothing that is
/// sealed lasts longer than half an hour, but for [links](super::LINK_KEYS).
pub const KEY_OPENS_FOR: Duration = Duration::from_hours(1);

/// The server's own keys, the same on every replica and after a restart.
#[async_trait]
pub trait Keys: Send + Sync {
    /// The keys of that name, the newest first. The first who asks has one made.
    async fn keys(&self, name: &str, now: Timestamp) -> Result<Vec<DatedKey>>;

    /// Makes the key of that generation, unless somebody has. Those before it are kept for
    /// [`KEY_OPENS_FOR`].
    async fn add_key(&self, name: &str, generation: u64, now: Timestamp) -> Result<()>;
}

/// One of the server's own keys.
#[derive(Debug, Clone)]
pub struct DatedKey {
    /// Which of its name it is: the higher the newer.
    pub generation: u64,
    /// The key.
    pub key: ServerKey,
    /// When it was made.
    pub made_at: Timestamp,
}
