//! The authorization server (OAuth 2.1): metadata, registration, authorization, tokens.

mod authorize;
mod client_assertion;
mod client_auth;
mod client_document;
mod consent;
mod dpop;
mod error;
mod form;
mod introspect;
mod keys;
mod metadata;
mod par;
mod problem;
mod register;
mod remote;
mod revoke;
mod token;
mod tools_noted;
mod verifier;

use std::{collections::HashMap, fmt, net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, http::HeaderMap, middleware, routing};

use client_document::DocumentError;
use error::OAuthError;

pub use client_document::{ClientDocuments, DocumentPolicy};
pub use dpop::ProofRules;
pub use keys::RemoteKeys;
pub use remote::RemoteDocuments;
pub use verifier::StoreVerifier;

use crate::{
    access::DescribeTools,
    clock::Clock,
    identity::{self, IdentityState},
    model::{
        assertion_issuer::AssertionIssuer,
        client::{Client, ClientId},
        client_document::DocumentUrl,
        client_metadata::{GrantType, MetadataRules},
        resource::PublicUrl,
        scope::ScopeCatalogue,
    },
    secret::Digest,
    store::{Store, StoreError},
    web::{
        client_address::{Connection, TrustedProxies, limit_key},
        cors, method_not_allowed, panic,
        throttle::{RetryAfter, Throttle},
    },
};

/// What this room works with.
#[derive(Clone)]
pub struct OAuthState {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The issuer, and the resource that tokens are bound to.
    pub public_url: PublicUrl,
    /// What can be asked for.
    pub scopes: Arc<ScopeCatalogue>,
    /// What that opens, in words.
    pub tools: Arc<dyn DescribeTools>,
    /// Who the person is.
    pub identity: IdentityState,
    /// How long things last.
    pub lifetimes: TokenLifetimes,
    /// Clients that the operator set up.
    pub clients: Arc<HashMap<ClientId, Arc<Client>>>,
    /// Clients that are known by a document; `None`: there are none.
    pub documents: Option<Arc<ClientDocuments>>,
    /// Keys of those who sign.
    pub keys: Arc<RemoteKeys>,
    /// What proofs of possession have to be like.
    pub proofs: ProofRules,
    /// Who may ask about tokens, beside clients about their own.
    pub resource_servers: Arc<[ResourceServer]>,
    /// Identity providers whose word is taken for who a person is.
    pub assertion_issuers: Arc<[AssertionIssuer]>,
    /// What the token endpoint offers.
    pub grant_types: Arc<[GrantType]>,
    /// Who may register.
    pub registration: RegistrationPolicy,
    /// What clients may say of themselves.
    pub metadata_rules: Arc<MetadataRules>,
    /// Bounds by address.
    pub throttles: Throttles,
    /// Whom to believe about addresses.
    pub proxies: Arc<TrustedProxies>,
}

/// Who may ask about the tokens that it is to accept (RFC 7662).
#[derive(Debug, Clone)]
pub struct ResourceServer {
    /// What it calls itself when it asks.
    pub id: Arc<str>,
    /// The digest of its secret.
    pub secret: Digest,
    /// The resource that its tokens are bound to.
    pub audience: Arc<str>,
}

/// Who may register (RFC 7591 §3).
#[derive(Debug, Clone)]
pub enum RegistrationPolicy {
    /// Everyone.
    Open,
    /// Whoever has the initial access token of this digest.
    WithToken(Digest),
    /// Nobody: the operator sets clients up.
    Closed,
}

/// What one address may do how often. `None`: it is not bounded.
#[derive(Debug, Clone, Default)]
pub struct Throttles {
    /// Registrations.
    pub registration: Option<Arc<Throttle<IpAddr>>>,
    /// Questions left for people.
    pub authorization: Option<Arc<Throttle<IpAddr>>>,
    /// Requests to the endpoints that clients authenticate at and that were refused.
    pub token: Option<Arc<Throttle<IpAddr>>>,
}

/// How long what is issued lasts.
#[derive(Debug, Clone, Copy)]
pub struct TokenLifetimes {
    /// An authorization code.
    pub code: Duration,
    /// An access token.
    pub access_token: Duration,
    /// A refresh token, from the last refresh.
    pub refresh_token: Duration,
    /// The window in which a used refresh token yields the same answer.
    pub refresh_grace: Duration,
}

impl OAuthState {
    /// The client of that identifier, as it was last seen: one that the operator set up, one that
    /// registered, or one that is known by a document.
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        if let Some(client) = self.clients.get(id) {
            return Ok(Some(Arc::clone(client)));
        }
        if !DocumentUrl::is_meant(id) {
            return self.store.client(id).await;
        }
        match &self.documents {
            Some(documents) => documents.kept(&*self.store, id).await,
            None => Ok(None),
        }
    }

    /// The same, as it is now: a document that may have changed is fetched.
    async fn current_client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, DocumentError> {
        match &self.documents {
            Some(documents) if DocumentUrl::is_meant(id) => {
                let now = self.clock.now();
                documents.current(&*self.store, id, now).await.map(Some)
            }
            _ => Ok(self.client(id).await?),
        }
    }

    /// Answers a request to an endpoint at which secrets could be guessed (RFC 6749 §2.3.1). As at the
    /// token endpoint, only what is refused counts against its address.
    async fn counting_refusals<T>(
        &self,
        connection: Connection,
        headers: &HeaderMap,
        answering: impl Future<Output = Result<T, OAuthError>>,
    ) -> Result<T, OAuthError> {
        let turn = self
            .take_turn(self.throttles.token.as_deref(), connection, headers)
            .map_err(OAuthError::TooManyRequests)?;
        let answer = answering.await;
        if answer.is_ok() {
            turn.give_back(self);
        }
        answer
    }

    /// Counts a request against its address, if that is bounded.
    fn take_turn<'a>(
        &self,
        throttle: Option<&'a Throttle<IpAddr>>,
        connection: Connection,
        headers: &HeaderMap,
    ) -> Result<Turn<'a>, RetryAfter> {
        let Some(throttle) = throttle else {
            return Ok(Turn(None));
        };
        let address = self.proxies.client_address(connection.peer.ip(), headers);
        let key = limit_key(address);
        throttle.take(&key, self.clock.now())?;
        Ok(Turn(Some((throttle, key))))
    }
}

/// A request that was counted.
struct Turn<'a>(Option<(&'a Throttle<IpAddr>, IpAddr)>);

impl Turn<'_> {
    /// It does not count after all.
    fn give_back(self, oauth: &OAuthState) {
        if let Some((throttle, key)) = self.0 {
            throttle.give_back(&key, oauth.clock.now());
        }
    }
}

impl fmt::Debug for OAuthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthState").finish_non_exhaustive()
    }
}

/// The routes of this room. Discovery, registration and tokens answer pages of any origin; what a
/// person sees does not.
pub fn routes(state: OAuthState) -> Router {
    let management = routing::get(register::get)
        .put(register::put)
        .delete(register::delete);
    let for_programs = Router::new()
        .route(metadata::PATH, routing::get(metadata::get))
        .route(register::PATH, routing::post(register::post))
        .route(register::CLIENT_PATH, management)
        .route(token::PATH, routing::post(token::post))
        .route(revoke::PATH, routing::post(revoke::post))
        .route(introspect::PATH, routing::post(introspect::post))
        .route(par::PATH, routing::post(par::post))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(panic::catch())
        .layer(middleware::from_fn(cors::any_origin));
    let authorize = routing::get(authorize::get).post(authorize::post);
    let consent = routing::get(consent::get).post(consent::post);
    Router::new()
        .route(authorize::PATH, authorize)
        .route(identity::consent::PATH, consent)
        .merge(for_programs)
        .with_state(state)
}
