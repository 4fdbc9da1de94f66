//! The authorization endpoint: which mistakes stay on a page and which go back to the client.

use crate::support::{
    Browser, CHALLENGE, OAuthClient, Params, REDIRECT_URI, Site, TestServer, Tokens,
};

/// What the client hears when it asks for this.
async fn refusal(site: &Site, client: &OAuthClient, params: &Params, code: &str) -> String {
    let url = client.authorize_url_with(params);
    let callback = Browser::new(site).open(&url).await.client();
    assert!(
        callback.url.starts_with(&client.redirect_uri),
        "{}",
        callback.url
    );
    let description = callback.assert_error(code, site.public_url());
    assert_eq!(
        callback.params().get("state"),
        params.get("state"),
        "{}",
        callback.url
    );
    description
}

/// Checks that asking for this ends on an error page and sends nobody anywhere.
async fn assert_error_page(site: &Site, url: &str) -> String {
    let answer = Browser::new(site).visit(url).await;
    assert_eq!(answer.status, 400, "{url}: {answer:#?}");
    assert!(answer.find("location").is_none(), "{url}: {answer:#?}");
    assert!(
        !answer.body.contains("http-equiv=\"refresh\""),
        "{url}: {answer:#?}"
    );
    answer.assert_page();
    answer.body
}

#[tokio::test]
async fn an_allowed_request_comes_back_with_code_state_and_issuer() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let callback = Browser::new(&server).approve(&client.authorize_url()).await;

    // RFC 9700 §4.12: 303, so that the browser does not post the consent form to the client.
    assert_eq!(callback.status, 303);
    let params = callback.params();
    assert_eq!(params.get("state"), Some("story-state"));
    // RFC 9207 §2.
    assert_eq!(params.get("iss"), Some(server.public_url()));
    assert_eq!(params.get("error"), None);
    assert!(
        callback.url.starts_with("https://client.example/callback?"),
        "{}",
        callback.url
    );
    assert!(callback.code().len() >= 22, "a code that can be guessed");
}

#[tokio::test]
async fn the_state_comes_back_byte_for_byte() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;

    for state in [
        "x",
        "a b+c%20d&e=f?g#h/i\\j",
        "äöü 漢字 🙂",
        "\"'<>;,",
        "%",
        &"s".repeat(2000),
    ] {
        let params = client.authorization().set("state", state);
        let mut browser = Browser::new(&server);
        let callback = browser.approve(&client.authorize_url_with(&params)).await;
        assert_eq!(callback.params().get("state"), Some(state));
        let refused = params.without("code_challenge");
        refusal(&server, &client, &refused, "invalid_request").await;
    }
}

#[tokio::test]
async fn a_client_that_sends_no_state_gets_none() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let params = client.authorization().without("state");
    let callback = Browser::new(&server)
        .approve(&client.authorize_url_with(&params))
        .await;
    assert_eq!(callback.params().get("state"), None);
    callback.code();
}

#[tokio::test]
async fn a_redirect_uri_keeps_the_query_it_has() {
    let server = TestServer::start().await;
    let uri = "https://client.example/callback?tenant=a%20b&x=1+2";
    let client = OAuthClient::register_at(&server, uri).await;
    let callback = Browser::new(&server).approve(&client.authorize_url()).await;
    assert!(
        callback.url.starts_with(&format!("{uri}&")),
        "{}",
        callback.url
    );
    callback.code();
}

#[tokio::test]
async fn an_unknown_client_sees_a_page_that_says_what_helps() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let params = client
        .authorization()
        .set("client_id", "a-client-from-before-the-restart");
    let page = assert_error_page(&server, &client.authorize_url_with(&params)).await;

    // VS Code's command, and the folder in which mcp-remote keeps what it registered.
    assert!(
        page.contains("Remove Dynamic Authentication Providers"),
        "{page}"
    );
    assert!(page.contains(".mcp-auth"), "{page}");
    assert!(page.contains("Claude"), "{page}");
}

#[tokio::test]
async fn a_redirect_uri_that_was_not_registered_sees_a_page() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;

    for uri in [
        "https://client.example/callback/",
        "https://client.example/callbac",
        "https://client.example/Callback",
        "https://CLIENT.example/callback",
        "https://client.example:443/callback",
        "https://client.example:8443/callback",
        "https://client.example/callback?x=1",
        "https://client.example/callback#x",
        "https://client.example/x/../callback",
        "https://client.example/%63allback",
        "https://client.example/callback\r\n",
        "https://client.example\\@evil.example/callback",
        "http://client.example/callback",
        "https://evil.example/callback",
    ] {
        let params = client.authorization().set("redirect_uri", uri);
        let page = assert_error_page(&server, &client.authorize_url_with(&params)).await;
        assert!(
            !page.contains("evil.example/callback\""),
            "a link to a stranger: {page}"
        );
    }
}

#[tokio::test]
async fn what_a_stranger_wrote_into_the_link_is_shown_as_text() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let markup = "<img src=x onerror=alert(1)>";
    for name in ["client_id", "redirect_uri"] {
        let params = client.authorization().set(name, markup);
        let page = assert_error_page(&server, &client.authorize_url_with(&params)).await;
        assert!(!page.contains("<img"), "{page}");
    }
}

#[tokio::test]
async fn a_repeated_client_id_or_redirect_uri_is_not_to_be_trusted() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;

    for (name, value) in [
        ("client_id", client.id.as_str()),
        ("redirect_uri", REDIRECT_URI),
    ] {
        let params = client.authorization().and(name, value);
        assert_error_page(&server, &client.authorize_url_with(&params)).await;
    }
}

#[tokio::test]
async fn other_repeated_parameters_go_back_as_invalid_requests() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;

    // RFC 6749 §3.1: parameters must not be included more than once.
    for (name, value) in [
        ("response_type", "code"),
        ("scope", "mcp"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ] {
        let params = client.authorization().and(name, value);
        let description = refusal(&server, &client, &params, "invalid_request").await;
        assert!(description.contains(name), "{description}");
    }
    // A name that is none of ours could be any text, so it is not said.
    let stranger = client.authorization().and("call +1 555", "x");
    let stranger = stranger.and("call +1 555", "y");
    let description = refusal(&server, &client, &stranger, "invalid_request").await;
    assert!(!description.contains("555"), "{description}");
    let params = client.authorization().and("state", "another");
    let url = client.authorize_url_with(&params);
    let callback = Browser::new(&server).open(&url).await.client();
    callback.assert_error("invalid_request", server.public_url());
}

#[tokio::test]
async fn a_request_of_very_many_parameters_is_shown_as_a_broken_link() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let few = (0..80).fold(client.authorization(), |params, number| {
        params.and(&format!("x{number}"), "1")
    });
    let mut browser = Browser::new(&server);
    let page = browser.open(&client.authorize_url_with(&few)).await.page();
    assert!(page.asks_for_password(), "{:#?}", page.answer);

    let many = (80..100).fold(few, |params, number| params.and(&format!("x{number}"), "1"));
    let page = browser.open(&client.authorize_url_with(&many)).await.page();
    page.answer.expect(400).assert_page();
}

#[tokio::test]
async fn only_the_code_flow_is_there() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;

    // RFC 6749 §4.1.2.1.
    let missing = client.authorization().without("response_type");
    refusal(&server, &client, &missing, "invalid_request").await;
    for other in ["token", "id_token", "code token", "none"] {
        let params = client.authorization().set("response_type", other);
        refusal(&server, &client, &params, "unsupported_response_type").await;
    }
}

#[tokio::test]
async fn a_proof_key_with_s256_is_required() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let good = client.authorization();

    for params in [
        good.clone().without("code_challenge"),
        good.clone()
            .without("code_challenge")
            .without("code_challenge_method"),
        // RFC 7636 §4.3: without a method it would be `plain`.
        good.clone().without("code_challenge_method"),
        good.clone().set("code_challenge_method", "plain"),
        good.clone().set("code_challenge_method", "s256"),
        good.clone().set("code_challenge", ""),
        // §4.2: a SHA-256 in base64url is 43 characters, no padding.
        good.clone().set("code_challenge", &CHALLENGE[1..]),
        good.clone().set("code_challenge", &format!("{CHALLENGE}=")),
        good.clone().set("code_challenge", &format!("{CHALLENGE}A")),
        good.clone()
            .set("code_challenge", &CHALLENGE.replace('-', "+")),
    ] {
        let description = refusal(&server, &client, &params, "invalid_request").await;
        assert!(description.contains("code_challenge"), "{description}");
    }
}

#[tokio::test]
async fn our_resource_is_understood_however_it_is_spelled() {
    let server = TestServer::with([("public_url", "https://mcp.example.com")]).await;
    let client = OAuthClient::register(&server).await;

    for resource in [
        "https://mcp.example.com/mcp",
        "https://mcp.example.com/mcp/",
        "https://MCP.Example.com/mcp",
        "HTTPS://mcp.example.com/mcp",
        "https://mcp.example.com:443/mcp",
        "https://mcp.example.com",
        "https://mcp.example.com/",
    ] {
        let params = client.authorization().set("resource", resource);
        assert_reaches_sign_in(&server, &client, &params).await;
    }
    // 2025-03-26 clients know no `resource`.
    let params = client.authorization().without("resource");
    assert_reaches_sign_in(&server, &client, &params).await;
    // RFC 8707 §2: it may be repeated.
    let params = client
        .authorization()
        .and("resource", "https://mcp.example.com");
    assert_reaches_sign_in(&server, &client, &params).await;
}

#[tokio::test]
async fn any_other_resource_is_an_invalid_target() {
    let server = TestServer::with([("public_url", "https://mcp.example.com")]).await;
    let client = OAuthClient::register(&server).await;

    for resource in [
        "https://other.example.com/mcp",
        "https://mcp.example.com.evil.example/mcp",
        "https://mcp.example.com/mcp/other",
        "https://mcp.example.com/MCP",
        "https://mcp.example.com//mcp",
        "https://mcp.example.com:8443/mcp",
        "http://mcp.example.com/mcp",
        "https://user@mcp.example.com/mcp",
        // RFC 8707 §2: absolute, without a fragment.
        "https://mcp.example.com/mcp#x",
        "/mcp",
        "mcp",
    ] {
        let params = client.authorization().set("resource", resource);
        refusal(&server, &client, &params, "invalid_target").await;
    }
    let both = client
        .authorization()
        .and("resource", "https://other.example.com/mcp");
    refusal(&server, &client, &both, "invalid_target").await;
}

#[tokio::test]
async fn scopes_that_we_do_not_know_are_dropped_and_the_token_response_says_so() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;

    for scope in [
        Some("claudeai"),
        Some("openid profile mcp email"),
        Some("mcp mcp"),
        None,
    ] {
        let params = client.authorization().without("scope");
        let params = match scope {
            Some(scope) => params.and("scope", scope),
            None => params,
        };
        let code = Browser::new(&server)
            .approve(&client.authorize_url_with(&params))
            .await
            .code();
        let tokens = Tokens::of(&client.redeem(&code).await);
        // RFC 6749 §5.1: the scope is told where it differs from what was asked.
        assert_eq!(tokens.scope, "mcp", "asked for {scope:?}");
        assert!(
            tokens.refresh.is_some(),
            "nobody has to ask for a refresh token"
        );
    }
}

#[tokio::test]
async fn the_request_may_be_posted() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);

    // RFC 6749 §3.1; a client's page posts it, so it comes from another site.
    let from_outside = [
        ("origin", "https://client.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    let url = server.url("/authorize");
    let answer = browser
        .post(&url, &client.authorization(), &from_outside)
        .await;
    let page = browser.follow(&url, answer).await.page();
    assert!(page.asks_for_password(), "{:#?}", page.answer);

    let page = browser.sign_in(&page).await.page();
    let callback = browser.submit(&page.decision("allow")).await.client();
    Tokens::of(&client.redeem(&callback.code()).await);
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let server = TestServer::start().await;
    let answer = server
        .request(reqwest::Method::PUT, "/authorize")
        .send()
        .await
        .expect(405);
    let allowed = answer.list("allow");
    assert!(
        allowed.contains(&"get".to_owned()) && allowed.contains(&"post".to_owned()),
        "{allowed:?}"
    );
}

async fn assert_reaches_sign_in(site: &Site, client: &OAuthClient, params: &Params) {
    let url = client.authorize_url_with(params);
    let page = Browser::new(site).open(&url).await.page();
    assert!(page.asks_for_password(), "{url}: {:#?}", page.answer);
}
