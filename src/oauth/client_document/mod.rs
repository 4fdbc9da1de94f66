//! Client ID Metadata Documents: a client's identifier is the URL of what it says of itself
//! (draft-ietf-oauth-client-id-metadata-document).
//!
//! The document is fetched when its copy is no longer fresh. Vendors' bot protection turns such
//! fetches away at times, so an old copy is better than none, and the best known clients have one
//! from the beginning.

mod known;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::sync::Mutex as AsyncMutex;

use crate::{
    clock::Timestamp,
    model::{
        client::{Client, ClientId, DocumentCopy},
        client_document::{self, DocumentProblem, DocumentUrl, DocumentUrlError},
        client_metadata::MetadataRules,
    },
    store::{Store, StoreError},
    web::{
        fetch::{FetchError, Fetched, Fetcher},
        throttle::Throttle,
    },
};

/// How long a copy is fresh if its server does not say, and at most.
const USUAL_LIFETIME: Duration = Duration::from_hours(1);
const LONGEST_LIFETIME: Duration = Duration::from_hours(24);

/// Fetches from one host at once, and how long until there may be another one. Strangers can make us
/// fetch: nobody shall be flooded that way.
const FETCHES_AT_ONCE: u32 = 30;
const FETCH_EVERY: Duration = Duration::from_secs(2);

/// What the operator allows.
#[derive(Debug, Clone, Default)]
pub struct DocumentPolicy {
    /// Hosts whose documents are accepted; empty: any.
    pub allowed_hosts: Vec<String>,
    /// Hosts whose documents are not.
    pub denied_hosts: Vec<String>,
}

impl DocumentPolicy {
    fn allows(&self, host: &str) -> bool {
        let names = |hosts: &[String]| hosts.iter().any(|name| name == host);
        !names(&self.denied_hosts) && (self.allowed_hosts.is_empty() || names(&self.allowed_hosts))
    }
}

/// Why there is no client behind a URL, for the person who was sent here by it.
#[derive(Debug, thiserror::Error)]
pub(super) enum DocumentError {
    #[error("its identifier {0}")]
    Url(#[from] DocumentUrlError),
    #[error("the operator of this server does not accept apps of {0}")]
    HostNotAllowed(String),
    #[error("its description could not be fetched: {0}")]
    Fetch(#[from] FetchError),
    #[error("its description was asked for too often in a short time")]
    TooOften,
    #[error("its description is not a JSON object")]
    NotAnObject,
    #[error("its description is not in order: {0}")]
    Problem(#[from] DocumentProblem),
    /// Our fault.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DocumentError {
    /// Whether trying again later makes sense.
    pub(super) fn will_pass(&self) -> bool {
        match self {
            Self::Fetch(error) => !error.is_special_use(),
            Self::TooOften => true,
            _ => false,
        }
    }
}

/// Reads and keeps documents.
pub struct ClientDocuments {
    fetcher: Fetcher,
    policy: DocumentPolicy,
    rules: Arc<MetadataRules>,
    /// Copies that are used where there is no other.
    pinned: HashMap<ClientId, Arc<Client>>,
    by_host: Throttle<String>,
    /// Who fetches what, so that others wait for it instead of fetching too.
    fetching: Mutex<HashMap<ClientId, Weak<AsyncMutex<()>>>>,
}

impl fmt::Debug for ClientDocuments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientDocuments").finish_non_exhaustive()
    }
}

impl ClientDocuments {
    /// `pinned`: copies by the operator, instead of or beside those of the best known clients.
    pub fn new(
        fetcher: Fetcher,
        policy: DocumentPolicy,
        rules: Arc<MetadataRules>,
        pinned: Vec<Client>,
    ) -> Self {
        let known = known::clients(&rules).into_iter().chain(pinned);
        Self {
            fetcher,
            policy,
            rules,
            pinned: known.map(|c| (c.id.clone(), Arc::new(c))).collect(),
            by_host: Throttle::new(FETCHES_AT_ONCE, FETCH_EVERY),
            fetching: Mutex::default(),
        }
    }

    /// The client, as it was last seen. Nothing is fetched.
    pub(super) async fn kept(
        &self,
        store: &dyn Store,
        id: &ClientId,
    ) -> Result<Option<Arc<Client>>, StoreError> {
        let allowed = DocumentUrl::parse(id).is_ok_and(|url| self.policy.allows(url.host()));
        if !allowed {
            return Ok(None);
        }
        let kept = store.client(id).await?;
        Ok(kept.or_else(|| self.pinned.get(id).cloned()))
    }

    /// The client, as its document describes it now.
    pub(super) async fn current(
        &self,
        store: &dyn Store,
        id: &ClientId,
        now: Timestamp,
    ) -> Result<Arc<Client>, DocumentError> {
        let url = DocumentUrl::parse(id)?;
        if !self.policy.allows(url.host()) {
            return Err(DocumentError::HostNotAllowed(url.host().to_owned()));
        }
        let turn = self.turn(id);
        let _turn = turn.lock().await;
        let kept = store.client(id).await?;
        if let Some(fresh) = kept.as_ref().filter(|client| client.is_fresh(now)) {
            return Ok(Arc::clone(fresh));
        }
        match self.fetch(&url, now).await {
            Ok(client) => {
                store.keep_document(client.clone()).await?;
                Ok(Arc::new(client))
            }
            Err(error) => {
                log(&url, &error);
                // Errors are never kept; the last good copy serves on.
                kept.or_else(|| self.pinned.get(id).cloned()).ok_or(error)
            }
        }
    }

    async fn fetch(&self, url: &DocumentUrl, now: Timestamp) -> Result<Client, DocumentError> {
        let host = url.host().to_owned();
        if self.by_host.take(&host, now).is_err() {
            return Err(DocumentError::TooOften);
        }
        let fetched = self.fetcher.get(url.id().as_str()).await?;
        read(url, &fetched, &self.rules, now)
    }

    fn turn(&self, id: &ClientId) -> Arc<AsyncMutex<()>> {
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = fetching.get(id).and_then(Weak::upgrade) {
            return turn;
        }
        fetching.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        fetching.insert(id.clone(), Arc::downgrade(&turn));
        turn
    }
}

fn log(url: &DocumentUrl, error: &DocumentError) {
    match error {
        DocumentError::Fetch(refused) if refused.is_special_use() => {
            tracing::warn!(event = "fetch_refused", client.host = url.host(), error = %refused, "a client's metadata document is at an address that is not public");
        }
        error => {
            tracing::warn!(event = "client_document_failed", client.host = url.host(), error = %error, "a client's metadata document cannot be used");
        }
    }
}

fn read(
    url: &DocumentUrl,
    fetched: &Fetched,
    rules: &MetadataRules,
    now: Timestamp,
) -> Result<Client, DocumentError> {
    let members: Map<String, Value> =
        serde_json::from_slice(&fetched.body).map_err(|_| DocumentError::NotAnObject)?;
    let lifetime = fetched.fresh_for.unwrap_or(USUAL_LIFETIME);
    let copy = DocumentCopy {
        fresh_until: now + lifetime.min(LONGEST_LIFETIME),
    };
    Ok(client_document::read(url, &members, rules, copy, now)?)
}
