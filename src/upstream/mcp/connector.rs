//! How connections to an upstream are made: over HTTP or to a child process, in whichever revision of the
//! protocol it speaks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rmcp::{
    RoleClient,
    model::ProtocolVersion,
    service::{
        ClientInitializeError, ClientLifecycleMode, RunningService,
        serve_client_with_lifecycle_and_ct,
    },
    transport::{
        StreamableHttpClientTransport, Transport, async_rw::AsyncRwTransport,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    asked::Client,
    child,
    connection::{Connection, short},
    routes::Routes,
    says::Says,
    transport::{Routed, RoutedHttp},
};
use crate::{
    api::split_origin,
    mcp::feature::{Changes, ClientCapabilities},
    mcp_upstream::{McpUpstream, Reach},
    upstream::{identity::Caller, site::Surroundings},
};

/// How long the first exchange may take; rmcp waits 10 s for an answer to `server/discover` before it
/// begins a session instead.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What is wrong with one that takes longer.
const SILENT: &str = "it does not answer";

/// How connections to one upstream are made.
pub(super) struct Connector {
    pub(super) label: Arc<str>,
    pub(super) settings: McpUpstream,
    pub(super) surroundings: Surroundings,
    pub(super) changes: Changes,
    /// Told when there is reason to look whether it is still there, and what it offers.
    pub(super) doubt: Notify,
    /// What has to end before the program does.
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
    /// Whether it turned out to speak in sessions.
    pub(super) has_sessions: AtomicBool,
}

impl Connector {
    /// Connects, on behalf of a client that can do this much. `anew`: whether it is found out which
    /// revision the upstream speaks, even if that is known.
    pub(super) async fn connect(
        &self,
        caller: Option<Caller>,
        capabilities: ClientCapabilities,
        anew: bool,
    ) -> Result<Arc<Connection>, String> {
        let has_sessions = self.has_sessions.load(Ordering::Relaxed) && !anew;
        if self.settings.sessions_only || has_sessions {
            let sessions = Lifecycle::Sessions;
            return self.connect_with(caller, capabilities, sessions).await;
        }
        let either = self.connect_with(caller.clone(), capabilities, Lifecycle::Either);
        let connected = match either.await {
            // Some servers break at a method that they do not know.
            Err(why) if why != SILENT => {
                let sessions = Lifecycle::Sessions;
                self.connect_with(caller, capabilities, sessions).await
            }
            connected => connected,
        };
        if let Ok(connection) = &connected {
            let has_sessions = !connection.is_modern();
            self.has_sessions.store(has_sessions, Ordering::Relaxed);
        }
        connected
    }

    async fn connect_with(
        &self,
        caller: Option<Caller>,
        capabilities: ClientCapabilities,
        lifecycle: Lifecycle,
    ) -> Result<Arc<Connection>, String> {
        let routes = Arc::new(Routes::new(self.changes.clone()));
        let stop = self.shutdown.child_token();
        let ended = CancellationToken::new();
        let client = Client {
            routes: Arc::clone(&routes),
            capabilities,
        };
        let starting = async {
            match &self.settings.reach {
                Reach::Http { url, identity } => {
                    let config = StreamableHttpClientTransportConfig::with_uri(Arc::clone(url))
                        .max_concurrent_requests(self.settings.limits.calls.max(16));
                    let says = Says {
                        identity: identity.clone(),
                        surroundings: self.surroundings.clone(),
                        caller,
                        origin: split_origin(url).0.to_owned(),
                    };
                    let http = self.surroundings.client.within_origin(url).await;
                    let http = http.map_err(|error| error.to_string())?;
                    let http = RoutedHttp::new(http, Arc::clone(&routes), says);
                    let transport = StreamableHttpClientTransport::with_client(http, config);
                    let transport = Routed::new(transport, Arc::clone(&routes));
                    serve(client, transport, lifecycle, &stop).await
                }
                reach @ Reach::Command { .. } => {
                    let child_ended = CancellationToken::new();
                    let spawned = child::spawn(
                        &self.label,
                        reach,
                        stop.clone(),
                        child_ended.clone(),
                        &self.tasks,
                    );
                    let (stdout, stdin) =
                        spawned.map_err(|error| format!("its command cannot be run: {error}"))?;
                    let transport = AsyncRwTransport::new_client(stdout, stdin);
                    let transport = Routed::new(transport, Arc::clone(&routes));
                    tokio::select! {
                        served = serve(client, transport, lifecycle, &stop) => served,
                        () = child_ended.cancelled() => {
                            Err("its process ended before it answered".to_owned())
                        }
                    }
                }
            }
        };
        let started = match tokio::time::timeout(START_TIMEOUT, starting).await {
            Ok(Ok(started)) => started,
            Ok(Err(problem)) => {
                stop.cancel();
                return Err(problem);
            }
            Err(_) => {
                stop.cancel();
                return Err(SILENT.to_owned());
            }
        };
        let peer = started.peer().clone();
        let server = peer.peer_info().ok_or("it did not say what it is")?;
        let (over, stopped) = (ended.clone(), stop.clone());
        self.tasks.spawn(async move {
            // However it ends, a child that is still there is of no use.
            let _ = started.waiting().await;
            stopped.cancel();
            over.cancel();
        });
        Ok(Arc::new(Connection::new(peer, routes, server, stop, ended)))
    }
}

/// How an upstream is spoken to.
#[derive(Clone, Copy)]
enum Lifecycle {
    /// In sessions.
    Sessions,
    /// In 2026-07-28 if it can, else in sessions.
    Either,
}

async fn serve<T: Transport<RoleClient> + 'static>(
    client: Client,
    transport: Routed<T>,
    lifecycle: Lifecycle,
    stop: &CancellationToken,
) -> Result<RunningService<RoleClient, Client>, String> {
    let lifecycle = match lifecycle {
        Lifecycle::Sessions => ClientLifecycleMode::Initialize,
        Lifecycle::Either => ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::V_2025_11_25),
        },
    };
    serve_client_with_lifecycle_and_ct(client, transport, lifecycle, stop.clone())
        .await
        .map_err(|error| reason(&error))
}

/// Why a connection could not be made, in few words.
fn reason(error: &ClientInitializeError) -> String {
    if error.is_authorization_required() {
        return "it wants to be authorized; see authorization (UPSTREAM_AUTHORIZATION)".to_owned();
    }
    match error {
        ClientInitializeError::ConnectionClosed(_) => {
            "it closed the connection before it answered".to_owned()
        }
        ClientInitializeError::NoCompatibleProtocolVersion { .. } => {
            "it speaks none of our versions of the protocol".to_owned()
        }
        ClientInitializeError::JsonRpcError(error) => {
            format!("it refused: {}", short(&error.message))
        }
        _ => "it cannot be reached, or does not speak MCP".to_owned(),
    }
}
