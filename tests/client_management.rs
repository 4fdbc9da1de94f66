//! What a client does with its registration later on (RFC 7592): it reads it, replaces it, deletes it.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    Answer, Browser, McpClient, OAuthClient, REDIRECT_URI, TestServer, Tokens, basic, connect,
};

const OTHER_URI: &str = "https://client.example/other";

/// A refusal of whoever does not hold the registration's token (RFC 7592 §2, RFC 6750 §3).
#[track_caller]
fn assert_not_yours(answer: &Answer) -> String {
    assert_challenged(answer, "Bearer error=\"invalid_token\"")
}

/// The same, with this challenge.
#[track_caller]
fn assert_challenged(answer: &Answer, challenge: &str) -> String {
    let description = answer.oauth_error(401, "invalid_token");
    assert_eq!(answer.header("www-authenticate"), challenge);
    assert_eq!(answer.header("cache-control"), "no-store");
    description
}

async fn read(client: &OAuthClient) -> Value {
    let answer = client.manage(Method::GET).send().await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()
}

async fn put(client: &OAuthClient, update: &Value) -> Answer {
    client.manage(Method::PUT).json(update).send().await
}

#[tokio::test]
async fn who_registers_is_told_where_and_with_what_to_come_back() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let other = OAuthClient::register(&server).await;

    let registration = client.registration();
    let path = format!("/register/{}", client.id);
    assert_eq!(registration.uri, server.url(&path));
    assert_ne!(registration.token, other.registration().token);
    // At least 128 bits, and of the characters of a bearer token (RFC 6750 §2.1).
    assert!(registration.token.len() >= 22, "{}", registration.token);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    assert!(registration.token.chars().all(plain));
}

#[tokio::test]
async fn reading_shows_what_was_registered() {
    let server = TestServer::start().await;
    let metadata = json!({
        "client_name": "Story client",
        "client_uri": "https://client.example/about",
        "redirect_uris": [REDIRECT_URI, OTHER_URI],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
        "contacts": ["operator@client.example"],
    });
    let request = server.post("/register").json(&metadata);
    let registered = request.send().await.expect(201).json();
    let token = registered["registration_access_token"].as_str().unwrap();
    let uri = registered["registration_client_uri"].as_str().unwrap();

    for _ in 0..2 {
        let answer = server.get(uri).bearer(token).send().await.expect(200);
        // RFC 7592 §3: all metadata about the client, and the way to come back once more.
        assert_eq!(answer.json(), registered);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn a_secret_is_told_once() {
    let server = TestServer::start().await;
    let client = OAuthClient::register_confidential(&server).await;
    let secret = client.secret.clone().unwrap();

    let shown = read(&client).await;
    assert_eq!(shown["token_endpoint_auth_method"], "client_secret_basic");
    assert!(!shown.to_string().contains(&secret), "{shown}");
    // RFC 7591 §3.2.1: the one is required with the other, and only with it.
    for absent in ["client_secret", "client_secret_expires_at"] {
        assert!(shown.get(absent).is_none(), "{absent} in {shown}");
    }
}

#[tokio::test]
async fn an_update_replaces_what_was_there() {
    let server = TestServer::start().await;
    let members =
        json!({ "client_uri": "https://client.example/about", "contacts": ["a@b.example"] });
    let mut client = OAuthClient::register_with(&server, members).await;
    let before = read(&client).await;

    let updated = client.update(json!({ "client_name": "New name" })).await;
    assert_eq!(updated["client_name"], "New name");
    assert_eq!(updated["redirect_uris"], json!([REDIRECT_URI]));
    // RFC 7592 §2.2: what is left out is deleted; the update replaces and does not add.
    for absent in ["client_uri", "contacts"] {
        assert!(updated.get(absent).is_none(), "{absent} in {updated}");
    }
    // The identity is the same.
    for member in [
        "client_id",
        "client_id_issued_at",
        "registration_client_uri",
    ] {
        assert_eq!(updated[member], before[member], "{member}");
    }
    assert_eq!(read(&client).await, updated);
}

#[tokio::test]
async fn an_update_brings_another_token_and_the_old_one_is_dead_at_once() {
    let server = TestServer::start().await;
    let mut client = OAuthClient::register(&server).await;
    let old = client.clone();
    client.update(json!({ "client_name": "New name" })).await;

    assert_ne!(client.registration().token, old.registration().token);
    assert_not_yours(&old.manage(Method::GET).send().await);
    assert_not_yours(&put(&old, &old.update_of(json!({}))).await);
    assert_not_yours(&old.delete().await);
    assert_eq!(read(&client).await["client_name"], "New name");
}

#[tokio::test]
async fn a_client_that_is_connected_stays_connected_when_it_updates() {
    let server = TestServer::start().await;
    let mut connected = connect(&server).await;
    let update = json!({ "software_version": "2.0.0" });
    connected.client.update(update).await;

    McpClient::initialized(&server, &connected.tokens.access, "2025-11-25").await;
    let refresh_token = connected.tokens.refresh_token();
    Tokens::of(&connected.client.refresh(refresh_token).await);
}

#[tokio::test]
async fn a_client_with_a_secret_keeps_it() {
    let server = TestServer::start().await;
    let mut client = OAuthClient::register_confidential(&server).await;
    let secret = client.secret.clone().unwrap();

    // Whoever knows it may say so (RFC 7592 §2.2), and is told it again.
    let method = "client_secret_post";
    let known = json!({ "token_endpoint_auth_method": method, "client_secret": secret });
    let updated = client.update(known).await;
    assert_eq!(updated["client_secret"], secret.as_str());
    assert_eq!(updated["client_secret_expires_at"], 0);

    // Whoever does not say so keeps it all the same. A null says nothing.
    for silent in [json!({}), json!({ "client_secret": null })] {
        let mut members = silent;
        members["token_endpoint_auth_method"] = method.into();
        let updated = client.update(members).await;
        assert!(updated.get("client_secret").is_none(), "{updated}");
    }
    let client = client.with_secret(&secret);
    client.authorize_with(&mut Browser::new(&server)).await;
}

#[tokio::test]
async fn a_secret_cannot_be_chosen() {
    let server = TestServer::start().await;
    let confidential = OAuthClient::register_confidential(&server).await;
    let public = OAuthClient::register(&server).await;
    let method = "client_secret_basic";

    for (client, method, secret) in [
        (&confidential, method, json!("my own")),
        (&confidential, method, json!("")),
        (&confidential, method, json!(7)),
        (&public, "none", json!("my own")),
        (&public, method, json!("my own")),
    ] {
        let members = json!({ "token_endpoint_auth_method": method, "client_secret": secret });
        let answer = put(client, &client.update_of(members)).await;
        let description = answer.oauth_error(400, "invalid_request");
        assert!(description.contains("client_secret"), "{description}");
    }
    for client in [confidential, public] {
        client.authorize_with(&mut Browser::new(&server)).await;
    }
}

#[tokio::test]
async fn a_client_that_becomes_confidential_gets_a_secret_and_has_to_use_it() {
    let server = TestServer::start().await;
    let mut client = OAuthClient::register(&server).await;
    let members = json!({ "token_endpoint_auth_method": "client_secret_basic" });
    let updated = client.update(members).await;
    assert_eq!(updated["client_secret_expires_at"], 0);

    let code = client.code(&mut Browser::new(&server)).await;
    let without = client.code_grant(&code).without("client_secret");
    let refused = client.token(&without).await;
    refused.oauth_error(401, "invalid_client");
    Tokens::of(&client.redeem(&code).await);
}

#[tokio::test]
async fn a_client_that_becomes_public_has_no_secret_any_more() {
    let server = TestServer::start().await;
    let mut client = OAuthClient::register_confidential(&server).await;
    let secret = client.secret.clone().unwrap();
    let members = json!({ "token_endpoint_auth_method": "none" });
    let updated = client.update(members).await;
    assert!(updated.get("client_secret").is_none(), "{updated}");

    let code = client.code(&mut Browser::new(&server)).await;
    let with = client.code_grant(&code).and("client_secret", &secret);
    client.token(&with).await.oauth_error(401, "invalid_client");
    Tokens::of(&client.redeem(&code).await);
    // And if it wants one again it is another.
    let members = json!({ "token_endpoint_auth_method": "client_secret_basic" });
    let updated = client.update(members).await;
    assert!(updated["client_secret"].is_string(), "{updated}");
    assert_ne!(updated["client_secret"], secret.as_str());
}

#[tokio::test]
async fn what_is_the_servers_to_say_is_refused_by_name() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let shown = read(&client).await;

    // RFC 7592 §2.2: the request must not include these, not even as they are.
    for member in [
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    ] {
        let value = shown.get(member).cloned().unwrap_or(json!(0));
        let answer = put(&client, &client.update_of(json!({ member: value }))).await;
        let description = answer.oauth_error(400, "invalid_request");
        assert!(description.contains(member), "{description}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert_eq!(read(&client).await, shown);
}

#[tokio::test]
async fn an_update_names_the_client_that_it_is_for() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let other = OAuthClient::register(&server).await;

    // RFC 7592 §2.2: it must include the client_id, and the present one.
    for wrong in [json!(other.id), json!(""), json!(7), Value::Null] {
        let mut update = client.update_of(json!({}));
        update["client_id"] = wrong;
        let answer = put(&client, &update).await;
        let description = answer.oauth_error(400, "invalid_request");
        assert!(description.contains("client_id"), "{description}");
    }
    assert_eq!(read(&client).await["client_id"], client.id.as_str());
}

#[tokio::test]
async fn an_update_is_judged_as_a_registration_is_and_a_bad_one_changes_nothing() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let shown = read(&client).await;

    for (members, error) in [
        (json!({ "redirect_uris": [] }), "invalid_redirect_uri"),
        (
            json!({ "redirect_uris": ["http://client.example/callback"] }),
            "invalid_redirect_uri",
        ),
        (
            json!({ "client_name": "n".repeat(201) }),
            "invalid_client_metadata",
        ),
        (
            json!({ "token_endpoint_auth_method": "magic" }),
            "invalid_client_metadata",
        ),
        // Clients of the configuration alone act on their own authority.
        (
            json!({ "grant_types": ["client_credentials"] }),
            "invalid_client_metadata",
        ),
    ] {
        let answer = put(&client, &client.update_of(members)).await;
        answer.oauth_error(400, error);
    }
    for (body, status, error) in [
        ("{".to_owned(), 400, "invalid_client_metadata"),
        ("[]".to_owned(), 400, "invalid_client_metadata"),
        (" ".repeat(65 * 1024), 413, "invalid_request"),
    ] {
        let request = client.manage(Method::PUT).body("application/json", body);
        request.send().await.oauth_error(status, error);
    }
    assert_eq!(read(&client).await, shown);
}

#[tokio::test]
async fn nobody_else_gets_near_a_registration() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let client = connected.client;
    let stranger = OAuthClient::register_confidential(&server).await;
    let shown = read(&client).await;

    let basic = basic(&stranger.id, stranger.secret.as_deref().unwrap());
    let mut told = HashSet::new();
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        // Who it is comes before what they want: the body is not looked at.
        let request = || client.manage(method.clone()).body("application/json", "{");
        for token in [
            "ra_guessed",
            &stranger.registration().token,
            // No token of one kind does the work of another.
            &connected.tokens.access,
            connected.tokens.refresh_token(),
        ] {
            let answer = request().bearer(token).send().await;
            told.insert(assert_not_yours(&answer));
        }
        // RFC 6750 §3.1: nothing is wrong with a token that is not there.
        let nothing = request().without("authorization").send().await;
        told.insert(assert_challenged(&nothing, "Bearer"));
        for no_bearer in [&basic, &client.registration().token, "Bearer "] {
            let answer = request().header("authorization", no_bearer).send().await;
            told.insert(assert_challenged(&answer, "Bearer"));
        }
        // Nor is there a way to find out who is registered (RFC 7592 §2: 401, not 404).
        for id in ["nobody", "%FF", "%00", "..%2Ftoken"] {
            let request = server.request(method.clone(), &format!("/register/{id}"));
            let answer = request.bearer(&client.registration().token).send().await;
            told.insert(assert_not_yours(&answer));
        }
        let twice = request().another_header("authorization", "Bearer ra_guessed");
        told.insert(assert_challenged(&twice.send().await, "Bearer"));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(read(&client).await, shown);
    read(&stranger).await;
}

#[tokio::test]
async fn of_many_updates_at_once_one_wins() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut updates = JoinSet::new();
    for number in 0..10 {
        let client = client.clone();
        updates.spawn(async move {
            let members = json!({ "client_name": format!("Name {number}") });
            put(&client, &client.update_of(members)).await
        });
    }
    let answers = updates.join_all().await;

    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1, "{answers:#?}");
    for answer in lost {
        assert_not_yours(answer);
    }
    // What the winner was told is how it is.
    let told = won[0].json();
    let token = told["registration_access_token"].as_str().unwrap();
    let request = client.manage(Method::GET).bearer(token);
    assert_eq!(request.send().await.expect(200).json(), told);
}

#[tokio::test]
async fn deleting_ends_everything_that_people_have_allowed() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let (client, tokens) = (&connected.client, &connected.tokens);
    let second = client.authorize_with(&mut Browser::new(&server)).await;
    let other = connect(&server).await;
    let mcp = McpClient::initialized(&server, &tokens.access, "2025-11-25").await;
    let mut stream = mcp.events(None).await;

    // RFC 7592 §2.3.
    let deleted = client.delete().await.expect(204);
    assert_eq!(deleted.body, "");
    assert_eq!(deleted.header("cache-control"), "no-store");

    assert_eq!(mcp.ping().await, 401);
    assert_eq!(stream.rest().await, Vec::<Value>::new());
    for tokens in [tokens, &second] {
        let mcp = McpClient::new(&server, &tokens.access);
        assert_eq!(mcp.ping().await, 401);
        let refused = client.refresh(tokens.refresh_token()).await;
        refused.oauth_error(401, "invalid_client");
    }
    // And nothing else.
    let grants = server.admin().get("/grants").send().await.json();
    assert_eq!(grants["grants"].as_array().unwrap().len(), 1, "{grants}");
    assert_eq!(grants["grants"][0]["client_id"], other.client.id.as_str());
    McpClient::initialized(&server, &other.tokens.access, "2025-11-25").await;
}

#[tokio::test]
async fn a_client_that_is_deleted_is_not_known_any_more() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let (client, mut browser) = (connected.client, connected.browser);
    client.delete().await.expect(204);

    assert_not_yours(&client.manage(Method::GET).send().await);
    assert_not_yours(&put(&client, &client.update_of(json!({}))).await);
    assert_not_yours(&client.delete().await);
    // Even for somebody who had allowed it and need not have been asked.
    let page = browser.open(&client.authorize_url()).await.page();
    page.answer.clone().expect(400).assert_page();
    assert!(page.text().contains("not known here"), "{}", page.text());
}

#[tokio::test]
async fn what_is_under_way_when_a_client_is_deleted_comes_to_nothing() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut asked = Browser::new(&server);
    let question = asked.consent_page(&client.authorize_url()).await;
    let mut signing_in = Browser::new(&server);
    let sign_in = signing_in.open(&client.authorize_url()).await.page();
    let code = client.code(&mut Browser::new(&server)).await;
    client.delete().await.expect(204);

    client
        .redeem(&code)
        .await
        .oauth_error(401, "invalid_client");
    for page in [
        asked.submit(&question.decision("allow")).await.page(),
        signing_in.sign_in(&sign_in).await.page(),
    ] {
        page.answer.clone().expect(400).assert_page();
        assert!(page.text().contains("not known here"), "{}", page.text());
    }
}

#[tokio::test]
async fn other_redirect_uris_count_from_the_update_on() {
    let server = TestServer::start().await;
    let mut client = OAuthClient::register(&server).await;
    let old = client.clone();
    let mut asked = Browser::new(&server);
    let question = asked.consent_page(&old.authorize_url()).await;
    client.update(json!({ "redirect_uris": [OTHER_URI] })).await;

    let callback = Browser::new(&server).approve(&client.authorize_url()).await;
    assert!(callback.url.starts_with(OTHER_URI), "{}", callback.url);
    Tokens::of(&client.redeem(&callback.code()).await);
    // A question that was open goes nowhere either: who took the address out had a reason.
    for page in [
        Browser::new(&server)
            .open(&old.authorize_url())
            .await
            .page(),
        asked.submit(&question.decision("allow")).await.page(),
    ] {
        page.answer.clone().expect(400).assert_page();
        let text = page.text();
        assert!(text.contains("return address is not registered"), "{text}");
    }
}

#[tokio::test]
async fn a_page_can_manage_its_registration_and_read_every_refusal() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let page = "https://client.example";
    let path = &client.registration().uri;

    let preflight = server
        .preflight(path, page, "authorization, content-type")
        .await;
    assert_eq!(preflight.status, 204, "{preflight:#?}");
    assert_eq!(preflight.header("access-control-allow-origin"), "*");
    let methods = preflight.list("access-control-allow-methods");
    for method in ["get", "put", "delete"] {
        assert!(methods.contains(&method.to_owned()), "{methods:?}");
    }

    let other_method = client.manage(Method::PATCH).header("origin", page);
    let other_method = other_method.send().await.expect(405);
    for method in ["get", "put", "delete"] {
        assert!(other_method.list("allow").contains(&method.to_owned()));
    }
    let nobody = client.manage(Method::GET).without("authorization");
    let deleting = client.manage(Method::DELETE);
    for (answer, status) in [
        (other_method, 405),
        (nobody.header("origin", page).send().await, 401),
        (deleting.header("origin", page).send().await, 204),
    ] {
        let answer = answer.expect(status);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        // The challenge, too.
        let exposed = answer.list("access-control-expose-headers");
        assert!(exposed.contains(&"www-authenticate".to_owned()));
    }
}
