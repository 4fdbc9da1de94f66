//! The seam between the authorization server and the resource server: what a token authorizes,
//! and who can tell.
//!
//! `oauth` implements it over the store; `mcp` knows nothing but this, and could as well trust a
//! server elsewhere.

use std::{error::Error, pin::Pin, sync::Arc};

use async_trait::async_trait;

pub use crate::model::grant::Authorization;
use crate::{
    model::{offered_tool::OfferedTool, scope::ScopeSet, user::UserId},
    secret::ProvidedToken,
};

/// What a request shows so as to be let in.
#[derive(Clone, Copy)]
pub enum Presented<'a> {
    /// A token that opens to whoever has it (RFC 6750 §2.1).
    Bearer(&'a str),
    /// A token that opens to whoever holds its key (RFC 9449 §7.1).
    Dpop {
        /// The token.
        token: &'a str,
        /// The proof that the sender holds the key.
        proof: &'a str,
        /// The method of the request.
        method: &'a str,
        /// Its URL, as clients know it.
        url: &'a str,
    },
}

/// Why a token does not open the resource.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Not a token of ours, or expired, or revoked, or meant for another resource. The text is
    /// for whoever presented it.
    #[error("{0}")]
    InvalidToken(&'static str),
    /// The proof that came with the token is not good. The text is for whoever made it.
    #[error("{0}")]
    InvalidProof(String),
    /// The proof must contain this nonce (RFC 9449 §9).
    #[error("the DPoP proof must contain the nonce of the DPoP-Nonce header")]
    UseNonce(String),
    /// It could not be looked up. The token may be good: a client told otherwise would throw it
    /// away.
    #[error("access tokens cannot be checked at the moment")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

/// Judges access tokens.
#[async_trait]
pub trait VerifyAccessToken: Send + Sync {
    /// What that authorizes on this server's resource.
    async fn verify(&self, presented: Presented<'_>) -> Result<Arc<Authorization>, AccessError>;

    /// Notes that a tool is being used under an authorization, for whoever gave it to see. It costs
    /// next to nothing, and may be forgotten.
    fn note_tool(&self, authorization: &Authorization, tool: &str);

    /// Comes back when an authorization is revoked, with its grant or alone: whatever is still open on its
    /// strength has to end. Revocations count from the call on, not from the first poll. It may
    /// come back without reason, or too late, where messages were lost; then
    /// [`verify`](Self::verify) tells.
    fn revoked(
        &self,
        authorization: &Arc<Authorization>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Why there is no token of a person at a provider.
#[derive(Debug, thiserror::Error)]
pub enum ProvidedTokenError {
    /// There is none, or the provider takes it back: the person has to sign in with it again, there.
    #[error("sign in again, at {sign_in}")]
    SignInAgain {
        /// The page where they do.
        sign_in: String,
    },
    /// It could not be looked up or refreshed. It may work in a moment.
    #[error("the identity provider, or what it gave, cannot be reached at the moment")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

/// Knows people's own tokens at the identity providers that they signed in with, for those who call the
/// providers' APIs on their behalf.
#[async_trait]
pub trait ProvidedTokens: Send + Sync {
    /// A token of `user` at the provider of that identifier, refreshed if need be. `refused`: one that was
    /// given before and that the API does not accept; it is not given again.
    async fn token(
        &self,
        user: &UserId,
        provider: &str,
        refused: Option<&ProvidedToken>,
    ) -> Result<ProvidedToken, ProvidedTokenError>;
}

/// Tells in words what scopes open, as it is now.
pub trait DescribeTools: Send + Sync {
    /// The tools that whoever holds these scopes can use, in the order in which they are offered.
    fn opened_by(&self, granted: &ScopeSet) -> Vec<OfferedTool>;
}
