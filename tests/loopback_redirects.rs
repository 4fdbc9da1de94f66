//! Native clients listen on whatever port is free (RFC 8252 §7.3): only the port may differ.

use crate::support::{Browser, OAuthClient, TestServer};

/// Whether a client that registered the first URI may ask for the second.
async fn accepts(server: &TestServer, registered: &str, requested: &str) -> bool {
    let client = OAuthClient::register_at(server, registered).await;
    let params = client.authorization().set("redirect_uri", requested);
    let page = Browser::new(server)
        .open(&client.authorize_url_with(&params))
        .await
        .page();
    if page.answer.status == 400 {
        page.answer.assert_page();
        return false;
    }
    assert!(page.asks_for_password(), "{:#?}", page.answer);
    true
}

#[tokio::test]
async fn any_port_does_on_each_of_the_loopback_names() {
    let server = TestServer::start().await;

    for (registered, requested) in [
        (
            "http://localhost/callback",
            "http://localhost:53123/callback",
        ),
        (
            "http://localhost:8787/callback",
            "http://localhost:53123/callback",
        ),
        (
            "http://localhost:8787/callback",
            "http://localhost/callback",
        ),
        (
            "http://127.0.0.1/callback",
            "http://127.0.0.1:53123/callback",
        ),
        ("http://[::1]:80/callback", "http://[::1]:53123/callback"),
        ("http://127.0.0.1/", "http://127.0.0.1:33418/"),
        ("http://127.0.0.1/cb?x=1", "http://127.0.0.1:9/cb?x=1"),
    ] {
        assert!(
            accepts(&server, registered, requested).await,
            "{registered} for {requested}"
        );
    }
}

#[tokio::test]
async fn everything_but_the_port_is_exact() {
    let server = TestServer::start().await;

    for (registered, requested) in [
        // The contract: the names are not interchangeable.
        (
            "http://localhost/callback",
            "http://127.0.0.1:53123/callback",
        ),
        (
            "http://127.0.0.1/callback",
            "http://localhost:53123/callback",
        ),
        ("http://127.0.0.1/callback", "http://[::1]:53123/callback"),
        ("http://localhost/callback", "http://localhost:53123/other"),
        (
            "http://localhost/callback",
            "http://localhost:53123/callback/",
        ),
        (
            "http://localhost/callback",
            "http://localhost:53123/callback?x=1",
        ),
        (
            "http://localhost/callback",
            "https://localhost:53123/callback",
        ),
        (
            "http://localhost/callback",
            "http://localhost:53123@evil.example/callback",
        ),
        (
            "http://localhost/callback",
            "http://user@localhost:53123/callback",
        ),
        (
            "http://localhost/callback",
            "http://localhost.evil.example:53123/callback",
        ),
        ("http://localhost/callback", "http://localhost:/callback#x"),
        (
            "http://localhost/callback",
            "http://localhost:99999/callback",
        ),
        ("http://localhost/callback", "http://localhost:x/callback"),
        // The freedom is for loopback http alone.
        (
            "https://client.example/callback",
            "https://client.example:8443/callback",
        ),
        (
            "https://localhost/callback",
            "https://localhost:8443/callback",
        ),
    ] {
        assert!(
            !accepts(&server, registered, requested).await,
            "{registered} for {requested}"
        );
    }
}

#[tokio::test]
async fn the_code_goes_to_the_port_that_was_asked_for_and_is_redeemed_with_it() {
    let server = TestServer::start().await;
    let client = OAuthClient::register_at(&server, "http://localhost/callback").await;
    let requested = "http://localhost:53123/callback";
    let params = client.authorization().set("redirect_uri", requested);
    let callback = Browser::new(&server)
        .approve(&client.authorize_url_with(&params))
        .await;
    assert!(
        callback.url.starts_with(&format!("{requested}?")),
        "{}",
        callback.url
    );

    // RFC 6749 §4.1.3: the values must be identical, so another port is another URI by now.
    let grant = client.code_grant(&callback.code());
    let other_port = grant
        .clone()
        .set("redirect_uri", "http://localhost:53124/callback");
    client
        .token(&other_port)
        .await
        .oauth_error(400, "invalid_grant");
    client
        .token(&grant.set("redirect_uri", requested))
        .await
        .expect(200);
}
