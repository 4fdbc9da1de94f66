//! Refreshing: every token has one successor, a lost answer is given again, and a stolen token ends the grant.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;

use crate::support::{Browser, McpClient, OAuthClient, TestServer, Tokens, connect};

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn refreshing_gives_a_new_pair_that_works() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let tokens = Tokens::of(
        &connected
            .client
            .refresh(connected.tokens.refresh_token())
            .await,
    );

    assert_ne!(tokens.access, connected.tokens.access);
    assert_ne!(tokens.refresh, connected.tokens.refresh);
    assert_eq!(tokens.scope, "mcp");
    McpClient::initialized(&server, &tokens.access, "2025-11-25").await;
    // The old access token lives as long as it was said to.
    McpClient::initialized(&server, &connected.tokens.access, "2025-11-25").await;
}

#[tokio::test]
async fn an_answer_that_was_lost_is_given_again() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let first = Tokens::of(
        &connected
            .client
            .refresh(connected.tokens.refresh_token())
            .await,
    );

    server.advance(MINUTE);
    let again = Tokens::of(
        &connected
            .client
            .refresh(connected.tokens.refresh_token())
            .await,
    );
    assert_eq!(again, first);
    // Also when its successor has been used meanwhile: nothing forks, so nothing is lost.
    let second = Tokens::of(&connected.client.refresh(first.refresh_token()).await);
    let again = Tokens::of(
        &connected
            .client
            .refresh(connected.tokens.refresh_token())
            .await,
    );
    assert_eq!(again, first);
    assert_eq!(
        Tokens::of(&connected.client.refresh(first.refresh_token()).await),
        second
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_callers_at_once_get_the_same_answer() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let refresh_token: Arc<str> = connected.tokens.refresh_token().into();

    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let (client, refresh_token) = (connected.client.clone(), Arc::clone(&refresh_token));
        callers.spawn(async move { Tokens::of(&client.refresh(&refresh_token).await) });
    }
    let answers = callers.join_all().await;

    assert_eq!(answers.len(), 50);
    let first = answers.first().unwrap();
    assert!(answers.iter().all(|answer| answer == first), "{answers:#?}");
    McpClient::initialized(&server, &first.access, "2025-11-25").await;
    Tokens::of(&connected.client.refresh(first.refresh_token()).await);
}

#[tokio::test]
async fn an_access_token_that_expired_within_the_grace_is_replaced() {
    let server = TestServer::with([("access_token_ttl", "60s")]).await;
    let connected = connect(&server).await;
    let first = Tokens::of(
        &connected
            .client
            .refresh(connected.tokens.refresh_token())
            .await,
    );

    server.advance(Duration::from_secs(90));
    let again = Tokens::of(
        &connected
            .client
            .refresh(connected.tokens.refresh_token())
            .await,
    );
    assert_eq!(again.refresh, first.refresh);
    assert_ne!(again.access, first.access);
    McpClient::initialized(&server, &again.access, "2025-11-25").await;
}

#[tokio::test]
async fn after_the_grace_an_old_token_ends_everything() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let successor = Tokens::of(
        &connected
            .client
            .refresh(connected.tokens.refresh_token())
            .await,
    );
    let mcp = McpClient::initialized(&server, &successor.access, "2025-11-25").await;

    server.advance(2 * MINUTE + Duration::from_secs(1));
    assert_eq!(mcp.ping().await, 200);
    // RFC 9700 §4.14.2: one of the two who hold the family's tokens is a thief.
    let refused = connected
        .client
        .refresh(connected.tokens.refresh_token())
        .await;
    refused.oauth_error(400, "invalid_grant");
    assert_eq!(mcp.ping().await, 401);
    assert_eq!(connected.mcp(&server).ping().await, 401);
    connected
        .client
        .refresh(successor.refresh_token())
        .await
        .oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn the_grace_is_a_setting() {
    let server = TestServer::with([("refresh_grace", "10s")]).await;
    let connected = connect(&server).await;
    let first = Tokens::of(
        &connected
            .client
            .refresh(connected.tokens.refresh_token())
            .await,
    );
    server.advance(Duration::from_secs(9));
    assert_eq!(
        Tokens::of(
            &connected
                .client
                .refresh(connected.tokens.refresh_token())
                .await
        ),
        first
    );
    server.advance(Duration::from_secs(2));
    let refused = connected
        .client
        .refresh(connected.tokens.refresh_token())
        .await;
    refused.oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn whoever_keeps_refreshing_stays_connected() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let mut tokens = connected.tokens;
    for _ in 0..4 {
        server.advance(29 * DAY);
        tokens = Tokens::of(&connected.client.refresh(tokens.refresh_token()).await);
    }
    server.advance(30 * DAY + MINUTE);
    connected
        .client
        .refresh(tokens.refresh_token())
        .await
        .oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_refresh_token_is_good_for_its_client_alone() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let stranger = OAuthClient::register(&server).await;

    let refused = stranger.refresh(connected.tokens.refresh_token()).await;
    refused.oauth_error(400, "invalid_grant");
    let tokens = Tokens::of(
        &connected
            .client
            .refresh(connected.tokens.refresh_token())
            .await,
    );
    // Within the grace as well.
    let refused = stranger.refresh(connected.tokens.refresh_token()).await;
    refused.oauth_error(400, "invalid_grant");
    Tokens::of(&connected.client.refresh(tokens.refresh_token()).await);
}

#[tokio::test]
async fn what_is_not_a_refresh_token_is_an_invalid_grant() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let code = connected.client.code(&mut Browser::new(&server)).await;
    for wrong in ["gone", &connected.tokens.access, &code] {
        connected
            .client
            .refresh(wrong)
            .await
            .oauth_error(400, "invalid_grant");
    }
}

#[tokio::test]
async fn scopes_are_narrowed_to_what_was_granted() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let mut refresh_token = connected.tokens.refresh_token().to_owned();

    // Some clients send every scope that the server lists, or what they once asked for.
    for scope in ["mcp", "mcp offline_access openid", "claudeai", ""] {
        let grant = connected
            .client
            .refresh_grant(&refresh_token)
            .set("scope", scope);
        let tokens = Tokens::of(&connected.client.token(&grant).await);
        assert_eq!(tokens.scope, "mcp", "asked for {scope:?}");
        tokens.refresh_token().clone_into(&mut refresh_token);
    }
}

#[tokio::test]
async fn the_resource_may_be_named_and_a_wrong_one_burns_nothing() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let grant = connected
        .client
        .refresh_grant(connected.tokens.refresh_token());

    let elsewhere = grant.clone().set("resource", "https://other.example/mcp");
    connected
        .client
        .token(&elsewhere)
        .await
        .oauth_error(400, "invalid_target");
    let twice = grant
        .clone()
        .and("refresh_token", connected.tokens.refresh_token());
    connected
        .client
        .token(&twice)
        .await
        .oauth_error(400, "invalid_request");
    // Burned by neither: far beyond the grace of a rotation it still works.
    server.advance(DAY);
    let ours = grant.set("resource", &server.url("/mcp/"));
    Tokens::of(&connected.client.token(&ours).await);
}
