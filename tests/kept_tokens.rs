//! Tokens that an identity provider gave at sign-in, for tools to call the person's own APIs with.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use remote_mcp_auth::{
    access::{ProvidedTokenError, ProvidedTokens},
    clock::{Clock as _, SystemClock},
    model::user::UserId,
    secret::ProvidedToken,
    web::fetch::{FetchAllow, FetchSettings, Fetcher},
};
use serde_json::{Value, json};
use sqlx::{Connection as _, Row as _, SqliteConnection};
use tempfile::TempDir;

use crate::{
    fake_provider::{FakeProvider, leave, sign_in},
    support::{
        Api, Browser, Launch, McpClient, OAuthClient, Reply, TestServer, Tokens, config_file, jwt,
        postgres,
        provider::{IdentityProvider, SECRET},
    },
};

const KEPT: &str = "anyone = true\nkeep_tokens = true";

/// Somebody signs in and connects an app.
async fn connect(provider: &FakeProvider, server: &TestServer) -> (OAuthClient, Tokens) {
    provider.script().refresh_token = Some("first".to_owned());
    let client = OAuthClient::register(server).await;
    let mut browser = Browser::new(server);
    let arrival = sign_in(provider, &mut browser, &client).await;
    let code = arrival.client().code();
    let tokens = Tokens::of(&client.redeem(&code).await.expect(200));
    (client, tokens)
}

fn ada(provider: &FakeProvider) -> UserId {
    UserId::of_issuer(&provider.issuer(), "ada")
}

async fn token(server: &TestServer, user: &UserId) -> String {
    let found = server.provided_tokens().token(user, "idp", None).await;
    found.expect("a token").expose().to_owned()
}

/// Whether the person is asked to sign in again.
async fn has_to_sign_in(server: &TestServer, user: &UserId) -> bool {
    match server.provided_tokens().token(user, "idp", None).await {
        Err(ProvidedTokenError::SignInAgain { sign_in }) => {
            assert!(sign_in.starts_with(server.public_url()), "{sign_in}");
            true
        }
        _ => false,
    }
}

#[tokio::test]
async fn a_token_is_given_while_it_lasts_and_refreshed_after() {
    let provider = FakeProvider::start().await;
    let server = provider.server(KEPT, "").await;
    connect(&provider, &server).await;
    let user = ada(&provider);
    assert_eq!(token(&server, &user).await, "access 1");
    server.advance(Duration::from_mins(58));
    assert_eq!(token(&server, &user).await, "access 1");
    assert_eq!(provider.script().refreshed, 0);
    // Early enough for the call that it is for.
    server.advance(Duration::from_mins(1));
    assert_eq!(token(&server, &user).await, "access 2");
    assert_eq!(token(&server, &user).await, "access 2");
    server.advance(Duration::from_hours(1));
    assert_eq!(token(&server, &user).await, "access 3");
    assert_eq!(provider.script().refreshed, 2);
}

#[tokio::test]
async fn nothing_is_kept_unless_the_operator_wants_it() {
    let provider = FakeProvider::start().await;
    let server = provider.server("anyone = true", "").await;
    connect(&provider, &server).await;
    assert!(has_to_sign_in(&server, &ada(&provider)).await);

    let provider = FakeProvider::start().await;
    let server = provider.server(KEPT, "").await;
    connect(&provider, &server).await;
    for nobody in [
        UserId::owner(),
        UserId::of_issuer(&provider.issuer(), "charles"),
    ] {
        assert!(has_to_sign_in(&server, &nobody).await);
    }
    let unknown = server
        .provided_tokens()
        .token(&ada(&provider), "other", None)
        .await;
    assert!(matches!(
        unknown,
        Err(ProvidedTokenError::SignInAgain { .. })
    ));
}

#[tokio::test]
async fn a_token_that_the_api_refuses_is_not_given_again() {
    let provider = FakeProvider::start().await;
    let server = provider.server(KEPT, "").await;
    connect(&provider, &server).await;
    let refused = ProvidedToken::received("access 1");
    let found = server
        .provided_tokens()
        .token(&ada(&provider), "idp", Some(&refused))
        .await;
    assert_eq!(found.unwrap().expose(), "access 2");
    // One that was refused before somebody else refreshed it costs nothing.
    let found = server
        .provided_tokens()
        .token(&ada(&provider), "idp", Some(&refused))
        .await;
    assert_eq!(found.unwrap().expose(), "access 2");
    assert_eq!(provider.script().refreshed, 1);
}

#[tokio::test]
async fn a_grant_that_the_provider_ends_ends_that_link_and_nothing_else() {
    let provider = FakeProvider::start().await;
    let server = provider.server(KEPT, "").await;
    let (client, tokens) = connect(&provider, &server).await;
    let user = ada(&provider);
    provider.script().refresh_token = None;
    server.advance(Duration::from_hours(1));
    assert!(has_to_sign_in(&server, &user).await);
    assert_eq!(provider.script().refreshed, 1);
    // It is not asked again for what it has ended.
    assert!(has_to_sign_in(&server, &user).await);
    assert_eq!(provider.script().refreshed, 1);
    let refreshed = client.refresh(tokens.refresh_token()).await.expect(200);
    let mut mcp = crate::support::McpClient::new(&server, &Tokens::of(&refreshed).access);
    mcp.initialize("2025-11-25").await;

    // Whoever signs in again has one again.
    provider.script().now = server.now();
    connect(&provider, &server).await;
    assert!(!has_to_sign_in(&server, &user).await);
}

#[tokio::test]
async fn a_provider_that_is_down_ends_nothing() {
    let provider = FakeProvider::start().await;
    let server = provider.server(KEPT, "").await;
    connect(&provider, &server).await;
    server.advance(Duration::from_hours(1));
    provider.script().refusal = Some((503, json!({})));
    let found = server
        .provided_tokens()
        .token(&ada(&provider), "idp", None)
        .await;
    assert!(matches!(found, Err(ProvidedTokenError::Unavailable(_))));
    provider.script().refusal = None;
    assert_eq!(token(&server, &ada(&provider)).await, "access 3");
}

#[tokio::test]
async fn a_refresh_token_that_is_not_replaced_goes_on() {
    let provider = FakeProvider::start().await;
    let server = provider.server(KEPT, "").await;
    connect(&provider, &server).await;
    // At the next sign-in the provider gives none, as some do.
    let good = provider.script().refresh_token.take();
    let client = OAuthClient::register(&server).await;
    let arrival = sign_in(&provider, &mut Browser::new(&server), &client).await;
    arrival.client().code();
    provider.script().refresh_token = good;
    server.advance(Duration::from_hours(1));
    assert_eq!(token(&server, &ada(&provider)).await, "access 3");
}

/// Many calls at once, on all servers.
async fn tokens_at_once(servers: &[&TestServer], user: &UserId) -> Vec<String> {
    let tokens: Vec<Arc<dyn ProvidedTokens>> = servers
        .iter()
        .map(|server| server.provided_tokens())
        .collect();
    let calls = (0..20).map(|number| {
        let tokens = Arc::clone(&tokens[number % tokens.len()]);
        async move {
            let found = tokens.token(user, "idp", None).await;
            found.expect("a token").expose().to_owned()
        }
    });
    join_all(calls).await
}

#[tokio::test]
async fn one_refresh_is_in_flight() {
    let provider = FakeProvider::start().await;
    let server = provider.server(KEPT, "").await;
    connect(&provider, &server).await;
    server.advance(Duration::from_hours(1));
    let given = tokens_at_once(&[&server], &ada(&provider)).await;
    assert!(given.iter().all(|token| token == "access 2"), "{given:?}");
    assert_eq!(provider.script().refreshed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refresh_is_in_flight_on_all_replicas() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let provider = FakeProvider::start().await;
    let database = format!("database_url = \"{url}\"");
    let (one, other) = (
        provider.server(KEPT, &database).await,
        provider.server(KEPT, &database).await,
    );
    connect(&provider, &one).await;
    for server in [&one, &other] {
        server.advance(Duration::from_hours(1));
    }
    let given = tokens_at_once(&[&one, &other], &ada(&provider)).await;
    assert!(given.iter().all(|token| token == "access 2"), "{given:?}");
    assert_eq!(provider.script().refreshed, 1);
}

#[tokio::test]
async fn whoever_has_the_database_has_no_tokens_and_keys_may_change() {
    let provider = FakeProvider::start().await;
    let home = TempDir::new().unwrap();
    let url = format!("sqlite://{}", home.path().join("state.db").display());
    let database = format!("database_url = \"{url}\"");
    let server = provider.server(KEPT, &database).await;
    connect(&provider, &server).await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let rows = sqlx::query("SELECT sealed FROM links").fetch_all(&mut connection);
    let rows = rows.await.unwrap();
    assert_eq!(rows.len(), 1);
    let sealed: Vec<u8> = rows[0].get("sealed");
    for secret in ["access 1", "refresh 1"] {
        let found = sealed.windows(secret.len()).any(|w| w == secret.as_bytes());
        assert!(!found, "{secret}");
    }

    // New keys seal from now on, and the old one opens as long as it is needed.
    server.admin().post("/keys").send().await.expect(204);
    server.advance(Duration::from_mins(30));
    assert_eq!(token(&server, &ada(&provider)).await, "access 1");
}

#[tokio::test]
async fn a_real_provider_gives_tokens_that_outlast_the_sign_in() {
    let story_is = "tokens of a real provider";
    let redirect_uri = "https://mcp.example.com/sign-in/idp/callback";
    let Some(mut provider) = IdentityProvider::start(story_is, redirect_uri).await else {
        return;
    };
    let config = config_file(&format!(
        "public_url = \"https://mcp.example.com\"\n[[sign_in_providers]]\nid = \"idp\"\n\
         issuer = \"{}\"\nclient_id = \"us\"\nclient_secret = \"{}\"\n{KEPT}",
        provider.issuer, SECRET,
    ));
    let fetcher = Fetcher::with(FetchSettings {
        certificates: Some(provider.authority().into()),
        ..FetchSettings::new(FetchAllow::new(vec!["localhost".to_owned()], Vec::new()))
    });
    let server = TestServer::configured(config, |builder| builder.fetcher(fetcher)).await;
    // The provider knows what time it is.
    let ahead = SystemClock.now().as_secs() - server.now();
    server.advance(Duration::from_secs(ahead));

    provider.expect(json!({ "sub": "ada" })).await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let departure = leave(&mut browser, &client).await;
    let back = provider.visit(&departure).await;
    browser.open(&back).await.client().code();

    let user = UserId::of_issuer(&provider.issuer, "ada");
    let first = token(&server, &user).await;
    server.advance(Duration::from_hours(1));
    let second = token(&server, &user).await;
    assert_ne!(first, second);
    // What is kept now was given by the refresh: it works once more.
    server.advance(Duration::from_hours(1));
    assert_ne!(token(&server, &user).await, second);
}

/// A tool of the person's own API.
fn own_tool(api: &Api, identity: &str) -> String {
    let url = api.url();
    format!(
        "[[http_tools]]\nname = \"ask\"\ndescription = \"Asks.\"\nurl = \"{url}/\"\n\
         identity = {identity}\n"
    )
}

async fn ask(server: &TestServer, tokens: &Tokens) -> Value {
    let mcp = McpClient::initialized(server, &tokens.access, "2025-11-25").await;
    mcp.call("ask", &json!({})).await
}

#[tokio::test]
async fn a_tool_calls_the_persons_own_api_with_the_persons_own_token() {
    let provider = FakeProvider::start().await;
    let api = Api::start(|request| match request.header("authorization") {
        Some("Bearer access 2") => Reply::json(200, &json!("hello")),
        _ => Reply::json(401, &json!({ "message": "no longer" })),
    })
    .await;
    let tool = own_tool(&api, "{ provider = \"idp\" }");
    let server = provider.server(KEPT, &tool).await;
    let (_, tokens) = connect(&provider, &server).await;
    // The first is refused, and another one is got.
    let result = ask(&server, &tokens).await;
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(api.last().header("authorization"), Some("Bearer access 2"));
    assert_eq!(provider.script().refreshed, 1);
}

#[tokio::test]
async fn without_a_token_the_model_is_told_where_the_person_signs_in() {
    let provider = FakeProvider::start().await;
    let api = Api::start(|_| Reply::json(401, &json!({ "message": "no longer" }))).await;
    let tool = own_tool(&api, "{ provider = \"idp\" }");
    let server = provider.server(KEPT, &tool).await;
    let (_, tokens) = connect(&provider, &server).await;
    provider.script().refresh_token = None;
    let result = ask(&server, &tokens).await;
    assert_eq!(result["isError"], true, "{result}");
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("401") || text.contains("sign in at"),
        "{text}"
    );
}

#[tokio::test]
async fn an_assertion_says_what_the_provider_vouches_for() {
    let provider = FakeProvider::start().await;
    let api = Api::start(|_| Reply::json(200, &json!("hello"))).await;
    let tool = own_tool(&api, "\"assertion\"");
    let server = provider.server("anyone = true", &tool).await;
    let (_, tokens) = connect(&provider, &server).await;
    ask(&server, &tokens).await;
    let last = api.last();
    let assertion = last.header("authorization").unwrap();
    let claims = jwt::claims(assertion);
    assert_eq!(claims["email"], "ada@example.com", "{claims}");
    assert_eq!(claims["sub"], ada(&provider).as_str());
}

#[test]
fn a_provider_that_keeps_no_tokens_is_no_identity() {
    let file = "[[http_tools]]\nname = \"ask\"\ndescription = \"Asks.\"\n\
                url = \"https://api.example.com/\"\nidentity = { provider = \"idp\" }\n";
    let ended = Launch::serving()
        .file("server.toml", file)
        .env("CONFIG_FILE", "server.toml")
        .args(&["check"])
        .run();
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("keep_tokens"), "{ended:#?}");
}
