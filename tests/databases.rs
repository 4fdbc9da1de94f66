//! What people and clients notice of a database: nothing, or that it is down.

use std::time::Duration;

use reqwest::Method;
use tempfile::TempDir;

use crate::support::{
    Launch, McpClient, TestServer, Tokens, connect, postgres, postgres::Postgres,
};

#[tokio::test]
async fn grants_are_listed_and_revoked_on_sqlite() {
    let home = TempDir::new().unwrap();
    let url = format!("sqlite://{}", home.path().join("state.db").display());
    let server = TestServer::with([("database_url", &*url)]).await;
    let connected = connect(&server).await;
    let listed = server.admin().get("/grants").send().await.json();
    let grant = &listed["grants"][0];
    assert_eq!(grant["client_id"], connected.client.id, "{listed}");
    let mcp = McpClient::initialized(&server, &connected.tokens.access, "2025-11-25").await;
    assert_eq!(mcp.ping().await, 200);
    let path = format!("/grants/{}", grant["id"].as_str().unwrap());
    let revoked = server.admin().request(Method::DELETE, &path).send().await;
    revoked.expect(204);
    assert_eq!(mcp.ping().await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_down_clients_are_told_to_come_back_and_keep_their_tokens() {
    let Some(mut postgres) = Postgres::start() else {
        return;
    };
    let url = postgres.database().await;
    let server = TestServer::with([("database_url", &*url)]).await;
    let connected = connect(&server).await;
    let (client, mcp) = (&connected.client, connected.mcp(&server));
    let ready = server.admin().get("/readyz").send().await;
    ready.expect(200);

    postgres.stop();
    // Longer than anything that was read is relied on.
    server.advance(Duration::from_secs(5));
    let message = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let called = mcp.post(&message).await.expect(503);
    called.retry_after();
    let refreshed = client.refresh(connected.tokens.refresh_token()).await;
    refreshed.expect(503).retry_after();
    let ready = server.admin().get("/readyz").send().await;
    ready.expect(503).retry_after();

    postgres.start_again();
    // A new connection is made within the patience of a request.
    assert_ne!(mcp.post(&message).await.status, 401);
    let refreshed = client.refresh(connected.tokens.refresh_token()).await;
    let tokens = Tokens::of(&refreshed);
    assert!(tokens.refresh.is_some());
    server.admin().get("/readyz").send().await.expect(200);
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_named_by_its_setting() {
    let ended = Launch::serving()
        .env("DATABASE_URL", "sqlite://no/such/directory/state.db")
        .run();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("DATABASE_URL"), "{ended:?}");
}

#[tokio::test]
async fn a_database_that_refuses_us_is_named_without_the_password() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = url.replacen("/test_", "/gone_", 1);
    let url = format!("{url}{separator}password=swordfish");
    let ended = Launch::serving().env("DATABASE_URL", &url).run();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("DATABASE_URL"), "{ended:?}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!said.contains("swordfish"), "{said}");
}

#[tokio::test]
async fn the_log_says_where_state_is_kept() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("state.db");
    let program = Launch::serving()
        .env("DATABASE_URL", &format!("sqlite://{}", path.display()))
        .start();
    program.site();
    program.logged(&format!("state is kept in SQLite, in {}", path.display()));
}
