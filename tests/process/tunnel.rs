//! `--tunnel`, with a stand-in for `cloudflared` that prints what the real one prints.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt,
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Launch, REDIRECT_URI};

/// What comes before the address: the terms of use, and addresses that are not ours.
const GREETING: &str = "\
2026-08-22T10:00:00Z INF Thank you for trying Cloudflare Tunnel. Doing so, without a Cloudflare account, is a quick way \
to experiment and try it out. However, be aware that these account-less Tunnels have no uptime guarantee, are subject to \
the Cloudflare Online Services Terms of Use (https://www.cloudflare.com/website-terms/). If you intend to use Tunnels in \
production you should use a pre-created named tunnel by following: \
https://developers.cloudflare.com/cloudflare-one/connections/connect-apps
2026-08-22T10:00:00Z INF Requesting new quick Tunnel on trycloudflare.com...
";

/// What a successful start looks like.
const BANNER: &str = "\
2026-08-22T10:00:03Z INF +--------------------------------------------------------------------------------------------+
2026-08-22T10:00:03Z INF |  Your quick Tunnel has been created! Visit it at (it may take some time to be reachable):  |
2026-08-22T10:00:03Z INF |  https://words.trycloudflare.com                                                           |
2026-08-22T10:00:03Z INF +--------------------------------------------------------------------------------------------+
2026-08-22T10:00:03Z INF Registered tunnel connection connIndex=0 location=ams01 protocol=quic
";

/// A directory with a `cloudflared` in it.
struct StandIn {
    directory: TempDir,
}

impl StandIn {
    /// One that says this on standard error and then does that.
    fn saying(words: &str, then: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("words"), words).unwrap();
        // The pipe is open as long as the stand-in lives, whatever ends it.
        let made = Command::new("mkfifo").arg(path("alive")).status().unwrap();
        assert!(made.success());
        let script = format!(
            "#!/bin/sh\nhere=$(dirname \"$0\")\nprintf '%s\\n' \"$@\" > \"$here/arguments\"\n\
             cat \"$here/words\" >&2\n{then}\n"
        );
        fs::write(path("cloudflared"), script).unwrap();
        fs::set_permissions(path("cloudflared"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { directory }
    }

    /// One that works until it is ended.
    fn working() -> Self {
        Self::saying(
            &format!("{GREETING}{BANNER}"),
            "exec 3> \"$here/alive\"\nexec sleep 60",
        )
    }

    fn launch(&self) -> Launch {
        Launch::serving()
            .path_begins_with(self.directory.path())
            .args(&["serve", "--tunnel"])
    }

    fn arguments(&self) -> Vec<String> {
        let arguments = fs::read_to_string(self.directory.path().join("arguments")).unwrap();
        arguments.lines().map(ToOwned::to_owned).collect()
    }

    /// Tells when the stand-in has ended. Ask before that.
    fn end(&self) -> mpsc::Receiver<()> {
        let alive = self.directory.path().join("alive");
        let (ended, end) = mpsc::channel();
        thread::spawn(move || {
            let mut alive = File::open(alive).expect("the pipe is there");
            let _ = alive.read_to_end(&mut Vec::new());
            let _ = ended.send(());
        });
        end
    }
}

#[tokio::test]
async fn the_tunnels_address_becomes_the_public_url() {
    let tunnel = StandIn::working();
    let _end = tunnel.end();
    let program = tunnel.launch().start();
    let site = program.site();

    assert_eq!(site.public_url(), "https://words.trycloudflare.com");
    let metadata = site
        .get("/.well-known/oauth-authorization-server")
        .send()
        .await
        .expect(200);
    assert_eq!(metadata.json()["issuer"], "https://words.trycloudflare.com");
    // It was told to come to where we listen.
    let arguments = tunnel.arguments();
    assert_eq!(
        arguments.first().map(String::as_str),
        Some("tunnel"),
        "{arguments:?}"
    );
    let port = format!(":{}", site.addr().port());
    assert!(arguments.contains(&"--url".to_owned()), "{arguments:?}");
    assert!(
        arguments.iter().any(|argument| argument.ends_with(&port)),
        "{arguments:?}"
    );
}

#[tokio::test]
async fn behind_the_tunnel_its_own_header_names_the_client() {
    let tunnel = StandIn::working();
    let _end = tunnel.end();
    let program = tunnel
        .launch()
        .file("server.toml", "[limits]\nregistration_burst = 1\n")
        .env("CONFIG_FILE", "server.toml")
        .start();
    let site = program.site();
    let register = async |address: &str| {
        let request = site.post("/register").header("cf-connecting-ip", address);
        request
            .json(&json!({ "redirect_uris": [REDIRECT_URI] }))
            .send()
            .await
    };
    register("203.0.113.7").await.expect(201);
    register("203.0.113.8").await.expect(201);
    register("203.0.113.7").await.expect(429);
}

#[test]
fn the_tunnel_ends_with_the_server() {
    for signal in ["TERM", "INT"] {
        let tunnel = StandIn::working();
        let end = tunnel.end();
        let program = tunnel.launch().start();
        program.told("connector URL: https://words.trycloudflare.com/mcp");
        assert!(end.try_recv().is_err(), "it ended before the server did");

        program.signal(signal);
        let ended = program.ended();
        assert_eq!(ended.code, Some(0), "{signal}: {ended:#?}");
        let gone = end.recv_timeout(Duration::from_secs(2));
        assert!(gone.is_ok(), "{signal}: the tunnel outlives the server");
        assert_eq!(ended.stdout.lines().count(), 2, "{ended:#?}");
    }
}

/// What a stand-in does that is hard to end, for as long as the pipe is open.
const STUBBORN: [&str; 2] = [
    // As cloudflared is while connections drain.
    "trap '' TERM\nexec 3> \"$here/alive\"\nexec sleep 60",
    // A wrapper script: a signal for it is none for what it runs.
    "sleep 60 3> \"$here/alive\"\nexit 0",
];

#[test]
fn a_tunnel_that_is_hard_to_end_ends_with_the_server_too() {
    for then in STUBBORN {
        let tunnel = StandIn::saying(&format!("{GREETING}{BANNER}"), then);
        let end = tunnel.end();
        let program = tunnel.launch().start();
        program.told("connector URL: https://words.trycloudflare.com/mcp");

        program.signal("TERM");
        assert_eq!(program.ended().code, Some(0), "{then}");
        // It was waited for, so it is gone already.
        let gone = end.recv_timeout(Duration::from_millis(500));
        assert!(gone.is_ok(), "{then}: the tunnel outlives the server");
    }
}

#[test]
fn the_tunnel_ends_even_when_the_server_is_killed() {
    for then in STUBBORN {
        let tunnel = StandIn::saying(&format!("{GREETING}{BANNER}"), then);
        let end = tunnel.end();
        let program = tunnel.launch().start();
        program.told("connector URL: https://words.trycloudflare.com/mcp");

        program.signal("KILL");
        let gone = end.recv_timeout(Duration::from_secs(10));
        assert!(gone.is_ok(), "{then}: the tunnel outlives the server");
    }
}

#[test]
fn a_tunnel_that_ends_is_noticed_whatever_it_leaves_behind() {
    let leave = "sleep 60 3> \"$here/alive\" &\nexit 1";
    let tunnel = StandIn::saying(GREETING, leave);
    let end = tunnel.end();
    let ended = tunnel.launch().run();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("cloudflared ended"), "{ended:#?}");
    assert!(
        ended.stderr.contains("Requesting new quick Tunnel"),
        "{ended:#?}"
    );
    let gone = end.recv_timeout(Duration::from_secs(10));
    assert!(gone.is_ok(), "what the tunnel left outlives the server");
}

#[test]
fn what_the_tunnel_says_need_not_be_text() {
    let tunnel = StandIn::saying(
        GREETING,
        &format!(
            "printf '\\377\\n' >&2\nhead -c 100000 /dev/zero >&2\nprintf '\\n{BANNER}' >&2\n\
             exec 3> \"$here/alive\"\nexec sleep 60"
        ),
    );
    let _end = tunnel.end();
    let program = tunnel.launch().start();
    program.told("connector URL: https://words.trycloudflare.com/mcp");
    assert_eq!(program.terminate().code, Some(0));
}

#[test]
fn without_cloudflared_it_says_what_is_missing() {
    let nothing = TempDir::new().unwrap();
    let path = nothing.path().to_str().unwrap();
    let ended = Launch::serving()
        .env("PATH", path)
        .args(&["serve", "--tunnel"])
        .run();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("cloudflared"), "{ended:#?}");
    assert!(!ended.stdout.contains("connector URL"), "{ended:#?}");
}

#[test]
fn a_tunnel_that_gives_up_is_reported_with_its_last_words() {
    let words = format!(
        "{GREETING}failed to request quick Tunnel: Post \"https://api.trycloudflare.com/tunnel\": dial tcp: \
         lookup api.trycloudflare.com: no such host\n"
    );
    let ended = StandIn::saying(&words, "exit 1").launch().run();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("cloudflared"), "{ended:#?}");
    assert!(ended.stderr.contains("no such host"), "{ended:#?}");
    // An address in an error message is not the tunnel's.
    assert!(
        !ended.stdout.contains("api.trycloudflare.com"),
        "{ended:#?}"
    );
}

#[test]
#[ignore = "waits half a minute of real time for an address that never comes"]
fn a_tunnel_without_an_address_is_given_up_after_half_a_minute() {
    let tunnel = StandIn::saying(GREETING, "exec 3> \"$here/alive\"\nexec sleep 60");
    let end = tunnel.end();
    let program = tunnel.launch().start();
    thread::sleep(Duration::from_secs(25));
    let ended = program.ended();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("cloudflared"), "{ended:#?}");
    assert!(
        end.recv_timeout(Duration::from_secs(2)).is_ok(),
        "the tunnel outlives the server"
    );
}
