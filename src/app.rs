//! The composition root: puts the rooms together from the configuration.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::Config,
    identity::{IdentityState, SignInLimits, SignInThrottle},
    mcp::{
        McpState,
        tools::{BestPersonLookerUpper, RegistryError, Tool, ToolRegistry},
    },
    model::{resource::PublicUrl, scope::ScopeCatalogue},
    oauth::{OAuthState, StoreVerifier, TokenLifetimes},
    secret::Passcode,
    store::{MemoryLimits, MemoryStore, Store},
    web::{
        client_address::TrustedProxies,
        origin::{AllowedHosts, AllowedOrigins},
        throttle::Throttle,
    },
};

/// What the rooms share.
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) oauth: OAuthState,
    pub(crate) mcp: McpState,
}

/// What the rooms are made from, beside the configuration.
pub(crate) struct Parts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) public_url: PublicUrl,
    pub(crate) passcode: Arc<Passcode>,
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    pub(crate) shutdown: CancellationToken,
}

impl App {
    /// Puts the rooms together. Without tools the example tool is offered.
    pub(crate) fn new(config: &Config, parts: Parts) -> Result<Self, RegistryError> {
        let limits = config.limits;
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(MemoryLimits {
            clients: limits.clients,
            pending_authorizations: limits.pending_authorizations,
            mcp_sessions: limits.mcp_sessions,
            mcp_sessions_per_grant: limits.mcp_sessions_per_grant,
        }));
        let clock = parts.clock;
        let public_url = parts.public_url;
        let scopes = Arc::new(ScopeCatalogue::built_in());
        let proxies = Arc::new(TrustedProxies::new(
            config.proxies.trusted.clone(),
            config.proxies.header.clone(),
        ));
        let sign_in_throttle = limits.rate_limits.then(|| {
            Arc::new(SignInThrottle::new(SignInLimits {
                per_address: limits.sign_in_failures_per_address,
                overall: limits.sign_in_failures,
                decay: limits.sign_in_failure_decay,
            }))
        });
        let throttle = |burst, per_second| {
            limits.rate_limits.then(|| {
                let refill = std::time::Duration::from_secs(1) / per_second;
                Arc::new(Throttle::new(burst, refill))
            })
        };
        let oauth = OAuthState {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            public_url: public_url.clone(),
            scopes: Arc::clone(&scopes),
            identity: IdentityState {
                store: Arc::clone(&store),
                clock: Arc::clone(&clock),
                public_url: public_url.clone(),
                passcode: parts.passcode,
                sign_in_ttl: config.lifetimes.sign_in,
                throttle: sign_in_throttle,
                proxies: Arc::clone(&proxies),
            },
            lifetimes: TokenLifetimes {
                code: config.lifetimes.code,
                access_token: config.lifetimes.access_token,
                refresh_token: config.lifetimes.refresh_token,
                refresh_grace: config.lifetimes.refresh_grace,
            },
            redirect_schemes: config.redirect_schemes.clone().into(),
            registration_throttle: throttle(
                limits.registration_burst,
                limits.registrations_per_second,
            ),
            authorization_throttle: throttle(
                limits.authorization_burst,
                limits.authorizations_per_second,
            ),
            proxies,
        };
        let verifier = StoreVerifier::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(public_url.resource()),
        );
        let mcp = McpState {
            verifier: Arc::new(verifier),
            sessions: Arc::clone(&store) as _,
            clock: Arc::clone(&clock),
            origins: Arc::new(AllowedOrigins::new(
                public_url.origin(),
                config.allowed_origins.clone(),
            )),
            hosts: Arc::new(AllowedHosts::new(
                public_url.host(),
                config.allowed_hosts.clone(),
            )),
            public_url,
            scopes,
            tools: Arc::new(registry(parts.tools)?),
            session_ttl: config.lifetimes.mcp_session,
            shutdown: parts.shutdown,
            internal: Arc::default(),
        };
        Ok(Self {
            store,
            clock,
            oauth,
            mcp,
        })
    }
}

fn registry(tools: Vec<Arc<dyn Tool>>) -> Result<ToolRegistry, RegistryError> {
    let mut registry = ToolRegistry::default();
    for tool in tools {
        registry.register(tool)?;
    }
    if registry.is_empty() {
        registry.register(Arc::new(BestPersonLookerUpper))?;
    }
    Ok(registry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn the_extremes_that_are_accepted_can_be_reckoned_with() {
        let config = Config::from_settings([
            ("limits.sign_in_failures_per_address", "1000000000"),
            ("limits.sign_in_failures", "1"),
            ("limits.sign_in_failure_decay", "10y"),
            ("limits.registrations_per_second", "1000000000"),
        ]);
        let parts = Parts {
            clock: Arc::new(SystemClock),
            public_url: PublicUrl::parse("http://localhost:4000").unwrap(),
            passcode: Arc::new(Passcode::generate()),
            tools: Vec::new(),
            shutdown: CancellationToken::new(),
        };
        let app = App::new(&config.unwrap(), parts).unwrap();
        let throttle = app.oauth.identity.throttle.unwrap();
        let (address, now) = ([192, 0, 2, 1].into(), app.clock.now());
        assert!(throttle.attempt(address, now).is_ok());
        assert!(throttle.attempt(address, now).is_err());
    }
}
