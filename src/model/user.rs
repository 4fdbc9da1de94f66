//! The people on whose behalf clients act.

use std::{fmt, sync::Arc};

use super::client::ClientId;
use crate::clock::Timestamp;

/// Names a person, stable for as long as the person can sign in.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The built-in user, who signs in with the passcode.
    pub fn owner() -> Self {
        Self("owner".into())
    }

    /// A person by that name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// A client that acts for nobody but itself. No person has a colon in their name.
    pub fn of_client(client: &ClientId) -> Self {
        Self(format!("client:{client}").into())
    }

    /// A person whom an identity provider knows. Nobody else has such a name: no issuer has a `#`.
    pub fn of_issuer(issuer: &str, subject: &str) -> Self {
        Self(format!("{issuer}#{subject}").into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({})", self.0)
    }
}

/// A browser in which a person has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserSession {
    /// Who.
    pub user: UserId,
    /// When they last proved who they are.
    pub authenticated_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}
