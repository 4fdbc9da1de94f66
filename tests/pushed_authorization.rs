//! Requests that the client pushes itself, so that the browser brings nothing but their name (RFC 9126).

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::{
    Answer, Arrival, Browser, McpClient, OAuthClient, Page, Params, REDIRECT_URI, TestServer,
    Tokens, basic,
};

/// How long a pushed request waits for its browser.
const LIFETIME: Duration = Duration::from_secs(90);
const MILLISECOND: Duration = Duration::from_millis(1);

/// What a client pushes, but for who it is.
fn request_of(client: &OAuthClient) -> Params {
    client.authorization().without("client_id")
}

async fn push(client: &OAuthClient, params: Params) -> Answer {
    client.ask("/par", params).await
}

/// The name of a request that was accepted.
#[track_caller]
fn name(answer: &Answer) -> String {
    // RFC 9126 §2.2.
    assert_eq!(answer.status, 201, "{answer:#?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!(body["expires_in"], 90, "{body}");
    body["request_uri"].as_str().unwrap().to_owned()
}

/// The URL that brings the name.
fn url(client: &OAuthClient, request_uri: &str) -> String {
    client.authorize_url_with(&bringing(client, request_uri))
}

fn bringing(client: &OAuthClient, request_uri: &str) -> Params {
    Params::of([("client_id", &client.id), ("request_uri", request_uri)])
}

async fn pushed_url(client: &OAuthClient) -> String {
    url(client, &name(&push(client, request_of(client)).await))
}

#[track_caller]
fn assert_not_its_own(page: &Page) {
    page.answer.clone().expect(400).assert_page();
    let text = page.text();
    assert!(text.contains("expired or is not its own"), "{text}");
}

#[tokio::test]
async fn a_browser_brings_the_name_and_the_rest_is_known() {
    let server = TestServer::start().await;
    for client in [
        OAuthClient::register(&server).await,
        OAuthClient::register_confidential(&server).await,
    ] {
        let request_uri = name(&push(&client, request_of(&client)).await);
        // RFC 9126 §2.2: a reference that cannot be guessed.
        let reference = request_uri.strip_prefix("urn:ietf:params:oauth:request_uri:");
        assert!(reference.unwrap().len() >= 22, "{request_uri}");

        let url = url(&client, &request_uri);
        let callback = Browser::new(&server).approve(&url).await;
        assert!(callback.url.starts_with(REDIRECT_URI), "{}", callback.url);
        assert_eq!(callback.params().get("state"), Some("story-state"));
        assert_eq!(callback.params().get("iss"), Some(server.public_url()));
        let tokens = Tokens::of(&client.redeem(&callback.code()).await);
        assert_eq!(tokens.scope, "mcp");
        McpClient::initialized(&server, &tokens.access, "2025-11-25").await;
    }
}

#[tokio::test]
async fn every_push_has_a_name_of_its_own() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let first = name(&push(&client, request_of(&client)).await);
    let second = name(&push(&client, request_of(&client).set("state", "other")).await);
    assert_ne!(first, second);
    for (request_uri, state) in [(second, "other"), (first, "story-state")] {
        let url = url(&client, &request_uri);
        let callback = Browser::new(&server).approve(&url).await;
        assert_eq!(callback.params().get("state"), Some(state));
    }
}

#[tokio::test]
async fn a_name_is_good_until_the_exact_moment_that_was_told() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let url = pushed_url(&client).await;
    server.advance(LIFETIME - MILLISECOND);
    let mut browser = Browser::new(&server);
    let page = browser.consent_page(&url).await;
    server.advance(MILLISECOND);
    let late = Browser::new(&server).open(&url).await.page();
    assert_not_its_own(&late);

    // Once it was brought, the person has as long as with any other.
    server.advance(Duration::from_mins(29));
    let callback = browser.submit(&page.decision("allow")).await.client();
    Tokens::of(&client.redeem(&callback.code()).await);
}

#[tokio::test]
async fn a_name_may_be_brought_twice() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let url = pushed_url(&client).await;
    // RFC 9126 §4: people reload, and programs look before them.
    let looked = Browser::new(&server).open(&url).await.page();
    assert!(looked.asks_for_password(), "{:#?}", looked.answer);
    let mut browser = Browser::new(&server);
    for _ in 0..2 {
        let page = browser.consent_page(&url).await;
        assert!(page.text().contains("Story client"), "{}", page.text());
    }
    let code = browser.approve(&url).await.code();
    Tokens::of(&client.redeem(&code).await);
    // Somebody who has allowed it need not be asked.
    browser.open(&url).await.client().code();
}

#[tokio::test]
async fn a_name_is_good_for_its_client_alone() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let stranger = OAuthClient::register(&server).await;
    let request_uri = name(&push(&client, request_of(&client)).await);

    let mut browser = Browser::new(&server);
    let arrival = browser.open(&url(&stranger, &request_uri)).await;
    assert_not_its_own(&arrival.page());
    // RFC 9126 §4: the client_id is still required.
    let anonymous = Params::of([("request_uri", &request_uri)]);
    let anonymous = client.authorize_url_with(&anonymous);
    let page = browser.open(&anonymous).await.page();
    page.answer.clone().expect(400).assert_page();
    let text = page.text();
    assert!(text.contains("which app is asking"), "{text}");
    let url = url(&client, &request_uri);
    browser.approve(&url).await.code();
}

#[tokio::test]
async fn what_is_no_name_of_ours_is_shown_on_a_page() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let request_uri = name(&push(&client, request_of(&client)).await);
    let reference = request_uri.rsplit(':').next().unwrap();
    // What waits for a person has a name too, and it is another kind of thing.
    let mut browser = Browser::new(&server);
    let page = browser.consent_page(&client.authorize_url()).await;
    let waiting = page.form().fields.get("request").unwrap().to_owned();

    for wrong in [
        "urn:ietf:params:oauth:request_uri:",
        "urn:ietf:params:oauth:request_uri:unknown",
        &request_uri.to_uppercase(),
        &format!("{request_uri} "),
        reference,
        &format!("urn:ietf:params:oauth:request_uri:{waiting}"),
        // Nothing is fetched (RFC 9101 §10.4.1).
        "https://client.example/request.jwt",
        "\0",
    ] {
        let page = browser.open(&url(&client, wrong)).await.page();
        assert_not_its_own(&page);
    }
    let consent = server.url(&format!("/consent?request={reference}"));
    let page = browser.open(&consent).await.page();
    page.answer.clone().expect(400).assert_page();
    assert!(page.text().contains("nothing to answer"), "{}", page.text());
}

#[tokio::test]
async fn what_the_browser_adds_does_not_count() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let request_uri = name(&push(&client, request_of(&client)).await);
    // RFC 9101 §6.3: only what was pushed is used.
    let added = bringing(&client, &request_uri)
        .and("redirect_uri", "https://evil.example/callback")
        .and("state", "evil")
        .and("response_type", "token")
        .and("code_challenge", "evil")
        .and("prompt", "none");
    let url = client.authorize_url_with(&added);
    let callback = Browser::new(&server).approve(&url).await;
    assert!(callback.url.starts_with(REDIRECT_URI), "{}", callback.url);
    assert_eq!(callback.params().get("state"), Some("story-state"));
    Tokens::of(&client.redeem(&callback.code()).await);
}

#[tokio::test]
async fn what_a_browser_would_have_been_told_the_client_is_told() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let good = request_of(&client);
    // RFC 9126 §2.3: errors of the authorization endpoint, as JSON.
    for (wrong, error, word) in [
        (
            good.clone()
                .set("redirect_uri", "https://evil.example/callback"),
            "invalid_request",
            "redirect_uri",
        ),
        (
            good.clone().and("redirect_uri", REDIRECT_URI),
            "invalid_request",
            "redirect_uri",
        ),
        (
            good.clone().set("response_type", "token"),
            "unsupported_response_type",
            "code",
        ),
        (
            good.clone().without("response_type"),
            "invalid_request",
            "response_type",
        ),
        (
            good.clone().without("code_challenge"),
            "invalid_request",
            "PKCE",
        ),
        (
            good.clone().set("code_challenge_method", "plain"),
            "invalid_request",
            "S256",
        ),
        (
            good.clone().set("resource", "https://other.example/mcp"),
            "invalid_target",
            "resource",
        ),
        (
            good.clone().set("state", &"s".repeat(4097)),
            "invalid_request",
            "state",
        ),
        (
            good.clone().and("response_mode", "fragment"),
            "invalid_request",
            "response_mode",
        ),
        (
            good.clone().and("prompt", "none login"),
            "invalid_request",
            "prompt",
        ),
        (
            good.clone().and("max_age", "soon"),
            "invalid_request",
            "max_age",
        ),
        (
            good.clone().and("request", "e30.e30."),
            "request_not_supported",
            "parameters",
        ),
        (good.clone().and("state", "s"), "invalid_request", "state"),
    ] {
        let answer = push(&client, wrong.clone()).await;
        let description = answer.oauth_error(400, error);
        assert!(description.contains(word), "{wrong:?}: {description}");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.find("location"), None);
    }
    name(&push(&client, good).await);
}

#[tokio::test]
async fn a_pushed_request_refers_to_no_other() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let request_uri = name(&push(&client, request_of(&client)).await);
    // RFC 9126 §2.1.
    for params in [
        request_of(&client).and("request_uri", &request_uri),
        Params::of([("request_uri", &request_uri)]),
    ] {
        let answer = push(&client, params).await;
        let description = answer.oauth_error(400, "invalid_request");
        assert!(description.contains("request_uri"), "{description}");
    }
}

#[tokio::test]
async fn who_pushes_proves_who_it_is() {
    let server = TestServer::start().await;
    let client = OAuthClient::register_confidential(&server).await;
    let secret = client.secret.as_deref().unwrap();
    let request = request_of(&client);
    let named = request.clone().and("client_id", &client.id);

    for (params, word) in [
        (request.clone(), "client_id"),
        (request.clone().and("client_id", "nobody"), "client_id"),
        (named.clone(), "authenticate"),
        (named.clone().and("client_secret", "wrong"), "secret"),
    ] {
        let refused = server.post("/par").form(&params).send().await;
        let description = refused.oauth_error(401, "invalid_client");
        assert!(description.contains(word), "{description}");
        assert_eq!(refused.header("cache-control"), "no-store");
    }
    let in_header = async |params: &Params, secret: &str| {
        let credentials = basic(&client.id, secret);
        let request = server.post("/par").form(params);
        request.header("authorization", &credentials).send().await
    };
    let refused = in_header(&request, "wrong").await;
    refused.oauth_error(401, "invalid_client");
    assert!(refused.header("www-authenticate").starts_with("Basic"));
    // RFC 9126 §2.1: the client_id is a parameter of the request as well, and may stand there twice.
    for params in [&request, &named] {
        let request_uri = name(&in_header(params, secret).await);
        let url = url(&client, &request_uri);
        Browser::new(&server).approve(&url).await.code();
    }
}

#[tokio::test]
async fn a_client_can_bind_itself_to_pushing() {
    let server = TestServer::start().await;
    let bound = json!({ "require_pushed_authorization_requests": true });
    let mut client = OAuthClient::register_with(&server, bound.clone()).await;
    let shown = client.manage(Method::GET).send().await.expect(200).json();
    assert_eq!(shown["require_pushed_authorization_requests"], true);

    // RFC 9126 §6.
    let mut browser = Browser::new(&server);
    for prompt in ["", "none"] {
        let params = client.authorization().and("prompt", prompt);
        let url = client.authorize_url_with(&params);
        let callback = browser.open(&url).await.client();
        let description = callback.assert_error("invalid_request", server.public_url());
        assert!(description.contains("push"), "{description}");
        assert_eq!(callback.params().get("state"), Some("story-state"));
    }
    let endpoint = server.url("/authorize");
    let answer = browser.post(&endpoint, &client.authorization(), &[]).await;
    let callback = browser.follow(&endpoint, answer).await.client();
    callback.assert_error("invalid_request", server.public_url());
    let code = browser.approve(&pushed_url(&client).await).await.code();
    Tokens::of(&client.redeem(&code).await);

    // It can also let itself go.
    client.update(json!({})).await;
    browser.open(&client.authorize_url()).await.client().code();
}

#[tokio::test]
async fn the_metadata_says_where_and_that_nobody_has_to() {
    let server = TestServer::start().await;
    let path = "/.well-known/oauth-authorization-server";
    let metadata = server.get(path).send().await.json();
    // RFC 9126 §5.
    let endpoint = &metadata["pushed_authorization_request_endpoint"];
    assert_eq!(*endpoint, server.url("/par"));
    let required = metadata.get("require_pushed_authorization_requests");
    assert!(
        required.is_none_or(|required| *required == false),
        "{metadata}"
    );
}

#[tokio::test]
async fn a_name_may_be_posted_too_and_then_the_person_is_asked() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    client.code(&mut browser).await;
    let url = pushed_url(&client).await;
    browser.open(&url).await.client().code();

    // A page elsewhere can make a browser post, so what is remembered does not count.
    let request_uri = name(&push(&client, request_of(&client)).await);
    let endpoint = server.url("/authorize");
    let fields = bringing(&client, &request_uri);
    let answer = browser.post(&endpoint, &fields, &[]).await;
    let page = browser.follow(&endpoint, answer).await.page();
    assert!(page.asks_for_consent(), "{:#?}", page.answer);
    let callback = browser.submit(&page.decision("allow")).await.client();
    Tokens::of(&client.redeem(&callback.code()).await);
}

#[tokio::test]
async fn how_the_person_is_to_be_asked_is_pushed_with_the_rest() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    client.code(&mut browser).await;
    server.advance(MILLISECOND);
    let mut open = async |prompt: &str| {
        let pushed = push(&client, request_of(&client).and("prompt", prompt)).await;
        browser.open(&url(&client, &name(&pushed))).await
    };
    open("none").await.client().code();
    open("").await.client().code();
    assert!(open("consent").await.page().asks_for_consent());
    assert!(open("login").await.page().asks_for_password());

    let silent = push(&client, request_of(&client).and("prompt", "none")).await;
    let url = url(&client, &name(&silent));
    let callback = Browser::new(&server).open(&url).await.client();
    callback.assert_error("login_required", server.public_url());
    assert_eq!(callback.params().get("state"), Some("story-state"));
}

#[tokio::test]
async fn what_changed_since_the_push_counts() {
    let server = TestServer::start().await;
    let mut client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    client.code(&mut browser).await;
    let url = pushed_url(&client).await;
    let other = json!({ "redirect_uris": ["https://client.example/other"] });
    client.update(other).await;
    let page = browser.open(&url).await.page();
    page.answer.clone().expect(400).assert_page();
    let text = page.text();
    assert!(text.contains("return address is not registered"), "{text}");

    let url = pushed_url(&client).await;
    client.delete().await.expect(204);
    let page = browser.open(&url).await.page();
    page.answer.clone().expect(400).assert_page();
    assert!(page.text().contains("not known here"), "{}", page.text());
}

#[tokio::test]
async fn the_number_of_pushed_requests_is_bounded_and_drives_out_nobody_who_waits() {
    let server = TestServer::with([("limits.pending_authorizations", "2")]).await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let question = browser.consent_page(&client.authorize_url()).await;
    let first = pushed_url(&client).await;
    for _ in 0..5 {
        pushed_url(&client).await;
    }
    let last = pushed_url(&client).await;

    assert_not_its_own(&Browser::new(&server).open(&first).await.page());
    let allowed = browser.submit(&question.decision("allow")).await;
    allowed.client().code();
    browser.open(&last).await.client().code();
}

#[tokio::test]
async fn one_address_cannot_push_without_end() {
    let server = TestServer::with([("limits.authorization_burst", "3")]).await;
    let client = OAuthClient::register(&server).await;
    let form = client.authorization();
    let push_from = async |address: &str, form: &Params| {
        let request = server.post("/par").header("x-forwarded-for", address);
        request.form(form).send().await
    };
    // Guesses at a secret count as well (RFC 6749 §2.3.1).
    let guess = form.clone().and("client_secret", "guessed");
    push_from("203.0.113.7", &guess).await.expect(401);
    for _ in 0..2 {
        push_from("203.0.113.7", &form).await.expect(201);
    }
    for form in [&form, &guess] {
        let refused = push_from("203.0.113.7", form).await;
        refused.oauth_error(429, "temporarily_unavailable");
        assert!(refused.retry_after() <= 1, "{refused:#?}");
        assert_eq!(refused.header("access-control-allow-origin"), "*");
    }
    push_from("203.0.113.8", &form).await.expect(201);
    server.advance(Duration::from_millis(200));
    push_from("203.0.113.7", &form).await.expect(201);
}

#[tokio::test]
async fn a_body_in_json_is_understood_and_one_that_is_too_long_is_not_read() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let request = server.post("/par").json(&client.authorization().json());
    let url = url(&client, &name(&request.send().await));
    let arrival = Browser::new(&server).open(&url).await;
    assert!(matches!(arrival, Arrival::Page(page) if page.asks_for_password()));

    // RFC 9126 §2.3.
    let long = request_of(&client).set("state", &"s".repeat(65 * 1024));
    push(&client, long)
        .await
        .oauth_error(413, "invalid_request");
    let in_query = format!("/par?{}", client.authorization().encoded());
    let refused = server.get(&in_query).send().await;
    refused.oauth_error(405, "invalid_request");
    assert_eq!(refused.list("allow"), ["post"]);
}
