//! skeleton
use crate::{CancellationToken, clock::Clock, config::Config};
use std::{net::SocketAddr, sync::Arc};
/// Why the server could not start or run.
#[derive(Debug)]
pub struct ServeError;
/// How a server is put together.
pub struct ServerBuilder;
impl ServerBuilder {
    /// Another clock.
    pub fn clock(self, _c: Arc<dyn Clock>) -> Self {
        self
    }
    /// Binds the listeners.
    pub async fn bind(self) -> Result<Server, ServeError> {
        todo!()
    }
}
/// A server whose listeners are bound.
pub struct Server;
impl Server {
    /// Starts to put a server together.
    pub fn builder(_config: Config) -> ServerBuilder {
        ServerBuilder
    }
    /// The public listener's address.
    pub fn public_addr(&self) -> SocketAddr {
        todo!()
    }
    /// The admin listener's address.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        todo!()
    }
    /// The URL that people paste into their client.
    pub fn connector_url(&self) -> &str {
        todo!()
    }
    /// The passcode that was generated because none was configured.
    pub fn generated_passcode(&self) -> Option<&str> {
        todo!()
    }
    /// Serves until `shutdown` is cancelled, then drains.
    pub async fn run(self, _shutdown: CancellationToken) -> Result<(), ServeError> {
        todo!()
    }
}
