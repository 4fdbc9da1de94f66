//! OAuth clients, as they registered themselves (RFC 7591).

use std::{fmt, sync::Arc};

use serde::Serialize;
use uuid::Uuid;

use super::redirect_uri::RedirectUri;
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

/// How a client proves who it is (RFC 7591 §2, `token_endpoint_auth_method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// A public client: it has no secret, PKCE protects its codes.
    None,
    /// The secret in the request body.
    ClientSecretPost,
    /// The secret in HTTP Basic.
    ClientSecretBasic,
}

impl AuthMethod {
    /// All that this server supports, in the order in which it advertises them.
    pub const ALL: [Self; 3] = [Self::None, Self::ClientSecretPost, Self::ClientSecretBasic];

    /// The registered name (RFC 7591 §4.2).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretPost => "client_secret_post",
            Self::ClientSecretBasic => "client_secret_basic",
        }
    }
}

/// The grant types of this server (RFC 7591 §2, `grant_types`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantType {
    /// A code, for the first tokens.
    AuthorizationCode,
    /// A refresh token, for the next ones.
    RefreshToken,
}

impl GrantType {
    /// All that this server supports.
    pub const ALL: [Self; 2] = [Self::AuthorizationCode, Self::RefreshToken];

    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
        }
    }
}

/// The metadata that a client registered and this server accepted (RFC 7591 §2), as it is echoed.
#[derive(Debug, Clone, Serialize)]
pub struct ClientMetadata {
    /// Where its authorization responses may go.
    #[serde(serialize_with = "redirect_uris")]
    pub redirect_uris: Vec<RedirectUri>,
    /// How it authenticates at the token endpoint.
    #[serde(serialize_with = "auth_method")]
    pub token_endpoint_auth_method: AuthMethod,
    /// What it may ask the token endpoint for.
    #[serde(serialize_with = "grant_types")]
    pub grant_types: Vec<GrantType>,
    /// Always `code`.
    pub response_types: [&'static str; 1],
    /// `web` or `native` (OpenID Connect Registration §2).
    pub application_type: &'static str,
    /// What it calls itself. Anyone can write anything here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// The scopes it said it would ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// People responsible for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// Its home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Its logo. Kept for the echo; the consent page does not load it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Its terms of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// Its privacy policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Which software it is an instance of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    /// Which version of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
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
    /// Whether it listed `grant_types` of its own accord and left `refresh_token` out. One that
    /// listed none gets the RFC's default echoed and a refresh token all the same: its people
    /// expect to stay connected.
    pub declined_refresh_tokens: bool,
    /// What it registered.
    pub metadata: ClientMetadata,
}

impl Client {
    /// The registered redirect URI that a request's text means, with the port that it asks for.
    pub fn redirect_uri(&self, presented: &str) -> Option<RedirectUri> {
        self.metadata
            .redirect_uris
            .iter()
            .find(|registered| registered.accepts(presented))
            .map(|registered| registered.with_presented(presented))
    }

    /// What people are told that it is called: its own word for it, or its identifier.
    pub fn display_name(&self) -> &str {
        self.metadata
            .client_name
            .as_deref()
            .unwrap_or(self.id.as_str())
    }
}

fn redirect_uris<S: serde::Serializer>(uris: &[RedirectUri], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(uris.iter().map(RedirectUri::as_str))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn auth_method<S: serde::Serializer>(method: &AuthMethod, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(method.as_str())
}

fn grant_types<S: serde::Serializer>(types: &[GrantType], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(types.iter().map(|grant_type| grant_type.as_str()))
}
