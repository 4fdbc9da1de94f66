//! What the MCP endpoint remembers: sessions, their streams, tasks.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;
use uuid::Uuid;

use super::Result;
use crate::{
    clock::Timestamp,
    model::{
        grant::SessionOwner,
        kept_task::KeptTask,
        mcp_session::McpSession,
        session_stream::{KeptEvent, KeptStream, Mail},
    },
    secret::Digest,
};

/// How many resources a session may want to know of.
pub const MAX_SUBSCRIPTIONS: usize = 1000;

/// How many streams of a session are kept.
pub const MAX_STREAMS: usize = 64;

/// How many events of a stream are kept.
pub const MAX_EVENTS: usize = 1000;

/// For how long a stream is kept after its last event.
pub const STREAM_KEPT: Duration = Duration::from_mins(10);

/// Sessions of the MCP revisions that have them. A session belongs to a person and a client, and
/// is not found for anyone else.
#[async_trait]
pub trait McpSessions: Send + Sync {
    /// Keeps a session. Where a cap is reached, those that have been idle longest give way.
    async fn insert_mcp_session(
        &self,
        owner: &SessionOwner,
        id: Digest,
        session: McpSession,
    ) -> Result<()>;

    /// The session, noting that it was used (to the minute: most calls write nothing). It lasts
    /// for `idle_timeout` from now.
    async fn mcp_session(
        &self,
        owner: &SessionOwner,
        id: &Digest,
        now: Timestamp,
        idle_timeout: Duration,
    ) -> Result<Option<McpSession>>;

    /// Ends a session, with its streams. `false` if there is none.
    async fn end_mcp_session(&self, owner: &SessionOwner, id: &Digest) -> Result<bool>;

    /// Keeps what a session's client wants to be told of ([`McpSession::log_level`]).
    async fn set_log_level(&self, owner: &SessionOwner, id: &Digest, level: u8) -> Result<()>;

    /// Keeps that a session wants to know when the resource at `uri` changes. `false` if it wants to
    /// know of [`MAX_SUBSCRIPTIONS`] others, or is not there.
    async fn subscribe(&self, owner: &SessionOwner, id: &Digest, uri: &str) -> Result<bool>;

    /// The opposite.
    async fn unsubscribe(&self, owner: &SessionOwner, id: &Digest, uri: &str) -> Result<()>;

    /// What a session wants to know of, in no order.
    async fn subscriptions(&self, owner: &SessionOwner, id: &Digest) -> Result<Vec<Box<str>>>;
}

/// What sessions' streams have sent, for clients that come back, and what the replicas that serve the
/// same sessions tell each other.
#[async_trait]
pub trait SessionMail: Send + Sync {
    /// Whether somebody else may come to serve a session: another replica, or this server after a
    /// restart. If not, nothing need be kept here, and nobody told.
    fn is_shared(&self) -> bool;

    /// Begins a stream of a session. `request`: see [`KeptStream::request`]. Of each session's streams
    /// the newest [`MAX_STREAMS`] are kept, for [`STREAM_KEPT`] after the last event.
    async fn begin_stream(
        &self,
        session: &Digest,
        stream: u64,
        request: Option<&str>,
        now: Timestamp,
    ) -> Result<()>;

    /// Keeps something that a stream is about to send, of which the newest [`MAX_EVENTS`] are
    /// kept.
    async fn keep_event(
        &self,
        session: &Digest,
        stream: u64,
        event: KeptEvent,
        now: Timestamp,
    ) -> Result<()>;

    /// Nothing will follow.
    async fn finish_stream(&self, session: &Digest, stream: u64) -> Result<()>;

    /// A stream, with what it has sent after the event of that number.
    async fn kept_stream(
        &self,
        session: &Digest,
        stream: u64,
        after: Option<u64>,
        now: Timestamp,
    ) -> Result<Option<KeptStream>>;

    /// Tells the other replicas. They need not exist, and may miss it.
    async fn send_mail(&self, mail: Mail, now: Timestamp) -> Result<()>;

    /// What replicas tell from now on, this one among them.
    fn mail(&self) -> broadcast::Receiver<Mail>;
}

/// Tasks: calls that go on after their answer. A client asks how they are wherever it comes.
#[async_trait]
pub trait KeptTasks: Send + Sync {
    /// Keeps how a task is, unless what is kept is newer. One that is over stays as it is.
    async fn keep_task(&self, owner: &SessionOwner, id: &str, task: KeptTask) -> Result<()>;

    /// A task, for its owner alone.
    async fn kept_task(
        &self,
        owner: &SessionOwner,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<KeptTask>>;

    /// A process is there, and works on its tasks.
    async fn runner_lives(&self, runner: Uuid, alive_until: Timestamp) -> Result<()>;
}
