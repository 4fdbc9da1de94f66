//! One connection to an upstream: a session with a server, or a child process.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rmcp::{
    Peer, RoleClient,
    model::{ClientRequest, CustomRequest, ErrorCode, RequestMetaObject, ServerPeerInfo},
    service::{PeerRequestOptions, RequestHandle, ServiceError},
};
use serde_json::{Map, Value, json};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    catalogue,
    routes::{Event, Routes, line},
};
use crate::mcp::feature::LogLevel;

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
    pub(super) fn new(
        peer: Peer<RoleClient>,
        routes: Arc<Routes>,
        server: Arc<ServerPeerInfo>,
        stop: CancellationToken,
        ended: CancellationToken,
    ) -> Self {
        Self {
            peer,
            routes,
            server,
            level: AtomicU8::new(NO_LEVEL),
            has_schemas: AtomicBool::new(false),
            users: AtomicUsize::new(0),
            last_used: Mutex::new(Instant::now()),
            stop,
            ended,
        }
    }

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
