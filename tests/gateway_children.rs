//! An MCP server that is a child process: its environment, its log, its death and ours.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{Launch, McpClient, ModernClient, PATIENCE, Program, TestServer, connect};

/// A server in a few lines of shell.
const CHILD: &str = r#"
say() { printf '{"jsonrpc":"2.0",%s}\n' "$1"; }
text() { say "\"id\":$id,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"$1\"}]}"; }
tool() { printf '{"name":"%s","description":"for a story","inputSchema":{"type":"object"},"x":1}' "$1"; }
echo "a child has begun" >&2
while IFS= read -r line; do
  id=$(printf '%s' "$line" | sed 's/^{"jsonrpc":"2.0","id":\([0-9]*\),.*/\1/')
  case "$line" in
    *'"server/discover"'*) say "\"id\":$id,\"error\":{\"code\":-32601,\"message\":\"what?\"}" ;;
    *'"method":"initialize"'*) say "\"id\":$id,\"result\":{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":\"child\",\"version\":\"1\"},\"instructions\":\"be kind\"}" ;;
    *'"tools/list"'*) say "\"id\":$id,\"result\":{\"tools\":[$(tool pid),$(tool environment),$(tool hang),$(tool die),$(tool beget)]}" ;;
    *'"name":"pid"'*) text $$ ;;
    *'"name":"environment"'*) text "$(env | sed -n 's/^\([A-Z_]*\)=.*/\1/p' | sort | tr '\n' ' ')$SECRET" ;;
    *'"name":"beget"'*) sleep 1000 & text $! ;;
    *'"name":"die"'*) exit 3 ;;
    *'"notifications/cancelled"'*) echo "a call was cancelled" >&2 ;;
  esac
done
"#;

/// The table of that server, with more lines.
pub(crate) fn child(more: &str) -> String {
    format!("[[upstreams]]\ncommand = [\"/bin/sh\", \"-c\", '''{CHILD}''']\n{more}\n")
}

/// A gateway in front of it, and a client that somebody has allowed in.
async fn gateway(more: &str) -> (TestServer, ModernClient) {
    let gateway = TestServer::one_reading(&child(more)).await;
    let mcp = ModernClient::connected(&gateway).await;
    (gateway, mcp)
}

async fn said(mcp: &ModernClient, tool: &str) -> String {
    let result = mcp.call(tool, &json!({})).await;
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

/// The state of a process, in the system's letter; `None`: there is none any more.
fn state(pid: &str) -> Option<char> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).ok()?;
    // The name before it stands in parentheses.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Waits until a process is gone, as a zombie never is.
async fn gone(pid: &str) {
    let deadline = Instant::now() + PATIENCE;
    while let Some(state) = state(pid) {
        assert!(Instant::now() < deadline, "{pid} is still there: {state}");
        sleep(Duration::from_millis(10)).await;
    }
}

fn kill(pid: &str) {
    let killed = std::process::Command::new("kill")
        .args(["-KILL", pid])
        .status();
    assert!(killed.unwrap().success());
}

#[tokio::test]
async fn a_child_that_is_killed_comes_back_and_leaves_no_zombie() {
    let (_gateway, mcp) = gateway("").await;
    let mut before = said(&mcp, "pid").await;
    for _ in 0..3 {
        kill(&before);
        gone(&before).await;
        let after = said(&mcp, "pid").await;
        assert_ne!(after, before);
        before = after;
    }
}

#[tokio::test]
async fn a_child_that_dies_in_a_call_has_failed_that_call_alone() {
    let (_gateway, mcp) = gateway("").await;
    let pid = said(&mcp, "pid").await;
    let result = mcp.call("die", &json!({})).await;
    assert_eq!(result["isError"], true, "{result}");
    assert!(
        result.to_string().contains("ended while the call ran"),
        "{result}"
    );
    gone(&pid).await;
    assert_ne!(said(&mcp, "pid").await, pid);
    let listed = mcp.result("tools/list", &json!({})).await;
    assert_eq!(listed["tools"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_child_that_never_answers_is_not_waited_for_for_ever() {
    let (_gateway, mcp) = gateway("timeout = \"1s\"").await;
    let result = mcp.call("hang", &json!({})).await;
    assert_eq!(result["isError"], true, "{result}");
    assert!(
        result.to_string().contains("said nothing for 1s"),
        "{result}"
    );
    // It was told, and others are answered.
    said(&mcp, "pid").await;
}

#[tokio::test]
async fn a_child_that_breaks_at_what_it_does_not_know_is_begun_in_the_older_way() {
    let table = child("").replace(
        "*'\"server/discover\"'*) say",
        "*'\"server/discover\"'*) exit 1 ; say",
    );
    let gateway = TestServer::one_reading(&table).await;
    let mcp = ModernClient::connected(&gateway).await;
    said(&mcp, "pid").await;
}

#[tokio::test]
async fn each_person_has_a_child_unless_it_is_shared() {
    for (more, is_shared) in [("", false), ("shared = true", true)] {
        let (gateway, first) = gateway(more).await;
        let second = ModernClient::connected(&gateway).await;
        let (first, second) = (said(&first, "pid").await, said(&second, "pid").await);
        assert_eq!(first == second, is_shared, "{more}");
    }
}

#[tokio::test]
async fn a_child_that_nobody_uses_ends_and_another_one_begins() {
    let (_gateway, mcp) = gateway("idle_timeout = \"1s\"").await;
    let pid = said(&mcp, "pid").await;
    gone(&pid).await;
    assert_ne!(said(&mcp, "pid").await, pid);
}

#[tokio::test]
async fn a_child_knows_of_our_environment_what_it_was_given() {
    let (_gateway, mcp) = gateway("environment = { SECRET = \"shared with it\" }").await;
    let told = said(&mcp, "environment").await;
    let (names, secret) = told.split_at(told.rfind("SECRET ").unwrap() + 7);
    assert_eq!(secret, "shared with it");
    let names: Vec<&str> = names.split_whitespace().collect();
    // The shell adds two or three of its own.
    let allowed = ["HOME", "PATH", "PWD", "SECRET", "SHLVL", "OLDPWD", "_"];
    assert!(names.iter().all(|name| allowed.contains(name)), "{names:?}");
}

#[tokio::test]
async fn what_a_child_has_started_ends_with_it() {
    let (mut gateway, mcp) = gateway("").await;
    let (child, grandchild) = (said(&mcp, "pid").await, said(&mcp, "beget").await);
    assert!(state(&grandchild).is_some());
    kill(&child);
    gone(&child).await;
    gone(&grandchild).await;
    let (child, grandchild) = (said(&mcp, "pid").await, said(&mcp, "beget").await);
    gateway.begin_shutdown();
    gateway.stopped().await;
    gone(&child).await;
    gone(&grandchild).await;
}

fn serving(arguments: &[&str]) -> Program {
    let arguments = [&["serve"], arguments, &["--", "/bin/sh", "-c", CHILD]].concat();
    Launch::serving().args(&arguments).start()
}

#[tokio::test]
async fn a_command_after_two_hyphens_is_served_and_ends_with_us() {
    let server = serving(&[]);
    let token = connect(&server.site()).await.tokens.access;
    let mcp = McpClient::initialized(&server.site(), &token, "2025-11-25").await;
    let result = mcp.call("pid", &json!({})).await;
    let pid = result["content"][0]["text"].as_str().unwrap().to_owned();
    // What it writes to standard error is in our log, under its name.
    server.logged("[upstream] a child has begun");
    let ended = server.terminate();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    gone(&pid).await;
    for secret in [token.as_str(), "tools/call"] {
        assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn nothing_of_what_is_said_is_logged_at_any_level() {
    let server = serving(&["--log", "trace"]);
    let mcp = McpClient::connected(&server.site(), "2025-11-25").await;
    mcp.call("pid", &json!({ "argument": "swordfish" })).await;
    let ended = server.terminate();
    assert!(!ended.stderr.contains("swordfish"), "{}", ended.stderr);
}

#[test]
fn one_upstream_is_not_two() {
    for arguments in [
        &[
            "serve",
            "--upstream",
            "http://localhost:9/mcp",
            "--",
            "true",
        ][..],
        &["serve", "--upstream", "localhost"],
        &["serve", "--upstream-authorization", "Bearer x"],
    ] {
        let ended = Launch::serving().args(arguments).run();
        assert_eq!(ended.code, Some(2), "{arguments:?} {ended:#?}");
        assert!(ended.stderr.contains("--upstream"), "{ended:#?}");
    }
}

#[tokio::test]
async fn a_command_that_cannot_be_run_is_named_and_the_server_runs() {
    let server = Launch::serving()
        .args(&["serve", "--", "/nonexistent/server"])
        .start();
    let site = server.site();
    let mcp = ModernClient::connected(&site).await;
    let listed = mcp.result("tools/list", &json!({})).await;
    assert_eq!(listed["tools"], Value::Array(Vec::new()));
    server.logged("its command cannot be run");
}
