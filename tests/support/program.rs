//! The real binary, as an operator runs it: in a directory of its own, with an environment of its own.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{PASSCODE, Site};

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is about to be run.
pub(crate) struct Launch {
    command: Command,
    directory: TempDir,
    input: Stdio,
}

/// A running program. It ends when it is dropped.
pub(crate) struct Program {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    _directory: TempDir,
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Lines that a thread reads while the story goes on.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<Heard>, Condvar)>);

#[derive(Default)]
struct Heard {
    text: String,
    ended: bool,
}

impl Launch {
    /// The binary without arguments, and with nothing in the environment but where programs are found.
    pub(crate) fn bare() -> Self {
        Self::of(Command::new(env!("CARGO_BIN_EXE_remote-mcp-auth")))
    }

    /// The conformance fixture, serving. `cargo test` builds examples beside the binary;
    /// `cargo test --test main` does not, and would run an old one.
    pub(crate) fn fixture() -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_remote-mcp-auth"));
        let fixture = binary.with_file_name("examples").join("conformance");
        assert!(
            fixture.exists(),
            "`cargo build --examples` makes {}",
            fixture.display(),
        );
        Self::of(Command::new(fixture)).for_stories()
    }

    /// Serving, by a shell that does this first.
    pub(crate) fn serving_after(script: &str) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", &format!("{script} && exec \"$@\""), "sh"])
            .arg(env!("CARGO_BIN_EXE_remote-mcp-auth"));
        Self::of(shell).for_stories()
    }

    fn of(mut command: Command) -> Self {
        let directory = TempDir::new().expect("a directory");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(directory.path());
        Self {
            command,
            directory,
            input: Stdio::null(),
        }
    }

    /// On a free port, without the private listener, with the stories' passcode.
    pub(crate) fn serving() -> Self {
        Self::bare().for_stories()
    }

    fn for_stories(self) -> Self {
        self.env("LISTEN_ADDR", "127.0.0.1:0")
            .env("ADMIN_ADDR", "off")
            .env("SIGN_IN_PASSCODE", PASSCODE)
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn env_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.command.env(name, OsStr::from_bytes(value));
        self
    }

    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// A file in the working directory.
    pub(crate) fn file(self, name: &str, contents: &str) -> Self {
        fs::write(self.directory.path().join(name), contents).expect("a file");
        self
    }

    /// What it reads from standard input.
    pub(crate) fn input(mut self, text: &str) -> Self {
        let path = self.directory.path().join("input");
        fs::write(&path, text).expect("a file");
        self.input = fs::File::open(path).expect("the same file").into();
        self
    }

    /// Programs in this directory are found before all others.
    pub(crate) fn path_begins_with(mut self, directory: &Path) -> Self {
        let mut path = OsString::from(directory);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        self.command.env("PATH", path);
        self
    }

    pub(crate) fn start(mut self) -> Program {
        let mut child = self
            .command
            .stdin(self.input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = Lines::read(child.stdout.take().expect("a pipe"));
        let stderr = Lines::read(child.stderr.take().expect("a pipe"));
        Program {
            child,
            stdout,
            stderr,
            _directory: self.directory,
        }
    }

    /// Runs it to its end while nobody reads what it prints.
    pub(crate) fn run_unread(mut self) -> Option<i32> {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let status = self.command.stdout(writer).status();
        status.expect("the program starts").code()
    }

    /// Runs it to its end, which must come by itself.
    pub(crate) fn run(self) -> Ended {
        self.start().ended()
    }
}

impl Program {
    /// The rest of the first line on standard output that begins like this.
    #[track_caller]
    pub(crate) fn told(&self, beginning: &str) -> String {
        let rest = |text: &str| {
            let mut lines = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            lines.find_map(|line| Some(line.trim_end().strip_prefix(beginning)?.to_owned()))
        };
        match self.stdout.wait_for(rest) {
            Some(rest) => rest,
            None => panic!(
                "“{beginning}” was never printed: {}{}",
                self.stdout.text(),
                self.stderr.text()
            ),
        }
    }

    /// Waits for a word in the log.
    #[track_caller]
    pub(crate) fn logged(&self, word: &str) {
        self.logged_times(word, 1);
    }

    /// Waits until a word stands in the log so many times.
    #[track_caller]
    pub(crate) fn logged_times(&self, word: &str, times: usize) {
        let found = self
            .stderr
            .wait_for(|text| (text.matches(word).count() >= times).then_some(()));
        assert!(
            found.is_some(),
            "“{word}” is not there {times} times: {}",
            self.stderr.text()
        );
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        self.stderr.text()
    }

    /// Where it listens, and under which name.
    #[track_caller]
    pub(crate) fn site(&self) -> Site {
        let addr: SocketAddr = self
            .told("listening on http://")
            .parse()
            .expect("an address");
        let url = self.told("connector URL: ");
        Site::new(
            addr,
            url.strip_suffix("/mcp")
                .expect("the connector URL ends in /mcp"),
        )
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal: `TERM`, `INT`, `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "the program is not there any more"
        );
    }

    /// Asks it to end and waits for that.
    pub(crate) fn terminate(self) -> Ended {
        self.signal("TERM");
        self.ended()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Ended {
        let Some(status) = self.wait(PATIENCE) else {
            panic!(
                "it goes on and on: {}{}",
                self.stdout.text(),
                self.stderr.text()
            );
        };
        self.stdout.wait_for_end();
        self.stderr.wait_for_end();
        Ended {
            code: status.code(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }

    fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            let status = self.child.try_wait().expect("a child of ours");
            if status.is_some() || Instant::now() > deadline {
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // Politely first, so that it can take its own children along.
        let pid = self.pid().to_string();
        let _ = Command::new("kill")
            .args(["-s", "TERM", &pid])
            .stderr(Stdio::null())
            .status();
        if self.wait(Duration::from_secs(1)).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Lines {
    fn read(from: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let shared = lines.clone();
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from
                .read_until(b'\n', &mut line)
                .is_ok_and(|length| length > 0)
            {
                shared.update(|read| read.text.push_str(&String::from_utf8_lossy(&line)));
                line.clear();
            }
            shared.update(|read| read.ended = true);
        });
        lines
    }

    fn update(&self, change: impl FnOnce(&mut Heard)) {
        change(&mut self.0.0.lock().expect("no panic while reading"));
        self.0.1.notify_all();
    }

    fn text(&self) -> String {
        self.0
            .0
            .lock()
            .expect("no panic while reading")
            .text
            .clone()
    }

    /// What `find` finds, as soon as it finds it; nothing when the pipe has ended or patience has.
    fn wait_for<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut found = None;
        let read = self.0.0.lock().expect("no panic while reading");
        let waited = self.0.1.wait_timeout_while(read, PATIENCE, |read| {
            found = find(&read.text);
            found.is_none() && !read.ended
        });
        drop(waited);
        found
    }

    fn wait_for_end(&self) {
        let read = self.0.0.lock().expect("no panic while reading");
        // A grandchild that kept the pipe would keep it open: do not wait for ever.
        drop(
            self.0
                .1
                .wait_timeout_while(read, Duration::from_secs(2), |read| !read.ended),
        );
    }
}
