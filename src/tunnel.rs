//! `--tunnel`: runs cloudflared and learns the public URL from what it prints.

use std::{
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use axum::http::HeaderName;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    time::timeout,
};

use crate::{model::resource::PublicUrl, web::listener_address::reachable};

/// The header in which cloudflared names the client.
pub(crate) const CLIENT_HEADER: HeaderName = HeaderName::from_static("cf-connecting-ip");

/// How long cloudflared may take to print its URL.
const URL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long it may take to end; longer than the shell below waits before it ends it by force.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// How long its last words may be on their way once it has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A line is cut there, so that one without an end does not fill the memory.
const MAX_LINE: u64 = 16 * 1024;

/// The shell's exit status for a command that does not exist.
const NOT_FOUND: i32 = 127;

/// Runs the tunnel below a shell that ends it when its standard input ends. The other end of that
/// pipe is ours, so the tunnel does not outlive us even if we are killed.
///
/// The shell leads a process group, so signals also reach what a wrapper script has started. Who
/// ignores the first one is killed: cloudflared itself takes 30 s for its connections to end. The
/// shell catches the signal, to wait on; the watcher holds no pipe of ours, so that those are at
/// their end when everything else is gone.
const WATCHED: &str = r#"
exec 3<&0 </dev/null
trap : TERM
"$@" 3<&- &
tunnel=$!
{ read -r _ <&3; trap '' TERM; kill -TERM 0; sleep 2; kill -KILL 0; } >/dev/null 2>&1 &
exec 3<&-
while :; do
    wait "$tunnel"
    status=$?
    kill -0 "$tunnel" 2>/dev/null || exit "$status"
done
"#;

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The program is not there.
    #[error("--tunnel: cloudflared is not installed, or not in PATH")]
    NotFound,
    /// It could not be run.
    #[error("--tunnel: cannot run cloudflared: {0}")]
    Spawn(#[from] std::io::Error),
    /// It ended before it printed a URL, or later.
    #[error("--tunnel: cloudflared ended ({status}){}", said(.last_line.as_ref()))]
    Ended {
        /// How.
        status: ExitStatus,
        /// The last thing that it said.
        last_line: Option<String>,
    },
    /// It printed none.
    #[error("--tunnel: cloudflared printed no public URL within 30 seconds")]
    NoUrl,
}

fn said(last_line: Option<&String>) -> String {
    last_line.map_or_else(String::new, |line| format!("; its last words: {line}"))
}

/// A running tunnel.
pub(crate) struct Tunnel {
    process: Process,
    url: PublicUrl,
}

impl Tunnel {
    /// Starts a tunnel to the public listener.
    pub(crate) async fn start(public: SocketAddr) -> Result<Self, TunnelError> {
        let mut process = Process::start(&format!("http://{}", reachable(public)))?;
        let url = timeout(URL_TIMEOUT, process.first_url())
            .await
            .map_err(|_| TunnelError::NoUrl)??;
        Ok(Self { process, url })
    }

    /// The URL under which the world reaches the public listener.
    pub(crate) fn url(&self) -> &PublicUrl {
        &self.url
    }

    /// Comes back when the tunnel has ended by itself.
    pub(crate) async fn ended(&mut self) -> TunnelError {
        loop {
            if let Err(error) = self.process.next_line().await {
                return error;
            }
        }
    }

    /// Ends the tunnel and waits until it is gone.
    pub(crate) async fn stop(self) {
        self.process.stop().await;
    }
}

/// The shell, the tunnel below it, and what they say.
struct Process {
    child: Child,
    /// Ends the tunnel when it is dropped.
    lifeline: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    last_line: Option<String>,
}

impl Process {
    fn start(target: &str) -> Result<Self, TunnelError> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", WATCHED, "sh", "cloudflared", "tunnel", "--url"])
            .arg(target)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // Ctrl-C at the terminal is for us; the tunnel ends when we say so.
            .process_group(0)
            .spawn()?;
        let lifeline = child.stdin.take();
        let (sender, lines) = mpsc::channel(64);
        // It prints to standard error, but nothing promises that.
        forward(child.stdout.take(), sender.clone());
        forward(child.stderr.take(), sender);
        Ok(Self {
            child,
            lifeline,
            lines,
            last_line: None,
        })
    }

    async fn first_url(&mut self) -> Result<PublicUrl, TunnelError> {
        loop {
            if let Some(url) = url_in(self.next_line().await?) {
                return Ok(url);
            }
        }
    }

    /// What it says next; an error, once it has ended.
    async fn next_line(&mut self) -> Result<&str, TunnelError> {
        let status = tokio::select! {
            biased;
            Some(line) = self.lines.recv() => return Ok(self.heard(line)),
            status = self.child.wait() => status?,
        };
        // Not to the end of the pipes: something that the tunnel left behind may hold them open.
        let last_words = async {
            while let Some(line) = self.lines.recv().await {
                self.heard(line);
            }
        };
        let _ = timeout(LAST_WORDS, last_words).await;
        if status.code() == Some(NOT_FOUND) {
            return Err(TunnelError::NotFound);
        }
        let last_line = self.last_line.take();
        Err(TunnelError::Ended { status, last_line })
    }

    fn heard(&mut self, line: String) -> &str {
        tracing::debug!(target: "cloudflared", "{line}");
        self.last_line.insert(line)
    }

    async fn stop(mut self) {
        drop(self.lifeline.take());
        let gone = async {
            // Whoever is still there holds the pipes.
            while self.lines.recv().await.is_some() {}
            self.child.wait().await
        };
        if timeout(STOP_TIMEOUT, gone).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

fn forward(output: Option<impl AsyncRead + Unpin + Send + 'static>, lines: mpsc::Sender<String>) {
    let Some(output) = output else { return };
    tokio::spawn(async move {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        // Read on even if nobody listens, and whatever it is: a full or a closed pipe would stop
        // the tunnel.
        while let Ok(1..) = (&mut output)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .await
        {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            let _ = lines.send(text).await;
        }
    });
}

/// The tunnel's URL, if the line holds it. Lines also name other addresses, such as where the
/// terms are.
fn url_in(line: &str) -> Option<PublicUrl> {
    line.split(|c: char| c.is_whitespace() || c == '|')
        .filter(|word| word.starts_with("https://"))
        .filter_map(|word| PublicUrl::parse(word).ok())
        .find(|url| {
            url.host()
                .strip_suffix(".trycloudflare.com")
                .is_some_and(|name| name != "api")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_found_in_the_banner() {
        for (line, expected) in [
            (
                "2026-01-01T00:00:00Z INF |  https://four-random-words-here.trycloudflare.com                    |",
                Some("https://four-random-words-here.trycloudflare.com"),
            ),
            (
                "INF Requesting new quick Tunnel on trycloudflare.com...",
                None,
            ),
            (
                "see https://developers.cloudflare.com/cloudflare-one/",
                None,
            ),
            (
                "failed: Post \"https://api.trycloudflare.com/tunnel\"",
                None,
            ),
        ] {
            let found = url_in(line);
            assert_eq!(found.as_ref().map(PublicUrl::origin), expected, "{line}");
        }
    }
}
