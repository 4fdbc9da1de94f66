//! The connection layer: hyper's builder with limits that `axum::serve` does not have.
//!
//! `axum::serve` waits for ever for a client that trickles its headers, takes header blocks of
//! 450 KB and opens as many connections as it is asked for. Here, headers are complete in ten
//! seconds and fit [`MAX_HEADER_BLOCK`], connections are counted, and silence has an end.

mod exchange;
mod file_limit;
mod observed;
mod places;
mod progress;
mod routes;

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::http::{HeaderValue, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service as _;

use crate::web::client_address::Connection;
pub(crate) use file_limit::affordable;
use observed::Observed;
use places::Places;
use progress::Progress;
pub(crate) use routes::Routes;

/// The request line and headers together, in bytes; beyond it hyper answers 431.
const MAX_HEADER_BLOCK: usize = 32 * 1024;

/// How long running requests may take once the server is told to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How many connections wait in the kernel's queue at most: the length that tokio asks for.
const QUEUE_LENGTH: usize = 1024;

/// How often it is logged that connections cannot be accepted, while that goes on.
const LOG_FAILURE_EVERY: Duration = Duration::from_secs(10);

/// How often a draining connection is looked at.
const DRAIN_TICK: Duration = Duration::from_millis(10);

/// Accepts connections and serves `routes` on them until `shutdown`; then accepts what still waits
/// in the queue, lets running requests finish, says of each answer that it is the connection's last,
/// and returns.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Routes,
    max_connections: usize,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let mut places = Places::new(max_connections);
    let connections = TaskTracker::new();
    let local = listener.local_addr()?;
    let start = |stream: TcpStream, peer: SocketAddr, place: Option<OwnedSemaphorePermit>| {
        let local = stream.local_addr().unwrap_or(local);
        let ends = Connection { peer, local };
        let routes = routes.clone();
        // One of its own: every poll of a connection looks at it, under its lock.
        let shutdown = shutdown.child_token();
        let progress = Arc::new(Progress::new());
        let guest = Arc::downgrade(&progress);
        let task = connections.spawn({
            let progress = Arc::clone(&progress);
            async move {
                drive(stream, ends, routes, progress, shutdown).await;
                drop(place);
            }
        });
        progress.belongs_to(task.abort_handle());
        guest
    };
    let mut failure_logged: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let place = tokio::select! {
                    biased;
                    () = shutdown.cancelled() => None,
                    place = places.take() => place,
                };
                places.taken_by(start(stream, peer, place));
            }
            // It went away before its turn came.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // Out of file descriptors, usually: connections that end make room.
                if failure_logged.is_none_or(|logged| logged.elapsed() > LOG_FAILURE_EVERY) {
                    tracing::error!(error = %error, "cannot accept connections");
                    failure_logged = Some(Instant::now());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // Clients whose handshake is complete believe themselves served. They wait in the kernel's
    // queue, which only a real accept(2) sees.
    if let Ok(listener) = listener.into_std() {
        for (stream, peer) in queued(|| listener.accept()) {
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                start(stream, peer, None);
            }
        }
    }
    connections.close();
    connections.wait().await;
    Ok(())
}

/// What waits in the queue. A connection that is broken already is no reason to leave those behind
/// it, and one who keeps calling is no reason to stay.
fn queued<T>(mut accept: impl FnMut() -> io::Result<T>) -> impl Iterator<Item = T> {
    (0..QUEUE_LENGTH)
        .map(move |_| accept())
        .take_while(|accepted| {
            let error = accepted.as_ref().err();
            error.is_none_or(|error| error.kind() != io::ErrorKind::WouldBlock)
        })
        .filter_map(Result::ok)
}

async fn drive(
    stream: TcpStream,
    ends: Connection,
    routes: Routes,
    progress: Arc<Progress>,
    shutdown: CancellationToken,
) {
    // Otherwise every streamed answer waits some 40 ms for the client's acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "cannot set TCP_NODELAY");
    }
    let io = TokioIo::new(Observed {
        stream,
        progress: Arc::clone(&progress),
    });
    let handling = Arc::clone(&progress);
    let ending = shutdown.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let progress = Arc::clone(&handling);
        let ending = ending.clone();
        let mut rooms = routes.now();
        let mut request = exchange::question(request, &progress);
        request.extensions_mut().insert(ends);
        async move {
            let mut response = rooms.call(request).await?;
            if ending.is_cancelled() {
                // RFC 9112 §9.6: nothing more is to be sent on it.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, Infallible>(exchange::answer(response, progress))
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
    // A request may have arrived that hyper has not seen, or be on its way from a load balancer that
    // keeps the connection; closing now would lose it. What is answered from now on says that it was
    // the last.
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = tokio::time::sleep(DRAIN_TICK) => {}
        }
        if !progress.is_in_use() || Instant::now() >= deadline {
            break;
        }
    }
    connection.as_mut().graceful_shutdown();
    // What is still running then is cut off.
    let _ = tokio::time::timeout_at(deadline, connection).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_connection_in_the_queue_does_not_hide_those_behind_it() {
        use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};

        let mut queue = [
            Ok(1),
            Err(ConnectionAborted),
            Err(Interrupted),
            Ok(2),
            Err(WouldBlock),
            Ok(3),
        ]
        .into_iter();
        let accept = || queue.next().unwrap().map_err(io::Error::from);
        assert_eq!(queued(accept).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_queue_that_never_empties_is_left() {
        assert_eq!(queued(|| Ok(())).count(), QUEUE_LENGTH);
    }
}
