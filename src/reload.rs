//! The configuration, read anew while the server runs: at SIGHUP, and when a file of it changes.
//!
//! It is checked whole before anything of it counts. Then the rooms that it makes take the place of
//! those before, between two requests. What people and clients hold lies in the store, and what the
//! endpoint has going on is shared by the old rooms and the new: nobody notices but by what is
//! offered.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    task::AbortHandle,
    time::{interval, sleep},
};
use tokio_util::task::TaskTracker;

use crate::{
    app::{App, Parts},
    config::{Config, ConfigErrors, Setting},
    connection::Routes,
    identity::Owner,
    logo,
    mcp::feature::RegistryError,
    offering::{Offering, OwnFeatures, Sources},
    router, tunnel,
    upstream::{self, DescriptionError, Surroundings, mcp::McpUpstreams},
};

/// How often it is looked whether a file has changed. One that changes still is not read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long calls to what is no longer behind the server may go on.
const DRAIN: Duration = Duration::from_secs(30);

/// Reads the configuration.
pub(crate) type Load = Box<dyn Fn() -> Result<Config, ConfigErrors> + Send + Sync>;

/// Why everything stays as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Description(#[from] DescriptionError),
    #[error(transparent)]
    Tools(#[from] RegistryError),
}

/// Puts rooms in the place of others.
pub(crate) struct Reloader {
    pub(crate) load: Option<Load>,
    /// What counts at the moment.
    pub(crate) config: Config,
    pub(crate) has_tunnel: bool,
    pub(crate) parts: Parts,
    pub(crate) own: OwnFeatures,
    pub(crate) surroundings: Surroundings,
    pub(crate) upstreams: Arc<McpUpstreams>,
    pub(crate) offering: Arc<Offering>,
    pub(crate) routes: Routes,
    /// Copies the logo.
    pub(crate) logo: AbortHandle,
    /// What ends in its own time.
    pub(crate) retiring: TaskTracker,
}

impl Reloader {
    /// Reads the configuration anew whenever there is reason to, until the server shuts down. Then all
    /// that stood behind it ends.
    pub(crate) async fn run(mut self) {
        let shutdown = self.parts.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.reload_when_due() => {}
        }
        self.upstreams.stop().await;
        self.retiring.close();
        self.retiring.wait().await;
    }

    async fn reload_when_due(&mut self) {
        // Without a file there is nothing to read anew, and SIGHUP ends the program as it always did.
        if self.load.is_none() || self.config.files.is_empty() {
            return std::future::pending().await;
        }
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                tracing::warn!(error = %error, "SIGHUP cannot be heard; the configuration is not read anew");
                return std::future::pending().await;
            }
        };
        let mut look = interval(LOOK_EVERY);
        let mut read = looks_of(&self.config.files).await;
        let mut seen = read.clone();
        loop {
            tokio::select! {
                heard = hangup.recv() => if heard.is_none() {
                    return std::future::pending().await;
                },
                _ = look.tick() => {
                    let before = std::mem::replace(&mut seen, looks_of(&self.config.files).await);
                    // Somebody may be writing still.
                    if seen != before || seen == read {
                        continue;
                    }
                }
            }
            // What is written while it is read is seen at the next look.
            read = looks_of(&self.config.files).await;
            let files = self.config.files.clone();
            match self.reload().await {
                Ok(()) => tracing::info!(
                    event = "configuration_reloaded",
                    "the configuration was read anew"
                ),
                Err(error) => tracing::error!(
                    event = "configuration_refused",
                    "the configuration was read anew and changes nothing: {error}"
                ),
            }
            if self.config.files != files {
                read = looks_of(&self.config.files).await;
            }
            seen.clone_from(&read);
        }
    }

    async fn reload(&mut self) -> Result<(), ReloadError> {
        let Some(load) = &self.load else {
            return Ok(());
        };
        let mut config = load()?;
        for setting in keep_what_is_fixed(&mut config, &self.config) {
            tracing::warn!("{setting} counts from the next start on");
        }
        config.public_url.clone_from(&self.config.public_url);
        if self.has_tunnel {
            config.proxies.header.get_or_insert(tunnel::CLIENT_HEADER);
        }
        let mut parts = self.parts.clone();
        if let Some(passcode) = config.passcode.take() {
            parts.owner = Owner::Chosen(Arc::new(passcode));
        }
        let upstreams = if self.upstreams.are(&config.upstreams) {
            Arc::clone(&self.upstreams)
        } else {
            let changes = parts.offered.changes();
            Arc::new(McpUpstreams::new(
                &config.upstreams,
                &self.surroundings,
                changes,
            ))
        };
        let surroundings = &self.surroundings;
        let apis = upstream::describe(&config.apis, &surroundings.client).await?;
        // It can be offered, or nothing has happened.
        let sources = Sources::of(&config, &self.own, surroundings, &apis, &upstreams)?;
        let are_new = !Arc::ptr_eq(&upstreams, &self.upstreams);
        if are_new {
            self.offering.reach(&upstreams).await;
        }
        let app = App::new(&config, &parts);
        let tokens = Arc::clone(&app.provided_tokens);
        self.surroundings.tokens.are_known_to(tokens);
        self.logo.abort();
        self.logo = logo::fetch(&app);
        self.routes.replace(router::public(&app));
        self.offering.change(sources);
        if are_new {
            let old = std::mem::replace(&mut self.upstreams, upstreams);
            self.retire(old);
        }
        (self.config, self.parts) = (config, parts);
        Ok(())
    }

    /// Calls that run go on for a while.
    fn retire(&self, upstreams: Arc<McpUpstreams>) {
        let shutdown = self.parts.shutdown.clone();
        self.retiring.spawn(async move {
            tokio::select! {
                () = sleep(DRAIN) => {}
                () = shutdown.cancelled() => {}
            }
            upstreams.stop().await;
        });
    }
}

/// What is settled when a server starts stays as it is. Names what would have to be otherwise.
fn keep_what_is_fixed(new: &mut Config, old: &Config) -> Vec<String> {
    let mut otherwise = Vec::new();
    macro_rules! keep {
        ($($key:literal: $($member:ident).+;)*) => {$(
            if new.$($member).+ != old.$($member).+ {
                otherwise.push($key);
                new.$($member).+ = old.$($member).+.clone();
            }
        )*};
    }
    keep! {
        "listen": listen;
        "admin_listen": admin;
        "database_url": database;
        "log": log_filter;
        "log_format": log_format;
        "limits.connections": limits.connections;
        "limits.database_connections": limits.database_connections;
        "limits.clients": limits.clients;
        "limits.pending_authorizations": limits.pending_authorizations;
        "limits.mcp_sessions": limits.mcp_sessions;
        "limits.mcp_sessions_per_grant": limits.mcp_sessions_per_grant;
        "limits.replays": limits.replays;
    }
    // Where none is configured, the one in use was made at the start.
    if new.public_url.is_some() && new.public_url != old.public_url {
        otherwise.push("public_url");
    }
    let names = otherwise.into_iter();
    names
        .map(|key| Setting::of(key).map_or_else(|| key.to_owned(), Setting::name))
        .collect()
}

/// What a file looks like from outside: when it was changed, and how long it is.
type Look = Option<(std::time::SystemTime, u64)>;

async fn looks_of(files: &[PathBuf]) -> Vec<Look> {
    let mut looks = Vec::new();
    for file in files {
        let metadata = tokio::fs::metadata(file).await;
        looks.push(
            metadata
                .ok()
                .and_then(|found| Some((found.modified().ok()?, found.len()))),
        );
    }
    looks
}
