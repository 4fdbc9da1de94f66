//! Who the person at the browser is, and what they allow. It knows browsers, cookies and people;
//! it does not know OAuth.

pub mod consent;
pub mod cookies;
pub mod csrf;
pub mod problem;
mod return_to;
pub mod sign_in;
mod sign_in_throttle;

use std::{fmt, sync::Arc, time::Duration};

use axum::{Router, http::HeaderMap, routing};

pub use return_to::ReturnTo;
pub use sign_in_throttle::{SignInLimits, SignInThrottle};

use crate::{
    clock::{Clock, Timestamp},
    model::{resource::PublicUrl, user::UserId},
    secret::{BrowserSessionId, Passcode},
    store::{Result, Store},
    web::client_address::TrustedProxies,
};

/// What this room works with.
#[derive(Clone)]
pub struct IdentityState {
    /// Where sessions are kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The origin that browsers see.
    pub public_url: PublicUrl,
    /// What the built-in user signs in with.
    pub passcode: Arc<Passcode>,
    /// How long a browser stays signed in.
    pub sign_in_ttl: Duration,
    /// Bounds guessing; `None`: it is not bounded.
    pub throttle: Option<Arc<SignInThrottle>>,
    /// Whom to believe about addresses.
    pub proxies: Arc<TrustedProxies>,
}

impl IdentityState {
    /// Who has signed in with the browser that sent `headers`.
    pub async fn signed_in(&self, headers: &HeaderMap) -> Result<Option<SignedIn>> {
        let Some(id) = cookies::browser_session(headers, &self.public_url) else {
            return Ok(None);
        };
        let session = self
            .store
            .browser_session(&id.digest(), self.clock.now())
            .await?;
        Ok(session.map(|session| SignedIn {
            user: session.user,
            authenticated_at: session.authenticated_at,
            session: id,
        }))
    }
}

impl IdentityState {
    /// Signs a person out, of this browser.
    pub async fn sign_out(&self, person: &SignedIn) -> Result<()> {
        let session = person.session.digest();
        self.store.end_browser_session(&session).await
    }

    /// Signs a person out, of every browser.
    pub async fn sign_out_everywhere(&self, person: &SignedIn) -> Result<()> {
        self.store.end_browser_sessions(&person.user).await
    }
}

impl fmt::Debug for IdentityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityState").finish_non_exhaustive()
    }
}

/// A person at a browser.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub user: UserId,
    /// When they last proved it.
    pub authenticated_at: Timestamp,
    /// The cookie that says so; forms of this person are bound to it.
    pub session: BrowserSessionId,
}

/// The routes of this room.
pub fn routes(state: IdentityState) -> Router {
    let page = routing::get(sign_in::get).post(sign_in::post);
    Router::new().route(sign_in::PATH, page).with_state(state)
}
