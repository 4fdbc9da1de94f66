//! People sign in with an identity provider: a real one, before the real program.

use serde_json::{Value, json};

use crate::support::{
    Arrival, Browser, Callback, Launch, OAuthClient, Page, Program, Site, Tokens,
    provider::{IdentityProvider, SECRET},
};

const PUBLIC_URL: &str = "https://mcp.example.com";
const REDIRECT_URI: &str = "https://mcp.example.com/sign-in/idp/callback";

/// A provider, and a server whose people it knows.
struct Story {
    provider: IdentityProvider,
    program: Program,
    site: Site,
}

impl Story {
    /// `entry` says who may enter. Skipped without the provider.
    async fn begin(test: &str, entry: &str) -> Option<Self> {
        Self::with(test, entry, |launch| launch).await
    }

    async fn with(test: &str, entry: &str, change: impl FnOnce(Launch) -> Launch) -> Option<Self> {
        let provider = IdentityProvider::start(test, REDIRECT_URI).await?;
        let toml = format!(
            "[[sign_in_providers]]\nid = \"idp\"\nname = \"Example SSO\"\nissuer = \"{}\"\n\
             client_id = \"us\"\nclient_secret_env = \"IDP_SECRET\"\n{entry}\n",
            provider.issuer
        );
        let launch = Launch::serving()
            .file("server.toml", &toml)
            .args(&["--config", "server.toml"])
            .env("PUBLIC_URL", PUBLIC_URL)
            .env("SSL_CERT_FILE", &provider.authority())
            .env("IDP_SECRET", SECRET);
        let program = change(launch).start();
        let site = program.site();
        Some(Self {
            provider,
            program,
            site,
        })
    }

    /// Goes from the app to the provider, allowing what is asked on the way.
    async fn leave(&self, browser: &mut Browser, client: &OAuthClient) -> Callback {
        let question = self.question(browser, client).await;
        browser.submit(&question.decision("allow")).await.client()
    }

    /// Goes from the app to the question, which comes before the provider.
    async fn question(&self, browser: &mut Browser, client: &OAuthClient) -> Page {
        let page = browser.open(&client.authorize_url()).await.page();
        let page = if page.has("form[action='/sign-in/idp']") {
            browser.submit(&page.provider_form("idp")).await.page()
        } else {
            page
        };
        assert!(page.asks_for_consent(), "{:#?}", page.answer);
        page
    }

    /// The whole way, up to where it leads.
    async fn sign_in(
        &mut self,
        browser: &mut Browser,
        client: &OAuthClient,
        person: Value,
    ) -> Arrival {
        self.provider.expect(person).await;
        let departure = self.leave(browser, client).await;
        let back = self.provider.visit(&departure).await;
        browser.open(&back).await
    }
}

fn ada() -> Value {
    json!({
        "sub": "ada",
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "email_verified": true,
        "groups": ["engines"],
    })
}

#[tokio::test]
async fn somebody_whom_the_provider_knows_connects_an_app() {
    let story_is = "sign-in with a provider";
    let Some(mut story) = Story::begin(story_is, "domains = [\"example.com\"]").await else {
        return;
    };
    let client = OAuthClient::register(&story.site).await;
    let mut browser = Browser::new(&story.site);
    let arrival = story.sign_in(&mut browser, &client, ada()).await;
    let code = arrival.client().code();
    let tokens = Tokens::of(&client.redeem(&code).await.expect(200));
    let mut mcp = crate::support::McpClient::new(&story.site, &tokens.access);
    mcp.initialize("2025-11-25").await;

    // They were asked once, and the answer is remembered like every other.
    let again = browser.open(&client.authorize_url()).await;
    again.client().code();
    // Another app is another question, and shows who is asked.
    let other = OAuthClient::register(&story.site).await;
    let page = browser.open(&other.authorize_url()).await.page();
    assert!(page.asks_for_consent(), "{:#?}", page.answer);
    assert!(page.text().contains("ada@example.com"), "{}", page.text());
    let ended = story.program.terminate();
    // Their name is stable, whatever their address: issuer and subject.
    let user = format!("{}#ada", story.provider.issuer);
    let signed_in = ended.stderr.lines().find(|line| line.contains("signed_in"));
    assert!(
        signed_in.is_some_and(|line| line.contains(&user)),
        "{ended:#?}"
    );
    assert!(!ended.stderr.contains(SECRET), "{ended:#?}");
}

#[tokio::test]
async fn whoever_goes_back_from_the_provider_can_go_back_to_the_app_or_try_again() {
    let story_is = "going back from a provider";
    let Some(mut story) = Story::begin(story_is, "anyone = true").await else {
        return;
    };
    let client = OAuthClient::register(&story.site).await;
    let mut browser = Browser::new(&story.site);
    let cancel = json!({ "cancel": true });
    let page = story.sign_in(&mut browser, &client, cancel).await.page();
    assert_eq!(page.answer.status, 403, "{:#?}", page.answer);
    page.answer.assert_page();
    assert!(
        page.text()
            .contains("You have not signed in with Example SSO")
    );

    // The same request can still be allowed …
    let question = page.link("Try again");
    let page = browser.open(&question).await.page();
    let question = browser.submit(&page.provider_form("idp")).await.page();
    story.provider.expect(ada()).await;
    let departure = browser.submit(&question.decision("allow")).await.client();
    let back = story.provider.visit(&departure).await;
    let code = browser.open(&back).await.client().code();
    client.redeem(&code).await.expect(200);

    // … or the app is told.
    let mut browser = Browser::new(&story.site);
    let cancel = json!({ "cancel": true });
    let page = story.sign_in(&mut browser, &client, cancel).await.page();
    let leave = page.decision("deny");
    let callback = browser.submit(&leave).await.client();
    callback.assert_error("access_denied", PUBLIC_URL);
    // Once.
    let page = browser.submit(&leave).await.page();
    assert_eq!(page.answer.status, 400, "{:#?}", page.answer);
}

#[tokio::test]
async fn whoever_may_not_enter_is_told_so_and_so_is_the_app() {
    let story_is = "people who may not enter";
    let entry = "domains = [\"example.com\"]\ngroups = [\"engines\"]";
    let Some(mut story) = Story::begin(story_is, entry).await else {
        return;
    };
    let client = OAuthClient::register(&story.site).await;
    for (person, said) in [
        (
            json!({ "sub": "mallory", "email": "mallory@example.com", "email_verified": false }),
            "has not verified",
        ),
        (
            json!({ "sub": "eve", "email": "eve@evil.example", "email_verified": true }),
            "eve@evil.example",
        ),
        (
            json!({ "sub": "nobody", "groups": ["others"] }),
            "ask whoever runs it",
        ),
    ] {
        let mut browser = Browser::new(&story.site);
        let page = story.sign_in(&mut browser, &client, person).await.page();
        assert_eq!(page.answer.status, 403, "{:#?}", page.answer);
        page.answer.assert_page();
        let text = page.text();
        assert!(text.contains("You may not use this server"), "{text}");
        assert!(text.contains(said), "{text}");
        let callback = browser.submit(&page.decision("deny")).await.client();
        callback.assert_error("access_denied", PUBLIC_URL);
        // Nobody is signed in.
        let page = browser.open(&client.authorize_url()).await.page();
        assert!(
            page.has("form[action='/sign-in/idp']"),
            "{:#?}",
            page.answer
        );
    }
    // With another account it goes on where it was: the provider is told to ask.
    let mut browser = Browser::new(&story.site);
    let eve = json!({ "sub": "eve" });
    let page = story.sign_in(&mut browser, &client, eve).await.page();
    let page = browser.open(&page.link("Use another account")).await.page();
    let question = browser.submit(&page.provider_form("idp")).await.page();
    story.provider.expect(ada()).await;
    let departure = browser.submit(&question.decision("allow")).await.client();
    assert_eq!(departure.params().get("prompt"), Some("login"));
    let back = story.provider.visit(&departure).await;
    browser.open(&back).await.client().code();
    let ended = story.program.terminate();
    assert!(ended.stderr.contains("entry_refused"), "{ended:#?}");
}

#[tokio::test]
async fn an_answer_is_good_once_and_in_the_browser_that_left() {
    let story_is = "answers of a provider";
    let Some(mut story) = Story::begin(story_is, "anyone = true").await else {
        return;
    };
    let client = OAuthClient::register(&story.site).await;
    let mut browser = Browser::new(&story.site);
    story.provider.expect(ada()).await;
    let departure = story.leave(&mut browser, &client).await;
    let back = story.provider.visit(&departure).await;
    // Somebody else's browser, with a cookie of its own or without.
    let mut other = Browser::new(&story.site);
    assert_nobody_waits(&mut other, &back).await;
    other.open(&client.authorize_url()).await.page();
    assert_nobody_waits(&mut other, &back).await;

    browser.open(&back).await.client().code();
    assert_nobody_waits(&mut browser, &back).await;
    let made_up = back.replace("state=us_", "state=us_x");
    assert_nobody_waits(&mut browser, &made_up).await;
}

async fn assert_nobody_waits(browser: &mut Browser, back: &str) {
    let page = browser.open(back).await.page();
    assert_eq!(page.answer.status, 400, "{:#?}", page.answer);
    page.answer.assert_page();
    assert!(page.text().contains("This sign-in cannot go on"));
}

#[tokio::test]
async fn while_the_provider_is_down_the_others_sign_in() {
    let story_is = "a provider that is down";
    let Some(mut story) = Story::begin(story_is, "anyone = true").await else {
        return;
    };
    let client = OAuthClient::register(&story.site).await;
    let mut browser = Browser::new(&story.site);
    story.provider.expect(ada()).await;
    // It goes down before it was ever asked, and the question has been answered.
    let question = story.question(&mut browser, &client).await;
    drop(story.provider);
    let page = browser.submit(&question.decision("allow")).await.page();
    let answer = page.answer.clone().expect(503);
    answer.assert_page();
    answer.retry_after();
    let text = page.text();
    assert!(text.contains("Example SSO cannot be reached"), "{text}");
    // The owner has a passcode.
    let page = browser.open(&page.link("Sign in another way")).await.page();
    let consent = browser.sign_in(&page).await.page();
    assert!(consent.asks_for_consent(), "{:#?}", consent.answer);
    let code = browser.submit(&consent.decision("allow")).await.client();
    client.redeem(&code.code()).await.expect(200);
    let ended = story.program.terminate();
    assert!(ended.stderr.contains("provider_unreachable"), "{ended:#?}");
}

#[tokio::test]
async fn where_there_is_one_provider_and_nothing_else_the_question_comes_at_once() {
    let story_is = "the only way to sign in";
    let nothing_else = |launch: Launch| launch.without_env("SIGN_IN_PASSCODE");
    let entry = "emails = [\"ada@example.com\"]";
    let Some(mut story) = Story::with(story_is, entry, nothing_else).await else {
        return;
    };
    let client = OAuthClient::register(&story.site).await;
    let mut browser = Browser::new(&story.site);
    let page = browser.open(&client.authorize_url()).await.page();
    assert!(page.asks_for_consent(), "{:#?}", page.answer);
    assert!(page.text().contains("You sign in with Example SSO"));
    let arrival = story.sign_in(&mut browser, &client, ada()).await;
    arrival.client().code();
    // Nobody made up a passcode.
    let page = Browser::new(&story.site).open("/sign-in").await.page();
    assert!(!page.asks_for_password(), "{:#?}", page.answer);
    let ended = story.program.terminate();
    assert!(!ended.stdout.contains("passcode"), "{ended:#?}");
}

#[tokio::test]
async fn nothing_secret_of_a_sign_in_is_logged_even_when_everything_is() {
    let story_is = "the log of a sign-in with a provider";
    let everything = |launch: Launch| launch.env("RUST_LOG", "trace");
    let entry = "anyone = true\nkeep_tokens = true";
    let Some(mut story) = Story::with(story_is, entry, everything).await else {
        return;
    };
    let client = OAuthClient::register(&story.site).await;
    let mut browser = Browser::new(&story.site);
    story.provider.expect(ada()).await;
    let departure = story.leave(&mut browser, &client).await;
    let back = story.provider.visit(&departure).await;
    let code = browser.open(&back).await.client().code();
    client.redeem(&code).await.expect(200);
    assert_nobody_waits(&mut browser, &back).await;

    let (_, answer) = back.split_once('?').unwrap();
    let answer = crate::support::Params::parse(answer);
    let asked = departure.params();
    let mut secrets = vec![SECRET.to_owned(), code];
    secrets.extend(["state", "code"].map(|name| answer.get(name).unwrap().to_owned()));
    secrets.extend(["nonce", "code_challenge"].map(|name| asked.get(name).unwrap().to_owned()));
    secrets.extend(browser.cookies().iter().map(|cookie| cookie.value.clone()));
    let ended = story.program.terminate();
    assert!(ended.stderr.contains("signed_in"), "{ended:#?}");
    for secret in secrets {
        assert!(
            !ended.stderr.contains(&secret),
            "{secret} in {}",
            ended.stderr
        );
    }
    // What is a token of the provider's has this form.
    assert!(!ended.stderr.contains("eyJ"), "{}", ended.stderr);
}
