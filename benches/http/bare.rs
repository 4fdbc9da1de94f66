//! Bare axum, for comparison: parses the same body and answers the same bytes. It runs in a process
//! of its own, which is this benchmark started again.

use std::{
    hint::black_box,
    io::{self, BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing,
    serve::ListenerExt as _,
};
use serde_json::Value;
use tokio::net::TcpListener;

/// What makes this benchmark the server that it compares with.
pub(crate) const ARGUMENT: &str = "--serve-bare-axum";

/// The other process. It ends when it is dropped, or with this one.
pub(crate) struct BareAxum {
    child: Child,
    addr: SocketAddr,
}

impl BareAxum {
    /// Starts one that answers every `POST /mcp` with this line of JSON.
    pub(crate) fn answering(answer: &[u8]) -> Self {
        let program = std::env::current_exe().expect("the benchmark's own path");
        let mut child = Command::new(program)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the benchmark starts again");
        // The pipe stays open: its end is the other process's end.
        let stdin = child.stdin.as_mut().expect("a pipe");
        stdin
            .write_all(&[answer, b"\n"].concat())
            .expect("the other process reads");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("the other process writes");
        let addr = line.trim().parse().expect("an address");
        Self { child, addr }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for BareAxum {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other process: reads what to answer, says where it listens, and serves to the end of its
/// standard input.
pub(crate) fn serve() {
    let mut answer = String::new();
    let mut stdin = io::stdin().lock();
    stdin.read_line(&mut answer).expect("what to answer");
    let router = Router::new()
        .route("/mcp", routing::post(post))
        .with_state(Bytes::from(answer.trim_end().to_owned()));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.spawn(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, router).await
    });
    let _ = io::copy(&mut stdin, &mut io::sink());
}

async fn post(State(answer): State<Bytes>, body: Bytes) -> Response {
    match serde_json::from_slice::<Value>(&body) {
        Ok(message) => {
            black_box(message);
            ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
        }
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}
