//! People: how they sign in, what is known of them, and what they see of those that they have let in.

use std::time::Duration;

use async_trait::async_trait;

use super::Result;
use crate::{
    clock::Timestamp,
    model::{
        grant::{Connection, GrantId},
        provider::{Departure, Link, SealedTokens},
        user::{BrowserSession, NamedUser, Profile, UserId, UserName},
    },
    secret::{Digest, PasswordHash},
};

/// How many tools of a grant are kept.
pub const MAX_TOOLS: usize = 50;

/// For how long somebody who looks at a page and comes back to it is still looking.
pub const SAME_VISIT: Duration = Duration::from_mins(30);

/// The name of the keys that seal links. One of them is kept as long as there is something that only it
/// opens.
pub const LINK_KEYS: &str = "kept tokens";

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
