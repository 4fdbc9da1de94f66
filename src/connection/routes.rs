//! What is served, which may become something else between two requests of a connection.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;

/// The routes of the moment, shared by all connections.
#[derive(Debug, Clone)]
pub(crate) struct Routes(Arc<ArcSwap<Router>>);

impl Routes {
    pub(crate) fn new(router: Router) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(router)))
    }

    /// What the next request is served by.
    pub(super) fn now(&self) -> Router {
        Router::clone(&self.0.load())
    }

    /// From the next request on, others.
    pub(crate) fn replace(&self, router: Router) {
        self.0.store(Arc::new(router));
    }
}
