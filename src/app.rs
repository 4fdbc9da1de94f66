//! The composition root: puts the rooms together from the configuration.

use std::{collections::HashMap, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::{Config, Registration},
    identity::{IdentityState, SignInLimits, SignInThrottle},
    mcp::{
        McpInternal, McpState,
        feature::{BestPersonLookerUpper, Changes, Features, RegistryError},
    },
    model::{
        client::{Client, ClientId},
        client_metadata::GrantType,
        resource::PublicUrl,
    },
    oauth::{
        OAuthState, RegistrationPolicy, ResourceServer, StoreVerifier, Throttles, TokenLifetimes,
    },
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
    pub(crate) mcp: Arc<McpState>,
}

/// Registers what a program offers.
pub(crate) type Offer = Box<dyn FnOnce(&mut Features) -> Result<(), RegistryError> + Send>;

/// What the rooms are made from, beside the configuration.
pub(crate) struct Parts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) public_url: PublicUrl,
    pub(crate) passcode: Arc<Passcode>,
    pub(crate) offer: Offer,
    pub(crate) changes: Changes,
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
        let scopes = Arc::new(config.scopes.clone());
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
        let clients: HashMap<ClientId, Arc<Client>> = config
            .clients
            .iter()
            .map(|client| (client.id.clone(), Arc::new(client.clone())))
            .collect();
        // What no client can use is not offered.
        let mut grant_types = vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
        let has_its_own = |client: &Arc<Client>| {
            let types = &client.metadata.grant_types;
            types.contains(&GrantType::ClientCredentials)
        };
        if clients.values().any(has_its_own) {
            grant_types.push(GrantType::ClientCredentials);
        }
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
            clients: Arc::new(clients),
            resource_servers: config
                .resource_servers
                .iter()
                .map(|server| ResourceServer {
                    id: Arc::clone(&server.id),
                    secret: server.secret,
                    audience: server
                        .audience
                        .clone()
                        .unwrap_or_else(|| Arc::clone(public_url.resource())),
                })
                .collect(),
            grant_types: grant_types.into(),
            registration: match &config.registration {
                Registration::Open => RegistrationPolicy::Open,
                Registration::WithToken(token) => RegistrationPolicy::WithToken(token.digest()),
                Registration::Off => RegistrationPolicy::Closed,
            },
            metadata_rules: Arc::new(config.metadata_rules.clone()),
            throttles: Throttles {
                registration: throttle(limits.registration_burst, limits.registrations_per_second),
                authorization: throttle(
                    limits.authorization_burst,
                    limits.authorizations_per_second,
                ),
                token: throttle(limits.token_failure_burst, limits.token_failures_per_second),
            },
            proxies,
        };
        let verifier = StoreVerifier::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(public_url.resource()),
        );
        let mut features = Features::new(Arc::clone(&scopes));
        (parts.offer)(&mut features)?;
        if features.has_no_tools() {
            features.add_tool(Arc::new(BestPersonLookerUpper))?;
        }
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
            features: Arc::new(features),
            changes: parts.changes,
            session_ttl: config.lifetimes.mcp_session,
            shutdown: parts.shutdown,
            internal: McpInternal::default(),
        };
        Ok(Self {
            store,
            clock,
            oauth,
            mcp: Arc::new(mcp),
        })
    }
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
            offer: Box::new(|_| Ok(())),
            changes: Changes::default(),
            shutdown: CancellationToken::new(),
        };
        let app = App::new(&config.unwrap(), parts).unwrap();
        let throttle = app.oauth.identity.throttle.unwrap();
        let (address, now) = ([192, 0, 2, 1].into(), app.clock.now());
        assert!(throttle.attempt(address, now).is_ok());
        assert!(throttle.attempt(address, now).is_err());
    }
}
