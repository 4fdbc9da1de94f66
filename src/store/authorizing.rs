//! Clients, authorizations on their way, grants and their tokens.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::Result;
use crate::{
    clock::Timestamp,
    model::{
        authorization::{CodeGrant, PendingAuthorization, StoredCode},
        client::{Client, ClientId},
        grant::{
            Authorization, Grant, GrantId, Revocation, SealedAnswer, StoredAccessToken,
            StoredRefreshToken,
        },
        redirect_uri::RedirectUri,
        scope::ScopeSet,
        user::UserId,
    },
    secret::Digest,
};

/// How long after its expiry a redeemed code is remembered, to recognise a replay.
pub(super) const REPLAY_MEMORY: Duration = Duration::from_hours(1);

/// The most access tokens of one grant. A client uses its newest; more than a few are a loop.
pub(super) const MAX_ACCESS_TOKENS: usize = 100;

/// The most refresh tokens of one grant, of which all but the newest have been used. What falls out
/// is too old for its reuse to be told from an invention: it is refused, and revokes nothing.
pub(super) const MAX_REFRESH_TOKENS: usize = 1_000;

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
