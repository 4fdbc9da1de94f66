//! The resource server: the MCP endpoint and the tools behind it.
//!
//! It knows of authorization only what [`access`](crate::access) says of a token.

mod asking;
mod audit;
mod dispatch;
pub mod era;
mod exchange;
pub mod feature;
mod guard;
mod jsonrpc;
mod legacy;
mod mail;
mod metadata;
mod modern;
mod outlet;
mod params;
mod rejection;
mod sse;
mod tasks;
mod transport;

use std::{fmt, sync::Arc, time::Duration};

use axum::{Router, extract::Request, middleware, response::Response, routing};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    access::VerifyAccessToken,
    clock::Clock,
    model::{audit_arguments::AuditArguments, resource::PublicUrl, scope::ScopeCatalogue},
    store::{KeptTasks, KeyRing, McpSessions, SessionMail},
    web::{
        cors,
        origin::{AllowedHosts, AllowedOrigins},
    },
};

use feature::Offered;
use guard::UnknownHosts;
use legacy::Runtimes;
pub use mail::exchange_mail;
use tasks::TaskTable;

/// What this room works with.
pub struct McpState {
    /// Who can tell what a token authorizes.
    pub verifier: Arc<dyn VerifyAccessToken>,
    /// Where sessions are kept.
    pub sessions: Arc<dyn McpSessions>,
    /// Where their streams are kept, and how their replicas reach each other.
    pub mail: Arc<dyn SessionMail>,
    /// Where tasks are kept.
    pub tasks: Arc<dyn KeptTasks>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The resource.
    pub public_url: PublicUrl,
    /// What can be asked for.
    pub scopes: Arc<ScopeCatalogue>,
    /// What is offered.
    pub offered: Arc<Offered>,
    /// Pages that may call.
    pub origins: Arc<AllowedOrigins>,
    /// Names under which we may be called.
    pub hosts: Arc<AllowedHosts>,
    /// What is recorded of the arguments of calls.
    pub audit: AuditArguments,
    /// How long a session may be idle.
    pub session_ttl: Duration,
    /// Cancelled when the server shuts down; streams end then.
    pub shutdown: CancellationToken,
    /// What this room keeps for itself.
    pub internal: Arc<McpInternal>,
}

/// What the room keeps for itself.
pub struct McpInternal {
    runtimes: Runtimes,
    /// Seals what clients carry between the rounds of a call.
    states: Arc<KeyRing>,
    tasks: TaskTable,
    unknown_hosts: UnknownHosts,
    /// Tells this process from the others.
    replica: Uuid,
}

impl McpInternal {
    /// `states` seals what clients carry between the rounds of a call.
    pub fn new(states: Arc<KeyRing>) -> Self {
        Self {
            runtimes: Runtimes::default(),
            states,
            tasks: TaskTable::default(),
            unknown_hosts: UnknownHosts::default(),
            replica: Uuid::new_v4(),
        }
    }
}

impl fmt::Debug for McpInternal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpInternal").finish_non_exhaustive()
    }
}

impl fmt::Debug for McpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpState").finish_non_exhaustive()
    }
}

/// What clients read of this room before they have a token.
pub fn routes(state: Arc<McpState>) -> Router {
    Router::new()
        .route(metadata::ROOT_PATH, routing::get(metadata::get))
        .route(metadata::PATH, routing::get(metadata::get))
        .layer(middleware::from_fn(cors::any_origin))
        .with_state(state)
}

/// The endpoint behind its guard, for every method. It is no handler: what makes a service of one
/// costs every call some allocations.
pub fn answer(mcp: Arc<McpState>, request: Request) -> impl Future<Output = Response> + Send {
    guard::guard(mcp, request, transport::endpoint)
}
