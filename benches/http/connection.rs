//! A keep-alive connection that costs its own side next to nothing: requests are written as they
//! are, and of the answers only their ends are looked for.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// One connection, one request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer, as long as the connection is not used again.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// Status line and headers.
    pub(crate) head: &'a str,
    /// The body with its framing, if it came in chunks.
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: Vec::with_capacity(16 * 1024),
        })
    }

    /// Sends a request and reads the answer to its end.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.read.clear();
        let mut head_and_framing = None;
        loop {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if head_and_framing.is_none() {
                head_and_framing = split_head(&self.read)?;
            }
            if let Some((head_end, framing)) = &head_and_framing {
                let body = self.read.get(*head_end..).unwrap_or_default();
                if framing.is_complete(body) {
                    break;
                }
            }
        }
        let (head_end, _) = head_and_framing.ok_or(io::ErrorKind::InvalidData)?;
        let (head, body) = self.read.split_at(head_end);
        let head = text(head)?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok(Answer {
            status: status.ok_or(io::ErrorKind::InvalidData)?,
            head,
            body,
        })
    }
}

impl Answer<'_> {
    /// The same answer, provided that it has this status.
    pub(crate) fn expect(self, status: u16) -> io::Result<Self> {
        if self.status == status {
            return Ok(self);
        }
        let body = String::from_utf8_lossy(self.body);
        Err(io::Error::other(format!("{}{body}", self.head)))
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> io::Result<&str> {
        header(self.head, name).ok_or_else(|| io::Error::other(format!("no {name}: {}", self.head)))
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.trim()))
}

fn text(head: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(head).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// How the end of a body is found.
enum Framing {
    Length(usize),
    Chunks,
}

impl Framing {
    fn is_complete(&self, body: &[u8]) -> bool {
        match self {
            Self::Length(length) => body.len() >= *length,
            Self::Chunks => body.ends_with(b"0\r\n\r\n"),
        }
    }
}

/// Where the head ends and how the body is framed, once the head is there.
fn split_head(read: &[u8]) -> io::Result<Option<(usize, Framing)>> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = read.windows(END.len()).position(|window| window == END) else {
        return Ok(None);
    };
    let head = text(read.get(..end).unwrap_or_default())?;
    let framing = match header(head, "content-length") {
        Some(length) => Framing::Length(length.parse().map_err(|_| io::ErrorKind::InvalidData)?),
        None if header(head, "transfer-encoding").is_some() => Framing::Chunks,
        None => Framing::Length(0),
    };
    Ok(Some((end + END.len(), framing)))
}
