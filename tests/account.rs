//! The page of a person's own: what is connected, and how it is taken back.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    ALL_OF_FILES, Browser, Connected, ModernClient, OAuthClient, Page, Params, TestServer, Tokens,
    connect, eventually, files_server,
};

const ACCOUNT: &str = "/account";

/// Opens the page, signing in on the way where that is needed.
async fn account(server: &TestServer, browser: &mut Browser) -> Page {
    let page = browser.open(&server.url(ACCOUNT)).await.page();
    if page.asks_for_password() {
        return browser.sign_in(&page).await.page();
    }
    page
}

/// Presses a button of the page.
async fn press(
    server: &TestServer,
    browser: &mut Browser,
    page: &Page,
    fields: &[(&str, &str)],
) -> Page {
    let csrf = page.form().fields.get("csrf").unwrap().to_owned();
    let form = fields.iter().fold(
        Params::of([("csrf", csrf.as_str())]),
        |form, (name, value)| form.and(name, value),
    );
    let url = server.url(ACCOUNT);
    let answer = browser.post(&url, &form, &[]).await;
    browser.follow(&url, answer).await.page()
}

fn connection_ids(page: &Page) -> Vec<String> {
    page.values("input[name=connection]")
}

#[tokio::test]
async fn the_page_asks_to_sign_in_and_shows_that_nothing_is_connected() {
    let server = TestServer::start().await;
    let mut browser = Browser::new(&server);
    let page = browser.open(&server.url(ACCOUNT)).await.page();
    assert!(page.asks_for_password());
    let page = browser.sign_in(&page).await.page();
    page.answer.clone().expect(200).assert_page();
    assert!(
        page.text().contains("No app is connected"),
        "{}",
        page.text()
    );
}

#[tokio::test]
async fn a_connection_is_shown_with_what_it_may_do_what_it_did_and_where_it_came_from() {
    let server = files_server("").await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let params = client.authorization().set("scope", ALL_OF_FILES);
    let code = browser
        .approve(&client.authorize_url_with(&params))
        .await
        .code();
    let request = server
        .post("/token")
        .header("user-agent", "Cursor/1.7 (darwin arm64)")
        .header("x-forwarded-for", "203.0.113.7");
    let tokens = Tokens::of(&request.form(&client.code_grant(&code)).send().await);
    let app = ModernClient::new(&server, &tokens.access);
    app.call("write_file", &json!({})).await;

    server.advance(Duration::from_mins(5));
    // What was used is written while the call is answered.
    let page = eventually(
        async || account(&server, &mut browser).await,
        |page| page.text().contains("Write a file"),
    )
    .await;
    for words in [
        "Story client",
        "See your files",
        "Delete files for good",
        "Cursor on macOS",
        "203.0.113.7",
        "Connected 5 minutes ago",
        "Signed in as owner",
    ] {
        assert!(
            page.text_of("body").contains(words),
            "no {words} in {}",
            page.text_of("body")
        );
    }
    assert!(!page.text().contains("List files"), "it was not used");
}

#[tokio::test]
async fn a_connection_is_ended_at_once_and_once() {
    let server = TestServer::start().await;
    let kept = connect(&server).await;
    let ended = connect(&server).await;
    let mut browser = ended.browser.clone();
    let page = account(&server, &mut browser).await;
    let ids = connection_ids(&page);
    assert_eq!(ids.len(), 2);

    // The two began at the same time, and so are in no order that tells which is which.
    let grants = server.admin().get("/grants").send().await.json();
    let grants = grants["grants"].as_array().unwrap();
    let theirs = grants
        .iter()
        .find(|grant| grant["client_id"] == ended.client.id.as_str());
    let id = theirs.unwrap()["id"].as_str().unwrap();
    let disconnect = [("action", "disconnect"), ("connection", id)];
    let after = press(&server, &mut browser, &page, &disconnect).await;
    assert!(
        after.text().contains("The app is disconnected"),
        "{}",
        after.text()
    );
    assert!(!connection_ids(&after).contains(&id.to_owned()));
    let opens = async |connected: &Connected| {
        let request = server.post("/mcp").bearer(&connected.tokens.access);
        request.send().await.status != 401
    };
    assert!(opens(&kept).await && !opens(&ended).await);
    let refused = ended.client.refresh(ended.tokens.refresh_token()).await;
    refused.oauth_error(400, "invalid_grant");
    // The old page in another tab, or a second click.
    let again = press(&server, &mut browser, &page, &disconnect).await;
    assert!(
        again.text().contains("disconnected already"),
        "{}",
        again.text()
    );
    // The person is asked before it comes back.
    let asked = browser.open(&ended.client.authorize_url()).await.page();
    assert!(asked.asks_for_consent());
}

#[tokio::test]
async fn all_connections_are_ended_at_once() {
    let server = TestServer::start().await;
    let (one, two) = (connect(&server).await, connect(&server).await);
    let mut browser = two.browser.clone();
    let page = account(&server, &mut browser).await;
    let after = press(
        &server,
        &mut browser,
        &page,
        &[("action", "disconnect_all")],
    )
    .await;
    assert!(
        after.text().contains("No app is connected"),
        "{}",
        after.text()
    );
    for connected in [one, two] {
        let refused = connected
            .client
            .refresh(connected.tokens.refresh_token())
            .await;
        refused.oauth_error(400, "invalid_grant");
    }
}

#[tokio::test]
async fn signing_out_ends_this_browsers_session_or_everybodys() {
    let server = TestServer::start().await;
    let mut browsers = [
        Browser::new(&server),
        Browser::new(&server),
        Browser::new(&server),
    ];
    for browser in &mut browsers {
        account(&server, browser).await;
    }
    let [mut first, mut second, mut third] = browsers;
    let stolen = first.clone();
    let page = account(&server, &mut first).await;
    let out = press(&server, &mut first, &page, &[("action", "sign_out")]).await;
    assert!(out.text().contains("signed out"), "{}", out.text());
    for mut gone in [first, stolen] {
        let page = gone.open(&server.url(ACCOUNT)).await.page();
        assert!(
            page.asks_for_password(),
            "the session itself is over, not only the cookie"
        );
    }
    let page = account(&server, &mut second).await;
    press(
        &server,
        &mut second,
        &page,
        &[("action", "sign_out_everywhere")],
    )
    .await;
    let page = third.open(&server.url(ACCOUNT)).await.page();
    assert!(page.asks_for_password());
}

#[tokio::test]
async fn what_came_since_the_last_visit_is_new() {
    let server = TestServer::start().await;
    let first = connect(&server).await;
    let mut browser = first.browser.clone();
    let page = account(&server, &mut browser).await;
    assert!(
        !page.has(".badge.new"),
        "nobody has looked before: {}",
        page.text()
    );

    server.advance(Duration::from_hours(1));
    connect(&server).await;
    for _ in 0..2 {
        let page = account(&server, &mut browser).await;
        assert_eq!(page.texts(".fresh").len(), 1, "{}", page.text());
        assert!(
            page.text().contains("One connection is new"),
            "{}",
            page.text()
        );
    }
    server.advance(Duration::from_hours(1));
    let page = account(&server, &mut browser).await;
    assert!(!page.has(".badge.new"), "{}", page.text());
}

#[tokio::test]
async fn nobody_ends_what_is_not_theirs_or_from_another_site() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let mut browser = connected.browser.clone();
    let page = account(&server, &mut browser).await;
    let id = connection_ids(&page).remove(0);
    let csrf = page.form().fields.get("csrf").unwrap().to_owned();
    let form = Params::of([("action", "disconnect"), ("connection", &id)]);
    let url = server.url(ACCOUNT);

    for (fields, headers) in [
        (form.clone(), [("sec-fetch-site", "same-origin")]),
        (
            form.clone().and("csrf", "made-up"),
            [("sec-fetch-site", "same-origin")],
        ),
        (
            form.clone().and("csrf", &csrf),
            [("sec-fetch-site", "cross-site")],
        ),
        (
            form.clone().and("csrf", &csrf),
            [("origin", "https://evil.example")],
        ),
    ] {
        let answer = browser.post(&url, &fields, &headers).await;
        assert_eq!(answer.status, 403, "{answer:#?}");
        answer.assert_page();
    }
    // Without a session nothing is done either, and the person is led on.
    let mut stranger = Browser::new(&server);
    let answer = stranger.post(&url, &form.and("csrf", &csrf), &[]).await;
    let page = stranger.follow(&url, answer).await.page();
    assert!(page.asks_for_password());
    let mut own = connected.browser.clone();
    assert_eq!(connection_ids(&account(&server, &mut own).await), [id]);
}

#[tokio::test]
async fn a_link_cannot_say_that_something_was_done() {
    let server = TestServer::start().await;
    let mut browser = connect(&server).await.browser;
    for link in [
        "/account?done=disconnected",
        "/account?done=disconnected.x",
        "/account?done=",
    ] {
        let page = browser.open(&server.url(link)).await.page();
        page.answer.clone().expect(200).assert_page();
        assert!(!page.has(".done"), "{link}: {}", page.text());
    }
}
