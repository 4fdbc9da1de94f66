//! People sign in with GitHub, or whoever runs it themselves: OAuth without an identity layer.

use serde_json::{Value, json};

use crate::{
    fake_provider::{FakeProvider, sign_in},
    support::{Arrival, Browser, OAuthClient, TestServer},
};

/// A provider at which somebody has these addresses.
async fn story(entry: &str, emails: Value) -> (FakeProvider, TestServer, OAuthClient) {
    let provider = FakeProvider::start().await;
    {
        let mut script = provider.script();
        let user = json!({ "id": 1815, "login": "ada", "name": null });
        script.api.insert("user".to_owned(), user);
        script.api.insert("user/emails".to_owned(), emails);
        // There is no identity layer.
        script.metadata = Value::Null;
        script.id_token = Some(String::new());
    }
    let lines = format!("preset = \"github\"\n{entry}");
    let server = provider.server(&lines, "").await;
    let client = OAuthClient::register(&server).await;
    (provider, server, client)
}

async fn arrive(entry: &str, emails: Value) -> Arrival {
    let (provider, server, client) = story(entry, emails).await;
    sign_in(&provider, &mut Browser::new(&server), &client).await
}

fn email(address: &str, primary: bool, verified: bool) -> Value {
    json!({ "email": address, "primary": primary, "verified": verified, "visibility": null })
}

#[tokio::test]
async fn the_primary_address_counts_if_it_is_verified() {
    let entry = "domains = [\"example.com\"]";
    let theirs = "ada@example.com";
    for (emails, enters) in [
        (
            json!([
                email("ada@mail.example", false, true),
                email(theirs, true, true)
            ]),
            true,
        ),
        (json!([email(theirs, true, false)]), false),
        (
            json!([
                email(theirs, false, true),
                email("ada@mail.example", true, true)
            ]),
            false,
        ),
        (json!([]), false),
    ] {
        match arrive(entry, emails.clone()).await {
            Arrival::Client(callback) => {
                callback.code();
                assert!(enters, "{emails}");
            }
            Arrival::Page(page) => {
                assert_eq!(page.answer.status, 403, "{:#?}", page.answer);
                assert!(!enters, "{emails}: {}", page.text());
            }
        }
    }
}

#[tokio::test]
async fn organisations_are_groups() {
    let entry = "groups = [\"example-org\"]";
    for (state, enters) in [
        (Some("active"), true),
        (Some("pending"), false),
        (None, false),
    ] {
        let (provider, server, client) = story(entry, json!([])).await;
        if let Some(state) = state {
            let path = "user/memberships/orgs/example-org".to_owned();
            let membership = json!({ "state": state });
            provider.script().api.insert(path, membership);
        }
        let arrival = sign_in(&provider, &mut Browser::new(&server), &client).await;
        assert_eq!(matches!(arrival, Arrival::Client(_)), enters, "{state:?}");
    }
}

#[tokio::test]
async fn somebody_is_who_they_are_whatever_they_call_themselves() {
    let (provider, server, client) = story("anyone = true", json!([])).await;
    let arrival = sign_in(&provider, &mut Browser::new(&server), &client).await;
    let code = arrival.client().code();
    client.redeem(&code).await.expect(200);
    let grants = server.admin().get("/grants").send().await.json();
    let user = format!("{}#1815", provider.issuer());
    assert_eq!(grants["grants"][0]["user"], user, "{grants}");
    // What they are called is shown to them.
    let other = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let arrival = sign_in(&provider, &mut browser, &client).await;
    arrival.client().code();
    let page = browser.open(&other.authorize_url()).await.page();
    assert!(page.text().contains("Signed in as ada"), "{}", page.text());
}
