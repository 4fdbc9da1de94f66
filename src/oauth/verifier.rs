//! Answers the resource server: what does this token authorize?

use std::{fmt, pin::Pin, sync::Arc};

use async_trait::async_trait;
use tokio::sync::broadcast::error::RecvError;

use super::{
    dpop::{self, ProofRules},
    tools_noted::ToolsNoted,
};
use crate::{
    access::{AccessError, Authorization, Presented, VerifyAccessToken},
    clock::{Clock, Timestamp},
    dpop::ProofError,
    secret::Digest,
    store::Store,
};

/// Looks tokens up in the store.
pub struct StoreVerifier {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    resource: Arc<str>,
    proofs: ProofRules,
    tools_noted: Arc<ToolsNoted>,
}

impl StoreVerifier {
    /// Accepts tokens that were issued for `resource`, and proofs by these rules.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        resource: Arc<str>,
        proofs: ProofRules,
    ) -> Self {
        Self {
            store,
            clock,
            resource,
            proofs,
            tools_noted: Arc::default(),
        }
    }

    /// Whether whoever presents a token holds its key, if it has one.
    async fn check_possession(
        &self,
        authorization: &Authorization,
        presented: Presented<'_>,
        now: Timestamp,
    ) -> Result<(), AccessError> {
        let (proof, key) = match (presented, authorization.jkt) {
            (Presented::Bearer(_), None) => return Ok(()),
            // RFC 9449 §7.2: who has found a token must not get by with it.
            (Presented::Bearer(_), Some(_)) => {
                return Err(AccessError::InvalidToken(
                    "the access token is bound to a key: send it as DPoP, with a proof",
                ));
            }
            (Presented::Dpop { .. }, None) => {
                return Err(AccessError::InvalidToken(
                    "the access token is not bound to a key: send it as Bearer",
                ));
            }
            (
                Presented::Dpop {
                    token,
                    proof,
                    method,
                    url,
                },
                Some(key),
            ) => {
                let proof = self.proofs.check(proof, (method, url), Some(token), now);
                (proof.map_err(|error| self.refused(&error, now))?, key)
            }
        };
        if proof.key != key {
            return Err(AccessError::InvalidToken(
                "the access token is bound to another key than the proof's",
            ));
        }
        match dpop::use_up(&*self.store, &proof, &authorization.owner.client, now).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.refused(&ProofError::Replayed, now)),
            Err(error) => Err(AccessError::Unavailable(Box::new(error))),
        }
    }

    fn refused(&self, error: &ProofError, now: Timestamp) -> AccessError {
        match error {
            ProofError::UseNonce => AccessError::UseNonce(self.proofs.nonces(now).current(now)),
            error => AccessError::InvalidProof(error.to_string()),
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
    async fn verify(&self, presented: Presented<'_>) -> Result<Arc<Authorization>, AccessError> {
        let (Presented::Bearer(token) | Presented::Dpop { token, .. }) = presented;
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
        self.check_possession(&stored.authorization, presented, now)
            .await?;
        if stored.is_use_due(now) {
            self.store
                .touch_grant(stored.authorization.grant, now)
                .await
                .map_err(unavailable)?;
        }
        Ok(Arc::clone(&stored.authorization))
    }

    fn note_tool(&self, authorization: &Authorization, tool: &str) {
        let grant = authorization.grant;
        if !self.tools_noted.is_news(grant, tool) {
            return;
        }
        // Written while the call goes on: it need not wait, and does not fail with it.
        let (store, noted) = (Arc::clone(&self.store), Arc::clone(&self.tools_noted));
        let tool: Box<str> = tool.into();
        tokio::spawn(async move {
            if let Err(error) = store.note_tool(grant, &tool).await {
                tracing::debug!(%error, "the use of a tool was not noted");
                noted.forget(grant, &tool);
            }
        });
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
