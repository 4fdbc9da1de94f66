//! Tokens that their client gives back (RFC 7009): a refresh token with everything beside it, an access
//! token alone.

use std::time::Duration;

use remote_mcp_auth::mcp::feature::Change;
use serde_json::{Value, json};

use crate::support::{
    Answer, Browser, Connected, McpClient, ModernClient, OAuthClient, Params, TestServer, Tokens,
    basic, connect,
};

/// Whether the access token opens the endpoint.
async fn opens(server: &TestServer, access_token: &str) -> bool {
    let status = McpClient::new(server, access_token).ping().await;
    assert!(matches!(status, 200 | 400 | 401), "{status}");
    status != 401
}

/// The answer to every revocation that is not refused.
// RFC 7009 §2.2: 200, and the content of the body is nobody's concern.
#[track_caller]
fn assert_done(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:#?}");
    assert_eq!(answer.body, "");
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// A client with a secret that somebody has allowed in.
async fn connect_confidential(server: &TestServer) -> Connected {
    let client = OAuthClient::register_confidential(server).await;
    let mut browser = Browser::new(server);
    let tokens = client.authorize_with(&mut browser).await;
    Connected {
        client,
        browser,
        tokens,
    }
}

async fn refuses_to_refresh(client: &OAuthClient, refresh_token: &str) {
    let refused = client.refresh(refresh_token).await;
    refused.oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_refresh_token_takes_everything_with_it() {
    let server = TestServer::start().await;
    for connected in [connect(&server).await, connect_confidential(&server).await] {
        let client = &connected.client;
        let first = &connected.tokens;
        let second = Tokens::of(&client.refresh(first.refresh_token()).await);

        // RFC 7009 §2.1: all access tokens of the same grant as well.
        assert_done(&client.revoke(second.refresh_token()).await);
        for tokens in [first, &second] {
            assert!(!opens(&server, &tokens.access).await);
            refuses_to_refresh(client, tokens.refresh_token()).await;
        }
    }
    let grants = server.admin().get("/grants").send().await.json();
    assert_eq!(grants, json!({ "grants": [] }));
}

#[tokio::test]
async fn a_refresh_token_that_was_used_does_the_same() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let client = &connected.client;
    let first = &connected.tokens;
    let second = Tokens::of(&client.refresh(first.refresh_token()).await);
    // The answer that would bring its successor may have been lost. Long after the grace, too.
    server.advance(Duration::from_mins(30));

    assert_done(&client.revoke(first.refresh_token()).await);
    assert!(!opens(&server, &second.access).await);
    refuses_to_refresh(client, second.refresh_token()).await;
}

#[tokio::test]
async fn an_access_token_goes_alone() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let client = &connected.client;
    let first = &connected.tokens;
    let second = Tokens::of(&client.refresh(first.refresh_token()).await);
    assert!(opens(&server, &first.access).await);

    assert_done(&client.revoke(&first.access).await);
    assert!(!opens(&server, &first.access).await);
    assert!(opens(&server, &second.access).await);
    assert_done(&client.revoke(&second.access).await);
    assert!(!opens(&server, &second.access).await);
    let third = Tokens::of(&client.refresh(second.refresh_token()).await);
    assert!(opens(&server, &third.access).await);
}

#[tokio::test]
async fn a_repeated_answer_does_not_bring_a_token_back_that_was_given_up() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let client = &connected.client;
    let used = connected.tokens.refresh_token();
    let first = Tokens::of(&client.refresh(used).await);
    assert_done(&client.revoke(&first.access).await);

    let again = Tokens::of(&client.refresh(used).await);
    assert_eq!(again.refresh, first.refresh);
    assert_ne!(again.access, first.access);
    assert!(opens(&server, &again.access).await);
    assert!(!opens(&server, &first.access).await);
}

#[tokio::test]
async fn consent_is_forgotten_with_the_grant() {
    let server = TestServer::start().await;
    let mut connected = connect(&server).await;
    let url = connected.client.authorize_url();
    connected.browser.open(&url).await.client().code();

    let refresh_token = connected.tokens.refresh_token();
    assert_done(&connected.client.revoke(refresh_token).await);
    let page = connected.browser.open(&url).await.page();
    assert!(page.asks_for_consent(), "{:#?}", page.answer);
}

#[tokio::test]
async fn who_revokes_twice_is_answered_as_the_first_time() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    for token in [
        &connected.tokens.access,
        connected.tokens.refresh_token(),
        // RFC 7009 §2.2: an unknown token is not an error, for it does nothing any more.
        "never-issued",
        &"x".repeat(5000),
    ] {
        for _ in 0..2 {
            assert_done(&connected.client.revoke(token).await);
        }
    }
}

#[tokio::test]
async fn a_token_that_has_expired_is_given_back_as_any_other() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    server.advance(Duration::from_hours(1));
    assert_done(&connected.client.revoke(&connected.tokens.access).await);
    server.advance(Duration::from_hours(30 * 24));
    let refresh_token = connected.tokens.refresh_token();
    assert_done(&connected.client.revoke(refresh_token).await);
}

#[tokio::test]
async fn a_hint_helps_nobody_and_hurts_nobody() {
    let server = TestServer::start().await;
    // RFC 7009 §2.1: the server may ignore it, and must look further where it is wrong.
    for hint in ["refresh_token", "access_token", "saml_assertion", ""] {
        let connected = connect(&server).await;
        let params = Params::of([
            ("token", connected.tokens.refresh_token()),
            ("token_type_hint", hint),
        ]);
        assert_done(&connected.client.ask("/revoke", params).await);
        assert!(!opens(&server, &connected.tokens.access).await, "{hint}");
    }
}

#[tokio::test]
async fn nobody_gives_back_what_is_another_clients() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let tokens = &connected.tokens;
    for stranger in [
        OAuthClient::register(&server).await,
        OAuthClient::register_confidential(&server).await,
    ] {
        for token in [&tokens.access, tokens.refresh_token()] {
            // RFC 7009 §2.1: the request is refused and the client is told.
            let refused = stranger.revoke(token).await;
            refused.oauth_error(400, "invalid_grant");
            assert_eq!(refused.header("cache-control"), "no-store");
        }
    }
    assert!(opens(&server, &tokens.access).await);
    Tokens::of(&connected.client.refresh(tokens.refresh_token()).await);
}

#[tokio::test]
async fn a_client_with_a_secret_proves_who_it_is() {
    let server = TestServer::start().await;
    let connected = connect_confidential(&server).await;
    let id = &connected.client.id;
    let secret = connected.client.secret.as_deref().unwrap();
    let token = connected.tokens.refresh_token();
    let named = Params::of([("token", token), ("client_id", id)]);

    for wrong in [named.clone(), named.clone().and("client_secret", "wrong")] {
        let refused = server.post("/revoke").form(&wrong).send().await;
        refused.oauth_error(401, "invalid_client");
        assert_eq!(refused.header("cache-control"), "no-store");
    }
    let request = server.post("/revoke").form(&Params::of([("token", token)]));
    let refused = request
        .header("authorization", &basic(id, "wrong"))
        .send()
        .await;
    refused.oauth_error(401, "invalid_client");
    assert!(refused.header("www-authenticate").starts_with("Basic"));
    assert!(opens(&server, &connected.tokens.access).await);

    let request = server.post("/revoke").form(&Params::of([("token", token)]));
    let request = request.header("authorization", &basic(id, secret));
    assert_done(&request.send().await);
    assert!(!opens(&server, &connected.tokens.access).await);
}

#[tokio::test]
async fn who_asks_is_named_and_so_is_what_is_missing() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let token = connected.tokens.refresh_token();
    let id = connected.client.id.as_str();

    for (params, status, error, name) in [
        (
            Params::of([("client_id", id)]),
            400,
            "invalid_request",
            "token",
        ),
        (
            Params::of([("client_id", id), ("token", "")]),
            400,
            "invalid_request",
            "token",
        ),
        (
            Params::of([("client_id", id), ("token", token), ("token", token)]),
            400,
            "invalid_request",
            "token",
        ),
        (
            Params::of([("token", token)]),
            401,
            "invalid_client",
            "client_id",
        ),
        (
            Params::of([("token", token), ("client_id", "nobody")]),
            401,
            "invalid_client",
            "client_id",
        ),
        (
            Params::of([
                ("token", token),
                ("client_id", id),
                ("client_secret", "mine"),
            ]),
            401,
            "invalid_client",
            "public",
        ),
    ] {
        let refused = server.post("/revoke").form(&params).send().await;
        let description = refused.oauth_error(status, error);
        assert!(description.contains(name), "{description}");
        assert_eq!(refused.header("cache-control"), "no-store");
    }
    // Tokens in URLs end up in logs.
    let in_query = format!("/revoke?{}", Params::of([("token", token)]).encoded());
    let request = server
        .post(&in_query)
        .form(&Params::of([("client_id", id)]));
    request.send().await.oauth_error(400, "invalid_request");
    server
        .get(&in_query)
        .send()
        .await
        .oauth_error(405, "invalid_request");
    assert!(opens(&server, &connected.tokens.access).await);
}

#[tokio::test]
async fn a_body_in_json_is_understood_too() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let body = json!({
        "token": connected.tokens.refresh_token(),
        "client_id": connected.client.id,
    });
    assert_done(&server.post("/revoke").json(&body).send().await);
    assert!(!opens(&server, &connected.tokens.access).await);
}

#[tokio::test]
async fn streams_end_with_the_token_that_opened_them_and_no_others_do() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let client = &connected.client;
    let first = &connected.tokens.access;
    let second = Tokens::of(&client.refresh(connected.tokens.refresh_token()).await).access;

    let legacy = McpClient::initialized(&server, first, "2025-11-25").await;
    let mut legacy_stream = legacy.events(None).await;
    let changes = json!({ "toolsListChanged": true });
    let (mut modern_stream, _) = ModernClient::new(&server, first).listen(&changes).await;
    let (mut other_stream, _) = ModernClient::new(&server, &second).listen(&changes).await;

    assert_done(&client.revoke(first).await);
    assert_eq!(legacy_stream.rest().await, Vec::<Value>::new());
    let farewell = modern_stream.rest().await;
    assert_eq!(farewell.len(), 1, "{farewell:?}");
    server.changes().tell(Change::Tools);
    let told = other_stream.message().await;
    assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");

    // The grant takes the rest.
    assert_done(&client.revoke(connected.tokens.refresh_token()).await);
    let farewell = other_stream.rest().await;
    assert_eq!(farewell.len(), 1, "{farewell:?}");
}

#[tokio::test]
async fn a_page_can_give_tokens_back_and_read_every_refusal() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let page = "https://client.example";
    let preflight = server.preflight("/revoke", page, "authorization").await;
    assert_eq!(preflight.status, 204, "{preflight:#?}");
    assert_eq!(preflight.header("access-control-allow-origin"), "*");

    let good = Params::of([
        ("token", connected.tokens.refresh_token()),
        ("client_id", &connected.client.id),
    ]);
    for (params, status) in [(Params::default(), 401), (good, 200)] {
        let request = server.post("/revoke").header("origin", page).form(&params);
        let answer = request.send().await.expect(status);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
}

#[tokio::test]
async fn the_metadata_says_where_and_how() {
    let server = TestServer::start().await;
    let path = "/.well-known/oauth-authorization-server";
    let metadata = server.get(path).send().await.json();
    // RFC 8414 §2.
    assert_eq!(metadata["revocation_endpoint"], server.url("/revoke"));
    assert_eq!(
        metadata["revocation_endpoint_auth_methods_supported"],
        metadata["token_endpoint_auth_methods_supported"]
    );
}
