//! The commands beside `serve`: `check`, `grants`, `grants revoke`.

use std::net::TcpListener;

use serde_json::Value;

use crate::support::{Launch, Site, connect};

/// An address that was free a moment ago: the commands must know it before the server runs.
fn free_addr() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn check_accepts_what_serve_would_accept_and_starts_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    // A port that is taken is no mistake in the configuration.
    let addr = taken.local_addr().unwrap().to_string();
    let ended = Launch::serving()
        .env("LISTEN_ADDR", &addr)
        .args(&["check"])
        .run();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(!ended.stdout.contains("listening on"), "{ended:#?}");
}

#[test]
fn check_refuses_what_serve_would_refuse() {
    let ended = Launch::serving()
        .env("ACCESS_TOKEN_TTL", "soon")
        .args(&["check"])
        .run();
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("ACCESS_TOKEN_TTL"), "{ended:#?}");
}

#[test]
fn check_tells_by_its_exit_code_too() {
    let check = || Launch::serving().args(&["check"]);
    assert_eq!(check().run_unread(), Some(0));
    let wrong = check().env("ACCESS_TOKEN_TTL", "soon");
    assert_eq!(wrong.run_unread(), Some(2));
}

#[tokio::test]
async fn grants_are_listed_and_revoked_from_the_command_line() {
    let admin = free_addr();
    let program = Launch::serving().env("ADMIN_ADDR", &admin).start();
    let site = program.site();
    let connected = connect(&site).await;
    let mut mcp = connected.mcp(&site);
    mcp.initialize("2025-11-25").await;
    let command = |args: &[&str]| Launch::bare().env("ADMIN_ADDR", &admin).args(args).run();

    let listed = command(&["grants"]);
    assert_eq!(listed.code, Some(0), "{listed:#?}");
    let id = only_grant(&Site::new(
        admin.parse().unwrap(),
        &format!("http://{admin}"),
    ))
    .await;
    for part in ["Story client", "owner", &id] {
        assert!(listed.stdout.contains(part), "no {part} in {listed:#?}");
    }

    let unknown = command(&["grants", "revoke", "no-such-grant"]);
    assert_eq!(unknown.code, Some(1), "{unknown:#?}");
    assert!(unknown.stderr.contains("no-such-grant"), "{unknown:#?}");
    assert_eq!(mcp.ping().await, 200);

    let revoked = command(&["grants", "revoke", &id]);
    assert_eq!(revoked.code, Some(0), "{revoked:#?}");
    assert_eq!(mcp.ping().await, 401);
    assert!(!command(&["grants"]).stdout.contains(&id));
}

async fn only_grant(admin: &Site) -> String {
    let body = admin.get("/grants").send().await.expect(200).json();
    let list = body
        .as_array()
        .or_else(|| body["grants"].as_array())
        .cloned()
        .unwrap_or_default();
    let id = list.first().and_then(|grant: &Value| grant["id"].as_str());
    id.expect("a grant with an id").to_owned()
}

#[test]
fn grants_say_where_they_looked_when_no_server_is_there() {
    let admin = free_addr();
    let ended = Launch::bare()
        .env("ADMIN_ADDR", &admin)
        .args(&["grants"])
        .run();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    for word in [admin.as_str(), "ADMIN_ADDR"] {
        assert!(ended.stderr.contains(word), "no {word} in {ended:#?}");
    }
}

#[test]
fn grants_need_the_private_listener() {
    let ended = Launch::bare()
        .env("ADMIN_ADDR", "off")
        .args(&["grants"])
        .run();
    assert_ne!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stderr.contains("ADMIN_ADDR"), "{ended:#?}");
}

#[test]
fn grants_do_not_wait_for_ever_for_somebody_who_says_nothing() {
    // Connections are accepted by the system; nobody ever reads them.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = mute.local_addr().unwrap().to_string();
    let ended = Launch::bare()
        .env("ADMIN_ADDR", &addr)
        .args(&["grants"])
        .run();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    for word in [addr.as_str(), "ADMIN_ADDR", "10s"] {
        assert!(ended.stderr.contains(word), "no {word} in {ended:#?}");
    }
}
