//! Clients that are known by a metadata document at the URL that is their identifier
//! (draft-ietf-oauth-client-id-metadata-document; MCP 2025-11-25, basic/authorization).

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use remote_mcp_auth::web::fetch::{FetchAllow, FetchSettings, Fetcher, Resolve};
use serde_json::{Value, json};

use crate::support::{
    Arrival, Browser, OAuthClient, Page, Params, REDIRECT_URI, TestServer, Tokens, vendor::Vendor,
};

/// The page that a person is shown instead of a question.
async fn refusal(server: &TestServer, client: &OAuthClient) -> Page {
    let mut browser = Browser::new(server);
    let page = browser.open(&client.authorize_url()).await.page();
    page.answer.clone().expect(400).assert_page();
    assert!(!page.asks_for_password() && !page.asks_for_consent());
    page
}

async fn can_sign_in(server: &TestServer, client: &OAuthClient) -> bool {
    let mut browser = Browser::new(server);
    match browser.open(&client.authorize_url()).await {
        Arrival::Page(page) => page.asks_for_password(),
        Arrival::Client(_) => false,
    }
}

#[tokio::test]
async fn a_client_that_registered_nowhere_goes_the_whole_way() {
    let vendor = Vendor::start().await;
    let server = vendor.server([]).await;
    let metadata = server.get("/.well-known/oauth-authorization-server");
    let metadata = metadata.send().await.expect(200).json();
    // draft-ietf-oauth-client-id-metadata-document §5.
    assert_eq!(metadata["client_id_metadata_document_supported"], true);

    let client = vendor.client(&server);
    let mut browser = Browser::new(&server);
    let page = browser.consent_page(&client.authorize_url()).await;
    // §6: the page says who vouches for the name, and where the answer goes.
    for shown in [
        "Vendor's client",
        "Published by",
        "localhost",
        "client.example",
    ] {
        assert!(page.text().contains(shown), "no {shown} in {}", page.text());
    }
    let callback = browser.submit(&page.decision("allow")).await.client();
    let tokens = Tokens::of(&client.redeem(&callback.code()).await);
    let tokens = Tokens::of(&client.refresh(tokens.refresh_token()).await);
    let answer = server.post("/mcp").bearer(&tokens.access).send().await;
    assert_ne!(answer.status, 401);
    let grants = server.admin().get("/grants").send().await.json();
    assert_eq!(grants["grants"][0]["client_id"], vendor.client_id());
    assert_eq!(vendor.fetched(), 1);
}

#[tokio::test]
async fn a_copy_is_as_good_as_its_server_says() {
    for (cache_control, lifetime) in [
        ("max-age=600", Duration::from_mins(10)),
        // Nothing is said: an hour, our own choice.
        ("public", Duration::from_hours(1)),
        // At most a day, whatever is said.
        ("max-age=99999999", Duration::from_hours(24)),
    ] {
        let vendor = Vendor::start().await;
        vendor.cache_control(cache_control);
        let server = vendor.server([]).await;
        let client = vendor.client(&server);
        assert!(can_sign_in(&server, &client).await);
        let shortly_before = lifetime - Duration::from_millis(1);
        server.advance(shortly_before);
        assert!(can_sign_in(&server, &client).await);
        assert_eq!(vendor.fetched(), 1, "{cache_control}");
        server.advance(Duration::from_millis(1));
        assert!(can_sign_in(&server, &client).await);
        assert_eq!(vendor.fetched(), 2, "{cache_control}");
    }
    let vendor = Vendor::start().await;
    vendor.cache_control("no-store");
    let server = vendor.server([]).await;
    for fetched in 1..4 {
        assert!(can_sign_in(&server, &vendor.client(&server)).await);
        assert_eq!(vendor.fetched(), fetched);
    }
}

#[tokio::test]
async fn an_old_copy_serves_where_there_is_no_new_one() {
    let vendor = Vendor::start().await;
    let server = vendor.server([]).await;
    let client = vendor.client(&server);
    let mut browser = Browser::new(&server);
    let tokens = client.authorize_with(&mut browser).await;

    for failure in [500, 403, 302] {
        vendor.fail(failure);
        server.advance(Duration::from_hours(2));
        assert!(can_sign_in(&server, &client).await, "{failure}");
    }
    vendor.publish_text("<html>");
    server.advance(Duration::from_hours(2));
    assert!(can_sign_in(&server, &client).await);
    // Whoever is connected stays connected, and the vendor is not even asked.
    let asked = vendor.fetched();
    Tokens::of(&client.refresh(tokens.refresh_token()).await);
    assert_eq!(vendor.fetched(), asked);
}

#[tokio::test]
async fn failures_are_not_remembered() {
    let vendor = Vendor::start().await;
    let server = vendor.server([]).await;
    let client = vendor.client(&server);
    for (status, says) in [
        (404, "answered with 404"),
        (500, "answered with 500"),
        (302, "redirect"),
    ] {
        vendor.fail(status);
        let page = refusal(&server, &client).await;
        assert!(page.text().contains(says), "{status}: {}", page.text());
    }
    vendor.publish(&vendor.document());
    assert!(can_sign_in(&server, &client).await);
}

#[tokio::test]
async fn a_document_that_is_not_in_order_is_no_client() {
    let vendor = Vendor::start().await;
    let server = vendor.server([]).await;
    let client = vendor.client(&server);
    // draft-ietf-oauth-client-id-metadata-document §4.1.
    for (member, value, says) in [
        (
            "client_id",
            json!("https://localhost/other.json"),
            "another client_id",
        ),
        ("client_id", Value::Null, "another client_id"),
        ("client_secret", json!("secret"), "secret"),
        ("client_secret_expires_at", json!(0), "secret"),
        ("client_name", Value::Null, "client_name"),
        ("client_name", json!(" "), "client_name"),
        ("redirect_uris", Value::Null, "redirect_uris"),
        ("redirect_uris", json!([]), "redirect_uris"),
        (
            "redirect_uris",
            json!(["http://client.example/cb"]),
            "https",
        ),
        (
            "token_endpoint_auth_method",
            json!("client_secret_basic"),
            "token_endpoint_auth_method",
        ),
        (
            "token_endpoint_auth_method",
            json!("client_secret_post"),
            "token_endpoint_auth_method",
        ),
        (
            "token_endpoint_auth_method",
            json!("private_key_jwt"),
            "jwks",
        ),
        ("client_name", json!("Cl\u{202e}aude"), "invisible"),
    ] {
        let mut document = vendor.document();
        document[member] = value;
        vendor.publish(&document);
        let page = refusal(&server, &client).await;
        assert!(page.text().contains(says), "{document}: {}", page.text());
    }
    for text in ["", "[]", "null", "<html>", "{"] {
        vendor.publish_text(text);
        let page = refusal(&server, &client).await;
        assert!(page.text().contains("JSON"), "{text}: {}", page.text());
    }
    vendor.publish_text(&" ".repeat(64 * 1024 + 1));
    let page = refusal(&server, &client).await;
    assert!(page.text().contains("64"), "{}", page.text());
}

#[tokio::test]
async fn an_answer_goes_where_the_document_says_and_nowhere_else() {
    let vendor = Vendor::start().await;
    let server = vendor.server([]).await;
    let client = OAuthClient::known_as(
        &server,
        &vendor.client_id(),
        "https://client.example/callback/",
    );
    let page = refusal(&server, &client).await;
    assert!(page.text().contains("return address"), "{}", page.text());
}

#[tokio::test]
async fn a_way_to_authenticate_that_both_know_is_found() {
    let vendor = Vendor::start().await;
    let server = vendor.server([]).await;
    // As ChatGPT's document is, and others that prefer what is beyond us.
    for preferred in ["private_key_jwt", "tls_client_auth"] {
        let mut document = vendor.document();
        document["token_endpoint_auth_method"] = json!(preferred);
        document["token_endpoint_auth_methods_supported"] = json!(["none", preferred]);
        document["jwks_uri"] = json!("https://localhost/jwks.json");
        vendor.publish(&document);
        vendor.cache_control("no-store");
        let mut browser = Browser::new(&server);
        vendor.client(&server).authorize_with(&mut browser).await;
    }
}

#[tokio::test]
async fn people_are_asked_again_when_the_document_has_changed() {
    let vendor = Vendor::start().await;
    vendor.cache_control("no-store");
    let server = vendor.server([]).await;
    let client = vendor.client(&server);
    let mut browser = Browser::new(&server);
    client.authorize_with(&mut browser).await;
    let mut asks = async || {
        matches!(
            browser.open(&client.authorize_url()).await,
            Arrival::Page(_)
        )
    };
    assert!(!asks().await, "nothing has changed");

    let mut document = vendor.document();
    document["software_version"] = json!("2");
    vendor.publish(&document);
    assert!(!asks().await, "nothing that people see has changed");
    document["client_name"] = json!("Somebody else");
    vendor.publish(&document);
    assert!(asks().await, "it has another name");
    document["client_name"] = json!("Vendor's client");
    document["redirect_uris"] = json!([REDIRECT_URI, "https://elsewhere.example/callback"]);
    vendor.publish(&document);
    assert!(asks().await, "it may answer elsewhere");
}

#[tokio::test]
async fn what_only_the_server_can_reach_is_not_fetched() {
    let vendor = Vendor::start().await;
    let server = vendor.server_with(FetchAllow::default(), []).await;
    let page = refusal(&server, &vendor.client(&server)).await;
    assert!(
        page.text().contains("not at a public address"),
        "{}",
        page.text()
    );
    let port = vendor.client_id();
    let port = port
        .split(['/', ':'])
        .find(|part| part.parse::<u16>().is_ok())
        .unwrap();
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
    ] {
        let id = format!("https://{host}:{port}/client.json");
        let client = OAuthClient::known_as(&server, &id, REDIRECT_URI);
        refusal(&server, &client).await;
    }
    assert_eq!(vendor.connections(), 0);
}

#[tokio::test]
async fn urls_that_could_mean_two_documents_are_not_fetched() {
    let vendor = Vendor::start().await;
    let server = vendor.server([]).await;
    let id = vendor.client_id();
    for (id, says) in [
        (id.replace("/client.json", ""), "path"),
        (id.replace("/client", "/a/../client"), ". or .."),
        (id.replace("localhost", "me@localhost"), "user name"),
        (format!("{id}#x"), "fragment"),
    ] {
        let client = OAuthClient::known_as(&server, &id, REDIRECT_URI);
        let page = refusal(&server, &client).await;
        assert!(page.text().contains(says), "{id}: {}", page.text());
    }
    assert_eq!(vendor.connections(), 0);
}

#[tokio::test]
async fn the_operator_decides_whose_documents_count() {
    let vendor = Vendor::start().await;
    for settings in [
        ("client_document_hosts", "apps.example"),
        ("client_document_denied_hosts", "apps.example, localhost"),
    ] {
        let server = vendor.server([settings]).await;
        let page = refusal(&server, &vendor.client(&server)).await;
        assert!(
            page.text().contains("does not accept apps of localhost"),
            "{}",
            page.text()
        );
    }
    let server = vendor
        .server([("client_document_hosts", "localhost")])
        .await;
    assert!(can_sign_in(&server, &vendor.client(&server)).await);
    assert_eq!(vendor.fetched(), 1);

    let server = vendor.server([("client_documents", "off")]).await;
    let metadata = server.get("/.well-known/oauth-authorization-server");
    let metadata = metadata.send().await.expect(200).json();
    assert_eq!(metadata["client_id_metadata_document_supported"], false);
    let page = refusal(&server, &vendor.client(&server)).await;
    assert!(page.text().contains("not known here"), "{}", page.text());
}

/// A network in which no name is known.
struct Nowhere;

#[async_trait]
impl Resolve for Nowhere {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Err(io::Error::other("no such host"))
    }
}

async fn offline(settings: [(&'static str, &'static str); 1]) -> TestServer {
    let fetcher = Fetcher::with(FetchSettings {
        resolver: Arc::new(Nowhere),
        ..FetchSettings::new(FetchAllow::default())
    });
    TestServer::offering(settings, |builder| builder.fetcher(fetcher)).await
}

#[tokio::test]
async fn the_best_known_clients_are_known_without_a_fetch() {
    let server = offline([("rate_limits", "off")]).await;
    for (id, redirect_uri) in [
        (
            "https://claude.ai/oauth/mcp-oauth-client-metadata",
            "https://claude.ai/api/mcp/auth_callback",
        ),
        (
            "https://claude.ai/oauth/mcp-oauth-client-metadata",
            "https://claude.com/api/mcp/auth_callback",
        ),
        (
            "https://claude.ai/oauth/claude-code-client-metadata",
            "http://localhost:51234/callback",
        ),
        (
            "https://chatgpt.com/oauth/client.json",
            "https://chatgpt.com/connector_platform_oauth_redirect",
        ),
        (
            "https://chatgpt.com/oauth/codex/client.json",
            "http://127.0.0.1:4711/callback",
        ),
        (
            "https://vscode.dev/oauth/client-metadata.json",
            "https://vscode.dev/redirect",
        ),
    ] {
        let client = OAuthClient::known_as(&server, id, redirect_uri);
        let mut browser = Browser::new(&server);
        client.authorize_with(&mut browser).await;
    }
    let unknown = OAuthClient::known_as(&server, "https://app.example/x", REDIRECT_URI);
    refusal(&server, &unknown).await;
}

#[tokio::test]
async fn a_client_that_cannot_be_looked_up_is_told_to_come_again() {
    let server = offline([("rate_limits", "off")]).await;
    let id = "https://app.example/client.json";
    let form = Params::of([
        ("grant_type", "refresh_token"),
        ("client_id", id),
        ("refresh_token", "rt_x"),
    ]);
    let answer = server.post("/token").form(&form).send().await;
    // Told that it is unknown, it would throw its tokens away.
    let said = answer.oauth_error(503, "temporarily_unavailable");
    assert!(said.contains("app.example"), "{said}");
    assert!(answer.retry_after() > 0);
}
