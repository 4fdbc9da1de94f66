//! Tokens that are bound to keys (DPoP, RFC 9449): which proofs are asked for, and what they do.

use std::sync::Arc;

use axum::http::HeaderMap;

use super::{OAuthState, error::OAuthError};
use crate::{
    clock::Timestamp,
    dpop::{Expected, Nonces, Proof, ProofError},
    jose::Thumbprint,
    model::client::{Client, ClientId},
    store::{KeyRing, Replays, StoreError},
    web::{Repeated, sole_header},
};

/// What proofs have to be like.
#[derive(Debug, Clone)]
pub struct ProofRules {
    /// What the nonces that are ours are made with.
    pub nonces: Arc<KeyRing>,
    /// Whether there must be one in every proof (RFC 9449 §8). It keeps proofs from being made
    /// ahead of time, and costs clients a second request now and then.
    pub nonce_required: bool,
}

impl ProofRules {
    pub(super) fn nonces(&self, now: Timestamp) -> Nonces {
        Nonces::new(&self.nonces.keys(now))
    }

    /// Holds a proof against the request that it came with. It has not been used up yet.
    pub(super) fn check(
        &self,
        proof: &str,
        (method, url): (&str, &str),
        access_token: Option<&str>,
        now: Timestamp,
    ) -> Result<Proof, ProofError> {
        let expected = Expected {
            method,
            htu: url,
            access_token,
            now,
            nonces: &self.nonces(now),
        };
        let proof = Proof::check(proof, &expected)?;
        if self.nonce_required && !proof.nonce_was_sent {
            return Err(ProofError::UseNonce);
        }
        Ok(proof)
    }
}

/// Uses a proof up: the last thing before what it is for, so that nobody without a right to that
/// can make us remember anything.
///
/// Whether it was the first time.
pub(super) async fn use_up(
    store: &(impl Replays + ?Sized),
    proof: &Proof,
    client: &ClientId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let is_first = store.first_use(proof.jti, proof.until, now).await?;
    if !is_first {
        tracing::warn!(event = "dpop_proof_replay", client.id = %client, "a DPoP proof came a second time: refused");
    }
    Ok(is_first)
}

/// The key of whoever asks for tokens, as far as they have shown that they hold one.
#[derive(Clone, Copy)]
pub(super) struct Possession(Option<Proof>);

impl Possession {
    /// Reads what came with a POST to `path`.
    pub(super) fn read(
        oauth: &OAuthState,
        headers: &HeaderMap,
        path: &str,
    ) -> Result<Self, OAuthError> {
        let proof = sole_header(headers, "dpop").map_err(|Repeated| {
            OAuthError::InvalidProof("send one DPoP header, not several".to_owned())
        })?;
        let Some(proof) = proof else {
            return Ok(Self(None));
        };
        // What is no text is no proof either.
        let proof = proof.to_str().unwrap_or_default();
        let (now, url) = (oauth.clock.now(), oauth.public_url.join(path));
        let proof = oauth.proofs.check(proof, ("POST", &url), None, now);
        let proof = proof.map_err(|error| refused(oauth, &error))?;
        Ok(Self(Some(proof)))
    }

    /// Refuses a client that has said that its tokens are bound, and shows no key (RFC 9449 §5.2).
    pub(super) fn suffices_for(self, client: &Client) -> Result<(), OAuthError> {
        if self.0.is_some() || !client.metadata.dpop_bound_access_tokens {
            return Ok(());
        }
        let needed = "this client has registered dpop_bound_access_tokens: send a DPoP proof";
        Err(OAuthError::InvalidProof(needed.to_owned()))
    }

    /// The key that new tokens are bound to.
    pub(super) fn jkt(self) -> Option<Thumbprint> {
        self.0.map(|proof| proof.key)
    }

    /// Whether it is the key that something is bound to, if that is bound to any.
    pub(super) fn check(self, bound_to: Option<Thumbprint>) -> Result<(), OAuthError> {
        match (bound_to, self.jkt()) {
            (None, _) => Ok(()),
            (Some(bound_to), Some(jkt)) if bound_to == jkt => Ok(()),
            (Some(_), Some(_)) => Err(OAuthError::InvalidGrant(
                "it is bound to another key (DPoP)".into(),
            )),
            (Some(_), None) => {
                let needed = "it is bound to a key, so a DPoP proof must be sent".to_owned();
                Err(OAuthError::InvalidProof(needed))
            }
        }
    }

    /// Uses the proof up, if there was one.
    pub(super) async fn use_up(
        self,
        oauth: &OAuthState,
        client: &Client,
        now: Timestamp,
    ) -> Result<(), OAuthError> {
        let Some(proof) = self.0 else {
            return Ok(());
        };
        if use_up(&*oauth.store, &proof, &client.id, now).await? {
            Ok(())
        } else {
            Err(OAuthError::InvalidProof(ProofError::Replayed.to_string()))
        }
    }
}

fn refused(oauth: &OAuthState, error: &ProofError) -> OAuthError {
    match error {
        ProofError::UseNonce => {
            let now = oauth.clock.now();
            OAuthError::UseNonce(oauth.proofs.nonces(now).current(now))
        }
        error => OAuthError::InvalidProof(error.to_string()),
    }
}
