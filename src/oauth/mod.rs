//! The authorization server (OAuth 2.1): metadata, registration, authorization, tokens.

mod authorize;
mod client_auth;
mod consent;
mod error;
mod form;
mod metadata;
mod problem;
mod register;
mod token;
mod verifier;

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, http::HeaderMap, middleware, routing};

pub use verifier::StoreVerifier;

use crate::{
    clock::Clock,
    identity::{self, IdentityState},
    model::{resource::PublicUrl, scope::ScopeCatalogue},
    store::Store,
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
    /// Who the person is.
    pub identity: IdentityState,
    /// How long things last.
    pub lifetimes: TokenLifetimes,
    /// Private-use schemes that may be redirected to.
    pub redirect_schemes: Arc<[String]>,
    /// Bounds registration by address; `None`: it is not bounded.
    pub registration_throttle: Option<Arc<Throttle<IpAddr>>>,
    /// Bounds the questions that one address can leave for people; `None`: it does not.
    pub authorization_throttle: Option<Arc<Throttle<IpAddr>>>,
    /// Whom to believe about addresses.
    pub proxies: Arc<TrustedProxies>,
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
    /// Counts a request against its address, if that is bounded.
    fn take_turn(
        &self,
        throttle: Option<&Throttle<IpAddr>>,
        connection: Connection,
        headers: &HeaderMap,
    ) -> Result<(), RetryAfter> {
        let Some(throttle) = throttle else {
            return Ok(());
        };
        let address = self.proxies.client_address(connection.peer.ip(), headers);
        throttle.take(&limit_key(address), self.clock.now())
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
    let for_programs = Router::new()
        .route(metadata::PATH, routing::get(metadata::get))
        .route(register::PATH, routing::post(register::post))
        .route(token::PATH, routing::post(token::post))
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
