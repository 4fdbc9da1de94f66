//! Event streams (Server-Sent Events) that the server holds open for a session.

use std::{
    collections::HashMap,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio_util::sync::CancellationToken;

use super::{
    McpState,
    sessions::{self, Lookup, Session},
};
use crate::{access::Authorization, secret::Digest};

/// How often a comment is sent, so that no proxy takes the stream for dead. Tunnels give up after
/// 100 s.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The streams that are open on this process, by session.
#[derive(Default)]
pub(super) struct OpenStreams(Mutex<HashMap<Digest, Sessions>>);

struct Sessions {
    ended: CancellationToken,
    streams: usize,
}

impl OpenStreams {
    /// Ends every stream of a session.
    pub(super) fn end(&self, session: &Digest) {
        if let Some(open) = self.lock().remove(session) {
            open.ended.cancel();
        }
    }

    fn open(&self, session: Digest) -> CancellationToken {
        let mut open = self.lock();
        let entry = open.entry(session).or_insert_with(|| Sessions {
            ended: CancellationToken::new(),
            streams: 0,
        });
        entry.streams += 1;
        entry.ended.clone()
    }

    fn close(&self, session: &Digest, ended: &CancellationToken) {
        let mut open = self.lock();
        // A session that was ended has taken its entry with it.
        if ended.is_cancelled() {
            return;
        }
        if let Some(entry) = open.get_mut(session) {
            entry.streams -= 1;
            if entry.streams == 0 {
                open.remove(session);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Sessions>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open stream; closing it is noticed when it is dropped.
struct OpenStream {
    mcp: McpState,
    authorization: Arc<Authorization>,
    headers: HeaderMap,
    session: Digest,
    ended: CancellationToken,
    revoked: Pin<Box<dyn Future<Output = ()> + Send>>,
    opened: bool,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.mcp.internal.streams.close(&self.session, &self.ended);
    }
}

impl OpenStream {
    /// What to send next; `None`: nothing ever again.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.opened {
            self.opened = true;
            // Something at once, so that headers and buffers on the way are flushed.
            return Some(Bytes::from_static(b": open\n\n"));
        }
        tokio::select! {
            () = self.mcp.shutdown.cancelled() => None,
            () = self.ended.cancelled() => None,
            () = &mut self.revoked => None,
            () = tokio::time::sleep(KEEP_ALIVE) => {
                let allowed = is_still_allowed(&self.mcp, &self.authorization, &self.headers);
                allowed.await.then(|| Bytes::from_static(b": keep-alive\n\n"))
            }
        }
    }
}

/// A stream outlives neither its token nor its session. A store that cannot tell is no reason to
/// end it.
async fn is_still_allowed(
    mcp: &McpState,
    authorization: &Authorization,
    headers: &HeaderMap,
) -> bool {
    if mcp.clock.now() >= authorization.expires_at {
        return false;
    }
    let session = sessions::find(mcp, authorization, headers).await;
    !matches!(session, Ok(Lookup::Unknown | Lookup::Missing))
}

/// Opens the stream on which a session waits for messages that belong to no request.
pub(super) fn open(
    mcp: McpState,
    authorization: Arc<Authorization>,
    headers: HeaderMap,
    session: Session,
) -> Response {
    let ended = mcp.internal.streams.open(session.id);
    let stream = OpenStream {
        revoked: mcp.verifier.revoked(&authorization),
        mcp,
        authorization,
        headers,
        session: session.id,
        ended,
        opened: false,
    };
    let events = stream::unfold(stream, |mut stream| async move {
        let bytes = stream.next().await?;
        Some((Ok::<_, Infallible>(bytes), stream))
    });
    event_stream(Body::from_stream(events))
}

/// One message as a stream that ends after it.
pub(super) fn of_one(message: &[u8]) -> Response {
    let event = [b"event: message\ndata: ", message, b"\n\n"].concat();
    event_stream(Body::from(event))
}

fn event_stream(body: Body) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that buffer (nginx, cloudflared) let it through at once.
        (
            header::HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    (headers, body).into_response()
}
