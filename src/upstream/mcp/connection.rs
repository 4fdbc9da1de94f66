//! One connection to an upstream: a session with a server, or a child process.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::http::header;
use rmcp::{
    Peer, RoleClient,
    model::{
        ClientRequest, CustomRequest, ErrorCode, ProtocolVersion, RequestMetaObject, ServerPeerInfo,
    },
    service::{
        ClientInitializeError, ClientLifecycleMode, PeerRequestOptions, RequestHandle,
        RunningService, ServiceError, serve_client_with_lifecycle_and_ct,
    },
    transport::{
        StreamableHttpClientTransport, Transport, async_rw::AsyncRwTransport,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Map, Value, json};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    asked::Client,
    catalogue, child,
    routes::{Event, Routes, line},
    transport::{Routed, RoutedHttp},
};
use crate::{
    mcp::feature::{Changes, ClientCapabilities, LogLevel},
    model::mcp_upstream::{McpUpstream, Reach},
};

/// How long the first exchange may take; rmcp waits 10 s for an answer to `server/discover` before it
/// begins a session instead.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a request may be sent on.
const MAX_REDIRECTS: usize = 3;

/// The key of the level in a request's `_meta`.
const LOG_LEVEL_KEY: &str = "io.modelcontextprotocol/logLevel";

/// No level has been asked for.
const NO_LEVEL: u8 = u8::MAX;

/// A connection that answers.
pub(super) struct Connection {
    peer: Peer<RoleClient>,
    pub(super) routes: Arc<Routes>,
    server: Arc<ServerPeerInfo>,
    /// The least grave level that the upstream was asked to log.
    level: AtomicU8,
    /// Whether it has seen the schemas of the tools, of which some arguments go into headers.
    has_schemas: AtomicBool,
    users: AtomicUsize,
    last_used: Mutex<Instant>,
    stop: CancellationToken,
    /// Cancelled when it has ended.
    pub(super) ended: CancellationToken,
}

/// How connections to one upstream are made.
pub(super) struct Connector {
    pub(super) label: Arc<str>,
    pub(super) settings: McpUpstream,
    pub(super) http: reqwest::Client,
    pub(super) changes: Changes,
    /// Told when there is reason to look whether it is still there, and what it offers.
    pub(super) doubt: Notify,
    /// What has to end before the program does.
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
}

/// The HTTP client of all upstreams: it goes where it is configured to and nowhere else, and leaves to
/// each call how long an answer may take.
pub(super) fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the operator names where it goes, and no stranger does"
    )]
    let builder = reqwest::Client::builder();
    builder
        .redirect(same_origin())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ))
        .build()
}

/// Servers that send `/mcp` on to `/mcp/` are followed; those that send us elsewhere are not.
fn same_origin() -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(|attempt| {
        let stays = attempt.previous().last().is_some_and(|from| {
            from.origin() == attempt.url().origin() && attempt.previous().len() <= MAX_REDIRECTS
        });
        if stays {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

impl Connector {
    /// Connects, on behalf of a client that can do this much.
    pub(super) async fn connect(
        &self,
        capabilities: ClientCapabilities,
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
                Reach::Http { url, authorization } => {
                    let mut config = StreamableHttpClientTransportConfig::with_uri(Arc::clone(url))
                        .max_concurrent_requests(self.settings.limits.calls.max(16));
                    if let Some(authorization) = authorization {
                        let value = header::HeaderValue::from_str(authorization.expose());
                        let mut value = value.map_err(|_| "its Authorization cannot be sent")?;
                        value.set_sensitive(true);
                        config = config.custom_headers([(header::AUTHORIZATION, value)].into());
                    }
                    let http = RoutedHttp::new(self.http.clone(), Arc::clone(&routes));
                    let transport = StreamableHttpClientTransport::with_client(http, config);
                    let transport = Routed::new(transport, Arc::clone(&routes));
                    self.serve(client, transport, &stop).await
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
                        served = self.serve(client, transport, &stop) => served,
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
                return Err("it does not answer".to_owned());
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
        Ok(Arc::new(Connection {
            peer,
            routes,
            server,
            level: AtomicU8::new(NO_LEVEL),
            has_schemas: AtomicBool::new(false),
            users: AtomicUsize::new(0),
            last_used: Mutex::new(Instant::now()),
            stop,
            ended,
        }))
    }

    async fn serve<T: Transport<RoleClient> + 'static>(
        &self,
        client: Client,
        transport: Routed<T>,
        stop: &CancellationToken,
    ) -> Result<RunningService<RoleClient, Client>, String> {
        let lifecycle = if self.settings.sessions_only {
            ClientLifecycleMode::Initialize
        } else {
            ClientLifecycleMode::Auto {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                legacy_version: Some(ProtocolVersion::V_2025_11_25),
            }
        };
        serve_client_with_lifecycle_and_ct(client, transport, lifecycle, stop.clone())
            .await
            .map_err(|error| reason(&error))
    }
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

/// What others say is not repeated at any length.
pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// A request under way.
pub(super) struct Sent {
    pub(super) handle: RequestHandle<RoleClient>,
    pub(super) events: mpsc::Receiver<Event>,
}

impl Connection {
    /// Whether the server speaks the stateless revision.
    pub(super) fn is_modern(&self) -> bool {
        !self.server.protocol_version.has_initialize()
    }

    /// What the server offers, as it declares it.
    pub(super) fn offers(&self) -> Value {
        serde_json::to_value(&self.server.capabilities).unwrap_or_default()
    }

    pub(super) fn instructions(&self) -> Option<&str> {
        self.server.instructions.as_deref()
    }

    pub(super) fn peer(&self) -> &Peer<RoleClient> {
        &self.peer
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_cancelled() || self.stop.is_cancelled()
    }

    /// Ends it, so that the next call makes another one.
    pub(super) fn close(&self) {
        self.stop.cancel();
    }

    /// Since when nobody uses it; `None`: somebody does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        if self.users.load(Ordering::Acquire) > 0 {
            return None;
        }
        Some(
            *self
                .last_used
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Sends a request. Its messages come on a line of their own.
    pub(super) async fn send(
        &self,
        method: &str,
        params: Map<String, Value>,
        level: Option<LogLevel>,
    ) -> Result<Sent, ServiceError> {
        let mut request = CustomRequest::new(method, Some(Value::Object(params)));
        let (line, events) = line();
        request.extensions.insert(line);
        let mut options = PeerRequestOptions::no_options();
        if let Some(level) = level.filter(|_| self.is_modern()) {
            let meta = json!({ LOG_LEVEL_KEY: level.as_str() });
            options.meta = serde_json::from_value::<RequestMetaObject>(meta).ok();
        }
        let request = ClientRequest::CustomRequest(request);
        let handle = self.peer.send_request_with_option(request, options).await?;
        Ok(Sent { handle, events })
    }

    /// One request and its result, for ourselves.
    pub(super) async fn request(
        &self,
        method: &str,
        params: Map<String, Value>,
        within: Duration,
    ) -> Result<Value, ServiceError> {
        let request = CustomRequest::new(method, Some(Value::Object(params)));
        let request = ClientRequest::CustomRequest(request);
        let options = PeerRequestOptions::with_timeout(within);
        let handle = self.peer.send_request_with_option(request, options).await?;
        let result = handle.await_response().await?;
        serde_json::to_value(result).map_err(|_| ServiceError::UnexpectedResponse)
    }

    /// Lets rmcp see the schemas of the tools, so that it repeats in headers what they want repeated.
    pub(super) async fn see_schemas(&self) {
        if !self.has_schemas.swap(true, Ordering::AcqRel)
            && catalogue::read_all(self, "tools/list", "tools")
                .await
                .is_err()
        {
            self.has_schemas.store(false, Ordering::Release);
        }
    }

    /// Asks a server that has sessions to log this much. One that logs more already is left alone.
    pub(super) async fn log_from(&self, level: LogLevel, within: Duration) {
        let rank = level as u8;
        let is_new = self.level.fetch_min(rank, Ordering::AcqRel) > rank;
        if !is_new || self.is_modern() || self.offers().get("logging").is_none() {
            return;
        }
        let params = json!({ "level": level.as_str() });
        let params = params.as_object().cloned().unwrap_or_default();
        if self
            .request("logging/setLevel", params, within)
            .await
            .is_err()
        {
            tracing::debug!("an upstream would not be asked to log");
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A connection that somebody uses. It is not taken for idle as long as this is kept.
pub(super) struct Lease(Arc<Connection>);

impl Lease {
    pub(super) fn of(connection: &Arc<Connection>) -> Self {
        connection.users.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(connection))
    }
}

impl std::ops::Deref for Lease {
    type Target = Arc<Connection>;

    fn deref(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let now = Instant::now();
        *self
            .0
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = now;
        self.0.users.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether a server's refusal means that it does not know our session any more, in the words of those
/// that do not say it by 404.
pub(super) fn is_lost_session(code: ErrorCode, message: &str) -> bool {
    (-32099..=-32000).contains(&code.0) && message.to_ascii_lowercase().contains("session")
}
