//! What a token is good for, and who may know it (RFC 7662).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Answer, Browser, OAuthClient, Params, Site, TestServer, Tokens, basic, connect,
};

/// When the server's clock begins, in seconds.
const START: u64 = 1_767_225_600;
const HOUR: u64 = 3600;
const MONTH: u64 = 30 * 24 * HOUR;

/// A server that others ask about the tokens that they are to accept.
const RESOURCE_SERVERS: &str = r#"
public_url = "https://mcp.example.com"

[[resource_servers]]
client_id = "files-api"
client_secret = "a secret of the files"

[[resource_servers]]
client_id = "same-api"
client_secret = "a secret of the same"
audience = "https://mcp.example.com/mcp"

[[resource_servers]]
client_id = "other-api"
client_secret = "a secret of the others"
audience = "https://other.example/mcp"
"#;

/// A client with a secret, and tokens that somebody has allowed it.
async fn connect_confidential(site: &Site) -> (OAuthClient, Tokens) {
    let client = OAuthClient::register_confidential(site).await;
    let tokens = client.authorize_with(&mut Browser::new(site)).await;
    (client, tokens)
}

/// One of the resource servers above, in the client's clothes.
fn resource_server(site: &Site, id: &str, secret: &str) -> OAuthClient {
    OAuthClient::known_as(site, id, "").with_secret(secret)
}

async fn only_grant(server: &TestServer) -> Value {
    let grants = server.admin().get("/grants").send().await.json();
    assert_eq!(grants["grants"].as_array().unwrap().len(), 1, "{grants}");
    grants["grants"][0].clone()
}

/// What is said of a token that is good.
#[track_caller]
fn active(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:#?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let said = answer.json();
    assert_eq!(said["active"], true, "{said}");
    said
}

/// What is said of every other: nothing, and not why (RFC 7662 §2.2).
#[track_caller]
fn assert_inactive(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:#?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.json(), json!({ "active": false }));
}

#[tokio::test]
async fn of_an_access_token_everything_is_said() {
    let server = TestServer::start().await;
    server.advance(Duration::from_mins(1));
    let (client, tokens) = connect_confidential(&server).await;

    let said = active(&client.introspect(&tokens.access).await);
    // RFC 7662 §2.2, and what the token belongs to.
    let expected = json!({
        "active": true,
        "scope": "mcp",
        "client_id": client.id,
        "username": "owner",
        "sub": "owner",
        "token_type": "Bearer",
        "iss": server.public_url(),
        "aud": server.url("/mcp"),
        "iat": START + 60,
        "exp": START + 60 + HOUR,
        "grant_id": only_grant(&server).await["id"],
    });
    assert_eq!(said, expected);
}

#[tokio::test]
async fn of_a_refresh_token_the_same_is_said_but_for_a_type() {
    let server = TestServer::start().await;
    let (client, first) = connect_confidential(&server).await;
    let expected = json!({
        "active": true,
        "scope": "mcp",
        "client_id": client.id,
        "username": "owner",
        "sub": "owner",
        "iss": server.public_url(),
        "aud": server.url("/mcp"),
        "iat": START,
        "exp": START + MONTH,
        "grant_id": only_grant(&server).await["id"],
    });
    let said = active(&client.introspect(first.refresh_token()).await);
    assert_eq!(said, expected);

    // Its successor was issued later, and belongs to the same.
    server.advance(Duration::from_mins(10));
    let second = Tokens::of(&client.refresh(first.refresh_token()).await);
    let said = active(&client.introspect(second.refresh_token()).await);
    assert_eq!(said["iat"], START + 600);
    assert_eq!(said["exp"], START + 600 + MONTH);
    assert_eq!(said["grant_id"], expected["grant_id"]);
}

#[tokio::test]
async fn the_scope_is_the_tokens_and_not_the_grants() {
    let server = TestServer::start().await;
    let client = OAuthClient::register_confidential(&server).await;
    let wide = client.authorization().set("scope", "mcp offline_access");
    let url = client.authorize_url_with(&wide);
    let code = Browser::new(&server).approve(&url).await.code();
    let first = Tokens::of(&client.redeem(&code).await);
    let narrow = client.refresh_grant(first.refresh_token());
    let second = Tokens::of(&client.token(&narrow.and("scope", "mcp")).await);

    for (token, scope) in [
        (first.access.as_str(), "mcp offline_access"),
        (&second.access, "mcp"),
        (second.refresh_token(), "mcp offline_access"),
    ] {
        let said = active(&client.introspect(token).await);
        assert_eq!(said["scope"], scope);
    }
}

#[tokio::test]
async fn a_token_is_active_until_the_exact_moment_of_its_expiry() {
    let server = TestServer::start().await;
    let (client, tokens) = connect_confidential(&server).await;
    let millisecond = Duration::from_millis(1);

    server.advance(Duration::from_secs(HOUR) - millisecond);
    active(&client.introspect(&tokens.access).await);
    server.advance(millisecond);
    assert_inactive(&client.introspect(&tokens.access).await);

    server.advance(Duration::from_secs(MONTH - HOUR) - millisecond);
    active(&client.introspect(tokens.refresh_token()).await);
    server.advance(millisecond);
    assert_inactive(&client.introspect(tokens.refresh_token()).await);
}

#[tokio::test]
async fn nothing_is_said_of_what_has_been_used_or_taken_back() {
    let server = TestServer::start().await;
    let (client, first) = connect_confidential(&server).await;
    let second = Tokens::of(&client.refresh(first.refresh_token()).await);
    assert_inactive(&client.introspect(first.refresh_token()).await);
    for token in [&first.access, &second.access, second.refresh_token()] {
        active(&client.introspect(token).await);
    }

    client.revoke(&first.access).await.expect(200);
    assert_inactive(&client.introspect(&first.access).await);
    active(&client.introspect(&second.access).await);

    client.revoke(second.refresh_token()).await.expect(200);
    for token in [&second.access, second.refresh_token()] {
        assert_inactive(&client.introspect(token).await);
    }
}

#[tokio::test]
async fn nothing_is_said_of_what_is_no_token() {
    let server = TestServer::start().await;
    let (client, _) = connect_confidential(&server).await;
    let code = client.code(&mut Browser::new(&server)).await;
    for other in [
        &code,
        &client.registration().token,
        client.secret.as_deref().unwrap(),
        &client.id,
        "at_",
        "null",
        " ",
        "\0",
        &"x".repeat(5000),
    ] {
        assert_inactive(&client.introspect(other).await);
    }
    // And it was not used up by asking.
    Tokens::of(&client.redeem(&code).await);
}

#[tokio::test]
async fn a_client_is_told_of_its_own_tokens_alone() {
    let server = TestServer::start().await;
    let (client, tokens) = connect_confidential(&server).await;
    let (other, others) = connect_confidential(&server).await;
    for (asks, own, foreign) in [(&client, &tokens, &others), (&other, &others, &tokens)] {
        for (own, foreign) in [
            (&*own.access, &*foreign.access),
            (own.refresh_token(), foreign.refresh_token()),
        ] {
            let said = active(&asks.introspect(own).await);
            assert_eq!(said["client_id"], asks.id);
            assert_inactive(&asks.introspect(foreign).await);
        }
    }
}

#[tokio::test]
async fn a_hint_helps_nobody_and_hurts_nobody() {
    let server = TestServer::start().await;
    let (client, tokens) = connect_confidential(&server).await;
    // RFC 7662 §2.1: the server may ignore it, and must look further where it is wrong.
    for hint in ["access_token", "refresh_token", "nonsense", ""] {
        let token = [("token", tokens.refresh_token()), ("token_type_hint", hint)];
        active(&client.ask("/introspect", Params::of(token)).await);
    }
}

#[tokio::test]
async fn a_resource_server_is_told_of_the_access_tokens_that_it_is_to_accept() {
    let server = TestServer::reading(RESOURCE_SERVERS).await;
    let connected = connect(&server).await;
    let tokens = &connected.tokens;
    let files = resource_server(&server, "files-api", "a secret of the files");
    let same = resource_server(&server, "same-api", "a secret of the same");
    let other = resource_server(&server, "other-api", "a secret of the others");

    for (server, may_know) in [(files, true), (same, true), (other, false)] {
        let answer = server.introspect(&tokens.access).await;
        if may_know {
            let said = active(&answer);
            assert_eq!(said["client_id"], connected.client.id);
            assert_eq!(said["aud"], "https://mcp.example.com/mcp");
            assert_eq!(said["iss"], "https://mcp.example.com");
        } else {
            assert_inactive(&answer);
        }
        // Nobody sends it a refresh token in good faith.
        assert_inactive(&server.introspect(tokens.refresh_token()).await);
    }
}

#[tokio::test]
async fn a_resource_server_is_no_client() {
    let server = TestServer::reading(RESOURCE_SERVERS).await;
    let files = resource_server(&server, "files-api", "a secret of the files");
    let grant = Params::of([("grant_type", "client_credentials")]);
    let refused = files.ask("/token", grant).await;
    refused.oauth_error(401, "invalid_client");
    let refused = files.revoke("at_unknown").await;
    refused.oauth_error(401, "invalid_client");
    let page = Browser::new(&server)
        .open(&files.authorize_url())
        .await
        .page();
    page.answer.clone().expect(400).assert_page();
    assert!(page.text().contains("not known here"), "{}", page.text());
}

#[tokio::test]
async fn the_secret_may_stand_in_the_header_or_in_the_body() {
    let server = TestServer::reading(RESOURCE_SERVERS).await;
    let (client, tokens) = connect_confidential(&server).await;
    let files = resource_server(&server, "files-api", "a secret of the files");

    for asks in [client, files] {
        let token = Params::of([("token", &tokens.access)]);
        active(&asks.introspect(&tokens.access).await);
        let secret = asks.secret.as_deref().unwrap();
        let ask = async |credentials: &str| {
            let request = server.post("/introspect").form(&token);
            request.header("authorization", credentials).send().await
        };
        active(&ask(&basic(&asks.id, secret)).await);

        for wrong in [
            basic(&asks.id, "wrong"),
            basic(&asks.id, ""),
            basic("nobody", secret),
            // RFC 7662 §2.1 allows tokens for this; they are not offered here.
            format!("Bearer {}", tokens.access),
        ] {
            let refused = ask(&wrong).await;
            refused.oauth_error(401, "invalid_client");
            let challenge = refused.header("www-authenticate");
            assert!(challenge.starts_with("Basic "), "{challenge}");
            assert_eq!(refused.header("cache-control"), "no-store");
        }
        let guess = token.clone().and("client_id", &asks.id);
        for wrong in [guess.clone(), guess.and("client_secret", "wrong")] {
            let refused = server.post("/introspect").form(&wrong).send().await;
            refused.oauth_error(401, "invalid_client");
            assert_eq!(refused.find("www-authenticate"), None);
        }
    }
}

#[tokio::test]
async fn who_cannot_prove_anything_is_told_nothing() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    // RFC 7662 §2.1: the endpoint requires authorization, or tokens could be tried out.
    for token in [&connected.tokens.access, "garbage"] {
        let refused = connected.client.introspect(token).await;
        let description = refused.oauth_error(401, "invalid_client");
        assert!(description.contains("authenticate"), "{description}");
        assert_eq!(refused.header("cache-control"), "no-store");
        let anonymous = server
            .post("/introspect")
            .form(&Params::of([("token", token)]));
        anonymous.send().await.oauth_error(401, "invalid_client");
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_an_invalid_request() {
    let server = TestServer::start().await;
    let (client, tokens) = connect_confidential(&server).await;
    let token = &tokens.access;
    for params in [
        Params::default(),
        Params::of([("token", "")]),
        Params::of([("token", token), ("token", token)]),
    ] {
        let refused = client.ask("/introspect", params).await;
        let description = refused.oauth_error(400, "invalid_request");
        assert!(description.contains("token"), "{description}");
        assert_eq!(refused.header("cache-control"), "no-store");
    }
    // RFC 7662 §4: tokens in URLs end up in logs.
    let in_query = format!("/introspect?token={token}");
    let refused = server.get(&in_query).send().await;
    refused.oauth_error(405, "invalid_request");
}

#[tokio::test]
async fn the_metadata_says_where_and_how() {
    let server = TestServer::start().await;
    let path = "/.well-known/oauth-authorization-server";
    let metadata = server.get(path).send().await.json();
    // RFC 8414 §2.
    assert_eq!(
        metadata["introspection_endpoint"],
        server.url("/introspect")
    );
    let methods = &metadata["introspection_endpoint_auth_methods_supported"];
    let methods = methods.as_array().unwrap();
    for method in ["client_secret_basic", "client_secret_post"] {
        assert!(methods.contains(&json!(method)), "{metadata}");
    }
    assert!(!methods.contains(&json!("none")), "{metadata}");
}
