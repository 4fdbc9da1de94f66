//! OAuth clients: who they are, how they prove it, and what they said of themselves.

use std::{fmt, sync::Arc};

use uuid::Uuid;

use super::{client_metadata::ClientMetadata, redirect_uri::RedirectUri};
use crate::{clock::Timestamp, secret::Digest};

/// A client's identifier (RFC 6749 §2.2): not a secret.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// A new one. Nothing but letters, digits and hyphens, so that it reads the same in a form,
    /// a URL and a Basic header, encoded or not.
    pub fn mint() -> Self {
        Self(Uuid::new_v4().to_string().into())
    }

    /// What a request claims to be one.
    pub fn presented(text: &str) -> Self {
        Self(text.into())
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({})", self.0)
    }
}

/// A registered client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its identifier.
    pub id: ClientId,
    /// When it registered.
    pub issued_at: Timestamp,
    /// The digest of its secret; `None` for a public client.
    pub secret: Option<Digest>,
    /// The digest of what it may manage its registration with (RFC 7592); `None` for one that
    /// did not register.
    pub registration_token: Option<Digest>,
    /// Where it is known from a document: how good our copy is.
    pub document: Option<DocumentCopy>,
    /// What it said of itself.
    pub metadata: ClientMetadata,
}

/// Our copy of a client's metadata document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentCopy {
    /// Until when it need not be fetched again.
    pub fresh_until: Timestamp,
}

impl Client {
    /// Whether what we know of it need not be fetched again.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.document.is_none_or(|copy| copy.fresh_until > now)
    }

    /// The registered redirect URI that a request's text means, with the port that it asks for.
    pub fn redirect_uri(&self, presented: &str) -> Option<RedirectUri> {
        self.metadata
            .redirect_uris
            .iter()
            .find(|registered| registered.accepts(presented))
            .map(|registered| registered.with_presented(presented))
    }

    /// A digest of what people saw when they allowed it: where a client calls itself something else
    /// or answers elsewhere, they are asked again.
    pub fn appearance(&self) -> Digest {
        let mut seen = self.display_name().to_owned();
        for uri in &self.metadata.redirect_uris {
            seen.push('\n');
            seen.push_str(uri.as_str());
        }
        Digest::derive("client appearance", &seen)
    }

    /// What people are told that it is called: its own word for it, or its identifier.
    pub fn display_name(&self) -> &str {
        self.metadata
            .client_name
            .as_deref()
            .unwrap_or(self.id.as_str())
    }
}
