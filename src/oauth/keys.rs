//! The public keys of others, at the URL that they published them at (`jwks_uri`, RFC 7591 §2).

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};

use super::remote::{RemoteDocuments, RemoteError};
use crate::{
    clock::Timestamp,
    jose::{Jws, JwsError, KeySet, KeySetError},
};

/// Sets of keys that are remembered. Each is 64 KiB at most, and most are 1 KiB.
const MAX_COPIES: usize = 500;

/// How old a copy must be before it is fetched again for a key that is not in it. Whoever signs
/// with invented keys would otherwise make us fetch each time.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// How long a copy serves when no newer one can be had. A key that leaked and was taken out must
/// not be good for ever because somebody keeps us from seeing that.
const STALE_FOR: Duration = Duration::from_hours(24);

/// Why a message could not be verified.
#[derive(Debug, thiserror::Error)]
pub(super) enum VerifyError {
    #[error(transparent)]
    Message(#[from] JwsError),
    #[error("the keys at {url} could not be fetched: {cause}")]
    Remote { url: String, cause: RemoteError },
    #[error("the keys at {url} are not in order: {cause}")]
    Keys { url: String, cause: KeySetError },
}

impl VerifyError {
    /// Whether the message may be good for all that we know.
    pub(super) const fn will_pass(&self) -> bool {
        match self {
            Self::Message(_) => false,
            Self::Remote { cause, .. } => cause.will_pass(),
            Self::Keys { .. } => true,
        }
    }
}

/// Verifies messages with keys that have to be fetched.
pub struct RemoteKeys {
    remote: Arc<RemoteDocuments>,
    copies: Mutex<HashMap<String, Copy>>,
}

#[derive(Clone)]
struct Copy {
    keys: Arc<KeySet>,
    fetched_at: Timestamp,
    fresh_until: Timestamp,
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys").finish_non_exhaustive()
    }
}

impl RemoteKeys {
    /// Keys come through `remote`.
    pub fn new(remote: Arc<RemoteDocuments>) -> Self {
        Self {
            remote,
            copies: Mutex::default(),
        }
    }

    /// The claims of a message, if a key of those at `url` made its signature.
    pub(super) async fn verify(
        &self,
        url: &str,
        message: &Jws<'_>,
        now: Timestamp,
    ) -> Result<Map<String, Value>, VerifyError> {
        let copy = self
            .current(url, now, |copy| copy.fresh_until > now)
            .await?;
        match message.verify_with(&copy.keys) {
            // It may be a new key: that is how keys are replaced.
            Err(JwsError::NoKey) if now.since(copy.fetched_at) >= ASK_AGAIN_AFTER => {
                let is_newer = |newer: &Copy| newer.fetched_at > copy.fetched_at;
                let newer = self.current(url, now, is_newer).await?;
                Ok(message.verify_with(&newer.keys)?)
            }
            verified => Ok(verified?),
        }
    }

    /// The keys at `url`: a copy that `will_do`, or else the newest that can be had.
    async fn current(
        &self,
        url: &str,
        now: Timestamp,
        will_do: impl Fn(&Copy) -> bool,
    ) -> Result<Copy, VerifyError> {
        if let Some(copy) = self.copy(url).filter(&will_do) {
            return Ok(copy);
        }
        let _turn = self.remote.turn(url).await;
        let kept = self.copy(url);
        if let Some(copy) = kept.clone().filter(&will_do) {
            return Ok(copy);
        }
        match self.fetch(url, now).await {
            Ok(copy) => {
                self.keep(url, copy.clone());
                Ok(copy)
            }
            Err(error) => kept
                .filter(|copy| copy.fresh_until + STALE_FOR > now)
                .ok_or(error),
        }
    }

    async fn fetch(&self, url: &str, now: Timestamp) -> Result<Copy, VerifyError> {
        let (fetched, fresh_until) = self.remote.get(url, now).await.map_err(|cause| {
            cause.log("a set of keys", url);
            let url = url.to_owned();
            VerifyError::Remote { url, cause }
        })?;
        let keys = KeySet::parse(&fetched.body).map_err(|cause| {
            let url = url.to_owned();
            VerifyError::Keys { url, cause }
        })?;
        Ok(Copy {
            keys: Arc::new(keys),
            fetched_at: now,
            fresh_until,
        })
    }

    fn copy(&self, url: &str) -> Option<Copy> {
        let copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        copies.get(url).cloned()
    }

    fn keep(&self, url: &str, copy: Copy) {
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        if copies.len() >= MAX_COPIES && !copies.contains_key(url) {
            let oldest = copies.iter().min_by_key(|(_, copy)| copy.fetched_at);
            let oldest = oldest.map(|(url, _)| url.clone());
            oldest.and_then(|url| copies.remove(&url));
        }
        copies.insert(url.to_owned(), copy);
    }
}
