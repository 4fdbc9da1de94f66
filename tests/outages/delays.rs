//! How long what one replica revokes is good at another one.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::support::{
    ModernClient, OAuthClient, TestServer, connect,
    postgres::{self, Postgres},
};

/// How many revocations are measured.
const MEASURED: usize = 20;

/// What is aimed at where replicas hear of each other.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

/// What holds where they do not.
const BOUND: Duration = Duration::from_secs(5);

async fn status(server: &TestServer, token: &str) -> u16 {
    let client = ModernClient::new(server, token);
    client.request("tools/list", &json!({})).await.status
}

/// Two replicas. Their clocks stand still: nothing that they have read grows old.
async fn two(url: &str) -> (TestServer, TestServer) {
    let settings = [
        ("database_url", url),
        ("public_url", "https://mcp.example.com"),
    ];
    let one = TestServer::with(settings).await;
    (one, TestServer::with(settings).await)
}

#[tokio::test]
async fn replicas_hear_of_a_revocation_within_a_second() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let (one, other) = two(&url).await;
    let mut browser = connect(&one).await.browser;
    let mut delays = Vec::new();
    for _ in 0..MEASURED {
        let client = OAuthClient::register(&one).await;
        let tokens = client.authorize_with(&mut browser).await;
        assert_eq!(status(&one, &tokens.access).await, 200);
        assert_eq!(status(&other, &tokens.access).await, 200);
        client.revoke(tokens.refresh_token()).await.expect(200);
        let revoked = Instant::now();
        assert_eq!(status(&one, &tokens.access).await, 401);
        while status(&other, &tokens.access).await != 401 {
            assert!(revoked.elapsed() < HEARD_WITHIN, "{:?}", revoked.elapsed());
        }
        delays.push(revoked.elapsed());
    }
    delays.sort();
    let [median, longest] = [MEASURED / 2, MEASURED - 1].map(|at| delays[at]);
    println!("a revocation counts at another replica after {median:?}, {longest:?} at most");
}

#[tokio::test]
async fn a_revocation_that_nobody_hears_of_counts_after_five_seconds() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let (one, other) = two(&url).await;
    let connected = connect(&one).await;
    let token = &connected.tokens.access;
    assert_eq!(status(&one, token).await, 200);
    assert_eq!(status(&other, token).await, 200);
    // What a replica does that cannot tell the others.
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute("DELETE FROM grants").await.unwrap();
    for server in [&one, &other] {
        assert_eq!(status(server, token).await, 200);
        server.advance(BOUND);
        assert_eq!(status(server, token).await, 401);
    }
}

#[tokio::test]
async fn a_stream_ends_within_five_seconds_where_a_replica_has_gone_deaf() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let url = postgres.database().await;
    let (one, other) = two(&url).await;
    let connected = connect(&one).await;
    let client = ModernClient::new(&other, &connected.tokens.access);
    let wanted = json!({ "toolsListChanged": true });
    let (mut events, _) = client.listen(&wanted).await;

    // Those who tell the replicas stand still, and nobody closes their connections.
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let telling = "SELECT pid FROM pg_stat_activity \
         WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let telling: Vec<i32> = sqlx::query_scalar(telling)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(telling.len(), 2);
    let telling: Vec<u32> = telling.iter().map(|pid| pid.unsigned_abs()).collect();
    postgres::signal("STOP", &telling);

    let refresh_token = connected.tokens.refresh_token();
    connected.client.revoke(refresh_token).await.expect(200);
    let revoked = Instant::now();
    events.rest().await;
    assert!(revoked.elapsed() < BOUND, "{:?}", revoked.elapsed());
    println!("the stream ended {:?} later", revoked.elapsed());
}
