//! Load: many connections, a fixed number of requests, and what that took.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{connection::Connection, process};

/// Enough for a server to always have something to do.
pub(crate) const CONNECTIONS: u32 = 64;

/// No slice goes on for longer, however slow the machine.
const MOST: Duration = Duration::from_secs(20);

/// A process under load: the same request, over and over.
pub(crate) struct Target {
    pid: u32,
    request: Arc<[u8]>,
    connections: Vec<Connection>,
}

/// What one slice took.
pub(crate) struct Slice {
    pub(crate) elapsed: Duration,
    /// The server's.
    pub(crate) processor_time: Duration,
    /// One for each request that was answered.
    pub(crate) latencies: Vec<Duration>,
}

impl Target {
    pub(crate) async fn connect(pid: u32, addr: SocketAddr, request: Vec<u8>) -> io::Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::open(addr).await?);
        }
        Ok(Self {
            pid,
            request: request.into(),
            connections,
        })
    }

    /// Sends so many requests, spread over all connections. Answers other than 200 are errors.
    pub(crate) async fn slice(&mut self, requests: u32) -> io::Result<Slice> {
        let before = process::processor_time(self.pid);
        let began = Instant::now();
        let left = Arc::new(AtomicU32::new(requests));
        let mut drivers = JoinSet::new();
        for connection in self.connections.drain(..) {
            let request = Arc::clone(&self.request);
            let driving = drive(connection, request, Arc::clone(&left), began + MOST);
            drivers.spawn(driving);
        }
        let mut latencies = Vec::new();
        while let Some(driven) = drivers.join_next().await {
            let (connection, mut its) = driven.map_err(io::Error::other)??;
            self.connections.push(connection);
            latencies.append(&mut its);
        }
        Ok(Slice {
            elapsed: began.elapsed(),
            processor_time: process::processor_time(self.pid).saturating_sub(before),
            latencies,
        })
    }
}

/// One connection's share: request after request while there are any left to send.
async fn drive(
    mut connection: Connection,
    request: Arc<[u8]>,
    left: Arc<AtomicU32>,
    deadline: Instant,
) -> io::Result<(Connection, Vec<Duration>)> {
    let take = |left: u32| left.checked_sub(1);
    let mut latencies = Vec::new();
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        .is_ok()
    {
        let began = Instant::now();
        let exchange = connection.exchange(&request);
        let answer = tokio::time::timeout_at(deadline.into(), exchange).await??;
        if answer.status != 200 {
            return Err(io::Error::other(answer.head.to_owned()));
        }
        latencies.push(began.elapsed());
    }
    Ok((connection, latencies))
}
