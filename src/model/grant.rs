//! Grants: this person allowed this client these scopes for this resource. The unit that a person
//! sees and revokes; every token belongs to one.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use uuid::Uuid;

use super::{USE_RECORDED_EVERY, client::ClientId, scope::ScopeSet, user::UserId};
use crate::{clock::Timestamp, jose::Thumbprint, secret::Digest};

/// Names a grant. Not a secret: it opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantId(Uuid);

impl GrantId {
    /// A new one.
    pub fn mint() -> Self {
        Self(Uuid::new_v4())
    }

    /// The one grant that a client has on its own authority: it needs no person, and there is no
    /// use in a second one.
    pub fn of_client(client: &ClientId) -> Self {
        let name = Digest::derive("grant of a client itself", client.as_str());
        Self(name.to_uuid())
    }

    /// The one grant that a client has by the assertions of an identity provider about a person.
    pub fn of_assertions(user: &UserId, client: &ClientId) -> Self {
        let name = format!("{user}\n{client}");
        Self(Digest::derive("grant by assertions", &name).to_uuid())
    }

    /// Reads one that a person typed.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantId({})", self.0)
    }
}

/// What a person allowed.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Names it.
    pub id: GrantId,
    /// Who allowed it.
    pub user: UserId,
    /// To whom.
    pub client: ClientId,
    /// What the client called itself then.
    pub client_name: String,
    /// What was allowed.
    pub scopes: ScopeSet,
    /// For which resource (RFC 8707).
    pub resource: Arc<str>,
    /// The key that its refresh tokens are bound to; `None` where the client authenticates, or has
    /// no key (RFC 9449 §5).
    pub jkt: Option<Thumbprint>,
    /// From where, as far as it can be told.
    pub origin: Origin,
    /// When.
    pub created_at: Timestamp,
    /// When a token of it was last used, to the minute.
    pub last_used_at: Timestamp,
}

impl Grant {
    /// Whose is what is done under it.
    pub fn owner(&self) -> SessionOwner {
        SessionOwner {
            user: self.user.clone(),
            client: self.client.clone(),
        }
    }
}

/// Where a client took its first tokens: a hint for the person, and nothing to rely on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Its address.
    pub address: Option<IpAddr>,
    /// What kind of program and system it said it was.
    pub device: Option<Box<str>>,
}

/// A grant as its person sees it.
#[derive(Debug, Clone)]
pub struct Connection {
    /// What was allowed.
    pub grant: Grant,
    /// The tools that it was used for, by name.
    pub tools: Vec<Box<str>>,
}

/// On whose behalf something is done, and by which client: whose MCP sessions and tasks are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionOwner {
    /// On whose behalf.
    pub user: UserId,
    /// By which client.
    pub client: ClientId,
}

/// What an access token authorizes: all that the resource server knows of a caller.
#[derive(Debug)]
pub struct Authorization {
    /// On whose behalf, and by which client.
    pub owner: SessionOwner,
    /// Under which grant.
    pub grant: GrantId,
    /// What it may do.
    pub scopes: ScopeSet,
    /// The resource that it is bound to (RFC 8707).
    pub resource: Arc<str>,
    /// The key that whoever presents the token must hold (RFC 9449 §6).
    pub jkt: Option<Thumbprint>,
    /// By which token.
    pub token: Digest,
    /// Since when.
    pub issued_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Something that was taken back before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// A grant, with everything under it.
    Grant(GrantId),
    /// One access token.
    AccessToken(Digest),
    /// Something that we were not told of: what it was has to be looked up.
    Missed,
}

impl Revocation {
    /// Whether an authorization ends with it, or may have ended.
    pub fn ends(self, authorization: &Authorization) -> bool {
        match self {
            Self::Grant(grant) => authorization.grant == grant,
            Self::AccessToken(token) => authorization.token == token,
            Self::Missed => true,
        }
    }
}

/// An access token as a store keeps it.
#[derive(Debug)]
pub struct StoredAccessToken {
    /// What it authorizes.
    pub authorization: Arc<Authorization>,
    /// When its last use was recorded, in milliseconds since the epoch.
    recorded_use: AtomicU64,
}

impl StoredAccessToken {
    /// A token whose use was last recorded then: when it was issued, if never since.
    pub fn new(authorization: Authorization, recorded_use: Timestamp) -> Self {
        Self {
            authorization: Arc::new(authorization),
            recorded_use: AtomicU64::new(recorded_use.as_millis()),
        }
    }

    /// Whether a use at `now` is worth recording. Of several callers at once, one is told yes.
    pub fn is_use_due(&self, now: Timestamp) -> bool {
        let recorded = self.recorded_use.load(Ordering::Relaxed);
        now.since(Timestamp::from_millis(recorded)) >= USE_RECORDED_EVERY
            && self
                .recorded_use
                .compare_exchange(
                    recorded,
                    now.as_millis(),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }
}

/// A token response, encrypted under a key that only the presented refresh token yields.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedAnswer(pub Arc<[u8]>);

impl fmt::Debug for SealedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedAnswer([redacted])")
    }
}

/// A refresh token as a store keeps it. It is used once; within the grace window after that it
/// yields the same answer again.
#[derive(Debug, Clone)]
pub struct StoredRefreshToken {
    /// What it continues.
    pub grant: Arc<Grant>,
    /// Since when.
    pub issued_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// The token that it replaced; `None` for a grant's first.
    pub predecessor: Option<Digest>,
    /// When it was used, and what the answer was.
    pub rotation: Option<Rotation>,
}

/// The use of a refresh token.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// Until when the same token yields the same answer.
    pub repeatable_until: Timestamp,
    /// What the client was told. Forgotten some time after that.
    pub answer: SealedAnswer,
}
