//! The seam between the authorization server and the resource server: what a token authorizes,
//! and who can tell.
//!
//! `oauth` implements it over the store; `mcp` knows nothing but this, and could as well trust a
//! server elsewhere.

use std::{error::Error, pin::Pin, sync::Arc};

use async_trait::async_trait;

pub use crate::model::grant::Authorization;

/// Why a token does not open the resource.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Not a token of ours, or expired, or revoked, or meant for another resource. The text is
    /// for whoever presented it.
    #[error("{0}")]
    InvalidToken(&'static str),
    /// It could not be looked up. The token may be good: a client told otherwise would throw it
    /// away.
    #[error("access tokens cannot be checked at the moment")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

/// Judges access tokens.
#[async_trait]
pub trait VerifyAccessToken: Send + Sync {
    /// What `token` authorizes on this server's resource.
    async fn verify(&self, token: &str) -> Result<Arc<Authorization>, AccessError>;

    /// Comes back when an authorization is revoked, with its grant or alone: whatever is still open on its
    /// strength has to end. Revocations count from the call on, not from the first poll. It may
    /// come back without reason, or too late, where messages were lost; then
    /// [`verify`](Self::verify) tells.
    fn revoked(
        &self,
        authorization: &Arc<Authorization>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}
