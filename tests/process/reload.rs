//! The configuration, read anew while the server runs.

use std::{fs, path::PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Connected, Launch, McpClient, ModernClient, Program, Site, connect};

/// A configuration file, and a server that was started with it.
struct Running {
    program: Program,
    site: Site,
    file: PathBuf,
    _home: TempDir,
}

impl Running {
    fn with(text: &str) -> Self {
        let home = TempDir::new().unwrap();
        let file = home.path().join("server.toml");
        fs::write(&file, text).unwrap();
        let program = Launch::serving()
            .env("CONFIG_FILE", file.to_str().unwrap())
            .env("LOG_FORMAT", "json")
            .start();
        let site = program.site();
        Self {
            program,
            site,
            file,
            _home: home,
        }
    }

    /// Another text takes the place of the file's, as editors do it.
    fn write(&self, text: &str) {
        let draft = self.file.with_extension("draft");
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, &self.file).unwrap();
    }

    /// Asks for the file to be read anew, and waits until it has been.
    fn hang_up(&self, event: &str) {
        let before = self.program.log().matches(event).count();
        self.program.signal("HUP");
        self.program.logged_times(event, before + 1);
    }
}

const RELOADED: &str = "configuration_reloaded";
const REFUSED: &str = "configuration_refused";

/// A tool that nobody calls.
fn tool(name: &str) -> String {
    format!(
        "[[http_tools]]\nname = \"{name}\"\ndescription = \"for a story\"\n\
         url = \"http://127.0.0.1:1/\"\n"
    )
}

#[tokio::test]
async fn a_file_that_changes_is_read_and_clients_are_told() {
    let running = Running::with(&tool("first"));
    let connected = connect(&running.site).await;
    let client = ModernClient::new(&running.site, &connected.tokens.access);
    let session = McpClient::initialized(&running.site, &connected.tokens.access, "2025-11-25");
    let session = session.await;
    assert_eq!(client.tool_names().await, ["first"]);
    let wanted = json!({ "toolsListChanged": true });
    let (mut events, _) = client.listen(&wanted).await;

    running.write(&[tool("first"), tool("second")].concat());
    let told = events.message().await;
    assert_eq!(told["method"], "notifications/tools/list_changed");
    assert_eq!(client.tool_names().await, ["first", "second"]);
    running.program.logged(RELOADED);
    // Tokens and sessions are what they were, and so is the connection that they came by.
    assert_eq!(session.ping().await, 200);
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_says_so() {
    let running = Running::with(&tool("first"));
    let connected = connect(&running.site).await;
    let client = ModernClient::new(&running.site, &connected.tokens.access);
    running.write(&format!("\nacces_token_ttl = \"1h\"\n{}", tool("second")));
    running.program.logged(REFUSED);
    let log = running.program.log();
    assert!(log.contains("server.toml, line 2"), "{log}");
    assert!(log.contains("acces_token_ttl"), "{log}");
    assert_eq!(client.tool_names().await, ["first"]);
    // At once: what is written while the other is still being read is not overlooked.
    running.write(&tool("second"));
    running.program.logged(RELOADED);
    assert_eq!(client.tool_names().await, ["second"]);
}

#[tokio::test]
async fn sighup_reads_it_anew() {
    let running = Running::with("access_token_ttl = \"1h\"\n");
    let Connected { client, tokens, .. } = connect(&running.site).await;
    running.write("access_token_ttl = \"30m\"\nlisten = \"127.0.0.1:1\"\n");
    running.hang_up(RELOADED);
    let refreshed = client.refresh(tokens.refresh_token()).await.expect(200);
    assert_eq!(refreshed.json()["expires_in"], 1800);
    // Who was let in before still is.
    let client = ModernClient::new(&running.site, &tokens.access);
    assert_eq!(client.tool_names().await, ["best_person_looker_upper"]);
}

#[tokio::test]
async fn what_is_settled_at_the_start_counts_from_the_next_one_on() {
    let running = Running::with("");
    running.write("public_url = \"https://mcp.example.com\"\n[limits]\nclients = 5\n");
    running.hang_up(RELOADED);
    let log = running.program.log();
    for setting in ["--public-url (PUBLIC_URL)", "limits.clients"] {
        let said = format!("{setting} counts from the next start on");
        assert!(log.contains(&said), "no “{said}” in {log}");
    }
    connect(&running.site).await;
}

#[tokio::test]
async fn without_a_file_sighup_ends_the_program_unless_nohup_has_started_it() {
    let program = Launch::serving().start();
    let site = program.site();
    program.signal("HUP");
    if ignores_hangups() {
        site.get("/healthz").send().await.expect(200);
    } else {
        assert_eq!(program.ended().code, None);
    }
}

/// Whether whoever runs the tests has them go on without a terminal, which programs inherit.
fn ignores_hangups() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Its number is 1.
    ignored.is_some_and(|mask| mask & 1 == 1)
}
