//! A small API: it answers as it is told, and keeps every byte that it receives.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::{McpClient, TestServer};

/// A running API. It stops when it is dropped.
pub(crate) struct Api {
    addr: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    serving: JoinHandle<()>,
}

/// A request, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// What the API answers.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string()).header("content-type", "application/json")
    }

    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Received {
    /// `GET /pets?limit=1`
    pub(crate) fn line(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.strip_suffix(" HTTP/1.1").unwrap_or(line)
    }

    /// The value of a header, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The names of all headers, in lower case and in order.
    pub(crate) fn header_names(&self) -> Vec<String> {
        let lines = self.head.lines().skip(1);
        let names = lines.filter_map(|line| Some(line.split_once(':')?.0.to_ascii_lowercase()));
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

impl Api {
    /// Answers each request with what `answer` says.
    pub(crate) async fn start(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&received), Arc::new(answer));
        let serving = tokio::spawn(async move {
            // They end with the API.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                connections.spawn(serve(stream, kept, move |received: &Received| {
                    answer(received)
                }));
            }
        });
        Self {
            addr,
            received,
            serving,
        }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A server that reads this file, where `API` stands for the API's URL, and a client that was let in.
    pub(crate) async fn connected(&self, file: &str) -> (TestServer, McpClient) {
        let server = TestServer::reading(&file.replace("API", &self.url())).await;
        let client = McpClient::connected(&server, "2025-11-25").await;
        (server, client)
    }

    /// All that has been received so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no panic").clone()
    }

    /// The last request.
    pub(crate) fn last(&self) -> Received {
        self.received().pop().expect("a request")
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    kept: Arc<Mutex<Vec<Received>>>,
    answer: impl Fn(&Received) -> Reply,
) {
    let mut unread = Vec::new();
    while let Some(received) = read(&mut stream, &mut unread).await {
        kept.lock().expect("no panic").push(received.clone());
        let reply = answer(&received);
        let mut lines = vec![format!("HTTP/1.1 {} Said", reply.status)];
        lines.extend(
            reply
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}")),
        );
        let mut headers = reply.headers.iter();
        if !headers.any(|(name, _)| name == "content-length") {
            lines.push(format!("content-length: {}", reply.body.len()));
        }
        let head = lines.join("\r\n") + "\r\n\r\n";
        let is_head = received.line().starts_with("HEAD ");
        let body: &[u8] = if is_head { &[] } else { &reply.body };
        if stream
            .write_all(&[head.as_bytes(), body].concat())
            .await
            .is_err()
        {
            return;
        }
    }
}

/// One request; `None` when the connection has ended.
async fn read(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Received> {
    let end_of_head = loop {
        if let Some(at) = unread.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    };
    let rest = unread.split_off(end_of_head);
    let mut received = Received {
        head: String::from_utf8(std::mem::replace(unread, rest)).ok()?,
        body: String::new(),
    };
    let length = received.header("content-length");
    let length = length.map_or(0, |length| length.parse().expect("a length"));
    while unread.len() < length {
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
    let rest = unread.split_off(length);
    received.body = String::from_utf8_lossy(&std::mem::replace(unread, rest)).into_owned();
    Some(received)
}
