//! Event streams (Server-Sent Events): framing, keep-alive, and when they have to end.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::McpState;
use crate::access::Authorization;

/// How often a comment is sent, so that no proxy takes the stream for dead. Tunnels give up after
/// 100 s.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a stream sends, in order. It ends the stream by ending.
pub(super) type Events = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// One message as an event.
pub(super) fn event(message: &[u8]) -> Bytes {
    [b"event: message\ndata: ", message, b"\n\n"]
        .concat()
        .into()
}

/// One message as a stream that ends after it.
pub(super) fn of_one(message: &[u8]) -> Response {
    respond(Body::from(event(message)))
}

/// A stream that lives no longer than the token it was opened with, whatever it still had to send.
pub(super) struct GuardedStream {
    pub(super) mcp: Arc<McpState>,
    pub(super) authorization: Arc<Authorization>,
    pub(super) events: Events,
    /// Ends the stream from elsewhere.
    pub(super) ended: CancellationToken,
    /// Whether it ends with a call. The server lets running calls finish when it shuts down, and
    /// ends other streams at once.
    pub(super) is_call: bool,
    /// What is said before the server ends the stream of its own accord.
    pub(super) farewell: Option<Bytes>,
}

impl GuardedStream {
    /// The response that carries the stream.
    pub(super) fn into_response(self) -> Response {
        let watch = Watch {
            // A call answers when it has something to say. Other streams say something at once, so
            // that headers and buffers on the way are flushed.
            opening: (!self.is_call).then_some(Bytes::from_static(b": open\n\n")),
            revoked: self.mcp.verifier.revoked(&self.authorization),
            stream: self,
            over: false,
        };
        let bytes = stream::unfold(watch, |mut watch| async move {
            let bytes = watch.next().await?;
            Some((Ok::<_, Infallible>(bytes), watch))
        });
        respond(Body::from_stream(bytes))
    }
}

struct Watch {
    opening: Option<Bytes>,
    stream: GuardedStream,
    revoked: Pin<Box<dyn Future<Output = ()> + Send>>,
    over: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        let now = self.stream.mcp.clock.now();
        let expires_at = self.stream.authorization.expires_at;
        let rest = expires_at.since(now).min(KEEP_ALIVE);
        tokio::select! {
            biased;
            () = self.stream.mcp.shutdown.cancelled(), if !self.stream.is_call => {}
            () = self.stream.ended.cancelled() => {}
            () = &mut self.revoked => {}
            event = self.stream.events.next() => return event,
            () = tokio::time::sleep(rest) => {
                if self.stream.mcp.clock.now() < expires_at {
                    return Some(Bytes::from_static(b": keep-alive\n\n"));
                }
            }
        }
        self.over = true;
        self.stream.farewell.take()
    }
}

fn respond(body: Body) -> Response {
    const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that buffer (nginx, cloudflared) let it through at once.
        (NO_BUFFERING, HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}
