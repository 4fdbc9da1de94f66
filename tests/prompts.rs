//! How the person is to be asked: `prompt`, `max_age`, `login_hint` (OpenID Connect Core §3.1.2.1), and how
//! the client is to be answered.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    Arrival, Browser, OAuthClient, PASSCODE, Page, Params, REDIRECT_URI, TestServer, Tokens,
};

const INSTANT: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_mins(1);

/// The URL of a request with these parameters besides.
fn url(client: &OAuthClient, more: &[(&str, &str)]) -> String {
    let params = more
        .iter()
        .fold(client.authorization(), |params, (name, value)| {
            params.and(name, value)
        });
    client.authorize_url_with(&params)
}

/// A client, and a browser in which somebody has allowed it an instant ago.
async fn allowed(server: &TestServer) -> (OAuthClient, Browser) {
    let client = OAuthClient::register(server).await;
    let mut browser = Browser::new(server);
    client.code(&mut browser).await;
    server.advance(INSTANT);
    (client, browser)
}

/// Checks that the client is told of this error, and that everything is there by which it knows the
/// answer for its own.
// RFC 6749 §4.1.2.1, RFC 9207 §2.
#[track_caller]
fn assert_told(arrival: Arrival, error: &str, server: &TestServer) -> String {
    let callback = arrival.client();
    assert!(callback.url.starts_with(REDIRECT_URI), "{}", callback.url);
    assert_eq!(callback.status, 303);
    assert_eq!(callback.params().get("state"), Some("story-state"));
    callback.assert_error(error, server.public_url())
}

/// Signs in on this page, and returns where that leads.
async fn sign_in(browser: &mut Browser, page: Page) -> Arrival {
    assert!(page.asks_for_password(), "{:#?}", page.answer);
    browser.sign_in(&page).await
}

#[tokio::test]
async fn none_is_answered_at_once_where_nothing_need_be_asked() {
    let server = TestServer::start().await;
    let (client, mut browser) = allowed(&server).await;
    let url = url(&client, &[("prompt", "none")]);
    for _ in 0..2 {
        let callback = browser.open(&url).await.client();
        assert_eq!(callback.params().get("state"), Some("story-state"));
        Tokens::of(&client.redeem(&callback.code()).await);
    }
}

#[tokio::test]
async fn none_shows_nothing_and_says_what_would_have_been_asked() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let silent = url(&client, &[("prompt", "none")]);
    let mut browser = Browser::new(&server);
    // OpenID Connect Core §3.1.2.6.
    assert_told(browser.open(&silent).await, "login_required", &server);
    assert!(browser.cookies().is_empty(), "{:?}", browser.cookies());

    let page = browser.open(&client.authorize_url()).await.page();
    let question = sign_in(&mut browser, page).await.page();
    let told = assert_told(browser.open(&silent).await, "consent_required", &server);
    assert!(told.contains("asked"), "{told}");
    browser.submit(&question.decision("deny")).await.client();
    assert_told(browser.open(&silent).await, "consent_required", &server);

    // Consent is to this and to nothing more.
    client.code(&mut browser).await;
    browser.open(&silent).await.client().code();
    let wider = client.authorization().set("scope", "mcp offline_access");
    let wider = client.authorize_url_with(&wider.and("prompt", "none"));
    assert_told(browser.open(&wider).await, "consent_required", &server);

    // The sign-in does not last for ever.
    server.advance(Duration::from_hours(24));
    assert_told(browser.open(&silent).await, "login_required", &server);
}

#[tokio::test]
async fn none_asks_nothing_of_a_browser_that_posts_either() {
    let server = TestServer::start().await;
    let (client, mut browser) = allowed(&server).await;
    let endpoint = server.url("/authorize");
    let silent = client.authorization().and("prompt", "none");
    for (browser, error) in [
        // What is remembered does not count where another site could have made it post.
        (&mut browser, "consent_required"),
        (&mut Browser::new(&server), "login_required"),
    ] {
        let answer = browser.post(&endpoint, &silent, &[]).await;
        assert_told(browser.follow(&endpoint, answer).await, error, &server);
    }
}

#[tokio::test]
async fn where_any_program_could_listen_none_is_never_answered() {
    let server = TestServer::start().await;
    // RFC 8252 §8.6: such consent is not remembered.
    let uri = "http://localhost:8787/callback";
    let client = OAuthClient::register_at(&server, uri).await;
    let mut browser = Browser::new(&server);
    client.code(&mut browser).await;
    let callback = browser
        .open(&url(&client, &[("prompt", "none")]))
        .await
        .client();
    assert!(callback.url.starts_with(uri), "{}", callback.url);
    callback.assert_error("consent_required", server.public_url());
}

#[tokio::test]
async fn none_stands_alone() {
    let server = TestServer::start().await;
    let (client, mut browser) = allowed(&server).await;
    for prompt in [
        "none login",
        "consent none",
        "none select_account",
        "none none",
    ] {
        let arrival = browser.open(&url(&client, &[("prompt", prompt)])).await;
        let told = assert_told(arrival, "invalid_request", &server);
        assert!(told.contains("prompt=none"), "{told}");
    }
    // A blank too many is nothing.
    let url = url(&client, &[("prompt", " none ")]);
    browser.open(&url).await.client().code();
}

#[tokio::test]
async fn consent_asks_even_if_the_answer_is_remembered() {
    let server = TestServer::start().await;
    let (client, mut browser) = allowed(&server).await;
    let url = url(&client, &[("prompt", "consent")]);
    for decision in ["allow", "deny"] {
        let page = browser.open(&url).await.page();
        assert!(page.asks_for_consent(), "{:#?}", page.answer);
        browser.submit(&page.decision(decision)).await.client();
    }
    // And whoever denies has not taken back what they allowed before.
    browser.open(&client.authorize_url()).await.client().code();
}

#[tokio::test]
async fn login_asks_for_the_passcode_and_then_goes_on() {
    let server = TestServer::start().await;
    let (client, mut browser) = allowed(&server).await;
    // There is one account in a browser: to select another is to sign in anew.
    for prompt in ["login", "select_account", "login select_account"] {
        let page = browser.open(&url(&client, &[("prompt", prompt)])).await;
        let arrival = sign_in(&mut browser, page.page()).await;
        // The rest is remembered.
        Tokens::of(&client.redeem(&arrival.client().code()).await);
        server.advance(INSTANT);
    }
    let page = browser
        .open(&url(&client, &[("prompt", "login consent")]))
        .await
        .page();
    let question = sign_in(&mut browser, page).await.page();
    assert!(question.asks_for_consent(), "{:#?}", question.answer);
    let callback = browser.submit(&question.decision("allow")).await.client();
    Tokens::of(&client.redeem(&callback.code()).await);
}

#[tokio::test]
async fn login_is_not_content_with_less_than_the_passcode() {
    let server = TestServer::start().await;
    let (client, mut browser) = allowed(&server).await;
    let url = url(&client, &[("prompt", "login")]);
    let page = browser.open(&url).await.page();
    let question = page.form().fields.get("return_to").unwrap().to_owned();
    let question = server.url(&question);

    // Around the form, or through it with something else.
    let around = browser.open(&question).await.page();
    assert!(around.asks_for_password(), "{:#?}", around.answer);
    let wrong = browser.submit(&page.sign_in_form("wrong")).await.page();
    assert_eq!(wrong.answer.status, 403, "{:#?}", wrong.answer);
    let around = browser.open(&question).await.page();
    assert!(around.asks_for_password(), "{:#?}", around.answer);

    let right = browser.submit(&wrong.sign_in_form(PASSCODE)).await;
    right.client().code();
}

#[tokio::test]
async fn an_answer_given_before_the_passcode_does_not_count() {
    let server = TestServer::start().await;
    let (client, mut browser) = allowed(&server).await;
    // The form of another question of the same person, filled in for this one.
    let asked = browser
        .open(&url(&client, &[("prompt", "consent")]))
        .await
        .page();
    let page = browser
        .open(&url(&client, &[("prompt", "login consent")]))
        .await
        .page();
    let question = page.form().fields.get("return_to").unwrap().to_owned();
    let (_, id) = question.split_once("request=").unwrap();
    let forged = asked.decision("allow").set("request", id);
    let arrival = browser.submit(&forged).await.page();
    assert!(arrival.asks_for_password(), "{:#?}", arrival.answer);
}

#[tokio::test]
async fn max_age_is_counted_from_the_sign_in() {
    let server = TestServer::start().await;
    let (client, mut browser) = allowed(&server).await;
    server.advance(MINUTE - INSTANT);
    let url = url(&client, &[("max_age", "60")]);
    // A minute to the instant is not too long.
    browser.open(&url).await.client().code();
    server.advance(INSTANT);
    let page = browser.open(&url).await.page();
    sign_in(&mut browser, page).await.client().code();

    server.advance(MINUTE);
    browser.open(&url).await.client().code();
    // Whoever does not care is not asked.
    server.advance(MINUTE);
    browser.open(&client.authorize_url()).await.client().code();
    let none = self::url(&client, &[("max_age", "60"), ("prompt", "none")]);
    assert_told(browser.open(&none).await, "login_required", &server);
}

#[tokio::test]
async fn no_time_at_all_means_to_sign_in_anew() {
    let server = TestServer::start().await;
    let (client, mut browser) = allowed(&server).await;
    // OpenID Connect Core §3.1.2.1: max_age=0 is prompt=login.
    let page = browser
        .open(&url(&client, &[("max_age", "0")]))
        .await
        .page();
    sign_in(&mut browser, page).await.client().code();
    for long in ["4294967295", "86400"] {
        let url = url(&client, &[("max_age", long)]);
        browser.open(&url).await.client().code();
    }
}

#[tokio::test]
async fn what_is_no_number_of_seconds_is_refused() {
    let server = TestServer::start().await;
    let (client, mut browser) = allowed(&server).await;
    for wrong in ["soon", "-1", "1.5", "60s", "4294967296", " 60"] {
        let arrival = browser.open(&url(&client, &[("max_age", wrong)])).await;
        let told = assert_told(arrival, "invalid_request", &server);
        assert!(told.contains("max_age"), "{wrong}: {told}");
    }
}

#[tokio::test]
async fn what_we_do_not_know_is_passed_over() {
    let server = TestServer::start().await;
    let (client, mut browser) = allowed(&server).await;
    for more in [
        ("prompt", "create"),
        ("prompt", "LOGIN"),
        ("prompt", " "),
        ("login_hint", "somebody@client.example"),
        ("login_hint", &"x".repeat(2000)),
        ("ui_locales", "de"),
        ("response_mode", "query"),
    ] {
        browser.open(&url(&client, &[more])).await.client().code();
    }
}

#[tokio::test]
async fn a_hint_is_no_way_to_write_on_our_pages() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let hint = "\"><b>call 555-0100</b>";
    let mut browser = Browser::new(&server);
    let page = browser.open(&url(&client, &[("login_hint", hint)])).await;
    let page = page.page();
    assert!(!page.answer.body.contains("555-0100"), "{:#?}", page.answer);
    let question = sign_in(&mut browser, page).await.page();
    assert!(!question.answer.body.contains("555-0100"));
}

#[tokio::test]
async fn requests_in_an_object_are_refused_with_what_to_do_instead() {
    let server = TestServer::start().await;
    let (client, mut browser) = allowed(&server).await;
    // OpenID Connect Core §3.1.2.6.
    let arrival = browser
        .open(&url(&client, &[("request", "e30.e30.")]))
        .await;
    let told = assert_told(arrival, "request_not_supported", &server);
    assert!(told.contains("push"), "{told}");
}

#[tokio::test]
async fn answers_go_in_the_query_and_nowhere_else() {
    let server = TestServer::start().await;
    let (client, mut browser) = allowed(&server).await;
    let path = "/.well-known/oauth-authorization-server";
    let metadata = server.get(path).send().await.json();
    assert_eq!(metadata["response_modes_supported"], json!(["query"]));
    for mode in ["fragment", "form_post", "query.jwt", "web_message"] {
        let arrival = browser
            .open(&url(&client, &[("response_mode", mode)]))
            .await;
        let told = assert_told(arrival, "invalid_request", &server);
        assert!(told.contains("response_mode"), "{told}");
    }
}

#[tokio::test]
async fn who_says_a_thing_twice_has_said_nothing() {
    let server = TestServer::start().await;
    let (client, mut browser) = allowed(&server).await;
    for name in [
        "prompt",
        "max_age",
        "login_hint",
        "response_mode",
        "request",
    ] {
        let arrival = browser
            .open(&url(&client, &[(name, "0"), (name, "0")]))
            .await;
        let told = assert_told(arrival, "invalid_request", &server);
        assert!(told.contains(name), "{told}");
    }
    // A state that was sent twice belongs to no request, so none goes back.
    let twice = url(&client, &[("state", "other")]);
    let callback = browser.open(&twice).await.client();
    callback.assert_error("invalid_request", server.public_url());
    assert_eq!(callback.params().get("state"), None);
    let named_twice = Params::default()
        .and("request_uri", "a")
        .and("request_uri", "b");
    let named_twice = format!("{}&{}", client.authorize_url(), named_twice.encoded());
    let arrival = browser.open(&named_twice).await;
    let told = assert_told(arrival, "invalid_request", &server);
    assert!(told.contains("request_uri"), "{told}");
}
