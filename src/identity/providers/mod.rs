//! Sign-in with the identity providers of others: OpenID Connect, and GitHub.
//!
//! A browser leaves for the provider (`departure.rs`) and comes back with a code (`arrival.rs`). In
//! between, the store holds where it wanted to go. What the provider has to repeat or prove is derived
//! from the `state` and the browser's cookie, neither of which the store knows.
//!
//! # The confused deputy
//!
//! We are one client to the provider, whoever asked us. If it remembers that its person trusts us, it
//! sends them back without a word, and a stranger's app could reap the code (MCP, Security Best
//! Practices, “Confused Deputy Problem”). So no app's request leads to the provider before the person
//! was asked, by us, in this browser, about this very app and the address that it has registered:
//!
//! - [`departure::post`] sends a browser that is on its way to a question to that question first. The answer
//!   comes from a form with a token that is derived from the browser's cookie, on a page that cannot be
//!   framed.
//! - Only then a `state` is made. It is random, lasts ten minutes, is known to the store by its digest, and is
//!   taken by the one browser that left with it, once.
//! - What was allowed is bound to that departure, and counts for whoever comes back with it and signs in; it is
//!   then remembered for that person and that app, like every answer.

mod arrival;
mod departure;
mod github;
mod openid;
mod pages;
mod tokens;

use std::{fmt, sync::Arc};

use axum::{Router, routing};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};

pub use departure::Leaving;
use openid::Discovery;
pub use tokens::KeptTokens;
use tokens::Tokens;

use super::IdentityState;
use crate::{
    model::{
        provider::{ProvidedPerson, Provider, ProviderKind},
        resource::PublicUrl,
    },
    secret::{BrowserId, DepartureId, Digest},
    web::fetch::{FetchError, Fetcher},
};

/// The providers, in the order in which they are offered.
pub struct Providers {
    all: Vec<Arc<Upstream>>,
}

/// A provider, and what is known of it at the moment.
pub(super) struct Upstream {
    pub(super) provider: Arc<Provider>,
    discovery: Discovery,
    http: Http,
}

impl Providers {
    /// Those of the configuration. What goes out to them goes through `fetcher`.
    pub fn new(providers: &[Arc<Provider>], fetcher: &Fetcher) -> Self {
        let all = providers.iter().map(|provider| {
            Arc::new(Upstream {
                provider: Arc::clone(provider),
                discovery: Discovery::default(),
                http: Http(fetcher.clone()),
            })
        });
        Self { all: all.collect() }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.all.iter().map(|upstream| &*upstream.provider)
    }

    /// The one of that identifier.
    pub(super) fn find(&self, id: &str) -> Option<&Arc<Upstream>> {
        self.all
            .iter()
            .find(|upstream| *upstream.provider.id == *id)
    }

    /// What people know the provider of that identifier as.
    pub fn name(&self, id: &str) -> Option<&str> {
        Some(&self.find(id)?.provider.name)
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Why a provider has not said who somebody is.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    /// It cannot be reached, or fails.
    #[error("it cannot be reached: {0}")]
    Unreachable(#[from] FetchError),
    /// It refused what we brought, with this error code.
    #[error("it answered with the error {0:?}")]
    Refused(String),
    /// It said something that cannot be accepted.
    #[error("its answer cannot be accepted: {0}")]
    Invalid(String),
}

/// What a browser carries to the provider and what shows on its return that it is the same journey.
struct Journey {
    state: DepartureId,
    nonce: String,
    /// Of PKCE (RFC 7636 §4.1): 43 characters.
    code_verifier: String,
}

impl Journey {
    /// Follows from the two secrets that only the browser has.
    fn of(state: DepartureId, browser: &BrowserId) -> Self {
        let secret = format!("{}.{}", state.expose(), browser.expose());
        let derive = |purpose| Digest::derive(purpose, &secret).to_base64url();
        Self {
            nonce: derive("nonce for an identity provider"),
            code_verifier: derive("code verifier for an identity provider"),
            state,
        }
    }
}

/// What came back with a code.
struct Arrived {
    person: ProvidedPerson,
    tokens: Tokens,
}

impl Upstream {
    /// Where a browser is sent.
    async fn authorization_url(
        &self,
        identity: &IdentityState,
        journey: &Journey,
        anew: bool,
    ) -> Result<String, UpstreamError> {
        let redirect_uri = redirect_uri(&identity.public_url, &self.provider);
        match &self.provider.kind {
            ProviderKind::OpenId { .. } => {
                let now = identity.clock.now();
                openid::authorization_url(self, redirect_uri, journey, anew, now).await
            }
            ProviderKind::GitHub { base } => {
                github::authorization_url(self, base, redirect_uri, journey, anew)
            }
        }
    }

    /// Redeems a code, and finds out who its person is.
    async fn redeem(
        &self,
        identity: &IdentityState,
        code: String,
        journey: Journey,
    ) -> Result<Arrived, UpstreamError> {
        let redirect_uri = redirect_uri(&identity.public_url, &self.provider);
        match &self.provider.kind {
            ProviderKind::OpenId { .. } => {
                let now = identity.clock.now();
                openid::redeem(self, redirect_uri, code, journey, now).await
            }
            ProviderKind::GitHub { base } => {
                let now = identity.clock.now();
                github::redeem(self, base, redirect_uri, (code, journey), now).await
            }
        }
    }

    /// Uses a refresh token.
    async fn refresh(
        &self,
        identity: &IdentityState,
        refresh_token: String,
    ) -> Result<Tokens, UpstreamError> {
        let redirect_uri = redirect_uri(&identity.public_url, &self.provider);
        let now = identity.clock.now();
        match &self.provider.kind {
            ProviderKind::OpenId { .. } => {
                openid::refresh(self, redirect_uri, refresh_token, now).await
            }
            ProviderKind::GitHub { base } => {
                github::refresh(self, base, redirect_uri, refresh_token, now).await
            }
        }
    }
}

/// Where a provider sends people back to. Each has an address of its own, so that an answer of one cannot
/// be taken for another's (RFC 9700 §4.4).
pub fn redirect_uri(public_url: &PublicUrl, provider: &Provider) -> String {
    format!("{}/sign-in/{}/callback", public_url.origin(), provider.id)
}

/// Our own way out, for the protocol's crate.
struct Http(Fetcher);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = FetchError;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let host = request.uri().host().unwrap_or_default().to_owned();
            let answer = self.0.send(request).await?;
            // Whatever it says of itself then, it is out of order.
            if answer.status().is_server_error() {
                let status = answer.status();
                return Err(FetchError::Status { host, status });
            }
            Ok(answer)
        })
    }
}

/// The routes of this room.
pub(super) fn routes() -> Router<IdentityState> {
    Router::new()
        .route("/sign-in/{provider}", routing::post(departure::post))
        .route("/sign-in/{provider}/callback", routing::get(arrival::get))
}
