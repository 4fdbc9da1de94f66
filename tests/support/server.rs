//! The server itself, on a port of its own, with a clock that stories turn by hand.

use std::{collections::HashMap, fs, ops::Deref, sync::Arc, thread, time::Duration};

use remote_mcp_auth::{
    CancellationToken, Server, ServerBuilder,
    clock::{Clock, ManualClock, Timestamp},
    config::{Config, Database},
    mcp::feature::Changes,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{PASSCODE, Site, postgres};

/// A running server. It stops when it is dropped.
pub(crate) struct TestServer {
    site: Site,
    admin: Option<Site>,
    clock: Arc<ManualClock>,
    changes: Changes,
    shutdown: CancellationToken,
    stopped: oneshot::Receiver<()>,
    _home: Option<TempDir>,
}

/// Stories that choose no engine are told with memory, or with the one that `STORIES_ON` names:
/// `sqlite` or `postgres`. Returns what it lives in.
async fn choose_engine(config: &mut Config) -> Option<TempDir> {
    if config.database != Database::Memory {
        return None;
    }
    let (url, home) = match std::env::var("STORIES_ON").as_deref() {
        Ok("sqlite") => {
            let home = TempDir::new().expect("a directory");
            let path = home.path().join("state.db");
            (format!("sqlite://{}", path.display()), Some(home))
        }
        Ok("postgres") => (postgres::database().await.expect("Postgres"), None),
        _ => return None,
    };
    let chosen = Config::from_settings([("database_url", &*url)]);
    config.database = chosen.expect("a valid URL").database;
    home
}

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
        offer: impl FnOnce(ServerBuilder) -> ServerBuilder + Send + 'static,
    ) -> Self {
        let set_here = |key: &str| settings.iter().any(|(other, _)| *other == key);
        let defaults = DEFAULTS.into_iter().filter(|(key, _)| !set_here(key));
        let config = Config::from_settings(defaults.chain(settings)).expect("valid settings");
        Self::configured(config, offer).await
    }

    /// With what a configuration file says besides.
    pub(crate) async fn reading(file: &str) -> Self {
        Self::configured(config_file(file), |builder| builder).await
    }

    /// With this configuration, whatever it says.
    pub(crate) async fn configured(
        mut config: Config,
        offer: impl FnOnce(ServerBuilder) -> ServerBuilder + Send + 'static,
    ) -> Self {
        let home = choose_engine(&mut config).await;
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_767_225_600_000)));
        let shutdown = CancellationToken::new();
        let (bound, when_bound) = oneshot::channel();
        let (stopping, stopped) = oneshot::channel();
        let for_server = (Arc::clone(&clock), shutdown.clone());
        // A thread and a runtime of its own: requests meet real parallelism, whatever the test's runtime is.
        thread::spawn(move || {
            let (clock, shutdown) = for_server;
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
                let url = server.connector_url().to_owned();
                let _ = bound.send((server.public_addr(), server.admin_addr(), url, changes));
                server
                    .run(shutdown)
                    .await
                    .expect("the server ends in good order");
            });
            runtime.shutdown_background();
            let _ = stopping.send(());
        });

        let (addr, admin_addr, connector_url, changes) =
            when_bound.await.expect("the server starts");
        let public_url = connector_url
            .strip_suffix("/mcp")
            .expect("the connector URL ends in /mcp");
        Self {
            site: Site::new(addr, public_url),
            admin: admin_addr.map(|addr| Site::new(addr, &format!("http://{addr}"))),
            clock,
            changes,
            shutdown,
            stopped,
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

    /// Asks the server to stop, and returns at once.
    pub(crate) fn begin_shutdown(&self) {
        self.shutdown.cancel();
    }

    /// Waits for the server to have stopped.
    pub(crate) async fn stopped(&mut self) {
        (&mut self.stopped)
            .await
            .expect("the server ends in good order");
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
