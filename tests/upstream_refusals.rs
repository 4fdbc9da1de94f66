//! What an identity provider may not say, and who may not come from it.

use std::time::Duration;

use remote_mcp_auth::jose::Algorithm;
use serde_json::{Value, json};

use crate::{
    fake_provider::{FakeProvider, Script, leave, sign_in, with_id},
    signing::SigningKey,
    support::{Browser, OAuthClient, Page, Params, TestServer, provider::SECRET},
};

const ANYONE: &str = "anyone = true";

async fn story() -> (FakeProvider, TestServer, OAuthClient) {
    let provider = FakeProvider::start().await;
    let server = provider.server(ANYONE, "").await;
    let client = OAuthClient::register(&server).await;
    (provider, server, client)
}

/// What the person sees when the provider's answer is refused. They are not signed in, and the app can be
/// told.
async fn assert_refused(server: &TestServer, browser: &mut Browser, page: Page, what: &str) {
    assert_eq!(page.answer.status, 502, "{what}: {:#?}", page.answer);
    page.answer.assert_page();
    let text = page.text();
    let said = "Signing in with Example SSO did not work";
    assert!(text.contains(said), "{what}: {text}");
    let names: Vec<&str> = browser.cookies().iter().map(|c| &*c.name).collect();
    assert_eq!(names, ["browser"], "{what}");
    let callback = browser.submit(&page.decision("deny")).await.client();
    callback.assert_error("access_denied", server.public_url());
}

/// Tells the provider what to say, and sees that it is refused.
async fn refuses(what: &str, say: impl FnOnce(&mut Script)) {
    let (provider, server, client) = story().await;
    say(&mut provider.script());
    let mut browser = Browser::new(&server);
    let page = sign_in(&provider, &mut browser, &client).await.page();
    assert_refused(&server, &mut browser, page, what).await;
}

#[tokio::test]
async fn a_provider_that_says_what_it_should_is_believed() {
    let (provider, server, client) = story().await;
    let mut browser = Browser::new(&server);
    let arrival = sign_in(&provider, &mut browser, &client).await;
    let code = arrival.client().code();
    client.redeem(&code).await.expect(200);
}

// OpenID Connect Core §3.1.3.7.
#[tokio::test]
async fn id_tokens_with_wrong_claims_are_refused() {
    for (what, claims) in [
        ("another nonce", json!({ "nonce": "another" })),
        ("no nonce", json!({ "nonce": null })),
        ("another issuer", json!({ "iss": "https://evil.example" })),
        ("a similar issuer", json!({ "iss": "https://localhost/" })),
        ("no issuer", json!({ "iss": null })),
        ("another audience", json!({ "aud": "somebody else" })),
        (
            "audiences besides us",
            json!({ "aud": ["us", "others"], "azp": "us" }),
        ),
        ("no audience", json!({ "aud": null })),
        ("another party", json!({ "azp": "somebody else" })),
        ("no end", json!({ "exp": null })),
        ("no subject", json!({ "sub": null })),
        ("an empty subject", json!({ "sub": "" })),
        ("an address that is no text", json!({ "email": [] })),
        ("a subject that is no text", json!({ "sub": 1 })),
        ("a subject with controls", json!({ "sub": "ada\u{0}" })),
        ("a subject without end", json!({ "sub": "a".repeat(256) })),
    ] {
        refuses(what, |script| script.claims = claims).await;
    }
}

#[tokio::test]
async fn id_tokens_of_another_time_are_refused() {
    for (what, iat, exp) in [
        ("over", -600, 0),
        ("long over", -9_000, -3_600),
        ("to come", 600, 900),
    ] {
        refuses(what, |script| {
            let now = i64::try_from(script.now).unwrap();
            script.claims = json!({ "iat": now + iat, "exp": now + exp });
        })
        .await;
    }
}

#[tokio::test]
async fn id_tokens_that_somebody_else_could_have_made_are_refused() {
    refuses("no token", |script| script.id_token = Some(String::new())).await;
    refuses("no token at all", |script| {
        script.id_token = Some("nothing".to_owned());
    })
    .await;
    refuses("another's key", |script| {
        script.signer = SigningKey::generate(Algorithm::Es256);
    })
    .await;
    refuses("an unknown key", |script| {
        script.header = json!({ "kid": "2" });
    })
    .await;
    // RFC 8725 §3.1 and §3.2: what nobody signed, and what is signed with what we know too.
    let unsigned = |script: &Script, header: Value| {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}", encode(&header), encode(&script.all_claims("any")))
    };
    refuses("no signature", |script| {
        let token = unsigned(script, json!({ "alg": "none" }));
        script.id_token = Some(format!("{token}."));
    })
    .await;
    refuses("a signature with our secret", |script| {
        let message = unsigned(script, json!({ "alg": "HS256" }));
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        let algorithm = jsonwebtoken::Algorithm::HS256;
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
        script.id_token = Some(format!("{message}.{signature}"));
    })
    .await;
}

#[tokio::test]
async fn what_else_a_provider_says_is_not_taken_on_trust() {
    refuses("user info about somebody else", |script| {
        script.claims = json!({ "email": null });
        script.user_info = json!({ "sub": "charles", "email": "charles@example.com" });
    })
    .await;
    refuses("user info about nobody", |script| {
        script.claims = json!({ "email": null });
        script.user_info = json!([]);
    })
    .await;
    refuses("an error of the token endpoint", |script| {
        script.refusal = Some((400, json!({ "error": "invalid_grant" })));
    })
    .await;
    refuses("a token endpoint that says nothing", |script| {
        script.refusal = Some((200, json!("nothing")));
    })
    .await;
    refuses("an error in the browser", |script| {
        script.answer = Params::default().and("error", "server_error");
    })
    .await;
}

// OpenID Connect Discovery §4.3.
#[tokio::test]
async fn nobody_is_sent_to_where_another_issuer_says() {
    let (provider, server, client) = story().await;
    provider.script().metadata["issuer"] = "https://evil.example".into();
    let mut browser = Browser::new(&server);
    let page = browser.open(&client.authorize_url()).await.page();
    let question = browser.submit(&page.provider_form("idp")).await.page();
    let page = browser.submit(&question.decision("allow")).await.page();
    assert_refused(&server, &mut browser, page, "metadata of another issuer").await;
}

// RFC 9207 §2.4.
#[tokio::test]
async fn an_answer_of_another_issuer_is_not_brought_to_this_one() {
    refuses("another issuer", |script| {
        script.answer = Params::default().and("iss", "https://evil.example");
    })
    .await;
    refuses("an error of another issuer", |script| {
        let error = Params::default().and("error", "access_denied");
        script.answer = error.and("iss", "https://evil.example");
    })
    .await;
    refuses("no issuer, from a provider that names it", |script| {
        script.metadata["authorization_response_iss_parameter_supported"] = true.into();
    })
    .await;

    let (provider, server, client) = story().await;
    let issuer = provider.issuer();
    {
        let mut script = provider.script();
        script.metadata["authorization_response_iss_parameter_supported"] = true.into();
        script.answer = Params::default().and("iss", &issuer);
    }
    let mut browser = Browser::new(&server);
    let arrival = sign_in(&provider, &mut browser, &client).await;
    arrival.client().code();
}

#[tokio::test]
async fn an_answer_is_for_the_provider_that_the_browser_was_sent_to() {
    let provider = FakeProvider::start().await;
    let other = "[[sign_in_providers]]\nid = \"other\"\nissuer = \"https://other.example\"\n\
                 client_id = \"us\"\nanyone = true";
    let server = provider.server(ANYONE, other).await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let departure = leave(&mut browser, &client).await;
    let back = provider.answer(&departure);
    let elsewhere = back.replace("/sign-in/idp/", "/sign-in/other/");
    let page = browser.open(&elsewhere).await.page();
    assert_eq!(page.answer.status, 400, "{:#?}", page.answer);
    assert_eq!(provider.script().redeemed, 0);
    let nowhere = back.replace("/sign-in/idp/", "/sign-in/none/");
    let page = browser.open(&nowhere).await.page();
    assert_eq!(page.answer.status, 404, "{:#?}", page.answer);
}

#[tokio::test]
async fn nobody_comes_back_after_ten_minutes() {
    let (provider, server, client) = story().await;
    for (away, status) in [(599, 303), (600, 400)] {
        let mut browser = Browser::new(&server);
        let departure = leave(&mut browser, &client).await;
        server.advance(Duration::from_secs(away));
        provider.script().now = server.now();
        let back = provider.answer(&departure);
        assert_eq!(browser.visit(&back).await.status, status, "{away} s");
    }
}

#[tokio::test]
async fn new_keys_of_a_provider_are_found_and_old_ones_forgotten() {
    let (provider, server, client) = story().await;
    let mut browser = Browser::new(&server);
    let arrival = sign_in(&provider, &mut browser, &client).await;
    arrival.client().code();

    let new = SigningKey::generate(Algorithm::Rs256);
    {
        let mut script = provider.script();
        script.keys = json!({ "keys": [with_id(new.jwk(), "2")] });
        script.header = json!({ "kid": "2" });
        script.signer = new;
    }
    // It is asked again after a minute at the earliest, so that nobody can make us ask on and on.
    server.advance(Duration::from_mins(1));
    provider.script().now = server.now();
    let mut browser = Browser::new(&server);
    let arrival = sign_in(&provider, &mut browser, &client).await;
    arrival.client().code();
}

#[tokio::test]
async fn a_provider_that_fails_is_said_to() {
    let (provider, server, client) = story().await;
    let mut browser = Browser::new(&server);
    let departure = leave(&mut browser, &client).await;
    provider.script().refusal = Some((503, json!({})));
    let page = browser.open(&provider.answer(&departure)).await.page();
    page.answer.clone().expect(503).retry_after();
    assert!(page.text().contains("Example SSO cannot be reached"));
    // It counts as nobody's failure to sign in.
    for _ in 0..12 {
        let mut browser = Browser::new(&server);
        let departure = leave(&mut browser, &client).await;
        let page = browser.open(&provider.answer(&departure)).await.page();
        assert_eq!(page.answer.status, 503, "{:#?}", page.answer);
    }
}

#[tokio::test]
async fn codes_that_are_made_up_are_not_brought_on_and_on() {
    let (provider, server, client) = story().await;
    let mut statuses = Vec::new();
    for _ in 0..11 {
        let mut browser = Browser::new(&server);
        let departure = leave(&mut browser, &client).await;
        let back = provider.answer(&departure).replace("code+", "guess+");
        let back = back.replace("code%20", "guess%20");
        statuses.push(browser.visit(&back).await.status);
    }
    assert_eq!(statuses[..10], [502; 10]);
    assert_eq!(statuses[10], 429);
    assert_eq!(provider.script().redeemed, 10);
}

// MCP, Security Best Practices, “Confused Deputy Problem”.
#[tokio::test]
async fn nobody_is_sent_to_a_provider_for_an_app_that_they_were_not_asked_about() {
    let (provider, server, client) = story().await;
    let mut browser = Browser::new(&server);
    let page = browser.open(&client.authorize_url()).await.page();
    // The button leads to the question, whatever is sent along.
    let button = page.provider_form("idp").set("decision", "allow");
    let question = browser.submit(&button).await.page();
    assert!(question.asks_for_consent(), "{:#?}", question.answer);
    assert!(question.text().contains("client.example"));

    // The answer has to come from the page that was shown, in this browser.
    let allow = question.decision("allow");
    let strangers = {
        let mut stranger = Browser::new(&server);
        let page = stranger.open(&client.authorize_url()).await.page();
        let question = stranger.submit(&page.provider_form("idp")).await.page();
        question
            .decision("allow")
            .fields
            .get("csrf")
            .unwrap()
            .to_owned()
    };
    for forged in [
        allow.clone().without("csrf"),
        allow.clone().set("csrf", &strangers),
        allow.clone().without("decision"),
        allow.clone().set("decision", "perhaps"),
        allow.clone().set("appearance", "another"),
        allow.clone().set("with", "none"),
    ] {
        let page = browser.submit(&forged).await.page();
        assert!(
            page.asks_for_consent() || page.asks_for_password(),
            "{:#?}",
            page.answer
        );
    }
    let cross_site = [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    let refused = browser
        .post(&allow.action, &allow.fields, &cross_site)
        .await;
    assert_eq!(refused.status, 403, "{refused:#?}");
    assert_eq!(provider.connections(), 0);

    // Whoever says no has not been anywhere.
    let callback = browser.submit(&question.decision("deny")).await.client();
    callback.assert_error("access_denied", server.public_url());
    assert_eq!(provider.connections(), 0);
}

#[tokio::test]
async fn what_was_allowed_before_signing_in_counts_for_that_request_and_that_session() {
    let (provider, server, client) = story().await;
    let mut browser = Browser::new(&server);
    let departure = leave(&mut browser, &client).await;
    let back = provider.answer(&departure);
    let signed_in = browser.visit(&back).await.expect(303);
    let answered = signed_in.header("location").to_owned();
    assert!(answered.starts_with("/consent?request="), "{answered}");

    // For another request of another app it shows nothing.
    let other = OAuthClient::register(&server).await;
    let question = browser.open(&other.authorize_url()).await.page();
    let request = question.form().fields.get("request").unwrap().to_owned();
    let (_, proof) = answered.split_once('&').unwrap();
    let page = browser
        .open(&format!("/consent?request={request}&{proof}"))
        .await;
    assert!(page.page().asks_for_consent());
    // Neither does it in the browser of somebody else.
    let mut stranger = Browser::new(&server);
    let page = stranger.open(&answered).await.page();
    assert_eq!(page.answer.status, 400, "{:#?}", page.answer);

    browser.open(&answered).await.client().code();
    let page = browser.open(&answered).await.page();
    assert_eq!(page.answer.status, 400, "{:#?}", page.answer);
}

#[tokio::test]
async fn an_app_that_calls_itself_something_else_meanwhile_was_not_allowed() {
    let (provider, server, mut client) = story().await;
    let mut browser = Browser::new(&server);
    let departure = leave(&mut browser, &client).await;
    client.update(json!({ "client_name": "Another" })).await;
    let page = browser.open(&provider.answer(&departure)).await.page();
    assert!(page.asks_for_consent(), "{:#?}", page.answer);
    assert!(page.text().contains("Another"), "{}", page.text());
    let callback = browser.submit(&page.decision("allow")).await.client();
    callback.code();
}

#[tokio::test]
async fn what_was_allowed_is_what_the_app_gets() {
    let provider = FakeProvider::start().await;
    let scopes = "[[scopes]]\nname = \"read\"\ndescription = \"Read\"\n\
                  [[scopes]]\nname = \"write\"\ndescription = \"Write\"";
    let server = provider.server(ANYONE, scopes).await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let both = client.authorization().set("scope", "read write");
    let page = browser.open(&client.authorize_url_with(&both)).await.page();
    let question = browser.submit(&page.provider_form("idp")).await.page();
    let departure = browser.submit(&question.decision("allow")).await.client();
    let back = provider.answer(&departure);
    let code = browser.open(&back).await.client().code();
    let tokens = client.redeem(&code).await.expect(200).json();
    assert_eq!(tokens["scope"], "read write");
}

#[tokio::test]
async fn cookies_and_the_address_to_come_back_to_are_as_they_should_be() {
    let provider = FakeProvider::start().await;
    let https = "public_url = \"https://mcp.example.com\"";
    let server = provider.server(ANYONE, https).await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let departure = leave(&mut browser, &client).await;
    let asked = departure.params();
    let expected = "https://mcp.example.com/sign-in/idp/callback";
    assert_eq!(asked.get("redirect_uri"), Some(expected));
    // Two hundred and fifty-six bits, and nothing of the cookie.
    let state = asked.get("state").unwrap();
    assert_eq!(state.len(), "us_".len() + 43, "{state}");
    let cookie = &browser.cookies()[0].value;
    for name in ["state", "nonce", "code_challenge"] {
        assert!(!asked.get(name).unwrap().contains(cookie.as_str()));
    }
    browser
        .open(&provider.answer(&departure))
        .await
        .client()
        .code();
    for cookie in browser.cookies() {
        assert!(cookie.name.starts_with("__Host-"), "{cookie:?}");
        assert_eq!(cookie.attributes.get("samesite"), Some("Lax"), "{cookie:?}");
    }
}

#[tokio::test]
async fn what_a_provider_calls_people_misleads_nobody() {
    let provider = FakeProvider::start().await;
    let server = provider
        .server("emails = [\"nobody@example.com\"]", "")
        .await;
    let client = OAuthClient::register(&server).await;
    for (claims, shown) in [
        (
            json!({ "email": "<img/src=x>@example.com" }),
            "as <img/src=x>@example.com,",
        ),
        (
            json!({ "email": null, "name": "<script>\u{202e}alert(1)</script>" }),
            "as <script>alert(1)</script>,",
        ),
        (json!({ "email": null, "name": "x".repeat(4096) }), "xxx,"),
    ] {
        provider.script().claims = claims;
        provider.script().user_info = json!({ "sub": "ada" });
        let mut browser = Browser::new(&server);
        let page = sign_in(&provider, &mut browser, &client).await.page();
        assert_eq!(page.answer.status, 403, "{:#?}", page.answer);
        page.answer.assert_page();
        assert!(page.text().contains(shown), "{}", page.text());
        assert!(page.text().len() < 1000, "{}", page.text());
        assert!(!page.has("main img") && !page.has("script"));
    }
}

#[tokio::test]
async fn nobody_is_sent_away_over_and_over() {
    let provider = FakeProvider::start().await;
    let limits = "[limits]\nauthorization_burst = 3";
    let server = provider.server(ANYONE, limits).await;
    let mut browser = Browser::new(&server);
    let page = browser.open("/sign-in").await.page();
    let button = page.provider_form("idp");
    for number in 0..5 {
        let answer = browser.post(&button.action, &button.fields, &[]).await;
        let expected = if number < 3 { 303 } else { 429 };
        assert_eq!(answer.status, expected, "{answer:#?}");
    }
}
