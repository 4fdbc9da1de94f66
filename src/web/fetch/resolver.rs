//! From a host to the addresses that may be connected to.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolving};
use tokio::sync::Semaphore;

use super::{FetchAllow, FetchError};

/// Lookups at a time. Each holds a thread until the system gives up, however early we did, and the
/// threads are those that files are read on.
const LOOKUPS: usize = 32;

/// Knows the addresses of hosts.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// Every address of a host.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks the system.
#[derive(Debug, Clone)]
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self {
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
        }
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let lookups = Arc::clone(&self.lookups);
        let turn = lookups.acquire_owned().await.map_err(io::Error::other)?;
        let host = host.to_owned();
        // A task of its own, so that the turn lasts as long as the lookup does.
        let lookup = tokio::spawn(async move {
            let found = tokio::net::lookup_host((host, 0)).await;
            drop(turn);
            found.map(|addresses| addresses.map(|address| address.ip()).collect())
        });
        lookup.await?
    }
}

/// Resolves for the client, which connects to the addresses that it gets and asks nobody else. So
/// what is judged here is what is connected to.
#[derive(Clone)]
pub(super) struct GuardedResolver {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) allow: FetchAllow,
}

impl GuardedResolver {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, FetchError> {
        let unresolved = |cause: String| FetchError::Unresolved {
            host: host.to_owned(),
            cause,
        };
        let found = self.resolver.resolve(host).await;
        let addresses = found.map_err(|error| unresolved(error.to_string()))?;
        if addresses.is_empty() {
            return Err(unresolved("the answer is empty".to_owned()));
        }
        self.allow.check(host, &addresses)?;
        Ok(addresses)
    }
}

impl reqwest::dns::Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            // The client puts the URL's port in place of 0.
            let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
