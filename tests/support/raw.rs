//! A bare TCP connection, for what HTTP libraries refuse to send or hide from their callers.

use std::{
    future::pending,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::{sleep, timeout},
};

/// A connection on which every byte is ours.
pub(crate) struct RawConnection(TcpStream);

impl RawConnection {
    pub(crate) async fn open(addr: SocketAddr) -> Self {
        Self(
            TcpStream::connect(addr)
                .await
                .expect("the listener accepts"),
        )
    }

    /// Sends it all. A peer that has heard enough may close before the end, which is no failure here.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Sends until there is an answer, and reads its status line and headers. Who sends too much is
    /// answered before the end.
    pub(crate) async fn send_until_answered(&mut self, bytes: &[u8]) -> String {
        let (reader, mut writer) = self.0.split();
        let mut reader = BufReader::new(reader);
        let mut head = String::new();
        let reading = async {
            while !head.ends_with("\r\n\r\n") {
                if !matches!(reader.read_line(&mut head).await, Ok(1..)) {
                    break;
                }
            }
        };
        let writing = async {
            let _ = writer.write_all(bytes).await;
            pending::<()>().await;
        };
        tokio::select! {
            () = reading => {}
            () = writing => {}
            () = sleep(Duration::from_secs(20)) => panic!("the server answers in time"),
        }
        head
    }

    /// Reads up to and including `end`, or to the end of the connection.
    pub(crate) async fn read_until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        let reading = async {
            while !read.ends_with(end.as_bytes()) {
                match self.0.read_u8().await {
                    Ok(byte) => read.push(byte),
                    Err(_) => break,
                }
            }
        };
        timeout(Duration::from_secs(20), reading)
            .await
            .expect("the server answers in time");
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Reads the status line and the headers.
    pub(crate) async fn read_head(&mut self) -> String {
        self.read_until("\r\n\r\n").await
    }

    /// Reads until the server closes, and returns what came and how long it took.
    pub(crate) async fn read_to_end(&mut self, within: Duration) -> (String, Duration) {
        let started = Instant::now();
        let mut read = Vec::new();
        let reading = async {
            // A reset after the answer ends the connection as well as a close does.
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = self.0.read(&mut chunk).await {
                read.extend_from_slice(chunk.get(..length).unwrap_or_default());
            }
        };
        timeout(within, reading)
            .await
            .expect("the server closes the connection in time");
        (
            String::from_utf8_lossy(&read).into_owned(),
            started.elapsed(),
        )
    }
}
