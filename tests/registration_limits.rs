//! Open registration is a public write: bodies, bursts and the number of clients are bounded.

use std::time::Duration;

use serde_json::json;

use crate::support::{Answer, Browser, OAuthClient, REDIRECT_URI, Site, TestServer, connect};

async fn register_from(site: &Site, address: &str) -> Answer {
    let metadata = json!({ "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none" });
    let request = site.post("/register").header("x-forwarded-for", address);
    request.json(&metadata).send().await
}

#[tokio::test]
async fn a_burst_is_refused_with_the_time_to_wait_and_then_allowed_again() {
    let server = TestServer::with([("limits.registration_burst", "3")]).await;
    for _ in 0..3 {
        register_from(&server, "203.0.113.7").await.expect(201);
    }

    let refused = register_from(&server, "203.0.113.7").await.expect(429);
    assert!(refused.json().is_object());
    assert!(refused.retry_after() <= 60, "{refused:#?}");
    // Browser-based clients must be able to read that.
    assert_eq!(refused.header("access-control-allow-origin"), "*");
    // Somebody else is not concerned.
    register_from(&server, "203.0.113.8").await.expect(201);

    // One a second from then on.
    server.advance(Duration::from_secs(1));
    register_from(&server, "203.0.113.7").await.expect(201);
    register_from(&server, "203.0.113.7").await.expect(429);
}

#[tokio::test]
async fn an_address_cannot_be_forged_by_writing_more_of_them() {
    let server = TestServer::with([("limits.registration_burst", "1")]).await;

    // The contract: the rightmost entry that is not a trusted proxy is the client.
    register_from(&server, "198.51.100.1, 203.0.113.7")
        .await
        .expect(201);
    register_from(&server, "198.51.100.2, 203.0.113.7")
        .await
        .expect(429);
    register_from(&server, "203.0.113.7, 127.0.0.1")
        .await
        .expect(429);
}

#[tokio::test]
async fn proxies_that_nobody_trusts_are_not_believed() {
    let server = TestServer::with([
        ("limits.registration_burst", "1"),
        ("trusted_proxies", "192.0.2.0/24"),
    ])
    .await;

    register_from(&server, "203.0.113.7").await.expect(201);
    register_from(&server, "203.0.113.8").await.expect(429);
}

#[tokio::test]
async fn a_header_of_the_proxys_own_is_believed_instead_where_it_is_set() {
    let server = TestServer::with([
        ("limits.registration_burst", "1"),
        ("client_ip_header", "CF-Connecting-IP"),
    ])
    .await;
    let register = async |address: &str| {
        let metadata = json!({ "redirect_uris": [REDIRECT_URI] });
        let request = server.post("/register").header("cf-connecting-ip", address);
        request
            .header("x-forwarded-for", "203.0.113.99")
            .json(&metadata)
            .send()
            .await
    };

    register("203.0.113.7").await.expect(201);
    register("203.0.113.8").await.expect(201);
    register("203.0.113.7").await.expect(429);
}

#[tokio::test]
async fn nothing_is_counted_when_limits_are_off() {
    let server =
        TestServer::with([("limits.registration_burst", "1"), ("rate_limits", "off")]).await;
    for _ in 0..5 {
        register_from(&server, "203.0.113.7").await.expect(201);
    }
}

#[tokio::test]
async fn a_body_over_64_kib_is_too_large() {
    let server = TestServer::start().await;
    let body = |filling: usize| {
        let metadata = json!({ "redirect_uris": [REDIRECT_URI], "ignored": "x".repeat(filling) });
        server.post("/register").json(&metadata)
    };

    body(60 * 1024).send().await.expect(201);
    body(66 * 1024).send().await.expect(413);
}

#[tokio::test]
async fn over_the_cap_the_oldest_client_that_nobody_allowed_gives_way() {
    let server = TestServer::with([("limits.clients", "3")]).await;
    let connected = connect(&server).await;
    let oldest = OAuthClient::register(&server).await;
    OAuthClient::register(&server).await;
    let second = OAuthClient::register(&server).await;
    let third = OAuthClient::register(&server).await;

    let mut browser = Browser::new(&server);
    let page = browser.open(&oldest.authorize_url()).await.page();
    assert_eq!(page.answer.status, 400, "{:#?}", page.answer);
    for client in [second, third] {
        assert!(
            browser
                .open(&client.authorize_url())
                .await
                .page()
                .asks_for_password()
        );
    }
    // A client with a live grant is never dropped, however old.
    connected
        .client
        .refresh(connected.tokens.refresh_token())
        .await
        .expect(200);
}

#[tokio::test]
async fn clients_are_never_forgotten_for_being_old() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    server.advance(Duration::from_hours(400 * 24));
    client.authorize_with(&mut Browser::new(&server)).await;
}
