//! A plain load balancer: requests go to the servers in turn, whoever sends them. It keeps connections,
//! and goes on to the next server where one refuses a connection. What has been sent is not sent again.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use http_body_util::{BodyExt, Empty, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode, Version,
    body::{Bytes, Incoming},
    client::conn::http1::{self as client, SendRequest},
    header::{CONNECTION, HeaderMap, TRANSFER_ENCODING},
    server::conn::http1 as server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use remote_mcp_auth::CancellationToken;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    time::sleep,
};

/// A balancer that listens. It stops when it is dropped.
pub(crate) struct Balancer {
    addr: SocketAddr,
    servers: Servers,
    stop: CancellationToken,
}

/// Where the requests go.
#[derive(Clone, Default)]
struct Servers(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    addresses: Vec<SocketAddr>,
    turn: usize,
    /// How long a request takes to get here.
    distance: Duration,
    /// Connections that wait for their next request.
    idle: HashMap<SocketAddr, Vec<SendRequest<Incoming>>>,
}

type Body = BoxBody<Bytes, hyper::Error>;

/// A request that did not reach a server.
enum Failed {
    /// And never will have: it can be sent to another one.
    Unsent(Box<Request<Incoming>>),
    /// As far as anybody knows.
    Lost,
}

impl Balancer {
    /// Listens on a free port. Where the requests go is said afterwards, since the servers have to be
    /// told this address.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let listener = listener.into_std().expect("a listener");
        let servers = Servers::default();
        let stop = CancellationToken::new();
        let (stopping, going_to) = (stop.clone(), servers.clone());
        // A thread of its own: it goes on while a story waits for a program.
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = accept(listener, going_to) => {}
                }
            });
            runtime.shutdown_background();
        });
        Self {
            addr,
            servers,
            stop,
        }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on, clients are so far away: what one replica has told the other overtakes them.
    pub(crate) fn at_a_distance(&self, distance: Duration) {
        self.servers.lock().distance = distance;
    }

    /// From now on, requests go to these.
    pub(crate) fn to(&self, addresses: impl IntoIterator<Item = SocketAddr>) {
        self.servers.lock().addresses = addresses.into_iter().collect();
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, servers: Servers) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let servers = servers.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let service = service_fn(move |request| {
                let servers = servers.clone();
                async move { Ok::<_, Infallible>(servers.pass(request).await) }
            });
            let mut builder = server::Builder::new();
            let builder = builder.preserve_header_case(true);
            // Whoever goes away in the middle of an answer is gone for the server too.
            let _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Servers {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, beginning with the one whose turn it is.
    fn in_turn(&self) -> Vec<SocketAddr> {
        let mut inner = self.lock();
        let count = inner.addresses.len().max(1);
        inner.turn = (inner.turn + 1) % count;
        let (last, first) = inner.addresses.split_at(inner.turn % count);
        [first, last].concat()
    }

    async fn pass(&self, mut request: Request<Incoming>) -> Response<Body> {
        let distance = self.lock().distance;
        if !distance.is_zero() {
            sleep(distance).await;
        }
        *request.version_mut() = Version::HTTP_11;
        forget_the_hop(request.headers_mut());
        for server in self.in_turn() {
            request = match self.send(server, request).await {
                Ok(response) => return response,
                Err(Failed::Unsent(request)) => *request,
                Err(Failed::Lost) => break,
            };
        }
        let nothing = Empty::new().map_err(|never| match never {}).boxed();
        let mut response = Response::new(nothing);
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    }

    async fn send(
        &self,
        server: SocketAddr,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, Failed> {
        loop {
            let kept = self.lock().idle.get_mut(&server).and_then(Vec::pop);
            let is_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => match connect(server).await {
                    Some(connection) => connection,
                    None => return Err(Failed::Unsent(Box::new(request))),
                },
            };
            request = match connection.try_send_request(request).await {
                Ok(response) => return Ok(self.answer(server, connection, response)),
                Err(mut error) => match error.take_message() {
                    // It had been closed since its last request.
                    Some(unsent) if is_kept => unsent,
                    Some(unsent) => return Err(Failed::Unsent(Box::new(unsent))),
                    None => return Err(Failed::Lost),
                },
            };
        }
    }

    fn answer(
        &self,
        server: SocketAddr,
        mut connection: SendRequest<Incoming>,
        mut response: Response<Incoming>,
    ) -> Response<Body> {
        let servers = self.clone();
        tokio::spawn(async move {
            // When the answer has been read to its end.
            if connection.ready().await.is_ok() {
                let mut inner = servers.lock();
                inner.idle.entry(server).or_default().push(connection);
            }
        });
        forget_the_hop(response.headers_mut());
        response.map(BodyExt::boxed)
    }
}

/// A new connection, if the server takes one.
async fn connect(server: SocketAddr) -> Option<SendRequest<Incoming>> {
    let stream = TcpStream::connect(server).await.ok()?;
    let _ = stream.set_nodelay(true);
    let mut builder = client::Builder::new();
    let builder = builder.preserve_header_case(true);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    Some(sender)
}

/// What is about one connection alone (RFC 9110 §7.6.1).
fn forget_the_hop(headers: &mut HeaderMap) {
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
}
