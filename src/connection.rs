//! The connection layer: hyper's builder with limits that `axum::serve` does not have.
//!
//! `axum::serve` waits for ever for a client that trickles its headers, takes header blocks of
//! 450 KB and opens as many connections as it is asked for. Here, headers are complete within
//! [`HEADER_TIMEOUT`] and fit [`MAX_HEADER_BLOCK`], connections are counted, and silence has an end.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service as _;

use crate::web::client_address::Connection;

/// From the first byte of a request (or, on a new connection, from the start) to the end of its
/// headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may lie idle between requests, or a client may refuse to read. Longer
/// than proxies keep theirs (cloudflared: 90 s, nginx and AWS: 60 s), so that it is they who close
/// and no request is lost to a close that crosses it. Open streams send something more often.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);

/// The request line and headers together, in bytes; beyond it hyper answers 431.
const MAX_HEADER_BLOCK: usize = 32 * 1024;

/// How long running requests may take once the server is told to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection that was accepted just before that may take to say something.
const NEWCOMER_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a draining connection is looked at.
const DRAIN_TICK: Duration = Duration::from_millis(10);

/// Where this machine finds a listener, which may listen everywhere.
pub(crate) fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// Accepts connections and serves `router` on them until `shutdown`; then accepts what still waits
/// in the queue, lets running requests finish, and returns.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    let connections = TaskTracker::new();
    let local = listener.local_addr()?;
    let start = |stream: TcpStream, peer: SocketAddr, place: Option<OwnedSemaphorePermit>| {
        let local = stream.local_addr().unwrap_or(local);
        let ends = Connection { peer, local };
        let router = router.clone();
        let shutdown = shutdown.clone();
        connections.spawn(async move {
            drive(stream, ends, router, shutdown).await;
            drop(place);
        });
    };
    loop {
        let place = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place.ok(),
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => start(stream, peer, place),
                Err(error) => {
                    // Out of file descriptors, usually: connections that end make room.
                    tracing::error!(error = %error, "cannot accept connections");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    // Clients whose handshake is complete believe themselves served. They wait in the kernel's
    // queue, which only a real accept(2) sees.
    let listener = listener.into_std()?;
    while let Ok((stream, peer)) = listener.accept() {
        stream.set_nonblocking(true)?;
        start(TcpStream::from_std(stream)?, peer, None);
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn drive(stream: TcpStream, ends: Connection, router: Router, shutdown: CancellationToken) {
    // Otherwise every streamed answer waits some 40 ms for the client's acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "cannot set TCP_NODELAY");
    }
    let progress = Arc::new(Progress::new());
    let io = TokioIo::new(Observed {
        stream,
        progress: Arc::clone(&progress),
    });
    let handling = Arc::clone(&progress);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let progress = Arc::clone(&handling);
        let mut router = router.clone();
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ends);
        async move {
            progress.enter(Phase::Handling);
            let response = router.call(request).await;
            progress.enter(Phase::Answered);
            response
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // It would count idle time as well; `Progress` tells the two apart.
        .header_read_timeout(None)
        .max_header_size(MAX_HEADER_BLOCK)
        .max_buf_size(2 * MAX_HEADER_BLOCK)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep_until(progress.next_look()) => {
                if progress.is_overdue() {
                    return;
                }
            }
        }
    }
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    // A request may have arrived that hyper has not seen; closing now would lose it.
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = tokio::time::sleep(DRAIN_TICK) => {}
        }
        if !progress.is_request_coming() || Instant::now() >= deadline {
            break;
        }
    }
    connection.as_mut().graceful_shutdown();
    // What is still running then is cut off.
    let _ = tokio::time::timeout_at(deadline, connection).await;
}

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// Accepted; nothing has been read.
    New,
    /// Some of a request's headers have been read.
    Headers,
    /// A handler is at work.
    Handling,
    /// An answer has begun: it may be whole, or a stream that goes on.
    Answered,
}

/// How a connection gets on. Written by the reading and writing side, looked at by the task that
/// owns the connection.
struct Progress {
    start: Instant,
    phase: AtomicU8,
    /// When the phase began, in milliseconds from the start.
    phase_began: AtomicU64,
    /// When something was last read or written.
    last_io: AtomicU64,
}

impl Progress {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            phase: AtomicU8::new(Phase::New as u8),
            phase_began: AtomicU64::new(0),
            last_io: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::New,
            1 => Phase::Headers,
            2 => Phase::Handling,
            _ => Phase::Answered,
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase_began.store(self.now(), Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn bytes_read(&self) {
        self.last_io.store(self.now(), Ordering::Relaxed);
        // During handling they are the body's, after the answer the next request's.
        if matches!(self.phase(), Phase::New | Phase::Answered) {
            self.enter(Phase::Headers);
        }
    }

    fn bytes_written(&self) {
        self.last_io.store(self.now(), Ordering::Relaxed);
    }

    /// When the connection has to be closed, as things are.
    fn deadline(&self) -> Option<Instant> {
        let after = |millis: u64, timeout| self.start + Duration::from_millis(millis) + timeout;
        match self.phase() {
            Phase::New | Phase::Headers => {
                let began = self.phase_began.load(Ordering::Relaxed);
                Some(after(began, HEADER_TIMEOUT))
            }
            Phase::Handling => None,
            Phase::Answered => Some(after(self.last_io.load(Ordering::Relaxed), IDLE_TIMEOUT)),
        }
    }

    fn is_overdue(&self) -> bool {
        self.deadline()
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// When to look again. No deadline that is not there yet can be nearer than the shortest
    /// timeout.
    fn next_look(&self) -> Instant {
        let soonest_new = Instant::now() + HEADER_TIMEOUT;
        self.deadline()
            .map_or(soonest_new, |deadline| deadline.min(soonest_new))
    }

    /// Whether a request is on its way in, or would be on a connection this young.
    fn is_request_coming(&self) -> bool {
        match self.phase() {
            Phase::New => self.start.elapsed() < NEWCOMER_TIMEOUT,
            Phase::Headers => true,
            Phase::Handling | Phase::Answered => false,
        }
    }
}

/// A socket that notes when something passes.
struct Observed {
    stream: TcpStream,
    progress: Arc<Progress>,
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.progress.bytes_read();
        }
        polled
    }
}

impl AsyncWrite for Observed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if matches!(polled, Poll::Ready(Ok(written)) if written > 0) {
            self.progress.bytes_written();
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if matches!(polled, Poll::Ready(Ok(written)) if written > 0) {
            self.progress.bytes_written();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
