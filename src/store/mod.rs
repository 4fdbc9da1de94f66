//! What the server remembers, as atomic steps.
//!
//! Each method is one step that happens wholly or not at all, whoever else is at work: redeem,
//! rotate, revoke; never get-then-put. A thing that is not there, or no longer, is `Ok(None)`;
//! [`StoreError`] means that the engine failed. Secrets come and go as digests only.
//!
//! The traits are object-safe. Every engine passes `tests/store_contract.rs`.

mod authorizing;
mod endpoint;
mod key_ring;
mod keys;
mod memory;
mod people;
mod sql;

use std::error::Error;

use async_trait::async_trait;

pub use authorizing::{
    Authorizations, Clients, Consent, Grants, Issue, Redemption, RefreshOutcome, Replays, Successor,
};
use authorizing::{MAX_ACCESS_TOKENS, MAX_REFRESH_TOKENS, REPLAY_MEMORY};
pub use endpoint::{
    KeptTasks, MAX_EVENTS, MAX_STREAMS, MAX_SUBSCRIPTIONS, McpSessions, STREAM_KEPT, SessionMail,
};
pub use key_ring::{KeyRing, replace_key};
pub use keys::{DatedKey, KEY_OPENS_FOR, Keys};
pub use memory::MemoryStore;
pub use people::{
    BrowserSessions, Connections, LINK_KEYS, Links, MAX_TOOLS, People, SAME_VISIT, Users,
};
pub use sql::{ImportError, OpenError, SqlStore};

use crate::clock::Timestamp;
pub use crate::model::grant::SessionOwner;

/// The engine failed. Nothing was decided: the caller may try again.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(#[source] pub Box<dyn Error + Send + Sync>);

/// How much an engine keeps at most. Several replicas with one database may overshoot a little.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Clients that have never completed an authorization.
    pub clients: usize,
    /// Authorization requests that wait for a person.
    pub pending_authorizations: usize,
    /// MCP sessions in all.
    pub mcp_sessions: usize,
    /// MCP sessions of one person with one client.
    pub mcp_sessions_per_grant: usize,
    /// Proofs and assertions that could come back. Some 20 MB when full.
    pub replays: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 50_000,
            pending_authorizations: 20_000,
            mcp_sessions: 1_000_000,
            mcp_sessions_per_grant: 100_000,
            replays: 200_000,
        }
    }
}

/// What a step of the store comes to.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Everything that the server remembers.
#[async_trait]
pub trait Store:
    Clients
    + Authorizations
    + Grants
    + Connections
    + BrowserSessions
    + Users
    + People
    + Links
    + McpSessions
    + SessionMail
    + KeptTasks
    + Replays
    + Keys
{
    /// Forgets what has expired.
    async fn sweep(&self, now: Timestamp) -> Result<()>;

    /// Somebody else may have changed what is kept: what was read a moment ago no longer counts, and
    /// whoever has something open on the strength of it looks again.
    fn look_again(&self);

    /// Whether the engine can serve.
    async fn is_ready(&self) -> Result<()>;
}
