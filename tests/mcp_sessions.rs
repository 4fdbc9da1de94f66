//! Sessions of the revisions that have them: opened, required, owned, ended, outlived.

use std::{collections::HashSet, time::Duration};

use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use crate::support::{
    Browser, McpClient, OAuthClient, Site, TestServer, Tokens, connect, initialize_message,
};

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

/// A session that outlives its first hour.
const PATIENT: [(&str, &str); 1] = [("access_token_ttl", "30d")];

async fn session(site: &Site) -> McpClient {
    McpClient::connected(site, "2025-11-25").await
}

#[tokio::test]
async fn every_revision_is_spoken_back_as_it_was_asked_for() {
    let server = TestServer::start().await;
    let token = connect(&server).await.tokens.access;

    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut mcp = McpClient::new(&server, &token);
        let result = mcp.initialize(version).await;
        assert_eq!(result["protocolVersion"], version);
        assert!(result["capabilities"]["tools"].is_object(), "{result}");
        assert!(result["serverInfo"]["name"].is_string(), "{result}");
        assert!(result["serverInfo"]["version"].is_string(), "{result}");
        // Members that a revision does not know stay away from it.
        assert_eq!(
            result["serverInfo"]["title"].is_string(),
            version >= "2025-06-18",
            "{result}"
        );
        assert!(result.get("resultType").is_none(), "{result}");
        assert_eq!(mcp.ping().await, 200, "{version}");
    }
}

#[tokio::test]
async fn a_revision_that_we_do_not_know_is_answered_with_our_newest() {
    let server = TestServer::start().await;
    let token = connect(&server).await.tokens.access;
    // The newest that has `initialize`: 2026-07-28 has none.
    for version in ["1999-01-01", "2099-01-01", "2026-07-28", "latest", ""] {
        let result = McpClient::new(&server, &token).initialize(version).await;
        assert_eq!(
            result["protocolVersion"], "2025-11-25",
            "asked for {version}"
        );
    }
}

#[tokio::test]
async fn initialize_without_its_parameters_is_refused() {
    let server = TestServer::start().await;
    let mcp = connect(&server).await.mcp(&server);
    for params in [
        json!({}),
        json!({ "protocolVersion": 7, "capabilities": {}, "clientInfo": {} }),
    ] {
        let answer = mcp.request("initialize", &params).await;
        assert_eq!(answer.rpc_error(), -32602);
        assert!(answer.find("mcp-session-id").is_none(), "{answer:#?}");
    }
}

#[tokio::test]
async fn session_ids_are_visible_ascii_and_never_the_same() {
    let server = TestServer::start().await;
    let token = connect(&server).await.tokens.access;
    let mut seen = HashSet::new();
    for _ in 0..20 {
        let mut mcp = McpClient::new(&server, &token);
        mcp.initialize("2025-11-25").await;
        let id = mcp.session.unwrap();
        assert!(
            id.len() >= 22 && id.bytes().all(|byte| byte.is_ascii_graphic()),
            "{id}"
        );
        assert!(seen.insert(id));
    }
}

#[tokio::test]
async fn without_a_session_only_initialize_is_heard() {
    let server = TestServer::start().await;
    let mcp = connect(&server).await.mcp(&server);

    let answer = mcp.request("tools/list", &json!({})).await.expect(400);
    answer.rpc_error();
    assert_eq!(answer.rpc()["id"], 1);
    mcp.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
        .await
        .expect(400);
    mcp.http(Method::GET).send().await.expect(400);
    mcp.end().await.expect(400);
}

#[tokio::test]
async fn an_unknown_session_is_not_found_so_that_the_client_starts_again() {
    let server = TestServer::start().await;
    let mut mcp = session(&server).await;
    mcp.session = Some("00000000-0000-4000-8000-000000000000".to_owned());

    let answer = mcp.request("tools/list", &json!({})).await.expect(404);
    answer.rpc_error();
    assert_eq!(answer.rpc()["id"], 1);
    mcp.http(Method::GET).send().await.expect(404);
    mcp.end().await.expect(404);
    // Starting again is possible at once, with the stale id still in the header as some clients do.
    mcp.post(&initialize_message("2025-11-25"))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_session_ends_when_its_client_says_so() {
    let server = TestServer::start().await;
    let mcp = session(&server).await;
    let ended = mcp.end().await;
    assert!((200..300).contains(&ended.status), "{ended:#?}");
    assert_eq!(mcp.ping().await, 404);
    assert_eq!(mcp.end().await.status, 404);
}

#[tokio::test]
async fn a_session_is_no_use_without_a_token_or_with_somebody_elses() {
    let server = TestServer::start().await;
    let mcp = session(&server).await;

    let without = mcp.http(Method::POST).without("authorization");
    without
        .json(&json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }))
        .send()
        .await
        .expect(401);
    let mut thief = connect(&server).await.mcp(&server);
    thief.session.clone_from(&mcp.session);
    assert_eq!(thief.ping().await, 404);
    thief.http(Method::GET).send().await.expect(404);
    assert_eq!(thief.end().await.status, 404);
    assert_eq!(mcp.ping().await, 200);
}

#[tokio::test]
async fn a_session_goes_on_with_a_refreshed_token() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let mcp = McpClient::initialized(&server, &connected.tokens.access, "2025-11-25").await;
    server.advance(2 * HOUR);
    assert_eq!(mcp.ping().await, 401);

    let tokens = Tokens::of(
        &connected
            .client
            .refresh(connected.tokens.refresh_token())
            .await,
    );
    let mut refreshed = McpClient::new(&server, &tokens.access);
    refreshed.session.clone_from(&mcp.session);
    assert_eq!(refreshed.ping().await, 200);
}

#[tokio::test]
async fn the_version_header_must_name_a_revision_that_we_speak() {
    let server = TestServer::start().await;
    let mcp = session(&server).await;
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });

    for version in ["x", "1999-01-01", "2025-11-25, 2025-06-18"] {
        let request = mcp
            .http(Method::POST)
            .header("mcp-protocol-version", version);
        let answer = request.json(&ping).send().await;
        assert_eq!(answer.status, 400, "{version}: {answer:#?}");
        answer.rpc_error();
        let request = mcp
            .http(Method::GET)
            .header("mcp-protocol-version", version);
        assert_eq!(request.open().await.status(), 400, "{version}");
    }
    // Its absence says nothing: the session knows.
    mcp.http(Method::POST)
        .without("mcp-protocol-version")
        .json(&ping)
        .send()
        .await
        .expect(200);
}

#[tokio::test]
async fn an_idle_session_is_forgotten_after_a_day_and_a_busy_one_is_not() {
    let server = TestServer::with(PATIENT).await;
    let token = connect(&server).await.tokens.access;
    let busy = McpClient::initialized(&server, &token, "2025-11-25").await;
    let idle = McpClient::initialized(&server, &token, "2025-11-25").await;

    for _ in 0..3 {
        server.advance(12 * HOUR);
        assert_eq!(busy.ping().await, 200);
    }
    assert_eq!(idle.ping().await, 404);
    server.advance(25 * HOUR);
    assert_eq!(busy.ping().await, 404);
}

#[tokio::test]
async fn over_the_cap_the_session_that_was_idle_longest_gives_way() {
    let server = TestServer::with([("limits.mcp_sessions_per_grant", "2")]).await;
    let connected = connect(&server).await;
    let open = async || {
        server.advance(SECOND);
        McpClient::initialized(&server, &connected.tokens.access, "2025-11-25").await
    };
    let elsewhere = session(&server).await;
    let first = open().await;
    let second = open().await;
    server.advance(5 * 60 * SECOND);
    assert_eq!(first.ping().await, 200);
    let third = open().await;

    assert_eq!(second.ping().await, 404);
    assert_eq!(first.ping().await, 200);
    assert_eq!(third.ping().await, 200);
    // The sessions of another grant are another matter.
    assert_eq!(elsewhere.ping().await, 200);
}

#[tokio::test]
async fn there_is_a_cap_for_all_of_them_together() {
    let server = TestServer::with([("limits.mcp_sessions", "2")]).await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        server.advance(SECOND);
        sessions.push(session(&server).await);
    }
    let mut statuses = Vec::new();
    for mcp in &sessions {
        statuses.push(mcp.ping().await);
    }
    assert_eq!(statuses, [404, 200, 200]);
}

#[tokio::test]
async fn the_stream_is_open_unbuffered_and_ends_with_the_session() {
    let server = TestServer::start().await;
    let mcp = session(&server).await;
    let stream = mcp.stream().await;

    assert_eq!(stream.status(), 200);
    let header = |name| {
        stream
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap())
    };
    assert!(
        header("content-type")
            .unwrap()
            .starts_with("text/event-stream")
    );
    assert_eq!(header("x-accel-buffering"), Some("no"));
    assert!(header("cache-control").unwrap().starts_with("no-"));
    mcp.end().await;
    assert_ends(stream).await;
}

#[tokio::test]
async fn the_stream_ends_when_the_server_does() {
    let mut server = TestServer::start().await;
    let stream = session(&server).await.stream().await;
    assert_eq!(stream.status(), 200);
    server.begin_shutdown();
    assert_ends(stream).await;
    timeout(4 * SECOND, server.stopped())
        .await
        .expect("a stream is no reason to linger");
}

#[tokio::test]
#[ignore = "waits half a minute of real time for a keep-alive comment"]
async fn a_quiet_stream_is_kept_alive_with_comments() {
    let server = TestServer::start().await;
    let mut stream = session(&server).await.stream().await;
    let comment = async {
        let mut read = Vec::new();
        // The HTML standard, “server-sent events”: a line that starts with a colon is a comment.
        while !String::from_utf8_lossy(&read)
            .lines()
            .any(|line| line.starts_with(':'))
        {
            read.extend_from_slice(&stream.chunk().await.unwrap().expect("the stream goes on"));
        }
    };
    timeout(31 * SECOND, comment)
        .await
        .expect("proxies give up on silence");
}

#[tokio::test]
async fn sessions_of_one_person_in_two_clients_are_two() {
    let server = TestServer::start().await;
    let mut browser = Browser::new(&server);
    let (first, second) = (
        OAuthClient::register(&server).await,
        OAuthClient::register(&server).await,
    );
    let first = first.authorize_with(&mut browser).await;
    let second = second.authorize_with(&mut browser).await;

    let mcp = McpClient::initialized(&server, &first.access, "2025-11-25").await;
    let mut other = McpClient::new(&server, &second.access);
    other.session.clone_from(&mcp.session);
    assert_eq!(other.ping().await, 404);
}

async fn assert_ends(mut stream: reqwest::Response) {
    let end = async { while let Ok(Some(_)) = stream.chunk().await {} };
    timeout(4 * SECOND, end).await.expect("the stream ends");
}
