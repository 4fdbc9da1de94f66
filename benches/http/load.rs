//! Load: many connections, a fixed number of turns, and what that took.

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

/// What a connection is for.
pub(crate) trait Work: Send + 'static {
    /// Does it once.
    fn turn(&mut self, connection: &mut Connection) -> impl Future<Output = io::Result<()>> + Send;
}

/// The same request every time.
pub(crate) struct Same(pub(crate) Arc<[u8]>);

impl Work for Same {
    async fn turn(&mut self, connection: &mut Connection) -> io::Result<()> {
        connection.exchange(&self.0).await?.expect(200)?;
        Ok(())
    }
}

/// Processes under load, of one server.
pub(crate) struct Target<W> {
    /// Whose processor time is counted.
    pub(crate) pids: Vec<u32>,
    workers: Vec<(Connection, W)>,
}

/// What one slice took.
pub(crate) struct Slice {
    pub(crate) elapsed: Duration,
    /// The server's.
    pub(crate) processor_time: Duration,
    /// One for each turn.
    pub(crate) latencies: Vec<Duration>,
}

impl Target<Same> {
    /// One process, and one request.
    pub(crate) async fn connect(pid: u32, addr: SocketAddr, request: Vec<u8>) -> io::Result<Self> {
        let request: Arc<[u8]> = request.into();
        let mut workers = Vec::new();
        for _ in 0..CONNECTIONS {
            let work = Same(Arc::clone(&request));
            workers.push((Connection::open(addr).await?, work));
        }
        Ok(Self::of(vec![pid], workers))
    }
}

impl<W: Work> Target<W> {
    pub(crate) fn of(pids: Vec<u32>, workers: Vec<(Connection, W)>) -> Self {
        Self { pids, workers }
    }

    /// Takes so many turns, spread over all connections.
    pub(crate) async fn slice(&mut self, turns: u32) -> io::Result<Slice> {
        let before = process::processor_time(&self.pids);
        let began = Instant::now();
        let left = Arc::new(AtomicU32::new(turns));
        let mut drivers = JoinSet::new();
        for worker in self.workers.drain(..) {
            let left = Arc::clone(&left);
            drivers.spawn(drive(worker, left, began + MOST));
        }
        let mut latencies = Vec::new();
        while let Some(driven) = drivers.join_next().await {
            let (worker, mut its) = driven.map_err(io::Error::other)??;
            self.workers.push(worker);
            latencies.append(&mut its);
        }
        Ok(Slice {
            elapsed: began.elapsed(),
            processor_time: process::processor_time(&self.pids).saturating_sub(before),
            latencies,
        })
    }
}

/// One connection's share: turn after turn while there are any left to take.
async fn drive<W: Work>(
    (mut connection, mut work): (Connection, W),
    left: Arc<AtomicU32>,
    deadline: Instant,
) -> io::Result<((Connection, W), Vec<Duration>)> {
    let take = |left: u32| left.checked_sub(1);
    let mut latencies = Vec::new();
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        .is_ok()
    {
        let began = Instant::now();
        let turn = work.turn(&mut connection);
        tokio::time::timeout_at(deadline.into(), turn).await??;
        latencies.push(began.elapsed());
    }
    Ok(((connection, work), latencies))
}
