//! The composition root: puts the rooms together from the configuration.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    access::{DescribeTools, ProvidedTokens},
    account::AccountState,
    clock::Clock,
    config::{Config, Exemptions, Limits, Logo, Registration},
    identity::{
        IdentityState, KeptTokens, Owner, Passwords, Providers, SignInLimits, SignInThrottle,
    },
    mcp::{McpInternal, McpState, feature::Offered},
    model::{
        client::{Client, ClientId},
        client_metadata::GrantType,
        resource::PublicUrl,
        scope::ScopeCatalogue,
    },
    oauth::{
        ClientDocuments, DocumentPolicy, OAuthState, ProofRules, RegistrationPolicy,
        RemoteDocuments, RemoteKeys, ResourceServer, StoreVerifier, Throttles, TokenLifetimes,
    },
    state::State,
    store::Store,
    upstream::Assertions,
    web::{
        brand::Brand,
        client_address::TrustedProxies,
        fetch::{FetchAllow, Fetcher},
        origin::{AllowedHosts, AllowedOrigins, without_port},
        throttle::Throttle,
    },
};

/// What the rooms share.
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) oauth: OAuthState,
    pub(crate) account: AccountState,
    pub(crate) mcp: Arc<McpState>,
    /// Says to upstreams who calls.
    pub(crate) assertions: Arc<Assertions>,
    /// For those who call people's own APIs.
    pub(crate) provided_tokens: Arc<dyn ProvidedTokens>,
    pub(crate) brand: Brand,
    /// A logo that is to be fetched, and who fetches it.
    pub(crate) logo: Option<(Fetcher, String)>,
}

/// What the rooms are made from, beside the configuration. It outlives them when another
/// configuration takes the place of the first.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) state: State,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) public_url: PublicUrl,
    pub(crate) owner: Owner,
    pub(crate) offered: Arc<Offered>,
    /// Says to upstreams who calls.
    pub(crate) assertions: Arc<Assertions>,
    /// What the endpoint has going on.
    pub(crate) mcp: Arc<McpInternal>,
    /// Goes where strangers tell it to; `None`: one that is made from the configuration.
    pub(crate) fetcher: Option<Fetcher>,
    pub(crate) shutdown: CancellationToken,
}

impl App {
    /// Puts the rooms together.
    pub(crate) fn new(config: &Config, parts: &Parts) -> Self {
        let Parts {
            state: State { store, nonces, .. },
            clock,
            public_url,
            ..
        } = parts;
        let brand = Brand::new(config.branding.settings.clone(), public_url.host());
        let scopes = Arc::new(config.scopes.clone());
        let fetcher = parts.fetcher.clone().unwrap_or_else(|| {
            let Exemptions { hosts, networks } = config.fetch_allow.clone();
            Fetcher::new(FetchAllow::new(hosts, networks))
        });
        let identity = identity(config, parts);
        let provided_tokens = Arc::new(KeptTokens::new(identity.clone()));
        let logo = match &config.branding.logo {
            Some(Logo::Url(url)) => Some((fetcher.clone(), url.clone())),
            Some(Logo::Image(image)) => {
                brand.set_logo(image.clone());
                None
            }
            None => None,
        };
        let proofs = ProofRules {
            nonces: Arc::clone(nonces),
            nonce_required: config.dpop_nonces,
        };
        let words = Words {
            scopes: Arc::clone(&scopes),
            tools: Arc::clone(&parts.offered) as _,
        };
        let oauth = oauth(config, identity, words, fetcher, proofs.clone());
        let account = AccountState {
            identity: oauth.identity.clone(),
            scopes: Arc::clone(&scopes),
            tools: Arc::clone(&parts.offered) as _,
            clients: Arc::clone(&oauth.clients),
        };
        let verifier = StoreVerifier::new(
            Arc::clone(store),
            Arc::clone(clock),
            Arc::clone(public_url.resource()),
            proofs,
        );
        let mcp = McpState {
            verifier: Arc::new(verifier),
            sessions: Arc::clone(store) as _,
            mail: Arc::clone(store) as _,
            tasks: Arc::clone(store) as _,
            clock: Arc::clone(clock),
            origins: Arc::new(AllowedOrigins::new(
                public_url.origin(),
                config.allowed_origins.clone(),
            )),
            hosts: Arc::new(AllowedHosts::new(
                public_url.host(),
                config.allowed_hosts.clone(),
            )),
            public_url: public_url.clone(),
            scopes,
            offered: Arc::clone(&parts.offered),
            audit: config.audit_arguments,
            session_ttl: config.lifetimes.mcp_session,
            shutdown: parts.shutdown.clone(),
            internal: Arc::clone(&parts.mcp),
        };
        Self {
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            oauth,
            account,
            mcp: Arc::new(mcp),
            assertions: Arc::clone(&parts.assertions),
            provided_tokens,
            brand,
            logo,
        }
    }
}

/// Who signs in here, and how.
fn identity(config: &Config, parts: &Parts) -> IdentityState {
    let limits = config.limits;
    let proxies = Arc::new(TrustedProxies::new(
        config.proxies.trusted.clone(),
        config.proxies.header.clone(),
    ));
    let to_providers = parts
        .fetcher
        .clone()
        .unwrap_or_else(|| fetcher_to_providers(config));
    IdentityState {
        store: Arc::clone(&parts.state.store),
        clock: Arc::clone(&parts.clock),
        public_url: parts.public_url.clone(),
        owner: parts.owner.clone(),
        passwords: Passwords::default(),
        providers: Arc::new(Providers::new(&config.providers, &to_providers)),
        departures: throttle(
            &limits,
            limits.authorization_burst,
            limits.authorizations_per_second,
        ),
        link_keys: Arc::clone(&parts.state.links),
        sign_in_ttl: config.lifetimes.sign_in,
        throttle: sign_in_throttle(&limits),
        proxies,
    }
}

/// What goes to identity providers. The operator has named their hosts, which may well be inside.
fn fetcher_to_providers(config: &Config) -> Fetcher {
    let Exemptions {
        mut hosts,
        networks,
    } = config.fetch_allow.clone();
    let issuers = config.providers.iter().map(|provider| provider.issuer());
    hosts.extend(issuers.filter_map(|issuer| {
        let (_, rest) = issuer.split_once("://")?;
        let authority = rest.split('/').next()?;
        Some(without_port(authority).to_ascii_lowercase())
    }));
    Fetcher::new(FetchAllow::new(hosts, networks))
}

/// What people are told of what can be allowed.
struct Words {
    scopes: Arc<ScopeCatalogue>,
    tools: Arc<dyn DescribeTools>,
}

/// The authorization server. It shares what identity has.
fn oauth(
    config: &Config,
    identity: IdentityState,
    words: Words,
    fetcher: Fetcher,
    proofs: ProofRules,
) -> OAuthState {
    let configured = config.clients.iter();
    let clients: HashMap<ClientId, Arc<Client>> = configured
        .map(|client| (client.id.clone(), Arc::new(client.clone())))
        .collect();
    let metadata_rules = Arc::new(config.metadata_rules.clone());
    let remote = Arc::new(RemoteDocuments::new(fetcher));
    let documents = config.client_documents.as_ref().map(|hosts| {
        let policy = DocumentPolicy {
            allowed_hosts: hosts.allowed.clone(),
            denied_hosts: hosts.denied.clone(),
        };
        let pinned = config.pinned_documents.clone();
        let rules = Arc::clone(&metadata_rules);
        Arc::new(ClientDocuments::new(
            Arc::clone(&remote),
            policy,
            rules,
            pinned,
        ))
    });
    let resource = identity.public_url.resource();
    let servers = config.resource_servers.iter();
    let resource_servers = servers.map(|server| ResourceServer {
        id: Arc::clone(&server.id),
        secret: server.secret,
        audience: Arc::clone(server.audience.as_ref().unwrap_or(resource)),
    });
    OAuthState {
        store: Arc::clone(&identity.store),
        clock: Arc::clone(&identity.clock),
        public_url: identity.public_url.clone(),
        scopes: words.scopes,
        tools: words.tools,
        lifetimes: TokenLifetimes {
            code: config.lifetimes.code,
            access_token: config.lifetimes.access_token,
            refresh_token: config.lifetimes.refresh_token,
            refresh_grace: config.lifetimes.refresh_grace,
        },
        resource_servers: resource_servers.collect(),
        grant_types: grant_types(&clients, !config.assertion_issuers.is_empty()).into(),
        assertion_issuers: config.assertion_issuers.clone().into(),
        clients: Arc::new(clients),
        documents,
        keys: Arc::new(RemoteKeys::new(remote)),
        proofs,
        registration: match &config.registration {
            Registration::Open => RegistrationPolicy::Open,
            Registration::WithToken(token) => RegistrationPolicy::WithToken(token.digest()),
            Registration::Off => RegistrationPolicy::Closed,
        },
        metadata_rules,
        throttles: throttles(&config.limits),
        proxies: Arc::clone(&identity.proxies),
        identity,
    }
}

/// What no client can use is not offered.
fn grant_types(clients: &HashMap<ClientId, Arc<Client>>, takes_assertions: bool) -> Vec<GrantType> {
    let mut offered = vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
    let mut used = clients
        .values()
        .flat_map(|client| &client.metadata.grant_types);
    if used.any(|grant| *grant == GrantType::ClientCredentials) {
        offered.push(GrantType::ClientCredentials);
    }
    if takes_assertions {
        offered.push(GrantType::JwtBearer);
    }
    offered
}

fn throttles(limits: &Limits) -> Throttles {
    let throttle = |burst, per_second| throttle(limits, burst, per_second);
    Throttles {
        registration: throttle(limits.registration_burst, limits.registrations_per_second),
        authorization: throttle(limits.authorization_burst, limits.authorizations_per_second),
        token: throttle(limits.token_failure_burst, limits.token_failures_per_second),
    }
}

fn throttle(limits: &Limits, burst: u32, per_second: u32) -> Option<Arc<Throttle<IpAddr>>> {
    let every = Duration::from_secs(1) / per_second;
    let is_on = limits.rate_limits;
    is_on.then(|| Arc::new(Throttle::new(burst, every)))
}

fn sign_in_throttle(limits: &Limits) -> Option<Arc<SignInThrottle>> {
    limits.rate_limits.then(|| {
        Arc::new(SignInThrottle::new(SignInLimits {
            per_address: limits.sign_in_failures_per_address,
            overall: limits.sign_in_failures,
            decay: limits.sign_in_failure_decay,
        }))
    })
}

#[cfg(test)]
impl Parts {
    /// What rooms of a test are made from: nothing lasts, and nothing is offered.
    pub(crate) async fn of_a_test(config: &Config, clock: Arc<dyn Clock>) -> Self {
        let state = State::open(config, None, crate::clock::Timestamp::default());
        let state = state.await.unwrap();
        let public_url = PublicUrl::parse("http://localhost:4000").unwrap();
        let features = crate::mcp::feature::Features::new(Arc::new(config.scopes.clone()));
        let changes = crate::mcp::feature::Changes::default();
        Self {
            assertions: state.assertions(&clock, &public_url),
            mcp: Arc::new(McpInternal::new(Arc::clone(&state.states))),
            state,
            clock,
            public_url,
            owner: Owner::Nobody,
            offered: Arc::new(Offered::new(features, changes)),
            fetcher: None,
            shutdown: CancellationToken::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[tokio::test]
    async fn the_extremes_that_are_accepted_can_be_reckoned_with() {
        let config = Config::from_settings([
            ("limits.sign_in_failures_per_address", "1000000000"),
            ("limits.sign_in_failures", "1"),
            ("limits.sign_in_failure_decay", "10y"),
            ("limits.registrations_per_second", "1000000000"),
        ]);
        let config = config.unwrap();
        let parts = Parts::of_a_test(&config, Arc::new(SystemClock)).await;
        let app = App::new(&config, &parts);
        let throttle = app.oauth.identity.throttle.unwrap();
        let (address, now) = ([192, 0, 2, 1].into(), app.clock.now());
        assert!(throttle.attempt(address, now).is_ok());
        assert!(throttle.attempt(address, now).is_err());
    }
}
