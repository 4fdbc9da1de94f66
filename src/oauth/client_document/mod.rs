//! Client ID Metadata Documents: a client's identifier is the URL of what it says of itself
//! (draft-ietf-oauth-client-id-metadata-document).
//!
//! The document is fetched when its copy is no longer fresh. Vendors' bot protection turns such
//! fetches away at times, so an old copy is better than none, and the best known clients have one
//! from the beginning.

mod known;

use std::{collections::HashMap, fmt, sync::Arc};

use serde_json::{Map, Value};

use super::remote::{RemoteDocuments, RemoteError};
use crate::{
    clock::Timestamp,
    model::{
        client::{Client, ClientId, DocumentCopy},
        client_document::{self, DocumentProblem, DocumentUrl, DocumentUrlError},
        client_metadata::MetadataRules,
    },
    store::{Store, StoreError},
};

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
    Remote(#[from] RemoteError),
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
    pub(super) const fn will_pass(&self) -> bool {
        matches!(self, Self::Remote(error) if error.will_pass())
    }
}

/// Reads and keeps documents.
pub struct ClientDocuments {
    remote: Arc<RemoteDocuments>,
    policy: DocumentPolicy,
    rules: Arc<MetadataRules>,
    /// Copies that are used where there is no other.
    pinned: HashMap<ClientId, Arc<Client>>,
}

impl fmt::Debug for ClientDocuments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientDocuments").finish_non_exhaustive()
    }
}

impl ClientDocuments {
    /// `pinned`: copies by the operator, instead of or beside those of the best known clients.
    pub fn new(
        remote: Arc<RemoteDocuments>,
        policy: DocumentPolicy,
        rules: Arc<MetadataRules>,
        pinned: Vec<Client>,
    ) -> Self {
        let known = known::clients(&rules).into_iter().chain(pinned);
        Self {
            remote,
            policy,
            rules,
            pinned: known.map(|c| (c.id.clone(), Arc::new(c))).collect(),
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
        let _turn = self.remote.turn(id.as_str()).await;
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
        let (fetched, fresh_until) = self.remote.get(url.id().as_str(), now).await?;
        let members: Map<String, Value> =
            serde_json::from_slice(&fetched.body).map_err(|_| DocumentError::NotAnObject)?;
        let copy = DocumentCopy { fresh_until };
        let client = client_document::read(url, &members, &self.rules, copy, now)?;
        Ok(client)
    }
}

fn log(url: &DocumentUrl, error: &DocumentError) {
    if let DocumentError::Remote(error) = error {
        error.log("a client's metadata document", url.id().as_str());
    } else {
        tracing::warn!(event = "client_document_failed", client.host = url.host(), error = %error, "a client's metadata document cannot be used");
    }
}
