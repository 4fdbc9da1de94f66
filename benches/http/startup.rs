//! How long it takes from the start of the process to its first answer.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use crate::{
    figures::{millis, percentiles},
    server::launch,
};

const STARTS: u32 = 11;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn measure() {
    let times = (0..STARTS).map(|_| start()).collect();
    let [fastest, median, slowest] = percentiles(times, [0, 50, 100]);
    println!(
        "start to first answer: {} (fastest {}, slowest {} of {STARTS} starts; target ≤ 20 ms)",
        millis(median),
        millis(fastest),
        millis(slowest)
    );
}

fn start() -> Duration {
    let addr = free_address();
    let program = launch().env("LISTEN_ADDR", &addr.to_string());
    let began = Instant::now();
    let _program = program.start();
    while !is_healthy(addr).unwrap_or(false) {
        assert!(began.elapsed() < PATIENCE, "it never answers");
    }
    began.elapsed()
}

/// A port that is free now, and with all likelihood in a moment too.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
}

fn is_healthy(addr: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(addr)?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}
