//! What is served, which may become something else between two requests of a connection.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;

/// The routes of the moment, shared by all connections.
#[derive(Debug, Clone)]
pub(crate) struct Routes(Arc<RwLock<Router>>);

impl Routes {
    pub(crate) fn new(router: Router) -> Self {
        Self(Arc::new(RwLock::new(router)))
    }

    /// What the next request is served by.
    pub(super) fn now(&self) -> Router {
        let router = self.0.read();
        router.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From the next request on, others.
    pub(crate) fn replace(&self, router: Router) {
        let old = {
            let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, router)
        };
        // What goes with it goes without the lock.
        drop(old);
    }
}
