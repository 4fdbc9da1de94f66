//! The consent page: what a person sees, who may answer it, and what is remembered.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    Arrival, Browser, OAuthClient, Page, Params, REDIRECT_URI, TestServer, Tokens,
};

async fn consent_page(server: &TestServer, client: &OAuthClient) -> (Browser, Page) {
    let mut browser = Browser::new(server);
    let page = browser.consent_page(&client.authorize_url()).await;
    (browser, page)
}

/// Whether the person is asked, when the client comes again.
async fn asks_again(browser: &mut Browser, url: &str) -> bool {
    match browser.open(url).await {
        Arrival::Page(page) => {
            assert!(page.asks_for_consent(), "{:#?}", page.answer);
            true
        }
        Arrival::Client(callback) => {
            callback.code();
            false
        }
    }
}

#[tokio::test]
async fn the_page_says_who_asks_where_the_answer_goes_and_what_will_be_possible() {
    let server = TestServer::start().await;
    let name = "Bits & <b>Pieces</b>";
    let client = OAuthClient::register_with(&server, json!({ "client_name": name })).await;
    let (_, page) = consent_page(&server, &client).await;

    page.answer.clone().expect(200).assert_page();
    assert!(page.text().contains(name), "{}", page.text());
    assert!(
        !page.answer.body.contains("<b>Pieces"),
        "a client's name is text"
    );
    assert!(page.text().contains("client.example"), "{}", page.text());
    for decision in ["allow", "deny"] {
        assert!(
            page.has(&format!("form [name=decision][value={decision}]")),
            "no way to {decision}"
        );
    }
}

#[tokio::test]
async fn a_client_on_the_same_computer_comes_with_a_warning() {
    let server = TestServer::start().await;
    let hosted = OAuthClient::register(&server).await;
    let (_, hosted) = consent_page(&server, &hosted).await;
    assert!(!hosted.text().contains("computer"), "{}", hosted.text());

    // Anything that runs on the computer could be behind such a redirect URI.
    for uri in [
        "http://localhost:8787/callback",
        "https://localhost./callback",
        "https://127.0.0.2/callback",
        "https://[::ffff:127.0.0.1]/callback",
    ] {
        let local = OAuthClient::register_at(&server, uri).await;
        let (_, page) = consent_page(&server, &local).await;
        assert!(page.text().contains("computer"), "{uri}: {}", page.text());
    }
}

#[tokio::test]
async fn the_page_shows_the_host_that_the_browser_goes_to() {
    let server = TestServer::start().await;
    // A browser folds case and decodes; a person reads what is written.
    for uri in [
        "HTTPS://evil.example/callback",
        "https://claude.ai%2Eevil.example/callback",
        "https://evil.example%2f.claude.ai/callback",
        "https://127.1/callback",
    ] {
        let metadata = json!({ "redirect_uris": [uri] });
        let answer = server.post("/register").json(&metadata).send().await;
        let description = answer.oauth_error(400, "invalid_redirect_uri");
        assert!(description.contains("redirect_uris[0]"), "{description}");
    }
    let client = OAuthClient::register_at(&server, "https://evil.example:8443/claude.ai").await;
    let (_, page) = consent_page(&server, &client).await;
    assert!(page.text().contains("evil.example:8443"), "{}", page.text());
    assert!(!page.text().contains("claude.ai"), "{}", page.text());
}

#[tokio::test]
async fn denying_tells_the_client_and_is_not_remembered() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);

    let callback = browser.deny(&client.authorize_url()).await;
    assert_eq!(callback.status, 303);
    callback.assert_error("access_denied", server.public_url());
    assert_eq!(callback.params().get("state"), Some("story-state"));
    assert!(asks_again(&mut browser, &client.authorize_url()).await);
}

#[tokio::test]
async fn only_one_decision_is_taken() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let (mut browser, page) = consent_page(&server, &client).await;
    let allow = page.decision("allow");
    let code = browser.submit(&allow).await.client().code();

    // A double click, or the way back and once more.
    for again in [allow, page.decision("deny")] {
        let answer = browser.post(&again.action, &again.fields, &[]).await;
        assert!((400..500).contains(&answer.status), "{answer:#?}");
        answer.assert_page();
    }
    // The first answer stands.
    Tokens::of(&client.redeem(&code).await);
}

#[tokio::test]
async fn an_answer_that_says_both_or_neither_is_none() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let (mut browser, page) = consent_page(&server, &client).await;

    let allow = page.decision("allow");
    let both = allow.fields.clone().and("decision", "deny");
    let neither = allow.clone().without("decision").fields;
    let other = allow.clone().set("decision", "perhaps").fields;
    for fields in [both, neither, other] {
        let answer = browser.post(&allow.action, &fields, &[]).await;
        assert_eq!(answer.status, 400, "{answer:#?}");
        answer.assert_page();
    }
    browser.submit(&allow).await.client().code();
}

#[tokio::test]
async fn an_answer_without_the_browsers_token_is_refused() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let (mut browser, page) = consent_page(&server, &client).await;
    let (_, strangers) = consent_page(&server, &client).await;
    let allow = page.decision("allow");
    let strangers_token = strangers.form().fields.get("csrf").unwrap().to_owned();

    for forged in [
        allow.clone().without("csrf"),
        allow.clone().set("csrf", ""),
        allow.clone().set("csrf", &strangers_token),
    ] {
        let answer = browser.post(&forged.action, &forged.fields, &[]).await;
        assert_eq!(answer.status, 403, "{answer:#?}");
        answer.assert_page();
    }
    browser.submit(&allow).await.client().code();
}

#[tokio::test]
async fn an_answer_from_another_site_is_refused_even_with_the_token() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let (mut browser, page) = consent_page(&server, &client).await;
    let allow = page.decision("allow");

    for headers in [
        [("origin", "https://evil.example"), ("sec-fetch-site", "")],
        [("origin", "https://client.example"), ("sec-fetch-site", "")],
        [("origin", ""), ("sec-fetch-site", "cross-site")],
    ] {
        let answer = browser.post(&allow.action, &allow.fields, &headers).await;
        assert_eq!(answer.status, 403, "{headers:?}: {answer:#?}");
        answer.assert_page();
    }
    browser.submit(&allow).await.client().code();
}

#[tokio::test]
async fn another_browser_cannot_answer_for_this_one() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let (mut victim, page) = consent_page(&server, &client).await;
    let request = page.form().fields.get("request").unwrap().to_owned();

    // The same person in another browser, with a session and a token of its own.
    let (mut other, own_page) = consent_page(&server, &client).await;
    let foreign = own_page.decision("allow").set("request", &request);
    let answer = other.post(&foreign.action, &foreign.fields, &[]).await;
    assert!((400..500).contains(&answer.status), "{answer:#?}");
    answer.assert_page();
    // Nobody at all, not even signed in.
    let answer = Browser::new(&server)
        .post(&foreign.action, &foreign.fields, &[])
        .await;
    assert!((400..500).contains(&answer.status), "{answer:#?}");

    victim.submit(&page.decision("allow")).await.client().code();
}

#[tokio::test]
async fn the_answer_belongs_to_the_request_that_was_shown() {
    let server = TestServer::start().await;
    let (first, second) = (
        OAuthClient::register(&server).await,
        OAuthClient::register(&server).await,
    );
    let mut browser = Browser::new(&server);
    let first_page = browser.consent_page(&first.authorize_url()).await;
    let second_page = browser.consent_page(&second.authorize_url()).await;

    // Two tabs: each answer goes to the client whose name stood on that page.
    let code = browser
        .submit(&first_page.decision("allow"))
        .await
        .client()
        .code();
    browser.submit(&second_page.decision("deny")).await.client();
    second.redeem(&code).await.oauth_error(400, "invalid_grant");
    Tokens::of(&first.redeem(&code).await);
}

#[tokio::test]
async fn what_was_allowed_is_remembered_for_the_same_client_uri_and_person() {
    let server = TestServer::start().await;
    let uris = [
        "https://client.example/callback",
        "https://client.example/other",
    ];
    let client = OAuthClient::register_with(&server, json!({ "redirect_uris": uris })).await;
    let mut browser = Browser::new(&server);
    client.code(&mut browser).await;

    assert!(!asks_again(&mut browser, &client.authorize_url()).await);
    // Another redirect URI of the same client, and another client, are other questions.
    let elsewhere = client
        .authorization()
        .set("redirect_uri", "https://client.example/other");
    assert!(asks_again(&mut browser, &client.authorize_url_with(&elsewhere)).await);
    let other = OAuthClient::register(&server).await;
    assert!(asks_again(&mut browser, &other.authorize_url()).await);
    // It is the person's, not the browser's.
    let mut another_browser = Browser::new(&server);
    let page = another_browser.open(&client.authorize_url()).await.page();
    another_browser.sign_in(&page).await.client().code();
}

#[tokio::test]
async fn redirects_that_any_program_could_catch_are_asked_about_every_time() {
    let server = TestServer::start().await;

    // RFC 8252 §8.6: without the person, another program could pose as the client.
    for uri in [
        "http://localhost:8787/callback",
        "http://127.0.0.1/callback",
        "https://localhost./callback",
        "cursor://anysphere.cursor-mcp/oauth/callback",
    ] {
        let client = OAuthClient::register_at(&server, uri).await;
        let mut browser = Browser::new(&server);
        client.code(&mut browser).await;
        assert!(
            asks_again(&mut browser, &client.authorize_url()).await,
            "{uri}"
        );
    }
}

#[tokio::test]
async fn a_request_posted_by_another_site_is_asked_about_even_if_remembered() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    client.code(&mut browser).await;

    let url = server.url("/authorize");
    for headers in [
        [
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "cross-site"),
        ],
        [("origin", "https://evil.example"), ("sec-fetch-site", "")],
    ] {
        let answer = browser.post(&url, &client.authorization(), &headers).await;
        let page = browser.follow(&url, answer).await.page();
        assert!(
            page.asks_for_consent() || page.asks_for_password(),
            "{:#?}",
            page.answer
        );
    }
}

#[tokio::test]
async fn pages_do_not_keep_the_browser_from_following_the_answer_to_the_client() {
    let server = TestServer::start().await;

    for (uri, source) in [
        ("https://client.example/callback", "https://client.example"),
        ("http://localhost:8787/callback", "http://localhost:8787"),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor:"),
    ] {
        let client = OAuthClient::register_at(&server, uri).await;
        let mut browser = Browser::new(&server);
        let sign_in = browser.open(&client.authorize_url()).await.page();
        let consent = browser.sign_in(&sign_in).await.page();
        // Chromium applies `form-action` to the redirects that answer a form as well.
        for page in [sign_in, consent] {
            let policy = page.answer.header("content-security-policy");
            let form_action = policy
                .split(';')
                .find_map(|part| part.trim().strip_prefix("form-action "));
            let allowed =
                form_action.is_none_or(|sources| sources.split(' ').any(|one| one == source));
            assert!(allowed, "{} would block {uri}: {policy}", page.url);
        }
    }
}

#[tokio::test]
async fn the_number_of_open_questions_is_bounded() {
    let server = TestServer::with([("limits.pending_authorizations", "2")]).await;
    let client = OAuthClient::register(&server).await;
    // Nobody has to be signed in to start one, so nobody may fill the memory with them …
    for _ in 0..10 {
        let answer = Browser::new(&server).visit(&client.authorize_url()).await;
        assert!(answer.status < 500, "{answer:#?}");
    }
    // … or keep the person who came last from going on.
    client.authorize_with(&mut Browser::new(&server)).await;
}

#[tokio::test]
async fn one_address_cannot_drive_out_what_everybody_else_waits_for() {
    let server = TestServer::with([("limits.authorization_burst", "3")]).await;
    let client = OAuthClient::register(&server).await;
    let from = |address: &str| Browser::new(&server).behind("x-forwarded-for", address);
    for _ in 0..3 {
        from("203.0.113.7")
            .visit(&client.authorize_url())
            .await
            .expect(303);
    }
    let refused = from("203.0.113.7").visit(&client.authorize_url()).await;
    refused.clone().expect(429).assert_page();
    assert!(refused.retry_after() <= 1, "{refused:#?}");
    // Posting is no way around it, and nobody else is concerned.
    let url = server.url("/authorize");
    let posted = from("203.0.113.7")
        .post(&url, &client.authorization(), &[])
        .await;
    posted.expect(429);
    client.authorize_with(&mut from("203.0.113.8")).await;

    // Five a second from then on.
    server.advance(Duration::from_millis(200));
    client.authorize_with(&mut from("203.0.113.7")).await;
}

#[tokio::test]
async fn the_consent_page_opened_without_a_request_explains_itself() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let (mut browser, page) = consent_page(&server, &client).await;
    let action = page.form().action;

    let answer = browser
        .post(&action, &Params::of([("decision", "allow")]), &[])
        .await;
    assert!((400..500).contains(&answer.status), "{answer:#?}");
    answer.assert_page();
}

#[tokio::test]
async fn an_app_without_a_name_is_not_given_one() {
    let server = TestServer::start().await;
    let client = OAuthClient::register_with(&server, json!({ "client_name": null })).await;
    let (_, page) = consent_page(&server, &client).await;
    assert!(page.text().contains("without a name"), "{}", page.text());
}

#[tokio::test]
async fn signing_in_in_a_second_tab_leaves_the_question_in_the_first_open() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let first_tab = browser.open(&client.authorize_url()).await.page();
    let second_tab = browser.open(&client.authorize_url()).await.page();
    let question = browser.sign_in(&first_tab).await.page();
    browser.sign_in(&second_tab).await;
    let allowed = browser.submit(&question.decision("allow")).await;
    allowed.client().code();
}

#[tokio::test]
async fn a_client_that_changes_what_people_see_of_it_is_asked_about_again() {
    let server = TestServer::start().await;
    for change in [
        json!({ "client_name": "Somebody else" }),
        json!({ "client_name": null }),
        json!({ "redirect_uris": [REDIRECT_URI, "https://client.example/other"] }),
    ] {
        let mut client = OAuthClient::register(&server).await;
        let mut browser = Browser::new(&server);
        client.code(&mut browser).await;
        assert!(!asks_again(&mut browser, &client.authorize_url()).await);

        client.update(change.clone()).await;
        let asked = asks_again(&mut browser, &client.authorize_url()).await;
        assert!(asked, "{change}");
        // The new answer is remembered as the old one was.
        client.code(&mut browser).await;
        assert!(!asks_again(&mut browser, &client.authorize_url()).await);
    }
}

#[tokio::test]
async fn a_client_that_changes_what_nobody_sees_is_not_asked_about_again() {
    let server = TestServer::start().await;
    let mut client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    client.code(&mut browser).await;

    for change in [
        json!({}),
        json!({ "client_uri": "https://client.example/about" }),
        json!({ "contacts": ["operator@client.example"], "software_version": "2.0.0" }),
        json!({ "token_endpoint_auth_method": "client_secret_basic" }),
    ] {
        client.update(change.clone()).await;
        let asked = asks_again(&mut browser, &client.authorize_url()).await;
        assert!(!asked, "{change}");
    }
}

#[tokio::test]
async fn who_was_shown_another_name_has_not_allowed_this_one() {
    let server = TestServer::start().await;
    let mut client = OAuthClient::register(&server).await;
    let (mut browser, shown) = consent_page(&server, &client).await;
    client
        .update(json!({ "client_name": "Quite another" }))
        .await;

    // Nor has somebody whose form does not say what was shown.
    for answer in [
        shown.decision("allow"),
        shown.decision("allow").without("appearance"),
    ] {
        let again = browser.submit(&answer).await.page();
        assert!(again.asks_for_consent(), "{:#?}", again.answer);
        assert!(again.text().contains("Quite another"), "{}", again.text());
        assert!(asks_again(&mut browser, &client.authorize_url()).await);
    }
    let again = browser.open(&shown.url).await.page();
    let callback = browser.submit(&again.decision("allow")).await.client();
    Tokens::of(&client.redeem(&callback.code()).await);
    assert!(!asks_again(&mut browser, &client.authorize_url()).await);
}
