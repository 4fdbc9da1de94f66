//! Who may register, and with which addresses: the operator's choice (RFC 7591 §3).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, Browser, McpClient, OAuthClient, REDIRECT_URI, Request, Site, TestServer, connect,
};

const METADATA: &str = "/.well-known/oauth-authorization-server";
const PAGE: &str = "https://client.example";

/// A registration with this redirect URI, by a page.
fn registering(site: &Site, redirect_uri: &str) -> Request {
    let metadata = json!({ "redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none" });
    let request = site.post("/register").json(&metadata);
    request.header("origin", PAGE)
}

/// A refusal that its reader, a page, can read, and its text.
#[track_caller]
fn refusal(answer: &Answer, status: u16, error: &str) -> String {
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.oauth_error(status, error)
}

async fn metadata(site: &Site) -> Value {
    site.get(METADATA).send().await.expect(200).json()
}

/// A server that only whoever has the token may register at.
async fn with_token() -> TestServer {
    let token = "a-token-for-friends";
    TestServer::with([("registration", "token"), ("registration_token", token)]).await
}

#[tokio::test]
async fn whoever_has_the_token_of_the_operator_may_register() {
    let server = with_token().await;
    // Clients still have to know where.
    let endpoint = &metadata(&server).await["registration_endpoint"];
    assert_eq!(*endpoint, server.url("/register"));

    // RFC 6750 §2.1, RFC 9110 §11.1: the scheme's case means nothing.
    for scheme in ["Bearer", "bearer"] {
        let credentials = format!("{scheme} a-token-for-friends");
        let request = registering(&server, REDIRECT_URI).header("authorization", &credentials);
        let registered = request.send().await.expect(201).json();
        let id = registered["client_id"].as_str().unwrap();
        let client = OAuthClient::known_as(&server, id, REDIRECT_URI);
        let tokens = client.authorize_with(&mut Browser::new(&server)).await;
        McpClient::initialized(&server, &tokens.access, "2025-11-25").await;

        // From then on the client has a token of its own; the operator's opens no registration.
        let uri = registered["registration_client_uri"].as_str().unwrap();
        let own = registered["registration_access_token"].as_str().unwrap();
        server.get(uri).bearer(own).send().await.expect(200);
        let shared = server.get(uri).bearer("a-token-for-friends").send().await;
        shared.oauth_error(401, "invalid_token");
    }
}

#[tokio::test]
async fn nobody_else_may() {
    let server = with_token().await;
    let nothing = registering(&server, REDIRECT_URI).send().await;
    let description = refusal(&nothing, 401, "invalid_token");
    assert!(
        description.contains("initial access token"),
        "{description}"
    );
    // RFC 6750 §3.1: nothing is wrong with a token that is not there.
    assert_eq!(nothing.header("www-authenticate"), "Bearer");

    for wrong in ["a-token", "A-TOKEN-FOR-FRIENDS", "a-token-for-friends2"] {
        let request = registering(&server, REDIRECT_URI).bearer(wrong);
        let refused = request.send().await;
        refusal(&refused, 401, "invalid_token");
        let challenge = refused.header("www-authenticate");
        assert_eq!(challenge, "Bearer error=\"invalid_token\"");
    }
    let twice = registering(&server, REDIRECT_URI)
        .bearer("a-token-for-friends")
        .another_header("authorization", "Bearer a-token-for-friends");
    refusal(&twice.send().await, 401, "invalid_token");
    // Who it is comes before what they want.
    let nonsense = server.post("/register").body("application/json", "{");
    refusal(&nonsense.send().await, 401, "invalid_token");
}

#[tokio::test]
async fn guessing_the_operators_token_is_bounded() {
    let server = TestServer::with([
        ("registration", "token"),
        ("registration_token", "a-token-for-friends"),
        ("limits.registration_burst", "3"),
    ])
    .await;
    for _ in 0..3 {
        let guess = registering(&server, REDIRECT_URI).bearer("guessed");
        refusal(&guess.send().await, 401, "invalid_token");
    }
    let guess = registering(&server, REDIRECT_URI).bearer("guessed");
    let refused = guess.send().await;
    refusal(&refused, 429, "temporarily_unavailable");
    assert!(refused.retry_after() <= 1, "{refused:#?}");
}

#[tokio::test]
async fn where_registration_is_off_nobody_is_sent_there() {
    let server = TestServer::with([("registration", "off")]).await;
    let metadata = metadata(&server).await;
    // RFC 8414 §2: optional, and a null would be a broken document.
    assert!(
        metadata.get("registration_endpoint").is_none(),
        "{metadata}"
    );

    for request in [
        registering(&server, REDIRECT_URI),
        registering(&server, REDIRECT_URI).bearer("a-token-for-friends"),
        registering(&server, "not a URI"),
    ] {
        let description = refusal(&request.send().await, 403, "access_denied");
        for word in ["closed", "operator", "client_id"] {
            assert!(description.contains(word), "{description}");
        }
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let request = server
            .request(method, "/register/nobody")
            .bearer("ra_guessed");
        request.send().await.oauth_error(401, "invalid_token");
    }
}

#[tokio::test]
async fn clients_of_the_configuration_need_not_register() {
    let server = TestServer::reading(
        r#"
        registration = "off"
        registration_redirect_hosts = ["elsewhere.example"]

        [[clients]]
        client_id = "my-app"
        client_name = "My app"
        # What the operator writes is allowed by being written.
        redirect_uris = ["https://client.example/callback"]

        [[clients]]
        client_id = "my-other-app"
        client_secret = "a secret"
        redirect_uris = ["https://client.example/callback"]
        "#,
    )
    .await;
    let public = OAuthClient::known_as(&server, "my-app", REDIRECT_URI);
    let confidential = OAuthClient::known_as(&server, "my-other-app", REDIRECT_URI);
    let refused = confidential.redeem("ac").await;
    refused.oauth_error(401, "invalid_client");

    for client in [public, confidential.with_secret("a secret")] {
        let mut browser = Browser::new(&server);
        let page = browser.consent_page(&client.authorize_url()).await;
        let name = if client.id == "my-app" {
            "My app"
        } else {
            "without a name"
        };
        assert!(page.text().contains(name), "{}", page.text());
        let tokens = client.authorize_with(&mut browser).await;
        McpClient::initialized(&server, &tokens.access, "2025-11-25").await;
        client.refresh(tokens.refresh_token()).await.expect(200);
        // Nobody registered it, so nobody manages it.
        let uri = format!("/register/{}", client.id);
        let request = server.get(&uri).bearer(&tokens.access);
        request.send().await.oauth_error(401, "invalid_token");
    }
}

#[tokio::test]
async fn clients_redirect_to_the_hosts_that_the_operator_allows() {
    let hosts = ("registration_redirect_hosts", "Client.example, localhost");
    let server = TestServer::with([hosts]).await;
    for allowed in [
        REDIRECT_URI,
        // The port is the client's business.
        "https://client.example:8443/callback",
        "http://localhost:8787/callback",
        "http://localhost/callback",
        // What has no host is governed by its scheme.
        "cursor://anysphere.cursor-mcp/oauth/callback",
    ] {
        let answer = registering(&server, allowed).send().await;
        assert_eq!(answer.status, 201, "{allowed}: {answer:#?}");
    }
    for foreign in [
        "https://elsewhere.example/callback",
        "https://sub.client.example/callback",
        "https://client.example.elsewhere.example/callback",
        "https://client.example./callback",
        // Loopback in another spelling is another host.
        "http://127.0.0.1:8787/callback",
        "http://[::1]:8787/callback",
    ] {
        let metadata = json!({ "redirect_uris": [REDIRECT_URI, foreign] });
        let answer = server.post("/register").json(&metadata).send().await;
        let description = answer.oauth_error(400, "invalid_redirect_uri");
        let expected = "redirect_uris[1] has a host that is not allowed here";
        assert_eq!(description, expected, "{foreign}");
    }
    let scheme = registering(&server, "com.example.app:/callback");
    let description = refusal(&scheme.send().await, 400, "invalid_redirect_uri");
    assert!(description.contains("com.example.app"), "{description}");
}

#[tokio::test]
async fn loopback_is_allowed_only_where_it_is_listed() {
    for (hosts, uri, allowed) in [
        ("client.example", "http://localhost:8787/callback", false),
        ("client.example", "http://127.0.0.1:8787/callback", false),
        ("127.0.0.1", "http://127.0.0.1:8787/callback", true),
        ("127.0.0.1", "http://localhost:8787/callback", false),
        ("[::1]", "http://[::1]:8787/callback", true),
        ("[::1]", REDIRECT_URI, false),
        // An empty list is no list.
        ("", "http://localhost:8787/callback", true),
        ("", REDIRECT_URI, true),
    ] {
        let server = TestServer::with([("registration_redirect_hosts", hosts)]).await;
        let answer = registering(&server, uri).send().await;
        let expected = if allowed { 201 } else { 400 };
        assert_eq!(answer.status, expected, "{hosts:?}, {uri}: {answer:#?}");
    }
}

#[tokio::test]
async fn an_update_is_no_way_around() {
    let server = TestServer::with([("registration_redirect_hosts", "client.example")]).await;
    let connected = connect(&server).await;
    let client = connected.client;
    let members = json!({ "redirect_uris": ["https://elsewhere.example/callback"] });
    let request = client.manage(Method::PUT).json(&client.update_of(members));
    request
        .send()
        .await
        .oauth_error(400, "invalid_redirect_uri");
    client.authorize_with(&mut Browser::new(&server)).await;
}
