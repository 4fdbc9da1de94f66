//! The token endpoint: codes become tokens once, for the right caller, and nothing is burned by a wrong one.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::{
    Browser, McpClient, OAuthClient, Site, TestServer, Tokens, VERIFIER, basic, connect,
};

/// A client, and a code for it.
async fn client_with_code(site: &Site) -> (OAuthClient, String) {
    let client = OAuthClient::register(site).await;
    let code = client.code(&mut Browser::new(site)).await;
    (client, code)
}

#[tokio::test]
async fn a_code_becomes_tokens_that_open_the_endpoint() {
    let server = TestServer::start().await;
    let (client, code) = client_with_code(&server).await;
    let answer = client.redeem(&code).await.expect(200);

    // RFC 6749 §5.1.
    assert!(
        answer
            .header("content-type")
            .starts_with("application/json")
    );
    assert_eq!(answer.json()["expires_in"], 3600);
    assert!(!answer.body.contains("null"), "{answer:#?}");
    let tokens = Tokens::of(&answer);
    assert_eq!(tokens.scope, "mcp");
    assert_ne!(tokens.access, tokens.refresh_token());
    McpClient::initialized(&server, &tokens.access, "2025-11-25").await;
}

#[tokio::test]
async fn a_json_body_is_understood_too() {
    let server = TestServer::start().await;
    let (client, code) = client_with_code(&server).await;
    let post = async |body| server.post("/token").json(&body).send().await;

    let tokens = Tokens::of(&post(client.code_grant(&code).json()).await);
    Tokens::of(&post(client.refresh_grant(tokens.refresh_token()).json()).await);
}

#[tokio::test]
async fn the_lifetime_of_access_tokens_is_told_in_whole_seconds() {
    let server = TestServer::with([("access_token_ttl", "15m")]).await;
    let (client, code) = client_with_code(&server).await;
    assert_eq!(
        client.redeem(&code).await.expect(200).json()["expires_in"],
        900
    );
}

#[tokio::test]
async fn a_code_presented_twice_takes_back_what_it_gave() {
    let server = TestServer::start().await;
    let (client, code) = client_with_code(&server).await;
    let tokens = Tokens::of(&client.redeem(&code).await);
    let mcp = McpClient::initialized(&server, &tokens.access, "2025-11-25").await;
    let refreshed = Tokens::of(&client.refresh(tokens.refresh_token()).await);

    // RFC 6749 §4.1.2: deny, and revoke all tokens issued on that code.
    client.redeem(&code).await.oauth_error(400, "invalid_grant");
    assert_eq!(mcp.ping().await, 401);
    assert_eq!(McpClient::new(&server, &refreshed.access).ping().await, 401);
    client
        .refresh(refreshed.refresh_token())
        .await
        .oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_spent_code_in_the_hands_of_a_stranger_takes_nothing_back() {
    let server = TestServer::start().await;
    let (client, code) = client_with_code(&server).await;
    let tokens = Tokens::of(&client.redeem(&code).await);

    // The contract: only with the right client and verifier; otherwise anyone who saw a code could disconnect people.
    let stranger = OAuthClient::register(&server).await;
    stranger
        .redeem(&code)
        .await
        .oauth_error(400, "invalid_grant");
    let guess = client
        .code_grant(&code)
        .set("code_verifier", &VERIFIER.replace('d', "e"));
    client.token(&guess).await.oauth_error(400, "invalid_grant");
    McpClient::initialized(&server, &tokens.access, "2025-11-25").await;
    Tokens::of(&client.refresh(tokens.refresh_token()).await);
}

#[tokio::test]
async fn a_code_is_good_for_a_minute() {
    let server = TestServer::start().await;
    let (client, code) = client_with_code(&server).await;
    server.advance(Duration::from_secs(59));
    client.redeem(&code).await.expect(200);

    let (client, code) = client_with_code(&server).await;
    server.advance(Duration::from_secs(61));
    client.redeem(&code).await.oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_mistake_burns_nothing() {
    let server = TestServer::start().await;
    let (client, code) = client_with_code(&server).await;
    let stranger = OAuthClient::register(&server).await;
    let good = client.code_grant(&code);

    for (wrong, status, error) in [
        (
            good.clone()
                .set("code_verifier", &VERIFIER.replace('d', "e")),
            400,
            "invalid_grant",
        ),
        (
            good.clone().without("code_verifier"),
            400,
            "invalid_request",
        ),
        (
            good.clone()
                .set("redirect_uri", "https://client.example/other"),
            400,
            "invalid_grant",
        ),
        (
            good.clone().set("resource", "https://other.example/mcp"),
            400,
            "invalid_target",
        ),
        (
            good.clone().and("resource", "https://other.example/mcp"),
            400,
            "invalid_target",
        ),
        (
            good.clone().set("client_id", &stranger.id),
            400,
            "invalid_grant",
        ),
        (
            good.clone().set("client_id", "nobody"),
            401,
            "invalid_client",
        ),
        (good.clone().and("code", &code), 400, "invalid_request"),
        (
            good.clone().set("grant_type", "refresh_token"),
            400,
            "invalid_request",
        ),
        (good.clone().without("grant_type"), 400, "invalid_request"),
        (
            good.clone().set("grant_type", "password"),
            400,
            "unsupported_grant_type",
        ),
    ] {
        let answer = client.token(&wrong).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (status, &json!(error)),
            "{wrong:?}"
        );
        answer.oauth_error(status, error);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    Tokens::of(&client.token(&good).await);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let server = TestServer::start().await;
    let (client, code) = client_with_code(&server).await;
    let code_grant = client.code_grant(&code);
    let refresh_grant = client.refresh_grant("rt");

    for (grant, name) in [
        (code_grant.clone(), "grant_type"),
        (code_grant.clone(), "code"),
        (code_grant, "code_verifier"),
        (refresh_grant, "refresh_token"),
    ] {
        let answer = client.token(&grant.without(name)).await;
        let description = answer.oauth_error(400, "invalid_request");
        assert!(description.contains(name), "{description}");
    }
}

#[tokio::test]
async fn a_code_that_never_was_is_an_invalid_grant() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    for code in ["never-issued", &"c".repeat(5000)] {
        client.redeem(code).await.oauth_error(400, "invalid_grant");
    }
}

#[tokio::test]
async fn the_verifiers_grammar_counts_even_if_the_hash_fits() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;

    // RFC 7636 §4.1: 43 to 128 unreserved characters.
    for verifier in [
        "short",
        &"v".repeat(42),
        &"v".repeat(129),
        &"v w".repeat(20),
        &"é".repeat(50),
    ] {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let params = client.authorization().set("code_challenge", &challenge);
        let url = client.authorize_url_with(&params);
        let code = Browser::new(&server).approve(&url).await.code();
        let answer = client
            .token(&client.code_grant(&code).set("code_verifier", verifier))
            .await;
        assert_eq!(answer.status, 400, "{verifier}: {answer:#?}");
        let error = answer.json()["error"].clone();
        assert!(
            error == "invalid_grant" || error == "invalid_request",
            "{error}"
        );
    }
    for verifier in ["v".repeat(43), "-._~".repeat(32)] {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let params = client.authorization().set("code_challenge", &challenge);
        let url = client.authorize_url_with(&params);
        let code = Browser::new(&server).approve(&url).await.code();
        let answer = client
            .token(&client.code_grant(&code).set("code_verifier", &verifier))
            .await;
        Tokens::of(&answer);
    }
}

#[tokio::test]
async fn clients_with_a_secret_may_send_it_in_the_body_or_in_the_header() {
    let server = TestServer::start().await;

    for method in ["client_secret_basic", "client_secret_post"] {
        let members = json!({ "token_endpoint_auth_method": method });
        let client = OAuthClient::register_with(&server, members).await;
        let secret = client.secret.clone().unwrap();
        let mut browser = Browser::new(&server);

        // The contract: who registered `client_secret_basic` may also send it in the body.
        Tokens::of(&client.redeem(&client.code(&mut browser).await).await);
        if method == "client_secret_basic" {
            let grant = client.code_grant(&client.code(&mut browser).await);
            let grant = grant.without("client_id").without("client_secret");
            let request = server.post("/token").form(&grant);
            let answer = request
                .header("authorization", &basic(&client.id, &secret))
                .send()
                .await;
            Tokens::of(&answer);
        }
    }
}

#[tokio::test]
async fn a_wrong_or_missing_secret_is_an_invalid_client_and_burns_nothing() {
    let server = TestServer::start().await;
    let members = json!({ "token_endpoint_auth_method": "client_secret_basic" });
    let client = OAuthClient::register_with(&server, members).await;
    let code = client.code(&mut Browser::new(&server)).await;
    let good = client.code_grant(&code);

    for wrong in [
        good.clone().set("client_secret", "wrong"),
        good.clone().set("client_secret", ""),
        good.clone().without("client_secret"),
    ] {
        client
            .token(&wrong)
            .await
            .oauth_error(401, "invalid_client");
    }
    let anonymous = good.clone().without("client_id").without("client_secret");
    for credentials in [
        basic(&client.id, "wrong"),
        basic("nobody", "wrong"),
        "Basic ???".to_owned(),
        format!("Basic {}", BASE64_STANDARD.encode("no colon")),
    ] {
        let request = server
            .post("/token")
            .form(&anonymous)
            .header("authorization", &credentials);
        let answer = request.send().await;
        answer.oauth_error(401, "invalid_client");
        // RFC 6749 §5.2: whoever used the header is told the scheme.
        assert!(
            answer.header("www-authenticate").starts_with("Basic"),
            "{answer:#?}"
        );
    }
    Tokens::of(&client.token(&good).await);
}

#[tokio::test]
async fn a_client_that_did_not_register_for_refreshing_gets_no_refresh_token_unless_it_asks() {
    let server = TestServer::start().await;
    let members = json!({ "grant_types": ["authorization_code"] });
    let client = OAuthClient::register_with(&server, members).await;
    let tokens = client.authorize_with(&mut Browser::new(&server)).await;
    assert_eq!(tokens.refresh, None);

    let asking = client.authorization().set("scope", "mcp offline_access");
    let url = client.authorize_url_with(&asking);
    let code = Browser::new(&server).approve(&url).await.code();
    assert!(Tokens::of(&client.redeem(&code).await).refresh.is_some());
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_an_invalid_request() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let id = &client.id;

    for (content_type, body) in [
        ("application/json", "{".to_owned()),
        ("application/json", "[]".to_owned()),
        (
            "application/json",
            json!({ "client_id": id, "grant_type": 7 }).to_string(),
        ),
        (
            "application/x-www-form-urlencoded",
            format!("client_id={id}"),
        ),
        (
            "application/x-www-form-urlencoded",
            format!("client_id={id}&grant_type"),
        ),
    ] {
        let answer = server.post("/token").body(content_type, body).send().await;
        answer.oauth_error(400, "invalid_request");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn parameters_in_the_query_do_not_count() {
    let server = TestServer::start().await;
    let (client, code) = client_with_code(&server).await;
    // RFC 6749 §3.2: they belong in the body; URLs end up in logs.
    let url = format!("/token?{}", client.code_grant(&code).encoded());
    let body = format!("client_id={}", client.id);
    let request = server.post(&url);
    let answer = request
        .body("application/x-www-form-urlencoded", body)
        .send()
        .await;
    answer.oauth_error(400, "invalid_request");
    server.get(&url).send().await.expect(405);
    Tokens::of(&client.redeem(&code).await);
}

#[tokio::test]
async fn two_connections_of_one_client_live_and_die_apart() {
    let server = TestServer::start().await;
    let mut first = connect(&server).await;
    let second = first.client.authorize_with(&mut first.browser).await;
    let code = first.client.code(&mut first.browser).await;
    first.client.redeem(&code).await.expect(200);
    first
        .client
        .redeem(&code)
        .await
        .oauth_error(400, "invalid_grant");

    Tokens::of(&first.client.refresh(first.tokens.refresh_token()).await);
    Tokens::of(&first.client.refresh(second.refresh_token()).await);
}

#[tokio::test]
async fn a_request_of_very_many_parameters_costs_nothing() {
    let server = TestServer::start().await;
    // Nobody has authenticated yet: whoever sends this must not make the server compare each with each.
    let pairs: Vec<String> = (0..9_000).map(|n| format!("{n:x}=1")).collect();
    let request = server.post("/token");
    let answer = request
        .body("application/x-www-form-urlencoded", pairs.join("&"))
        .send()
        .await;
    let description = answer.oauth_error(400, "invalid_request");
    assert!(description.contains("parameters"), "{description}");

    let members: serde_json::Map<String, serde_json::Value> =
        (0..4000).map(|n| (format!("{n:x}"), json!("1"))).collect();
    let answer = server.post("/token").json(&members.into()).send().await;
    answer.oauth_error(400, "invalid_request");
}
