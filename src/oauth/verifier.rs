//! Answers the resource server: what does this token authorize?

use std::{fmt, pin::Pin, sync::Arc};

use async_trait::async_trait;
use tokio::sync::broadcast::error::RecvError;

use crate::{
    access::{AccessError, Authorization, VerifyAccessToken},
    clock::Clock,
    secret::Digest,
    store::Store,
};

/// Looks tokens up in the store.
pub struct StoreVerifier {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    resource: Arc<str>,
}

impl StoreVerifier {
    /// Accepts tokens that are bound to `resource`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, resource: Arc<str>) -> Self {
        Self {
            store,
            clock,
            resource,
        }
    }
}

impl fmt::Debug for StoreVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreVerifier").finish_non_exhaustive()
    }
}

#[async_trait]
impl VerifyAccessToken for StoreVerifier {
    async fn verify(&self, token: &str) -> Result<Arc<Authorization>, AccessError> {
        let unavailable = |error| AccessError::Unavailable(Box::new(error));
        let now = self.clock.now();
        let stored = self
            .store
            .access_token(&Digest::of(token), now)
            .await
            .map_err(unavailable)?
            .ok_or(AccessError::InvalidToken(
                "the access token is unknown, expired or revoked",
            ))?;
        // RFC 8707 §2: a token opens the resource that it was issued for and no other.
        if stored.authorization.resource != self.resource {
            return Err(AccessError::InvalidToken(
                "the access token was issued for another resource",
            ));
        }
        if stored.is_use_due(now) {
            self.store
                .touch_grant(stored.authorization.grant, now)
                .await
                .map_err(unavailable)?;
        }
        Ok(Arc::clone(&stored.authorization))
    }

    fn revoked(
        &self,
        authorization: &Arc<Authorization>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut revocations = self.store.revocations();
        let ours = Arc::clone(authorization);
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        Box::pin(async move {
            // It may have been revoked between the token's check and this call. A store that
            // cannot tell is no reason to end anything.
            if let Ok(None) = store.access_token(&ours.token, clock.now()).await {
                return;
            }
            loop {
                match revocations.recv().await {
                    Ok(revocation) if !revocation.ends(&ours) => {}
                    // Ours; or some were missed, and ours may have been among them; or the store is
                    // gone, and everything ends with it.
                    Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => return,
                }
            }
        })
    }
}
