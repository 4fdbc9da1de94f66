//! Signing in: cookies, forgery, guessing.

use std::time::Duration;

use scraper::{Html, Selector};

use crate::support::{Arrival, Browser, OAuthClient, Page, TestServer};

const HOUR: Duration = Duration::from_hours(1);

async fn sign_in_page(browser: &mut Browser, client: &OAuthClient) -> Page {
    let page = browser.open(&client.authorize_url()).await.page();
    assert!(page.asks_for_password(), "{:#?}", page.answer);
    page
}

/// Tries a passcode and returns the page that answers it.
async fn guess(browser: &mut Browser, client: &OAuthClient, passcode: &str) -> Page {
    let page = browser.open(&client.authorize_url()).await.page();
    if !page.asks_for_password() {
        return page;
    }
    browser.submit(&page.sign_in_form(passcode)).await.page()
}

#[tokio::test]
async fn the_sign_in_page_is_a_plain_form_that_password_managers_understand() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let page = sign_in_page(&mut Browser::new(&server), &client).await;

    page.answer.clone().expect(200).assert_page();
    assert!(page.has("html[lang]"));
    assert!(page.has("title"));
    assert!(page.has("input[name=password][autocomplete=current-password]"));
    assert_every_field_has_a_label(&page);
}

#[track_caller]
fn assert_every_field_has_a_label(page: &Page) {
    let document = Html::parse_document(&page.answer.body);
    let fields = Selector::parse("input:not([type=hidden]):not([type=submit])").unwrap();
    for field in document.select(&fields) {
        let id = field.attr("id").unwrap_or_default();
        let named = page.has(&format!("label[for='{id}']")) || field.attr("aria-label").is_some();
        assert!(named, "a field without a label: {}", field.html());
    }
}

#[tokio::test]
async fn cookies_are_out_of_reach_of_scripts_and_other_sites() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    client.code(&mut browser).await;

    assert!(!browser.cookies().is_empty());
    for cookie in browser.cookies() {
        let attributes = &cookie.attributes;
        assert_eq!(attributes.get("httponly"), Some(""), "{cookie:?}");
        assert_eq!(attributes.get("samesite"), Some("Lax"), "{cookie:?}");
        assert_eq!(attributes.get("path"), Some("/"), "{cookie:?}");
        assert_eq!(attributes.get("domain"), None, "{cookie:?}");
        // Browsers drop Secure cookies that come over http, and so would the sign-in.
        assert_eq!(attributes.get("secure"), None, "{cookie:?}");
        assert!(!cookie.name.starts_with("__"), "{cookie:?}");
    }
}

#[tokio::test]
async fn behind_https_cookies_are_secure_and_bound_to_the_host() {
    let server = TestServer::with([("public_url", "https://mcp.example.com")]).await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    client.code(&mut browser).await;

    assert!(!browser.cookies().is_empty());
    for cookie in browser.cookies() {
        // RFC 6265bis §4.1.3.2: `__Host-` demands Secure, Path=/ and no Domain.
        assert!(cookie.name.starts_with("__Host-"), "{cookie:?}");
        assert_eq!(cookie.attributes.get("secure"), Some(""), "{cookie:?}");
        assert_eq!(cookie.attributes.get("path"), Some("/"), "{cookie:?}");
        assert_eq!(cookie.attributes.get("domain"), None, "{cookie:?}");
        assert_eq!(cookie.attributes.get("httponly"), Some(""), "{cookie:?}");
        assert_eq!(cookie.attributes.get("samesite"), Some("Lax"), "{cookie:?}");
    }
}

#[tokio::test]
async fn a_wrong_passcode_shows_the_form_again_and_says_so() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let page = guess(&mut browser, &client, "wrong").await;

    assert!(
        (400..500).contains(&page.answer.status),
        "{:#?}",
        page.answer
    );
    page.answer.assert_page();
    assert!(page.asks_for_password());
    assert!(
        !page.answer.body.contains("wrong\""),
        "the guess is in the page"
    );
    // The form that comes back is good for another try.
    let page = browser.sign_in(&page).await.page();
    assert!(page.asks_for_consent(), "{:#?}", page.answer);
}

#[tokio::test]
async fn the_session_that_signed_in_is_not_the_one_that_came() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut victim = Browser::new(&server);
    let page = sign_in_page(&mut victim, &client).await;
    // An attacker who planted or read the cookies before the sign-in …
    let mut attacker = victim.clone();
    victim.sign_in(&page).await.page();
    // … is not signed in after it.
    sign_in_page(&mut attacker, &client).await;
}

#[tokio::test]
async fn a_sign_in_form_without_its_token_is_refused() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let form = sign_in_page(&mut browser, &client)
        .await
        .sign_in_form(crate::support::PASSCODE);

    let strangers = sign_in_page(&mut Browser::new(&server), &client)
        .await
        .form();
    let strangers_token = strangers.fields.get("csrf").unwrap();
    for forged in [
        form.clone().without("csrf"),
        form.clone().set("csrf", ""),
        form.clone().set("csrf", strangers_token),
    ] {
        let answer = browser
            .post(&forged.action, &forged.fields, &[])
            .await
            .expect(403);
        answer.assert_page();
    }
    // Neither do the right fields help without the browser they were given to.
    let answer = Browser::new(&server)
        .post(&form.action, &form.fields, &[])
        .await;
    assert_eq!(answer.status, 403, "{answer:#?}");
    assert!(browser.submit(&form).await.page().asks_for_consent());
}

#[tokio::test]
async fn a_sign_in_form_posted_from_another_site_is_refused() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let form = sign_in_page(&mut browser, &client)
        .await
        .sign_in_form(crate::support::PASSCODE);

    for headers in [
        [("origin", "https://evil.example"), ("sec-fetch-site", "")],
        [("origin", "https://claude.ai"), ("sec-fetch-site", "")],
        [("origin", ""), ("sec-fetch-site", "cross-site")],
        [("origin", "null"), ("sec-fetch-site", "cross-site")],
    ] {
        let answer = browser.post(&form.action, &form.fields, &headers).await;
        assert_eq!(answer.status, 403, "{headers:?}: {answer:#?}");
        answer.assert_page();
    }
}

#[tokio::test]
async fn a_sign_in_lasts_a_day() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    client.code(&mut browser).await;

    server.advance(23 * HOUR);
    let arrival = browser.open(&client.authorize_url()).await;
    assert!(matches!(arrival, Arrival::Client(_)), "{arrival:?}");
    server.advance(2 * HOUR);
    sign_in_page(&mut browser, &client).await;
}

#[tokio::test]
async fn guessing_from_one_address_ends_after_ten_failures_and_may_go_on_later() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let from = |address| Browser::new(&server).behind("x-forwarded-for", address);
    let mut guesser = from("203.0.113.7");
    for _ in 0..10 {
        let page = guess(&mut guesser, &client, "wrong").await;
        assert_ne!(page.answer.status, 429, "{:#?}", page.answer);
    }

    // By now the right passcode does not help either, or else it could be told from the wrong ones.
    let page = guess(&mut guesser, &client, crate::support::PASSCODE).await;
    let refused = page.answer.clone().expect(429);
    refused.assert_page();
    let wait = refused.retry_after();
    assert!(wait <= 3600, "locked out for {wait} s");
    assert!(
        page.text().contains("try again") || page.text().contains("Try again"),
        "{}",
        page.text()
    );

    // Another address is not concerned, and a forged one does not help.
    let mut elsewhere = from("203.0.113.8");
    assert!(
        guess(&mut elsewhere, &client, crate::support::PASSCODE)
            .await
            .asks_for_consent()
    );
    let mut forger = from("198.51.100.9, 203.0.113.7");
    assert_eq!(
        guess(&mut forger, &client, "wrong").await.answer.status,
        429
    );

    server.advance(Duration::from_secs(wait));
    let page = guess(&mut guesser, &client, crate::support::PASSCODE).await;
    assert!(page.asks_for_consent(), "{:#?}", page.answer);
}

#[tokio::test]
async fn guessing_from_many_addresses_ends_too() {
    let server = TestServer::with([("limits.sign_in_failures", "12")]).await;
    let client = OAuthClient::register(&server).await;
    for n in 0..12 {
        let mut guesser =
            Browser::new(&server).behind("x-forwarded-for", &format!("203.0.113.{n}"));
        assert_ne!(
            guess(&mut guesser, &client, "wrong").await.answer.status,
            429
        );
    }

    let mut newcomer = Browser::new(&server).behind("x-forwarded-for", "198.51.100.1");
    let page = guess(&mut newcomer, &client, crate::support::PASSCODE).await;
    let wait = page.answer.clone().expect(429).retry_after();
    server.advance(Duration::from_secs(wait));
    let page = guess(&mut newcomer, &client, crate::support::PASSCODE).await;
    assert!(page.asks_for_consent(), "{:#?}", page.answer);
}

#[tokio::test]
async fn signing_in_with_the_right_passcode_is_never_throttled() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    for _ in 0..20 {
        let page = guess(
            &mut Browser::new(&server),
            &client,
            crate::support::PASSCODE,
        )
        .await;
        assert!(page.asks_for_consent(), "{:#?}", page.answer);
    }
}

#[tokio::test]
async fn posting_somewhere_else_on_the_way_back_is_not_possible() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let page = sign_in_page(&mut browser, &client).await;

    // Whatever the page keeps for the way back, it must not lead outside after the sign-in.
    let mut form = page.sign_in_form(crate::support::PASSCODE);
    for name in ["return_to", "next", "continue", "redirect_uri"] {
        form = form.set(name, "https://evil.example/");
    }
    let answer = browser.post(&form.action, &form.fields, &[]).await;
    let location = answer.find("location").unwrap_or_default();
    assert!(!location.contains("evil.example"), "{answer:#?}");
}

#[tokio::test]
async fn after_a_wrong_passcode_the_address_still_leads_on() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let page = browser.open(&client.authorize_url()).await.page();
    let refused = page.sign_in_form("not the passcode");
    assert!(refused.action.contains("return_to="), "{}", refused.action);
    let page = browser.submit(&refused).await.page();
    assert_eq!(page.answer.status, 403);
    // Whoever presses Enter in the address bar sees the form of the same request.
    let again = browser.open(&refused.action).await.page();
    assert!(browser.sign_in(&again).await.page().asks_for_consent());
}
