//! A server that is a child process: its environment, what it writes to standard error, and its end.

use std::{env, io, process::Stdio, sync::Arc, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::mcp_upstream::Reach;

/// Variables of ours that every child gets: where programs are, and where it is at home.
const PASSED: [&str; 2] = ["PATH", "HOME"];

/// How long a child may take to end once its standard input has, and again once it was asked to.
const GRACE: Duration = Duration::from_secs(2);

/// A line is cut there, so that one without an end does not fill the memory.
const MAX_LINE: u64 = 8 * 1024;

/// Starts a child that ends with `stop`, and with it whatever it has started. `ended` is cancelled when
/// it has, for whatever reason.
pub(super) fn spawn(
    label: &Arc<str>,
    reach: &Reach,
    stop: CancellationToken,
    ended: CancellationToken,
    tasks: &TaskTracker,
) -> io::Result<(ChildStdout, ChildStdin)> {
    let Reach::Command {
        command,
        environment,
        directory,
    } = reach
    else {
        return Err(io::Error::other("it has no command"));
    };
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| io::Error::other("its command is empty"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(
            PASSED
                .into_iter()
                .filter_map(|name| Some((name, env::var_os(name)?))),
        )
        .envs(
            environment
                .iter()
                .map(|(name, value)| (name, value.expose())),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: a signal reaches what a wrapper script has started, and one from the
        // terminal reaches us first.
        .process_group(0)
        .kill_on_drop(true);
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    let mut child = command.spawn()?;
    let missing = || io::Error::other("a pipe is missing");
    let stdin = child.stdin.take().ok_or_else(missing)?;
    let stdout = child.stdout.take().ok_or_else(missing)?;
    let stderr = child.stderr.take().ok_or_else(missing)?;
    tasks.spawn(log_lines(Arc::clone(label), stderr));
    tasks.spawn(attend(Arc::clone(label), child, stop, ended));
    Ok((stdout, stdin))
}

/// Waits for a child's end, and sees to it that it comes.
async fn attend(
    label: Arc<str>,
    mut child: Child,
    stop: CancellationToken,
    ended: CancellationToken,
) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let group = Group(id.and_then(Pid::from_raw));
    tokio::select! {
        status = child.wait() => {
            let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            tracing::info!(upstream = &*label, status, "an upstream's process has ended");
        }
        () = stop.cancelled() => {
            // Its standard input has been closed, which is how it is told in good order.
            if timeout(GRACE, child.wait()).await.is_err() {
                group.signal(Signal::TERM);
                if timeout(GRACE, child.wait()).await.is_err() {
                    group.signal(Signal::KILL);
                    let _ = child.wait().await;
                }
            }
        }
    }
    drop(group);
    ended.cancel();
}

/// A child and all that it has started.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // There may be nobody left to get it.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Also where nobody could wait for its end any more.
        self.signal(Signal::KILL);
    }
}

async fn log_lines(label: Arc<str>, stderr: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut lines)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if !text.is_empty() {
            tracing::info!(upstream = &*label, "[{label}] {text}");
        }
    }
}
