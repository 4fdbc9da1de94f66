//! Who the person at the browser is, and what they allow. It knows browsers, cookies and people;
//! it does not know OAuth.

pub mod consent;
pub mod cookies;
pub mod csrf;
pub mod password;
mod posted_form;
pub mod problem;
mod providers;
mod return_to;
mod session;
pub mod sign_in;
mod sign_in_throttle;

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, http::HeaderMap, routing};

pub use password::Passwords;
pub use posted_form::PostedForm;
pub use providers::{KeptTokens, Leaving, Providers, redirect_uri};
pub use return_to::ReturnTo;
pub use sign_in_throttle::{SignInLimits, SignInThrottle};

use crate::{
    clock::{Clock, Timestamp},
    model::{
        resource::PublicUrl,
        user::{Profile, UserId},
    },
    secret::{BrowserSessionId, Passcode},
    store::{KeyRing, Result, Store},
    web::{
        client_address::{Connection, TrustedProxies},
        throttle::Throttle,
    },
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
    /// The built-in user.
    pub owner: Owner,
    /// Checks the passwords of the others.
    pub passwords: Passwords,
    /// With whom people may sign in elsewhere.
    pub providers: Arc<Providers>,
    /// Bounds how often one address may be sent to them; `None`: it is not bounded.
    pub departures: Option<Arc<Throttle<IpAddr>>>,
    /// Seals what they give.
    pub link_keys: Arc<KeyRing>,
    /// How long a browser stays signed in.
    pub sign_in_ttl: Duration,
    /// Bounds guessing; `None`: it is not bounded.
    pub throttle: Option<Arc<SignInThrottle>>,
    /// Whom to believe about addresses.
    pub proxies: Arc<TrustedProxies>,
}

impl IdentityState {
    /// The address of whoever sent a request.
    pub fn address(&self, connection: Connection, headers: &HeaderMap) -> IpAddr {
        self.proxies.client_address(connection.peer.ip(), headers)
    }

    /// How one can sign in at the moment: users come and go while the server runs.
    pub(crate) async fn ways(&self) -> Result<Ways> {
        let has_users = self.store.has_users().await?;
        let passcode = match &self.owner {
            Owner::Chosen(passcode) => Some(passcode),
            Owner::Generated(passcode) if !has_users => Some(passcode),
            Owner::Generated(_) | Owner::Nobody => None,
        };
        Ok(Ways {
            passcode: passcode.map(Arc::clone),
            has_users,
        })
    }

    /// The provider that everybody signs in with, where there is no other way.
    pub async fn only_way(&self) -> Result<Option<&str>> {
        let mut providers = self.providers.iter();
        let (Some(only), None) = (providers.next(), providers.next()) else {
            return Ok(None);
        };
        let ways = self.ways().await?;
        let is_only = ways.passcode.is_none() && !ways.has_users;
        Ok(is_only.then_some(&*only.id))
    }
}

/// The built-in user.
#[derive(Debug, Clone)]
pub enum Owner {
    /// Signs in with a passcode that the operator chose.
    Chosen(Arc<Passcode>),
    /// Signs in with one that was made up at start, as long as nobody else could.
    Generated(Arc<Passcode>),
    /// Does not: others do.
    Nobody,
}

/// How one can sign in.
#[derive(Debug, Clone)]
pub(crate) struct Ways {
    /// As the owner.
    pub(crate) passcode: Option<Arc<Passcode>>,
    /// With a name and a password.
    pub(crate) has_users: bool,
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
    /// What their provider says of them, if they have one.
    pub profile: Profile,
    /// When they last proved it.
    pub authenticated_at: Timestamp,
    /// The cookie that says so; forms of this person are bound to it.
    pub session: BrowserSessionId,
}

impl SignedIn {
    /// What people call them, for pages.
    pub fn shown(&self) -> &str {
        let profile = &self.profile;
        let known = profile.email.as_deref().or(profile.name.as_deref());
        known.unwrap_or(self.user.as_str())
    }
}

/// The routes of this room.
pub fn routes(state: IdentityState) -> Router {
    let page = routing::get(sign_in::get).post(sign_in::post);
    Router::new()
        .route(sign_in::PATH, page)
        .merge(providers::routes())
        .with_state(state)
}
