//! A Postgres for the stories: the one that `TEST_DATABASE_URL` names, or one that is started here
//! once for all of them from an installed `postgres`, and ends with them.
//!
//! Each story has a database of its own. Where there is no Postgres, stories that want one are
//! skipped and say so; `REQUIRE_POSTGRES=1` makes that a failure.

use std::{
    env, fs,
    io::Write as _,
    os::unix::{fs::chown, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread::sleep,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// Postgres refuses to run as root: then it runs as nobody.
const NOBODY: u32 = 65_534;

/// A Postgres server that belongs to whoever started it.
pub(crate) struct Postgres {
    home: PathBuf,
    bin: PathBuf,
    settings: &'static [&'static str],
    /// Watches over the server. It ends when we let go of its standard input, whatever the reason.
    guard: Child,
}

/// The URL of a new, empty database; `None` if there is no Postgres.
pub(crate) async fn database() -> Option<String> {
    Some(new_database(&base()?).await)
}

/// Whether there is a Postgres.
pub(crate) fn is_there() -> bool {
    base().is_some()
}

/// The URL of a database from which others can be made.
fn base() -> Option<String> {
    static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
    match env::var("TEST_DATABASE_URL") {
        Ok(url) if !url.is_empty() => Some(url),
        _ => {
            let server = SHARED.get_or_init(|| Postgres::start().or_else(skip));
            Some(server.as_ref()?.url("postgres"))
        }
    }
}

fn skip() -> Option<Postgres> {
    let required = env::var("REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
    assert!(
        !required,
        "there is no Postgres: install it, or set TEST_DATABASE_URL"
    );
    eprintln!("SKIPPED on Postgres: install it, or set TEST_DATABASE_URL, to run these too");
    None
}

async fn new_database(base: &str) -> String {
    let name = format!("test_{}", Uuid::new_v4().simple());
    let mut connection = connect(base).await;
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    connection.execute(create).await.expect("a database");
    connection.close().await.expect("a farewell");
    let (server, rest) = base.split_once("://").expect("a URL");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let question = if query.is_empty() { "" } else { "?" };
    format!("{server}://{authority}/{name}{question}{query}")
}

/// Connects, once Postgres is up.
async fn connect(url: &str) -> PgConnection {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match PgConnection::connect(url).await {
            Ok(connection) => return connection,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Postgres {
    /// Starts a server; `None` if none is installed. It does not wait for the disk: stories end
    /// before the machine does.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&["fsync=off"])
    }

    /// The same with these settings instead.
    pub(crate) fn start_with(settings: &'static [&'static str]) -> Option<Self> {
        let bin = installed()?;
        let home = env::temp_dir().join(format!("postgres-{}", Uuid::new_v4().simple()));
        fs::create_dir(&home).expect("a directory");
        if is_root() {
            chown(&home, Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        let data = home.join("data");
        let mut initdb = unprivileged(&bin.join("initdb"));
        initdb.args(["--username=tests", "--auth=trust", "--no-sync"]);
        initdb.args(["--locale=C", "--encoding=UTF8", "--pgdata"]);
        let made = initdb
            .arg(&data)
            .current_dir(&home)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "{made:?}");
        let guard = guard(&bin, &home, settings);
        let server = Self {
            home,
            bin,
            settings,
            guard,
        };
        server.wait();
        Some(server)
    }

    /// Where one of its databases is.
    pub(crate) fn url(&self, database: &str) -> String {
        let home = self.home.display();
        format!("postgres://tests@localhost/{database}?host={home}")
    }

    /// A new, empty database.
    pub(crate) async fn database(&self) -> String {
        new_database(&self.url("postgres")).await
    }

    /// Stops it at once, as a crash would.
    pub(crate) fn stop(&mut self) {
        // It notices only if it is not frozen.
        self.thaw();
        if let Some(mut stdin) = self.guard.stdin.take() {
            writeln!(stdin, "stop").expect("it listens");
        }
        self.guard.wait().expect("it ends");
    }

    /// Starts it again with what it had.
    pub(crate) fn start_again(&mut self) {
        self.guard = guard(&self.bin, &self.home, self.settings);
        self.wait();
    }

    /// Its processes: the one that begins the others, and those.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let file = fs::read_to_string(self.home.join("data/postmaster.pid"));
        let first = file.ok().and_then(|text| text.lines().next()?.parse().ok());
        let Some(first) = first else {
            return Vec::new();
        };
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let others = pids.filter(|pid| parent(*pid) == Some(first));
        std::iter::once(first).chain(others).collect()
    }

    /// Makes it stand still in the middle of whatever it does, without closing anything.
    pub(crate) fn freeze(&self) {
        // The first one first: after that there are no new ones.
        signal("STOP", &self.processes());
        signal("STOP", &self.processes());
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        signal("CONT", &self.processes());
    }

    fn wait(&self) {
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(self.home.join(".s.PGSQL.5432")).is_err() {
            assert!(Instant::now() < deadline, "Postgres does not start");
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// A shell that runs the server until its own standard input ends. The one of all stories is dropped
/// by nobody, and this notices the end of the process all the same; the files are removed then.
fn guard(bin: &Path, home: &Path, settings: &[&str]) -> Child {
    const SCRIPT: &str = r#"
        "$@" &
        server=$!
        word=
        read -r word
        kill -QUIT "$server"
        kill -CONT "$server"
        wait "$server"
        [ "$word" = stop ] || rm -rf "$PGHOME"
    "#;
    let mut guard = unprivileged(Path::new("sh"));
    guard.args(["-c", SCRIPT, "sh"]);
    guard
        .arg(bin.join("postgres"))
        .arg("-D")
        .arg(home.join("data"));
    guard.arg("-k").arg(home);
    let always = ["listen_addresses=", "max_connections=300"];
    for setting in always.iter().chain(settings) {
        guard.args(["-c", setting]);
    }
    let log = fs::File::create(home.join("log")).expect("a file");
    guard
        .env("PGHOME", home)
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().expect("a file"))
        .stderr(log)
        .spawn()
        .expect("a shell")
}

/// Sends these processes a signal. Some may have ended by themselves.
pub(crate) fn signal(name: &str, pids: &[u32]) {
    let pids = pids.iter().map(ToString::to_string);
    let kill = Command::new("kill").args(["-s", name]).args(pids).output();
    kill.expect("kill runs");
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
    command
        .args([&user, &group, "--clear-groups", "--"])
        .arg(program);
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The directory of the programs: on the path, or where Debian keeps them.
fn installed() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path);
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let versions = versions.flatten().map(|version| version.path().join("bin"));
    on_path
        .chain(versions)
        .find(|bin| bin.join("postgres").exists() && bin.join("initdb").exists())
}
