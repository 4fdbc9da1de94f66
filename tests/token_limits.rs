//! Guessing is bounded wherever clients say who they are, and whoever is right never has to wait.

use std::time::Duration;

use crate::support::{Answer, OAuthClient, Params, Site, TestServer, connect};

const ENDPOINTS: [&str; 3] = ["/token", "/revoke", "/introspect"];

async fn post_from(site: &Site, address: &str, path: &str, params: &Params) -> Answer {
    let request = site.post(path).header("x-forwarded-for", address);
    request.form(params).send().await
}

/// A request of this client with a secret that somebody has made up.
fn guess(client: &OAuthClient) -> Params {
    Params::of([
        ("client_id", client.id.as_str()),
        ("client_secret", "guessed"),
        ("grant_type", "refresh_token"),
        ("refresh_token", "rt"),
        ("token", "rt"),
    ])
}

#[tokio::test]
async fn an_address_that_guesses_has_to_wait_and_no_other_does() {
    // RFC 6749 §2.3.1: any endpoint that takes a secret is protected against brute force.
    for path in ENDPOINTS {
        let server = TestServer::with([("limits.token_failure_burst", "3")]).await;
        let client = OAuthClient::register_confidential(&server).await;
        let post = async |address| post_from(&server, address, path, &guess(&client)).await;
        for _ in 0..3 {
            let refused = post("203.0.113.7").await;
            refused.oauth_error(401, "invalid_client");
        }

        let refused = post("203.0.113.7").await;
        let description = refused.oauth_error(429, "temporarily_unavailable");
        assert!(description.contains("too many"), "{path}: {description}");
        assert!(refused.retry_after() <= 1, "{path}: {refused:#?}");
        assert_eq!(refused.header("access-control-allow-origin"), "*");
        post("203.0.113.8").await.expect(401);

        // Fifty a second from then on.
        server.advance(Duration::from_millis(20));
        post("203.0.113.7").await.expect(401);
        post("203.0.113.7").await.expect(429);
    }
}

#[tokio::test]
async fn a_guess_at_one_endpoint_counts_at_all_of_them() {
    let server = TestServer::with([("limits.token_failure_burst", "3")]).await;
    let client = OAuthClient::register_confidential(&server).await;
    for path in ENDPOINTS {
        let refused = post_from(&server, "203.0.113.7", path, &guess(&client)).await;
        refused.oauth_error(401, "invalid_client");
    }
    for path in ENDPOINTS {
        let refused = post_from(&server, "203.0.113.7", path, &guess(&client)).await;
        refused.oauth_error(429, "temporarily_unavailable");
    }
}

#[tokio::test]
async fn what_is_not_refused_does_not_count() {
    let server = TestServer::with([("limits.token_failure_burst", "1")]).await;
    let connected = connect(&server).await;
    let confidential = OAuthClient::register_confidential(&server).await;
    for _ in 0..5 {
        // Within the grace the same token may be used again and again.
        let refresh_token = connected.tokens.refresh_token();
        connected.client.refresh(refresh_token).await.expect(200);
        connected.client.revoke("unknown").await.expect(200);
        confidential.introspect("unknown").await.expect(200);
    }
    confidential.refresh("unknown").await.expect(400);
    confidential.refresh("unknown").await.expect(429);
}

#[tokio::test]
async fn without_limits_nobody_has_to_wait() {
    let server =
        TestServer::with([("limits.token_failure_burst", "1"), ("rate_limits", "off")]).await;
    let client = OAuthClient::register_confidential(&server).await;
    for path in ENDPOINTS {
        for _ in 0..3 {
            let refused = post_from(&server, "203.0.113.7", path, &guess(&client)).await;
            refused.oauth_error(401, "invalid_client");
        }
    }
}
