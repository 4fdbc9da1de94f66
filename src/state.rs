//! What the server remembers: the store that the configuration names, and the server's own keys.

use std::sync::Arc;

use crate::{
    clock::{Clock, Timestamp},
    config::{Config, Database},
    identity::Owner,
    model::resource::PublicUrl,
    secret::Passcode,
    store::{
        self, ImportError, KeyRing, LINK_KEYS, MemoryStore, OpenError, SqlStore, Store, StoreError,
    },
    upstream::Assertions,
};

/// What the server has keys of its own for: states of calls, nonces, and what upstreams are told of
/// people, and tokens of identity providers.
pub(crate) const KEYS: [&str; 4] = [
    "request states",
    "dpop nonces",
    "upstream assertions",
    LINK_KEYS,
];

/// What outlives the rooms, and perhaps the process.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) store: Arc<dyn Store>,
    /// Seals what clients carry between the rounds of a call.
    pub(crate) states: Arc<KeyRing>,
    /// Makes the nonces of proofs of possession.
    pub(crate) nonces: Arc<KeyRing>,
    /// Yields the keys of assertions.
    assertions: Arc<KeyRing>,
    /// Seals the tokens of identity providers.
    pub(crate) links: Arc<KeyRing>,
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
        let [states, nonces, assertions, links] = KEYS;
        Ok(Self {
            states: Arc::new(KeyRing::open(&*store, states, now).await?),
            nonces: Arc::new(KeyRing::open(&*store, nonces, now).await?),
            assertions: Arc::new(KeyRing::open(&*store, assertions, now).await?),
            links: Arc::new(KeyRing::open(&*store, links, now).await?),
            store,
        })
    }

    /// The built-in user: there is one as long as nobody else could sign in, or where the operator wants
    /// it.
    pub(crate) async fn owner(&self, config: &mut Config) -> Result<Owner, StoreError> {
        if let Some(passcode) = config.passcode.take() {
            return Ok(Owner::Chosen(Arc::new(passcode)));
        }
        if !config.providers.is_empty() || self.store.has_users().await? {
            return Ok(Owner::Nobody);
        }
        Ok(Owner::Generated(Arc::new(Passcode::generate())))
    }

    /// All of its keys, to be renewed now and then.
    pub(crate) fn keys(&self) -> [Arc<KeyRing>; KEYS.len()] {
        [&self.states, &self.nonces, &self.assertions, &self.links].map(Arc::clone)
    }

    /// What says to upstreams who calls, in the name of `issuer`.
    pub(crate) fn assertions(&self, clock: &Arc<dyn Clock>, issuer: &PublicUrl) -> Arc<Assertions> {
        let (keys, clock) = (Arc::clone(&self.assertions), Arc::clone(clock));
        let people = Arc::clone(&self.store);
        Arc::new(Assertions::new(keys, clock, issuer.clone(), people))
    }
}

/// Opens the engine that the configuration names.
pub(crate) async fn open_store(config: &Config) -> Result<Arc<dyn Store>, OpenError> {
    let store: Arc<dyn Store> = match open_database(config, &config.database).await? {
        Some(database) => Arc::new(database),
        None => Arc::new(MemoryStore::new(store_limits(config))),
    };
    tracing::info!("state is kept in {}", config.database);
    Ok(store)
}

/// `None`: it is not a database.
async fn open_database(
    config: &Config,
    database: &Database,
) -> Result<Option<SqlStore>, OpenError> {
    let limits = store_limits(config);
    Ok(match database {
        Database::Memory => None,
        Database::Sqlite(path) => Some(SqlStore::sqlite(path, limits).await?),
        Database::Postgres(url) => {
            let connections = config.limits.database_connections;
            Some(SqlStore::postgres(url.expose(), connections, limits).await?)
        }
    })
}

/// Why the state of another database was not taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeOverError {
    #[error("--database-url (DATABASE_URL) names no database to bring it into")]
    Memory,
    #[error("{0}: there is no such file")]
    NoFile(Database),
    #[error("{0}: {1}")]
    Open(Database, OpenError),
    #[error("{0}: {1}")]
    Import(Database, ImportError),
}

/// Takes over into the configured database all that `from` holds. Returns how many things.
pub(crate) async fn take_over(config: &Config, from: &Database) -> Result<u64, TakeOverError> {
    if config.database == Database::Memory {
        return Err(TakeOverError::Memory);
    }
    // It would be made, and there would be nothing in it.
    if let Database::Sqlite(path) = from
        && !path.exists()
    {
        return Err(TakeOverError::NoFile(from.clone()));
    }
    let open = async |database: &Database| {
        let opened = open_database(config, database).await;
        let opened = opened.map_err(|error| TakeOverError::Open(database.clone(), error))?;
        opened.ok_or(TakeOverError::Memory)
    };
    let into = open(&config.database).await?;
    let imported = into.import(&open(from).await?).await;
    imported.map_err(|error| TakeOverError::Import(config.database.clone(), error))
}

fn store_limits(config: &Config) -> store::Limits {
    store::Limits {
        clients: config.limits.clients,
        pending_authorizations: config.limits.pending_authorizations,
        mcp_sessions: config.limits.mcp_sessions,
        mcp_sessions_per_grant: config.limits.mcp_sessions_per_grant,
        replays: config.limits.replays,
    }
}
