//! The composition root: puts the rooms together from the configuration.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    access::DescribeTools,
    account::AccountState,
    clock::{Clock, Timestamp},
    config::{Config, Database, Exemptions, Limits, Logo, Registration},
    identity::{IdentityState, SignInLimits, SignInThrottle},
    mcp::{
        McpInternal, McpState,
        feature::{BestPersonLookerUpper, Changes, Features, Offered, RegistryError},
    },
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
    secret::Passcode,
    store::{self, KeyRing, MemoryStore, OpenError, SqlStore, Store, StoreError},
    web::{
        brand::Brand,
        client_address::TrustedProxies,
        fetch::{FetchAllow, Fetcher},
        origin::{AllowedHosts, AllowedOrigins},
        throttle::Throttle,
    },
};

/// What the server has keys of its own for: states of calls, and nonces.
pub(crate) const KEYS: [&str; 2] = ["request states", "dpop nonces"];

/// What the rooms share.
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    /// The server's own keys, to be renewed now and then.
    pub(crate) keys: [Arc<KeyRing>; 2],
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) oauth: OAuthState,
    pub(crate) account: AccountState,
    pub(crate) mcp: Arc<McpState>,
    pub(crate) brand: Brand,
    /// A logo that is to be fetched, and who fetches it.
    pub(crate) logo: Option<(Fetcher, String)>,
}

/// Registers what a program offers.
pub(crate) type Offer = Box<dyn FnOnce(&mut Features) -> Result<(), RegistryError> + Send>;

/// What outlives the rooms, and perhaps the process.
pub(crate) struct State {
    store: Arc<dyn Store>,
    /// Seals what clients carry between the rounds of a call.
    states: Arc<KeyRing>,
    /// Makes the nonces of proofs of possession.
    nonces: Arc<KeyRing>,
}

/// Why there is no state to begin with.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It can, and failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl State {
    /// Opens the engine that the configuration names, unless one is given.
    pub(crate) async fn open(
        config: &Config,
        given: Option<Arc<dyn Store>>,
        now: Timestamp,
    ) -> Result<Self, StateError> {
        let store = match given {
            Some(store) => store,
            None => open_store(config).await?,
        };
        let [states, nonces] = KEYS;
        Ok(Self {
            states: Arc::new(KeyRing::open(&*store, states, now).await?),
            nonces: Arc::new(KeyRing::open(&*store, nonces, now).await?),
            store,
        })
    }
}

async fn open_store(config: &Config) -> Result<Arc<dyn Store>, OpenError> {
    let limits = store::Limits {
        clients: config.limits.clients,
        pending_authorizations: config.limits.pending_authorizations,
        mcp_sessions: config.limits.mcp_sessions,
        mcp_sessions_per_grant: config.limits.mcp_sessions_per_grant,
        replays: config.limits.replays,
    };
    let connections = config.limits.database_connections;
    let store: Arc<dyn Store> = match &config.database {
        Database::Memory => Arc::new(MemoryStore::new(limits)),
        Database::Sqlite(path) => Arc::new(SqlStore::sqlite(path, limits).await?),
        Database::Postgres(url) => {
            Arc::new(SqlStore::postgres(url.expose(), connections, limits).await?)
        }
    };
    tracing::info!("state is kept in {}", config.database);
    Ok(store)
}

/// What the rooms are made from, beside the configuration.
pub(crate) struct Parts {
    pub(crate) state: State,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) public_url: PublicUrl,
    pub(crate) passcode: Arc<Passcode>,
    pub(crate) offer: Offer,
    pub(crate) changes: Changes,
    /// Goes where strangers tell it to; `None`: one that is made from the configuration.
    pub(crate) fetcher: Option<Fetcher>,
    pub(crate) shutdown: CancellationToken,
}

impl App {
    /// Puts the rooms together. Without tools the example tool is offered.
    pub(crate) fn new(config: &Config, parts: Parts) -> Result<Self, RegistryError> {
        let limits = config.limits;
        let State {
            store,
            states,
            nonces,
        } = parts.state;
        let clock = parts.clock;
        let public_url = parts.public_url;
        let brand = Brand::new(config.branding.settings.clone(), public_url.host());
        let scopes = Arc::new(config.scopes.clone());
        let proxies = Arc::new(TrustedProxies::new(
            config.proxies.trusted.clone(),
            config.proxies.header.clone(),
        ));
        let identity = IdentityState {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            public_url: public_url.clone(),
            passcode: parts.passcode,
            sign_in_ttl: config.lifetimes.sign_in,
            throttle: sign_in_throttle(&limits),
            proxies: Arc::clone(&proxies),
        };
        let fetcher = parts.fetcher.unwrap_or_else(|| {
            let Exemptions { hosts, networks } = config.fetch_allow.clone();
            Fetcher::new(FetchAllow::new(hosts, networks))
        });
        let logo = match &config.branding.logo {
            Some(Logo::Url(url)) => Some((fetcher.clone(), url.clone())),
            Some(Logo::Image(image)) => {
                brand.set_logo(image.clone());
                None
            }
            None => None,
        };
        let proofs = ProofRules {
            nonces: Arc::clone(&nonces),
            nonce_required: config.dpop_nonces,
        };
        let mut features = Features::new(Arc::clone(&scopes));
        (parts.offer)(&mut features)?;
        if features.has_no_tools() {
            features.add_tool(Arc::new(BestPersonLookerUpper))?;
        }
        let offered = Arc::new(Offered::new(features, parts.changes));
        let words = Words {
            scopes: Arc::clone(&scopes),
            tools: Arc::clone(&offered) as _,
        };
        let oauth = oauth(config, identity, words, fetcher, proofs.clone());
        let account = AccountState {
            identity: oauth.identity.clone(),
            scopes: Arc::clone(&scopes),
            tools: Arc::clone(&offered) as _,
            clients: Arc::clone(&oauth.clients),
        };
        let verifier = StoreVerifier::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(public_url.resource()),
            proofs,
        );
        let mcp = McpState {
            verifier: Arc::new(verifier),
            sessions: Arc::clone(&store) as _,
            mail: Arc::clone(&store) as _,
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
            offered,
            session_ttl: config.lifetimes.mcp_session,
            shutdown: parts.shutdown,
            internal: McpInternal::new(Arc::clone(&states)),
        };
        Ok(Self {
            store,
            keys: [states, nonces],
            clock,
            oauth,
            account,
            mcp: Arc::new(mcp),
            brand,
            logo,
        })
    }
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
    let throttle = |burst, per_second| {
        limits
            .rate_limits
            .then(|| Arc::new(Throttle::new(burst, Duration::from_secs(1) / per_second)))
    };
    Throttles {
        registration: throttle(limits.registration_burst, limits.registrations_per_second),
        authorization: throttle(limits.authorization_burst, limits.authorizations_per_second),
        token: throttle(limits.token_failure_burst, limits.token_failures_per_second),
    }
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
        let parts = Parts {
            state: State::open(&config, None, Timestamp::default())
                .await
                .unwrap(),
            clock: Arc::new(SystemClock),
            public_url: PublicUrl::parse("http://localhost:4000").unwrap(),
            passcode: Arc::new(Passcode::generate()),
            offer: Box::new(|_| Ok(())),
            changes: Changes::default(),
            fetcher: None,
            shutdown: CancellationToken::new(),
        };
        let app = App::new(&config, parts).unwrap();
        let throttle = app.oauth.identity.throttle.unwrap();
        let (address, now) = ([192, 0, 2, 1].into(), app.clock.now());
        assert!(throttle.attempt(address, now).is_ok());
        assert!(throttle.attempt(address, now).is_err());
    }
}
