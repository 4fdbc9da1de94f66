//! Programs that are not ours, run against ours: real clients, and scripts. A test whose programs are
//! not installed says so, and what would install them.

use std::{
    env,
    fs::{self, File},
    io::{Write as _, stderr},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
    time::timeout,
};

use super::Program;

/// How long such a program may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

/// Runs a program to its end. If it fails or takes too long, so does the test, with all that the
/// program printed and all that the server logged.
pub(crate) async fn run(mut program: Command, server: &Program) {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("output");
    let output = File::create(&path).expect("a file");
    let mut child = program
        .stdin(Stdio::null())
        .stderr(output.try_clone().expect("the same file"))
        .stdout(output)
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
    let status = timeout(LIMIT, child.wait()).await;
    let succeeded = matches!(&status, Ok(Ok(status)) if ExitStatus::success(status));
    assert!(
        succeeded,
        "{program:?}: {status:?}\n--- it printed ---\n{}\n--- the server logged ---\n{}",
        fs::read_to_string(&path).unwrap_or_default(),
        server.log(),
    );
}

/// Runs a program to its end, and answers what it says: a line for a line, where there is something
/// to answer. It fails as above.
pub(crate) async fn talk(mut program: Command, mut answer: impl FnMut(&str) -> Option<String>) {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut said = String::new();
    let conversation = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            said.push_str(&line);
            said.push('\n');
            if let Some(answer) = answer(&line) {
                let answer = format!("{answer}\n");
                stdin.write_all(answer.as_bytes()).await.expect("a reader");
            }
        }
        child.wait().await
    };
    let status = timeout(LIMIT, conversation).await;
    let succeeded = matches!(&status, Ok(Ok(status)) if ExitStatus::success(status));
    assert!(
        succeeded,
        "{program:?}: {status:?}\n--- it said ---\n{said}"
    );
}

/// A file of the repository.
pub(crate) fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Whether a test can run this program, which is asked for its version.
pub(crate) async fn has(test: &str, program: &str, asks_version: &str) -> bool {
    has_or(test, program, asks_version, &format!("install {program}")).await
}

/// Whether a test can run Node.
pub(crate) async fn has_node(test: &str) -> bool {
    has_or(test, "node", "--version", "install Node.js 20 or later").await
}

async fn has_or(test: &str, program: &str, asks_version: &str, remedy: &str) -> bool {
    let asked = Command::new(program)
        .arg(asks_version)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
    let is_there = asked.is_ok_and(|status| status.success());
    if !is_there {
        skip(test, program, remedy);
    }
    is_there
}

/// Where the packages are that a directory of ours lists for Node.
pub(crate) fn packages(test: &str, directory: &str) -> Option<PathBuf> {
    let path = format!("{directory}/node_modules");
    installed(test, &path, &format!("npm ci --prefix {directory}"))
}

/// One of the packages that `tests/clients` lists, or a file of it.
pub(crate) fn package(test: &str, path: &str) -> Option<PathBuf> {
    let path = format!("tests/clients/node_modules/{path}");
    installed(test, &path, "npm ci --prefix tests/clients")
}

/// A program of the environment that `tests/python/requirements.txt` describes.
pub(crate) fn python(test: &str, program: &str) -> Option<PathBuf> {
    let path = format!("target/python/bin/{program}");
    let remedy = "python3 -m venv target/python && target/python/bin/pip install --requirement \
                  tests/python/requirements.txt";
    installed(test, &path, remedy)
}

fn installed(test: &str, path: &str, remedy: &str) -> Option<PathBuf> {
    let found = Some(here(path)).filter(|path| path.exists());
    if found.is_none() {
        skip(test, path, remedy);
    }
    found
}

/// The browser, by whichever of its names.
pub(crate) fn chromium(test: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = env::split_paths(&path)
        .flat_map(|place| names.map(|name| place.join(name)))
        .find(|program| program.exists());
    if found.is_none() {
        skip(test, "Chromium", "install the package chromium");
    }
    found
}

/// Says that a test did not run, and what would make it run. Where `REQUIRE_REAL_CLIENTS` is `1`
/// the test fails instead.
fn skip(test: &str, missing: &str, remedy: &str) {
    let required = env::var("REQUIRE_REAL_CLIENTS").is_ok_and(|value| value == "1");
    assert!(!required, "{test} cannot run without {missing}: {remedy}");
    // Not `eprintln!`: the test runner would keep that to itself.
    let line = format!("\nskipped: {test} cannot run without {missing}; to run it: {remedy}\n");
    stderr().write_all(line.as_bytes()).expect("standard error");
}
