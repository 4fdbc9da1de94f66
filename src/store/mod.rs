//! What the server remembers, as atomic steps.
//!
//! Each method is one step that happens wholly or not at all, whoever else is at work: redeem,
//! rotate, revoke; never get-then-put. A thing that is not there, or no longer, is `Ok(None)`;
//! [`StoreError`] means that the engine failed. Secrets come and go as digests only.
//!
//! The traits are object-safe. Every engine passes `tests/store_contract.rs`.

mod key_ring;
mod memory;
mod sql;

use std::{error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::broadcast;
use uuid::Uuid;

pub use key_ring::{KeyRing, replace_key};
pub use memory::MemoryStore;
pub use sql::{ImportError, OpenError, SqlStore};

use crate::{
    clock::Timestamp,
    model::{
        authorization::{CodeGrant, PendingAuthorization, StoredCode},
        client::{Client, ClientId},
        grant::{
            Authorization, Connection, Grant, GrantId, Revocation, SealedAnswer, StoredAccessToken,
            StoredRefreshToken,
        },
        kept_task::KeptTask,
        mcp_session::McpSession,
        provider::{Departure, Link, SealedTokens},
        redirect_uri::RedirectUri,
        scope::ScopeSet,
        session_stream::{KeptEvent, KeptStream, Mail},
        user::{BrowserSession, NamedUser, Profile, UserId, UserName},
    },
    secret::{Digest, PasswordHash, ServerKey},
};

/// The engine failed. Nothing was decided: the caller may try again.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(#[source] pub Box<dyn Error + Send + Sync>);

/// How long after its expiry a redeemed code is remembered, to recognise a replay.
const REPLAY_MEMORY: Duration = Duration::from_hours(1);

/// The most access tokens of one grant. A client uses its newest; more than a few are a loop.
const MAX_ACCESS_TOKENS: usize = 100;

/// The most refresh tokens of one grant, of which all but the newest have been used. What falls out
/// is too old for its reuse to be told from an invention: it is refused, and revokes nothing.
const MAX_REFRESH_TOKENS: usize = 1_000;

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

/// Clients that have registered.
#[async_trait]
pub trait Clients: Send + Sync {
    /// Keeps a new client. Where the engine's cap is reached, the oldest client that never
    /// completed an authorization gives way; one that did never does.
    async fn insert_client(&self, client: Client) -> Result<()>;

    /// The client of that identifier.
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>>;

    /// Keeps what a client's metadata document says, instead of what it said before. A client that is
    /// new counts as one that registered.
    async fn keep_document(&self, client: Client) -> Result<()>;

    /// Replaces a client, if `registration_token` still is the one that manages it. `false`
    /// otherwise, or if there is no such client.
    async fn update_client(&self, registration_token: &Digest, client: Client) -> Result<bool>;

    /// Forgets a client, its codes and what people have allowed it, on the same condition. Nothing
    /// begins under its name afterwards, whoever was about to.
    async fn remove_client(&self, id: &ClientId, registration_token: &Digest) -> Result<bool>;
}

/// Authorizations on their way.
#[async_trait]
pub trait Authorizations: Send + Sync {
    /// Keeps a request that waits for a person. Where the cap is reached, the oldest gives way.
    async fn insert_pending(&self, id: Digest, pending: PendingAuthorization) -> Result<()>;

    /// The request of that name, if it is bound to `browser`. One that is bound to no browser yet
    /// is bound to this one.
    async fn pending(
        &self,
        id: &Digest,
        browser: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<PendingAuthorization>>>;

    /// Keeps a request that a client pushed (RFC 9126). Where the cap is reached, the oldest gives
    /// way.
    async fn insert_pushed(&self, id: Digest, pending: PendingAuthorization) -> Result<()>;

    /// The request that a client pushed. Browsers bring its name, some of them twice.
    async fn pushed(
        &self,
        id: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<PendingAuthorization>>>;

    /// Takes the request away, so that exactly one caller can answer it.
    async fn take_pending(
        &self,
        id: &Digest,
        browser: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<PendingAuthorization>>>;

    /// Keeps a code. Of a user who has been removed meanwhile nothing is kept.
    async fn insert_code(&self, code: Digest, grant: CodeGrant) -> Result<()>;

    /// The code, whether or not it has been redeemed; `None` once it has expired without.
    async fn code(&self, code: &Digest, now: Timestamp) -> Result<Option<StoredCode>>;

    /// Redeems a code: marks it, begins the grant and keeps its first tokens. Of many callers at
    /// once exactly one is told [`Redemption::Redeemed`].
    async fn redeem_code(&self, code: &Digest, issue: Issue, now: Timestamp) -> Result<Redemption>;

    /// Remembers that a person allowed a client, so as not to ask again.
    async fn remember_consent(&self, consent: Consent) -> Result<()>;

    /// Whether exactly that is remembered.
    async fn is_consent_remembered(&self, consent: &Consent) -> Result<bool>;
}

/// Grants and their tokens.
#[async_trait]
pub trait Grants: Send + Sync {
    /// An access token that is there, not expired and not revoked. The hot path.
    async fn access_token(
        &self,
        token: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<StoredAccessToken>>>;

    /// A refresh token, used or not; `None` once it has expired or its grant was revoked.
    async fn refresh_token(
        &self,
        token: &Digest,
        now: Timestamp,
    ) -> Result<Option<StoredRefreshToken>>;

    /// Keeps an access token of a grant that may be there already: of a client that gets its tokens
    /// on its own authority, over and over.
    async fn issue(&self, issue: Issue, now: Timestamp) -> Result<()>;

    /// Uses a refresh token: replaces it by its successor and keeps the new access token. Of many
    /// callers at once exactly one is told [`RefreshOutcome::Rotated`]. Reuse after the grace window
    /// revokes the grant within the same step.
    async fn rotate_refresh_token(
        &self,
        token: &Digest,
        successor: Successor,
        now: Timestamp,
    ) -> Result<RefreshOutcome>;

    /// Replaces the answer of a token that was used, if it still is `previous`: the access token
    /// in it has ended within the grace window. `false` if somebody else was first.
    async fn replace_answer(
        &self,
        token: &Digest,
        previous: &SealedAnswer,
        answer: SealedAnswer,
        access: Authorization,
        now: Timestamp,
    ) -> Result<bool>;

    /// Notes that a grant was used.
    async fn touch_grant(&self, grant: GrantId, now: Timestamp) -> Result<()>;

    /// Every live grant, oldest first.
    async fn grants(&self, now: Timestamp) -> Result<Vec<Grant>>;

    /// Ends a grant and everything under it at once: its tokens, and the remembered consent of
    /// its person and client. `false` if there is none of that name.
    async fn revoke_grant(&self, grant: GrantId) -> Result<bool>;

    /// Ends one access token. `false` if there is none of that name.
    async fn revoke_access_token(&self, token: &Digest) -> Result<bool>;

    /// Tells of what is revoked from now on, on whatever replica.
    fn revocations(&self) -> broadcast::Receiver<Revocation>;
}

/// What people see of those that they have let in.
#[async_trait]
pub trait Connections: Send + Sync {
    /// The live grants of a person, the newest first.
    async fn connections(&self, user: &UserId, now: Timestamp) -> Result<Vec<Connection>>;

    /// Notes that a grant was used for a tool. Of a grant's tools the first [`MAX_TOOLS`] are kept.
    async fn note_tool(&self, grant: GrantId, tool: &str) -> Result<()>;

    /// Notes that a person looks at them, and tells when they did the last time. Looking again
    /// within [`SAME_VISIT`] is the same time.
    async fn visit(&self, user: &UserId, now: Timestamp) -> Result<Option<Timestamp>>;
}

/// How many tools of a grant are kept.
pub const MAX_TOOLS: usize = 50;

/// For how long somebody who looks at a page and comes back to it is still looking.
pub const SAME_VISIT: Duration = Duration::from_mins(30);

/// Browsers in which somebody has signed in.
#[async_trait]
pub trait BrowserSessions: Send + Sync {
    /// Keeps a browser session, instead of what it was before its person signed in anew. Of a user who
    /// has been removed meanwhile nothing is kept.
    async fn insert_browser_session(&self, id: Digest, session: BrowserSession) -> Result<()>;

    /// The browser session of that cookie.
    async fn browser_session(&self, id: &Digest, now: Timestamp) -> Result<Option<BrowserSession>>;

    /// Ends the browser session of that cookie, if there is one.
    async fn end_browser_session(&self, id: &Digest) -> Result<()>;

    /// Ends every browser session of a person.
    async fn end_browser_sessions(&self, user: &UserId) -> Result<()>;
}

/// People who sign in with a name and a password. Engines that forget keep none: [`Users::add_user`]
/// fails there.
///
/// Nobody signs in, and nothing begins, on behalf of a user who is removed, whoever was about to.
#[async_trait]
pub trait Users: Send + Sync {
    /// Keeps a new user. `false` if there is one of that name.
    async fn add_user(&self, user: NamedUser) -> Result<bool>;

    /// The user of that name.
    async fn user(&self, name: &UserName) -> Result<Option<NamedUser>>;

    /// All of them, by name.
    async fn users(&self) -> Result<Vec<NamedUser>>;

    /// Whether there is any.
    async fn has_users(&self) -> Result<bool>;

    /// Gives a user another password, and signs them out everywhere. `false` if there is none of that
    /// name.
    async fn set_password(&self, name: &UserName, password: PasswordHash) -> Result<bool>;

    /// Keeps another hash of the same password, if `previous` still is the one.
    async fn replace_password_hash(
        &self,
        name: &UserName,
        previous: &PasswordHash,
        password: PasswordHash,
    ) -> Result<()>;

    /// Removes a user, signs them out everywhere, and ends what they have allowed. `false` if there is
    /// none of that name.
    async fn remove_user(&self, name: &UserName) -> Result<bool>;
}

/// People whom identity providers know.
#[async_trait]
pub trait People: Send + Sync {
    /// Keeps that a browser has gone to a provider. Where the cap of authorization requests is reached,
    /// the oldest gives way.
    async fn insert_departure(&self, state: Digest, departure: Departure) -> Result<()>;

    /// The departure of that `state`, if it is this browser's. It is taken away, so that exactly one
    /// caller goes on with it.
    async fn take_departure(
        &self,
        state: &Digest,
        browser: &Digest,
        now: Timestamp,
    ) -> Result<Option<Departure>>;

    /// Keeps what a provider said of a person, instead of what it said before.
    async fn keep_profile(&self, user: &UserId, profile: Profile) -> Result<()>;

    /// What is known of a person.
    async fn profile(&self, user: &UserId) -> Result<Option<Profile>>;
}

/// What identity providers gave for people: one link for each person and provider.
#[async_trait]
pub trait Links: Send + Sync {
    /// Keeps what a provider gave, instead of what was there.
    async fn keep_link(&self, user: &UserId, provider: &str, sealed: SealedTokens) -> Result<()>;

    /// What is there.
    async fn link(&self, user: &UserId, provider: &str) -> Result<Option<Link>>;

    /// Claims to replace a link, if that version is there and nobody has claimed it at `now`. Of many
    /// callers at once exactly one is told `true`. The claim holds until `until`.
    async fn claim_link(
        &self,
        user: &UserId,
        provider: &str,
        version: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool>;

    /// Replaces a link, or gives a claim back where `sealed` is `None`, if that version is there.
    async fn replace_link(
        &self,
        user: &UserId,
        provider: &str,
        version: u64,
        sealed: Option<SealedTokens>,
    ) -> Result<bool>;

    /// Ends a link, if that version is there.
    async fn end_link(&self, user: &UserId, provider: &str, version: u64) -> Result<bool>;
}

/// The name of the keys that seal links. One of them is kept as long as there is something that only it
/// opens.
pub const LINK_KEYS: &str = "kept tokens";

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

/// How many resources a session may want to know of.
pub const MAX_SUBSCRIPTIONS: usize = 1000;

/// How many streams of a session are kept.
pub const MAX_STREAMS: usize = 64;

/// How many events of a stream are kept.
pub const MAX_EVENTS: usize = 1000;

/// For how long a stream is kept after its last event.
pub const STREAM_KEPT: Duration = Duration::from_mins(10);

/// What may be used once: proofs of possession, and assertions (RFC 9449 §11.1, RFC 7523 §3).
#[async_trait]
pub trait Replays: Send + Sync {
    /// Whether `key` is used for the first time. Of many callers at once exactly one is told so. It is
    /// remembered as long as the time is before `until`.
    ///
    /// Where the engine's cap is reached, everything new is taken for a replay. The alternatives
    /// are worse: with an old entry dropped, or a new one let in unremembered, whoever can reach
    /// the cap could replay. Callers keep `until` near, lest somebody's entries last.
    async fn first_use(&self, key: Digest, until: Timestamp, now: Timestamp) -> Result<bool>;
}

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

/// How long a key still opens what it has sealed, from when there is a newer one. Nothing that is
/// sealed lasts longer than half an hour, but for [links](LINK_KEYS).
pub const KEY_OPENS_FOR: Duration = Duration::from_hours(1);

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

/// The tokens that a grant begins with.
#[derive(Debug)]
pub struct Issue {
    /// The grant that begins.
    pub grant: Grant,
    /// Its first access token.
    pub access: Authorization,
    /// Its first refresh token and when that expires, unless the client wants none.
    pub refresh: Option<(Digest, Timestamp)>,
}

/// What a redemption came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Redemption {
    /// The tokens are kept; tell the client.
    Redeemed,
    /// Somebody was first, and this grant came of it.
    AlreadyRedeemed(GrantId),
    /// No such code, or it has expired.
    Unknown,
}

/// What replaces a refresh token.
#[derive(Debug)]
pub struct Successor {
    /// The new refresh token.
    pub digest: Digest,
    /// Until when it can be used.
    pub expires_at: Timestamp,
    /// The access token that comes with it.
    pub access: Authorization,
    /// The answer, sealed under the token that is being used.
    pub answer: SealedAnswer,
    /// For how long the same token yields the same answer.
    pub grace: Duration,
}

/// What the use of a refresh token came to.
#[derive(Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The successor is kept; tell the client.
    Rotated,
    /// It was used a moment ago: give the same answer again.
    Repeated(SealedAnswer),
    /// It was used before and the grace window is over. The grant has been revoked.
    Reused(GrantId),
    /// No such token, or it has expired, or its grant was revoked.
    Unknown,
}

/// What a person is not asked again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Consent {
    /// Who allowed.
    pub user: UserId,
    /// Whom.
    pub client: ClientId,
    /// What that client looked like then ([`Client::appearance`]).
    pub appearance: Digest,
    /// To receive codes where.
    pub redirect_uri: RedirectUri,
    /// To do what.
    pub scopes: ScopeSet,
}

/// Whose an MCP session is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionOwner {
    /// On whose behalf.
    pub user: UserId,
    /// By which client.
    pub client: ClientId,
}

impl SessionOwner {
    /// The owner of what is done under an authorization.
    pub fn of(authorization: &Authorization) -> Self {
        Self {
            user: authorization.user.clone(),
            client: authorization.client.clone(),
        }
    }
}
