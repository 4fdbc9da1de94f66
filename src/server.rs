//! A server, from bound listeners to the last answer.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::ProvidedTokens,
    admin,
    app::{App, Parts},
    clock::{Clock, SystemClock},
    config::{AdminListener, Config, ConfigErrors},
    connection::{self, Routes},
    identity::{self, Owner},
    logo,
    mcp::{
        self, McpInternal,
        feature::{Changes, Prompt, RegistryError, Resource, ResourceTemplate, Tool},
    },
    model::resource::PublicUrl,
    offering::{Offering, OwnFeatures, Rehearsal, Sources},
    reload::{Load, Reloader},
    router,
    state::{KEYS, State, StateError},
    store::{self, KeyRing, MemoryStore, Store},
    tunnel::{self, Tunnel, TunnelError},
    upstream::{
        self, DescriptionError, PeoplesTokens, Surroundings, UpstreamClient, mcp::McpUpstreams,
    },
    web::fetch::Fetcher,
};

/// How often what has expired is swept.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Connections to the private listener.
const ADMIN_CONNECTIONS: usize = 100;

/// Why a server could not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({setting}): {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What sets it.
        setting: &'static str,
        /// Why.
        source: io::Error,
    },
    /// There is no state to begin with.
    #[error("--database-url (DATABASE_URL): {0}")]
    State(#[from] StateError),
    /// A tool cannot be offered.
    #[error(transparent)]
    Tools(#[from] RegistryError),
    /// An API cannot be offered.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// There is no tunnel, or no longer.
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    /// A listener failed.
    #[error("a listener failed: {0}")]
    Listener(#[from] io::Error),
}

/// How a server is put together.
pub struct ServerBuilder {
    config: Config,
    clock: Arc<dyn Clock>,
    own: OwnFeatures,
    load: Option<Load>,
    changes: Changes,
    fetcher: Option<Fetcher>,
    store: Option<Arc<dyn Store>>,
    tunnel: bool,
}

impl ServerBuilder {
    /// Another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Offers a tool. Without any, the example tool is offered.
    #[must_use]
    pub fn tool(mut self, tool: Arc<dyn Tool>) -> Self {
        self.own.tools.push(tool);
        self
    }

    /// Offers a prompt.
    #[must_use]
    pub fn prompt(mut self, prompt: Arc<dyn Prompt>) -> Self {
        self.own.prompts.push(prompt);
        self
    }

    /// Offers a resource.
    #[must_use]
    pub fn resource(mut self, resource: Arc<dyn Resource>) -> Self {
        self.own.resources.push(resource);
        self
    }

    /// Offers a family of resources.
    #[must_use]
    pub fn resource_template(mut self, template: Arc<dyn ResourceTemplate>) -> Self {
        self.own.templates.push(template);
        self
    }

    /// What tells clients of changes, for a program that makes them outside a call.
    pub fn changes(&self) -> Changes {
        self.changes.clone()
    }

    /// Another way to fetch what strangers name than that of the configuration.
    #[must_use]
    pub fn fetcher(mut self, fetcher: Fetcher) -> Self {
        self.fetcher = Some(fetcher);
        self
    }

    /// Another store than that of the configuration: one that several servers share, or an engine of
    /// your own.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Reads the configuration anew with `load` at SIGHUP, and when one of its files changes.
    #[must_use]
    pub fn reloading(
        mut self,
        load: impl Fn() -> Result<Config, ConfigErrors> + Send + Sync + 'static,
    ) -> Self {
        self.load = Some(Box::new(load));
        self
    }

    /// Starts cloudflared and uses the public URL that it prints.
    #[must_use]
    pub fn tunnel(mut self, tunnel: bool) -> Self {
        self.tunnel = tunnel;
        self
    }

    /// Finds out what would be offered, and starts nothing.
    pub async fn rehearse(self) -> Result<Rehearsal, ServeError> {
        let config = self.config;
        // Of the keys in it nothing is made, and nothing signed.
        let store = Arc::new(MemoryStore::new(store::Limits::default()));
        let state = State::open(&config, Some(store), self.clock.now()).await?;
        let public_url = config.public_url.clone();
        let public_url = public_url.unwrap_or_else(|| local_url(config.listen));
        let surroundings = Surroundings {
            client: UpstreamClient::new(),
            assertions: state.assertions(&self.clock, &public_url),
            tokens: PeoplesTokens::default(),
        };
        let apis = upstream::describe(&config.apis, &surroundings.client).await?;
        let upstreams = Arc::new(McpUpstreams::new(
            &config.upstreams,
            &surroundings,
            &self.changes,
        ));
        let sources = Sources::of(&config, &self.own, &surroundings, &apis, &upstreams)?;
        Ok(sources.rehearse())
    }

    /// Binds the listeners and puts the rooms together.
    pub async fn bind(self) -> Result<Server, ServeError> {
        let mut config = self.config;
        let client = UpstreamClient::new();
        let apis = upstream::describe(&config.apis, &client).await?;
        let state = State::open(&config, self.store, self.clock.now()).await?;
        let public = bind(config.listen, "--listen, LISTEN_ADDR").await?;
        let public_addr = public.local_addr()?;
        let admin = bind_admin(config.admin).await?;
        let admin_addr = admin.as_ref().map(TcpListener::local_addr).transpose()?;
        if let Some(address) = admin_addr {
            // Not on standard output, which is for what scripts read.
            tracing::info!("the admin listener is on http://{address}");
        }

        let tunnel = if self.tunnel {
            let tunnel = Tunnel::start(public_addr).await?;
            config.public_url = Some(tunnel.url().clone());
            config.proxies.header.get_or_insert(tunnel::CLIENT_HEADER);
            Some(tunnel)
        } else {
            None
        };
        let public_url = config
            .public_url
            .clone()
            .unwrap_or_else(|| local_url(public_addr));
        for provider in &config.providers {
            let uri = identity::redirect_uri(&public_url, provider);
            tracing::info!(
                "people may sign in with {}; register {uri} there",
                provider.name
            );
        }
        let owner = state.owner(&mut config).await.map_err(StateError::from)?;
        let shutdown = CancellationToken::new();
        config.public_url = Some(public_url.clone());
        let assertions = state.assertions(&self.clock, &public_url);
        let surroundings = Surroundings {
            client,
            assertions: Arc::clone(&assertions),
            tokens: PeoplesTokens::default(),
        };
        let upstreams = Arc::new(McpUpstreams::new(
            &config.upstreams,
            &surroundings,
            &self.changes,
        ));
        let sources = Sources::of(&config, &self.own, &surroundings, &apis, &upstreams)?;
        let offering = Offering::of(sources, self.changes);
        let parts = Parts {
            mcp: Arc::new(McpInternal::new(Arc::clone(&state.states))),
            state,
            clock: self.clock,
            public_url,
            owner: owner.clone(),
            offered: Arc::clone(&offering.offered),
            assertions,
            fetcher: self.fetcher,
            shutdown: shutdown.clone(),
        };
        let app = App::new(&config, &parts);
        let tokens = Arc::clone(&app.provided_tokens);
        surroundings.tokens.are_known_to(tokens);
        offering.reach(&upstreams).await;
        let max_connections = connection::affordable(config.limits.connections);
        let routes = Routes::new(router::public(&app));
        Ok(Server {
            public,
            public_addr,
            admin,
            admin_addr,
            max_connections,
            owner,
            routes: routes.clone(),
            keys: parts.state.keys(),
            reloader: Reloader {
                load: self.load,
                config,
                has_tunnel: tunnel.is_some(),
                parts,
                own: self.own,
                surroundings,
                upstreams,
                offering,
                routes,
                logo: logo::fetch(&app),
                retiring: TaskTracker::new(),
            },
            app,
            tunnel,
            shutdown,
        })
    }
}

/// A server whose listeners are bound. Connections wait until it [runs](Self::run).
pub struct Server {
    app: App,
    public: TcpListener,
    public_addr: SocketAddr,
    admin: Option<TcpListener>,
    admin_addr: Option<SocketAddr>,
    max_connections: usize,
    owner: Owner,
    routes: Routes,
    keys: [Arc<KeyRing>; KEYS.len()],
    reloader: Reloader,
    tunnel: Option<Tunnel>,
    shutdown: CancellationToken,
}

impl Server {
    /// Starts to put a server together.
    pub fn builder(config: Config) -> ServerBuilder {
        ServerBuilder {
            config,
            clock: Arc::new(SystemClock),
            own: OwnFeatures::default(),
            load: None,
            changes: Changes::default(),
            fetcher: None,
            store: None,
            tunnel: false,
        }
    }

    /// The public listener's address.
    pub fn public_addr(&self) -> SocketAddr {
        self.public_addr
    }

    /// The private listener's address, if there is one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// The URL that people paste into their client.
    pub fn connector_url(&self) -> &str {
        self.app.mcp.public_url.resource()
    }

    /// The passcode that was generated because none was configured.
    pub fn generated_passcode(&self) -> Option<&str> {
        match &self.owner {
            Owner::Generated(passcode) => Some(passcode.expose()),
            Owner::Chosen(_) | Owner::Nobody => None,
        }
    }

    /// People's own tokens at the identity providers that they signed in with, for tools that call the
    /// providers' APIs on their behalf.
    pub fn provided_tokens(&self) -> Arc<dyn ProvidedTokens> {
        Arc::clone(&self.app.provided_tokens)
    }

    /// What the public listener serves, for whoever brings requests by another way. Each has to have
    /// its [`Connection`](crate::web::client_address::Connection) among its extensions, as the
    /// listener would put it there.
    pub fn routes(&self) -> Router {
        router::public(&self.app)
    }

    /// Serves until `shutdown` is cancelled, then lets running requests finish.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ServeError> {
        // One token ends everything: streams, connections and listeners alike.
        let stop = self.shutdown;
        let mut listeners = JoinSet::new();
        listeners.spawn(connection::serve(
            self.public,
            self.routes,
            self.max_connections,
            stop.clone(),
        ));
        if let Some(admin) = self.admin {
            let routes = admin::routes(&self.app);
            listeners.spawn(connection::serve(
                admin,
                Routes::new(routes),
                ADMIN_CONNECTIONS,
                stop.clone(),
            ));
        }
        let sweeper = tokio::spawn(keep_house(
            Arc::clone(&self.app.store),
            self.keys,
            Arc::clone(&self.app.clock),
        ));
        let post = tokio::spawn(mcp::exchange_mail(Arc::clone(&self.app.mcp)));
        let reloading = tokio::spawn(self.reloader.run());
        let mut tunnel = self.tunnel;
        let mut outcome = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            error = tunnel_ends(&mut tunnel) => Err(ServeError::Tunnel(error)),
            ended = next_end(&mut listeners) => ended,
        };
        stop.cancel();
        // The others end in order, whatever became of one.
        while !listeners.is_empty() {
            outcome = outcome.and(next_end(&mut listeners).await);
        }
        // It ends by the same token, and logs why if it does not.
        let _ = reloading.await;
        sweeper.abort();
        post.abort();
        if let Some(tunnel) = tunnel {
            tunnel.stop().await;
        }
        outcome
    }
}

/// Waits for a listener's end, and says how it ended.
async fn next_end(listeners: &mut JoinSet<io::Result<()>>) -> Result<(), ServeError> {
    match listeners.join_next().await {
        Some(Ok(served)) => Ok(served?),
        Some(Err(panicked)) => Err(ServeError::Listener(io::Error::other(panicked))),
        None => Ok(()),
    }
}

/// Comes back when the tunnel is gone; never, if there was none.
async fn tunnel_ends(tunnel: &mut Option<Tunnel>) -> TunnelError {
    match tunnel {
        Some(tunnel) => tunnel.ended().await,
        None => std::future::pending().await,
    }
}

/// Sweeps out what has expired, and looks whether there are new keys.
async fn keep_house(
    store: Arc<dyn Store>,
    keys: [Arc<KeyRing>; KEYS.len()],
    clock: Arc<dyn Clock>,
) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        for ring in &keys {
            if let Err(error) = ring.renew(&*store, clock.now()).await {
                tracing::error!(error = %error, "the server's own keys could not be read");
            }
        }
        if let Err(error) = store.sweep(clock.now()).await {
            tracing::error!(error = %error, "what has expired could not be swept");
        }
    }
}

async fn bind(address: SocketAddr, setting: &'static str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Bind {
            address,
            setting,
            source,
        })
}

async fn bind_admin(admin: AdminListener) -> Result<Option<TcpListener>, ServeError> {
    match admin {
        AdminListener::Off => Ok(None),
        AdminListener::Chosen(address) => {
            bind(address, "--admin-listen, ADMIN_ADDR").await.map(Some)
        }
        AdminListener::Default(address) => match TcpListener::bind(address).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => {
                tracing::warn!(error = %error, "cannot listen on {address}, the admin listener's default address; running without it (--admin-listen, ADMIN_ADDR)");
                Ok(None)
            }
        },
    }
}

fn local_url(public: SocketAddr) -> PublicUrl {
    let url = format!("http://localhost:{}", public.port());
    PublicUrl::parse(&url).expect("localhost with a port is an origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_that_panics_has_failed() {
        let mut listeners = JoinSet::new();
        listeners.spawn(async { Ok(()) });
        assert!(next_end(&mut listeners).await.is_ok());

        listeners.spawn(async { panic!("a listener's panic") });
        let ended = next_end(&mut listeners).await;
        let said = ended.expect_err("a failure").to_string();
        assert!(said.contains("a listener's panic"), "{said}");
    }
}
