//! The server itself, on a port of its own, with a clock that stories turn by hand.

use std::{
    collections::HashMap, fs, net::SocketAddr, ops::Deref, sync::Arc, thread, time::Duration,
};

use futures_util::future::join_all;
use remote_mcp_auth::{
    CancellationToken, Server, ServerBuilder,
    access::ProvidedTokens,
    clock::{Clock, ManualClock, Timestamp},
    config::{Config, Database},
    mcp::feature::Changes,
    model::resource::PublicUrl,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{Balancer, PASSCODE, Site, postgres};

/// A running server. It stops when it is dropped.
pub(crate) struct TestServer {
    site: Site,
    admin: Option<Site>,
    clock: Arc<ManualClock>,
    changes: Changes,
    provided_tokens: Arc<dyn ProvidedTokens>,
    shutdown: CancellationToken,
    stopped: Vec<oneshot::Receiver<()>>,
    /// Before the replicas, where there are several.
    _balancer: Option<Balancer>,
    _home: Option<TempDir>,
}

/// Where stories are told that choose no engine: `STORIES_ON` says it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StoriesOn {
    Memory,
    Sqlite,
    Postgres,
    /// On Postgres, and every server of theirs is two, behind a balancer.
    Replicas,
}

impl StoriesOn {
    fn chosen() -> Self {
        match std::env::var("STORIES_ON").as_deref() {
            Ok("sqlite") => Self::Sqlite,
            Ok("postgres") => Self::Postgres,
            Ok("replicas") => Self::Replicas,
            Ok(other) if other != "memory" => panic!("STORIES_ON={other}: there is no such engine"),
            _ => Self::Memory,
        }
    }

    /// Where state is kept, and what it lives in.
    async fn database(self) -> (Database, Option<TempDir>) {
        let (url, home) = match self {
            Self::Memory => return (Database::Memory, None),
            Self::Sqlite => {
                let home = TempDir::new().expect("a directory");
                let path = home.path().join("state.db");
                (format!("sqlite://{}", path.display()), Some(home))
            }
            Self::Postgres | Self::Replicas => {
                (postgres::database().await.expect("Postgres"), None)
            }
        };
        let chosen = Config::from_settings([("database_url", &*url)]);
        (chosen.expect("a valid URL").database, home)
    }
}

/// How far clients are from replicas. What was taken back or set at one of them counts at the other
/// when that has heard of it, which is a matter of milliseconds; stories ask at once.
const DISTANCE: Duration = Duration::from_millis(20);

/// The ports and the passcode of every server here.
const DEFAULTS: [(&str, &str); 3] = [
    ("listen", "127.0.0.1:0"),
    ("admin_listen", "127.0.0.1:0"),
    ("sign_in_passcode", PASSCODE),
];

/// The configuration of a server that reads this file.
pub(crate) fn config_file(contents: &str) -> Config {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("server.toml"), contents).expect("a file");
    let flags = HashMap::from(DEFAULTS.map(|(key, value)| (key, value.to_owned())));
    let environment = |name: &str| (name == "CONFIG_FILE").then(|| "server.toml".into());
    Config::load(&flags, &environment, directory.path()).expect("a valid file")
}

/// What a story adds to a server, and to each of its replicas.
pub(crate) trait Offer:
    FnOnce(ServerBuilder) -> ServerBuilder + Clone + Send + Sync + 'static
{
}

impl<F: FnOnce(ServerBuilder) -> ServerBuilder + Clone + Send + Sync + 'static> Offer for F {}

/// One server, while it runs.
struct Running {
    addr: SocketAddr,
    admin_addr: Option<SocketAddr>,
    connector_url: String,
    changes: Changes,
    provided_tokens: Arc<dyn ProvidedTokens>,
    stopped: oneshot::Receiver<()>,
}

impl Running {
    async fn start(
        config: Config,
        clock: Arc<ManualClock>,
        shutdown: CancellationToken,
        offer: &impl Offer,
    ) -> Self {
        let offer = offer.clone();
        let (starting, started) = oneshot::channel();
        let (stopping, stopped) = oneshot::channel();
        // A thread and a runtime of its own: requests meet real parallelism, whatever the test's runtime is.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let clock: Arc<dyn Clock> = clock;
                let builder = offer(Server::builder(config).clock(clock));
                let changes = builder.changes();
                let server = builder.bind().await.expect("free ports");
                let _ = starting.send(Self {
                    addr: server.public_addr(),
                    admin_addr: server.admin_addr(),
                    connector_url: server.connector_url().to_owned(),
                    changes,
                    provided_tokens: server.provided_tokens(),
                    stopped,
                });
                server
                    .run(shutdown)
                    .await
                    .expect("the server ends in good order");
            });
            runtime.shutdown_background();
            let _ = stopping.send(());
        });
        started.await.expect("the server starts")
    }
}

impl TestServer {
    /// With the settings of a first run, but for the passcode and the ports.
    pub(crate) async fn start() -> Self {
        Self::with([]).await
    }

    /// With these settings besides.
    pub(crate) async fn with<const N: usize>(settings: [(&str, &str); N]) -> Self {
        Self::offering(settings, |builder| builder).await
    }

    /// With these settings besides, and with tools, prompts and resources of the story's own.
    pub(crate) async fn offering<const N: usize>(
        settings: [(&str, &str); N],
        offer: impl Offer,
    ) -> Self {
        let set_here = |key: &str| settings.iter().any(|(other, _)| *other == key);
        let config = || {
            let defaults = DEFAULTS.into_iter().filter(|(key, _)| !set_here(key));
            Config::from_settings(defaults.chain(settings)).expect("valid settings")
        };
        Self::replicas(Self::for_each(config), offer).await
    }

    /// With what a configuration file says besides.
    pub(crate) async fn reading(file: &str) -> Self {
        let configs = Self::for_each(|| config_file(file));
        Self::replicas(configs, |builder| builder).await
    }

    /// The same, but it is one server wherever stories are told.
    pub(crate) async fn one_reading(file: &str) -> Self {
        Self::configured(config_file(file), |builder| builder).await
    }

    /// With this configuration, whatever it says. It is one server wherever stories are told.
    pub(crate) async fn configured(config: Config, offer: impl Offer) -> Self {
        Self::replicas(vec![config], offer).await
    }

    /// As many configurations as there are servers, where a story is told.
    fn for_each(config: impl Fn() -> Config) -> Vec<Config> {
        let replicas = match StoriesOn::chosen() {
            StoriesOn::Replicas => 2,
            _ => 1,
        };
        std::iter::repeat_with(config).take(replicas).collect()
    }

    /// As many servers as there are configurations, which say the same.
    async fn replicas(mut configs: Vec<Config>, offer: impl Offer) -> Self {
        let mut home = None;
        if configs
            .iter()
            .all(|config| config.database == Database::Memory)
        {
            let (database, lives_in) = StoriesOn::chosen().database().await;
            for config in &mut configs {
                config.database = database.clone();
            }
            home = lives_in;
        } else {
            // The story is about that engine.
            configs.truncate(1);
        }
        let balancer = match configs.len() {
            1 => None,
            _ => Some(Balancer::start().await),
        };
        if let Some(balancer) = &balancer {
            balancer.at_a_distance(DISTANCE);
            let url = format!("http://localhost:{}", balancer.addr().port());
            let url = PublicUrl::parse(&url).expect("an origin");
            for config in &mut configs {
                config.public_url.get_or_insert(url.clone());
            }
        }
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_767_225_600_000)));
        let shutdown = CancellationToken::new();
        let running = configs
            .into_iter()
            .map(|config| Running::start(config, Arc::clone(&clock), shutdown.clone(), &offer));
        let running = join_all(running).await;
        if let Some(balancer) = &balancer {
            balancer.to(running.iter().map(|server| server.addr));
        }
        let first = running.first().expect("at least one");
        let addr = balancer.as_ref().map_or(first.addr, Balancer::addr);
        let public_url = first
            .connector_url
            .strip_suffix("/mcp")
            .expect("the connector URL ends in /mcp");
        let admin = first
            .admin_addr
            .map(|addr| Site::new(addr, &format!("http://{addr}")));
        Self {
            site: Site::new(addr, public_url),
            admin,
            clock,
            changes: first.changes.clone(),
            provided_tokens: Arc::clone(&first.provided_tokens),
            shutdown,
            stopped: running.into_iter().map(|server| server.stopped).collect(),
            _balancer: balancer,
            _home: home,
        }
    }

    /// The private listener.
    pub(crate) fn admin(&self) -> &Site {
        self.admin.as_ref().expect("an admin listener")
    }

    /// What the server's clock shows, in seconds since the epoch.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now().as_secs()
    }

    /// Turns the server's clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// What tells the server's clients of changes.
    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// People's own tokens at their identity providers.
    pub(crate) fn provided_tokens(&self) -> Arc<dyn ProvidedTokens> {
        Arc::clone(&self.provided_tokens)
    }

    /// Asks the server to stop, and returns at once.
    pub(crate) fn begin_shutdown(&self) {
        self.shutdown.cancel();
    }

    /// Waits for the server to have stopped.
    pub(crate) async fn stopped(&mut self) {
        for stopped in self.stopped.drain(..) {
            stopped.await.expect("the server ends in good order");
        }
    }
}

impl Deref for TestServer {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
