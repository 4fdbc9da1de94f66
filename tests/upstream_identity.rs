//! What an upstream is told of who calls: nothing, a credential of the operator's, or an assertion
//! that anybody can check.

use std::{collections::HashMap, fs};

use remote_mcp_auth::config::Config;
use serde_json::{Value, json};

use crate::support::{Api, Launch, McpClient, PASSCODE, Reply, TestServer, connect, jwt};

const TOOL: &str = "[[http_tools]]\nname = \"ask\"\ndescription = \"Asks.\"\nurl = \"API/\"\n";

fn tool(api: &Api, identity: &str) -> String {
    format!("{}{identity}\n", TOOL.replace("API", &api.url()))
}

async fn api() -> Api {
    Api::start(|_| Reply::json(200, &json!("ok"))).await
}

/// Calls the tool once, as somebody who was let in, and tells by which client.
async fn call(server: &TestServer) -> (String, String) {
    let connected = connect(server).await;
    let token = connected.tokens.access;
    let client = McpClient::initialized(server, &token, "2025-11-25").await;
    let result = client.call("ask", &json!({})).await;
    assert_eq!(result["isError"], false, "{result}");
    (connected.client.id, token)
}

#[tokio::test]
async fn a_credential_comes_from_the_environment_and_goes_to_the_upstream_alone() {
    let api = api().await;
    let directory = tempfile::tempdir().unwrap();
    let file = tool(
        &api,
        "identity = { header = \"X-Key\", prefix = \"Key \", value_env = \"API_KEY\" }\n\
         headers = { X-Second = { env = \"SECOND_KEY\" } }",
    );
    fs::write(directory.path().join("server.toml"), file).unwrap();
    let flags = HashMap::from([
        ("config", "server.toml".to_owned()),
        ("listen", "127.0.0.1:0".to_owned()),
        ("admin_listen", "127.0.0.1:0".to_owned()),
        ("sign_in_passcode", PASSCODE.to_owned()),
    ]);
    let environment = |name: &str| match name {
        "API_KEY" => Some("swordfish-1".into()),
        "SECOND_KEY" => Some("swordfish-2".into()),
        _ => None,
    };
    let config = Config::load(&flags, &environment, directory.path()).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("swordfish"), "{shown}");

    let server = TestServer::configured(config, |builder| builder).await;
    call(&server).await;
    let received = api.last();
    assert_eq!(received.header("x-key"), Some("Key swordfish-1"));
    assert_eq!(received.header("x-second"), Some("swordfish-2"));
    assert_eq!(received.header("authorization"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_in_no_line_of_the_log() {
    let api = Api::start(|_| Reply::json(500, &json!({ "message": "broken" }))).await;
    let file = tool(
        &api,
        "identity = { value_env = \"API_KEY\", prefix = \"Bearer \" }",
    );
    let program = Launch::serving()
        .file("server.toml", &file)
        .file(".env", "CONFIG_FILE=server.toml\nAPI_KEY=swordfish-1\n")
        .env("RUST_LOG", "trace")
        .start();
    let site = program.site();
    let client = McpClient::connected(&site, "2025-11-25").await;
    let result = client.call("ask", &json!({})).await;
    assert_eq!(
        result["content"][0]["text"],
        "The API answered 500 Internal Server Error: broken"
    );
    assert_eq!(
        api.last().header("authorization"),
        Some("Bearer swordfish-1")
    );
    let log = program.log();
    assert!(!log.is_empty() && !log.contains("swordfish"), "{log}");
}

#[tokio::test]
async fn an_assertion_says_who_calls_and_can_be_checked_with_published_keys() {
    let api = api().await;
    let server = TestServer::reading(&tool(&api, "identity = \"assertion\"")).await;
    let (client_id, token) = call(&server).await;
    let (now, received) = (server.now(), api.last());
    let assertion = received.header("authorization").unwrap();
    let assertion = assertion.strip_prefix("Bearer ").unwrap();

    let header = jwt::header(assertion);
    assert_eq!(
        (&header["alg"], &header["typ"]),
        (&json!("ES256"), &json!("JWT"))
    );
    let claims = jwt::claims(assertion);
    assert_eq!(claims["iss"], server.public_url());
    assert_eq!(claims["aud"], api.url());
    assert_eq!(claims["sub"], "owner");
    assert_eq!(claims["client_id"], client_id);
    assert_eq!(claims["scope"], "mcp");
    assert_eq!(
        (claims["iat"].as_u64(), claims["exp"].as_u64()),
        (Some(now), Some(now + 60))
    );

    // As whoever receives it would check it.
    let keys = server
        .get("/.well-known/jwks.json")
        .send()
        .await
        .expect(200);
    assert_eq!(keys.header("access-control-allow-origin"), "*");
    assert!(keys.header("cache-control").starts_with("public, max-age="));
    let keys = keys.json();
    let keys = keys["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["kid"] == header["kid"]).unwrap();
    assert!(key.get("d").is_none(), "{key}");
    let key = serde_json::from_value(key.clone()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&key).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    rules.set_audience(&[api.url()]);
    rules.validate_exp = false;
    jsonwebtoken::decode::<Value>(assertion, &key, &rules).unwrap();
    let mut forged = assertion.to_owned();
    forged.replace_range(..1, "f");
    assert!(jsonwebtoken::decode::<Value>(&forged, &key, &rules).is_err());

    // It is not what the client has, and every one is another.
    assert!(!format!("{received:?}").contains(&token));
    call(&server).await;
    let next = api.last();
    let next = next
        .header("authorization")
        .unwrap()
        .strip_prefix("Bearer ")
        .unwrap();
    assert_ne!(jwt::claims(next)["jti"], claims["jti"]);
}

#[tokio::test]
async fn an_assertion_has_the_audience_and_the_header_that_the_operator_says() {
    let api = api().await;
    let identity = "identity = { assertion = true, audience = \"pets\", header = \"X-Assertion\" }";
    let server = TestServer::reading(&tool(&api, identity)).await;
    call(&server).await;
    let received = api.last();
    let assertion = received
        .header("x-assertion")
        .unwrap()
        .strip_prefix("Bearer ")
        .unwrap();
    assert_eq!(jwt::claims(assertion)["aud"], "pets");
    assert_eq!(received.header("authorization"), None);
}
