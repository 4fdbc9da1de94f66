//! `--tunnel`: runs cloudflared and learns the public URL from what it prints.

use std::{
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::{connection::reachable, model::resource::PublicUrl};

/// How long cloudflared may take to print its URL.
const URL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long it may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// The shell's exit status for a command that does not exist.
const NOT_FOUND: i32 = 127;

/// Runs the tunnel below a shell that ends it when its standard input ends. The other end of that
/// pipe is ours, so the tunnel does not outlive us even if we are killed.
const WATCHED: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
tunnel=$!
{ read -r _ <&3; kill "$tunnel" 2>/dev/null; } &
watcher=$!
wait "$tunnel"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
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
    child: Child,
    /// Ends the tunnel when it is dropped.
    lifeline: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    last_line: Option<String>,
    url: PublicUrl,
}

impl Tunnel {
    /// Starts a tunnel to the public listener.
    pub(crate) async fn start(public: SocketAddr) -> Result<Self, TunnelError> {
        let target = format!("http://{}", reachable(public));
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
        let (sender, mut lines) = mpsc::channel(64);
        // It prints to standard error, but nothing promises that.
        forward(child.stdout.take(), sender.clone());
        forward(child.stderr.take(), sender);

        let mut last_line = None;
        let found = timeout(URL_TIMEOUT, first_url(&mut lines, &mut last_line)).await;
        match found {
            Ok(Some(url)) => Ok(Self {
                child,
                lifeline,
                lines,
                last_line,
                url,
            }),
            Ok(None) => Err(ended(child.wait().await?, last_line)),
            Err(_) => Err(TunnelError::NoUrl),
        }
    }

    /// The URL under which the world reaches the public listener.
    pub(crate) fn url(&self) -> &PublicUrl {
        &self.url
    }

    /// Comes back when the tunnel has ended by itself.
    pub(crate) async fn ended(&mut self) -> TunnelError {
        while let Some(line) = self.lines.recv().await {
            tracing::debug!(target: "cloudflared", "{line}");
            self.last_line = Some(line);
        }
        match self.child.wait().await {
            Ok(status) => ended(status, self.last_line.take()),
            Err(error) => TunnelError::Spawn(error),
        }
    }

    /// Ends the tunnel and waits until it is gone.
    pub(crate) async fn stop(mut self) {
        drop(self.lifeline.take());
        self.lines.close();
        if timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
        // The shell is gone; give the signal that it sent a moment to arrive.
        sleep(Duration::from_millis(10)).await;
    }
}

fn ended(status: ExitStatus, last_line: Option<String>) -> TunnelError {
    if status.code() == Some(NOT_FOUND) {
        return TunnelError::NotFound;
    }
    TunnelError::Ended { status, last_line }
}

fn forward(output: Option<impl AsyncRead + Unpin + Send + 'static>, lines: mpsc::Sender<String>) {
    let Some(output) = output else { return };
    tokio::spawn(async move {
        let mut output = BufReader::new(output).lines();
        // Read on even if nobody listens: a full pipe would stop the tunnel.
        while let Ok(Some(line)) = output.next_line().await {
            let _ = lines.send(line).await;
        }
    });
}

async fn first_url(
    lines: &mut mpsc::Receiver<String>,
    last_line: &mut Option<String>,
) -> Option<PublicUrl> {
    while let Some(line) = lines.recv().await {
        tracing::debug!(target: "cloudflared", "{line}");
        if let Some(url) = url_in(&line) {
            return Some(url);
        }
        *last_line = Some(line);
    }
    None
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
