//! The private listener: health, readiness, and what people have allowed.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{Browser, McpClient, OAuthClient, Site, TestServer, Workshop, connect};

/// The grants as the listener shows them.
async fn grants(admin: &Site) -> Vec<Value> {
    let body = admin.get("/grants").send().await.expect(200).json();
    let list = body.as_array().or_else(|| body["grants"].as_array());
    list.expect("a list of grants").clone()
}

/// The id of the only grant there is.
async fn only_grant(admin: &Site) -> String {
    let grants = grants(admin).await;
    assert_eq!(grants.len(), 1, "{grants:#?}");
    let id = grants.first().and_then(|grant| grant["id"].as_str());
    id.expect("a grant with an id").to_owned()
}

async fn revoke(admin: &Site, id: &str) -> u16 {
    let request = admin.request(Method::DELETE, &format!("/grants/{id}"));
    request.send().await.status
}

#[tokio::test]
async fn health_and_readiness_are_answered() {
    let server = TestServer::start().await;
    for path in ["/healthz", "/readyz"] {
        server.admin().get(path).send().await.expect(200);
    }
}

#[tokio::test]
async fn the_public_listener_does_not_show_what_the_private_one_does() {
    let server = TestServer::start().await;
    for path in ["/grants", "/readyz"] {
        server.get(path).send().await.expect(404);
    }
    assert_ne!(server.admin().addr(), server.addr());
}

#[tokio::test]
async fn a_grant_says_who_was_allowed_what() {
    let server = TestServer::start().await;
    assert_eq!(grants(server.admin()).await, Vec::<Value>::new());
    let connected = connect(&server).await;

    let grants = grants(server.admin()).await;
    let grant = grants.first().unwrap().to_string();
    for part in ["Story client", "owner", "mcp", &connected.client.id] {
        assert!(grant.contains(part), "no {part} in {grant}");
    }
    for secret in [&connected.tokens.access, connected.tokens.refresh_token()] {
        assert!(!grant.contains(secret), "a secret in {grant}");
    }
}

#[tokio::test]
async fn nothing_is_granted_until_the_code_is_redeemed_or_the_person_has_allowed() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    Browser::new(&server).deny(&client.authorize_url()).await;
    assert_eq!(grants(server.admin()).await, Vec::<Value>::new());
}

#[tokio::test]
async fn ending_a_grant_ends_the_access_at_once() {
    let server = TestServer::start().await;
    let (ended, other) = (connect(&server).await, OAuthClient::register(&server).await);
    let id = only_grant(server.admin()).await;
    let other = other.authorize_with(&mut Browser::new(&server)).await;
    let mcp = McpClient::initialized(&server, &ended.tokens.access, "2025-11-25").await;
    let mut stream = mcp.stream().await;
    assert_eq!(stream.status(), 200);

    let status = revoke(server.admin(), &id).await;
    assert!((200..300).contains(&status), "{status}");
    assert_eq!(mcp.ping().await, 401);
    let refused = ended.client.refresh(ended.tokens.refresh_token()).await;
    refused.oauth_error(400, "invalid_grant");
    // Everything under the grant: a stream that is open already, too.
    let end = async { while let Ok(Some(_)) = stream.chunk().await {} };
    timeout(Duration::from_secs(4), end)
        .await
        .expect("the stream ends");
    // And nothing else.
    McpClient::initialized(&server, &other.access, "2025-11-25").await;
    assert_eq!(grants(server.admin()).await.len(), 1);
}

#[tokio::test]
async fn a_code_that_waits_under_an_ended_grant_is_void() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let code = client.code(&mut Browser::new(&server)).await;
    // Whether a grant exists before its code is redeemed is an inner matter; once ended, it must not give tokens.
    for grant in grants(server.admin()).await {
        revoke(server.admin(), grant["id"].as_str().unwrap()).await;
        client.redeem(&code).await.oauth_error(400, "invalid_grant");
    }
}

#[tokio::test]
async fn ending_what_is_not_there_is_not_found() {
    let server = TestServer::start().await;
    connect(&server).await;
    assert_eq!(revoke(server.admin(), "no-such-grant").await, 404);
    let id = only_grant(server.admin()).await;
    revoke(server.admin(), &id).await;
    assert_eq!(revoke(server.admin(), &id).await, 404);
}

#[tokio::test]
async fn a_web_page_cannot_reach_the_private_listener_through_a_browser() {
    let server = TestServer::start().await;
    connect(&server).await;
    let id = only_grant(server.admin()).await;

    // DNS rebinding: the name is the attacker's, the address is ours.
    for path in ["/grants", "/readyz"] {
        let request = server.admin().get(path).header("host", "evil.example");
        let answer = request.send().await;
        assert_eq!(answer.status, 403, "{path}: {answer:#?}");
    }
    let request = server
        .admin()
        .request(Method::DELETE, &format!("/grants/{id}"));
    let answer = request.header("host", "evil.example:4001").send().await;
    assert_eq!(answer.status, 403, "{answer:#?}");
    let answer = server
        .admin()
        .get("/grants")
        .header("origin", "https://evil.example")
        .send()
        .await;
    assert!(
        answer.find("access-control-allow-origin").is_none(),
        "{answer:#?}"
    );
    assert_eq!(only_grant(server.admin()).await, id);
}

#[tokio::test]
async fn the_private_listener_answers_to_loopback_names() {
    let server = TestServer::start().await;
    let port = server.admin().addr().port();
    for host in [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
    ] {
        server
            .admin()
            .get("/readyz")
            .header("host", &host)
            .send()
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn keys_are_replaced_without_anybody_noticing() {
    let shop = Workshop::with([("dpop_nonces", "on")]).await;
    let client = shop.modern().await;
    let client = client.declaring(json!({ "elicitation": { "form": {} } }));
    let call = json!({ "name": "ask", "arguments": {} });
    let asked = client.result("tools/call", &call).await;
    let answered = |asked: &Value| {
        let (key, _) = asked["inputRequests"]
            .as_object()
            .unwrap()
            .iter()
            .next()
            .unwrap();
        let answer = json!({ "action": "accept", "content": { "name": "Ada" } });
        json!({
            "name": "ask",
            "arguments": {},
            "requestState": asked["requestState"],
            "inputResponses": { key: answer },
        })
    };
    let before = answered(&asked);
    for _ in 0..2 {
        let replaced = shop.admin().post("/keys").send().await;
        assert_eq!(replaced.expect(204).body, "");
    }
    // What was sealed before is opened, and so is what is sealed now.
    let result = client.result("tools/call", &before).await;
    assert_eq!(result["content"][0]["text"], "Hello, Ada!");
    let asked = client.result("tools/call", &call).await;
    let result = client.result("tools/call", &answered(&asked)).await;
    assert_eq!(result["content"][0]["text"], "Hello, Ada!");
    // Nobody does that from outside.
    shop.post("/keys").send().await.expect(404);
}
