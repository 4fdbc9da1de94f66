//! Real clients against the real binary: discovery, registration, sign-in, tools, refresh.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rcgen::KeyPair;
use rmcp::{
    RoleClient, ServiceExt as _,
    model::CallToolRequestParams,
    service::RunningService,
    transport::{
        AuthClient, AuthorizationRequest, CredentialStore as _, InMemoryCredentialStore,
        StoredCredentials, StreamableHttpClientTransport, auth::OAuthState,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::json;
use tokio::{process::Command, time::timeout};

use crate::support::{Browser, Launch, PASSCODE, Site, outside};

#[tokio::test]
async fn typescript_sdk_1_goes_the_whole_way() {
    node("typescript-sdk-1.mjs", &[]).await;
}

#[tokio::test]
async fn typescript_sdk_2_goes_the_whole_way() {
    node("typescript-sdk-2.mjs", &[]).await;
}

#[tokio::test]
async fn typescript_sdk_2_goes_the_whole_way_when_it_asks_for_our_versions_first() {
    node("typescript-sdk-2.mjs", &["auto"]).await;
}

/// Runs one of the scripts in `tests/clients` against a server whose access tokens soon expire.
async fn node(script: &str, arguments: &[&str]) {
    let server = Launch::serving().env("ACCESS_TOKEN_TTL", "2s");
    run(script, arguments, server, &[]).await;
}

#[tokio::test]
async fn oauth4webapi_goes_the_whole_way_without_a_secret() {
    strict(OAUTH4WEBAPI, CODE, "none", &[]).await;
}

#[tokio::test]
async fn oauth4webapi_goes_the_whole_way_with_a_secret() {
    strict(OAUTH4WEBAPI, CODE, "client_secret_post", &[]).await;
    strict(OAUTH4WEBAPI, CODE, "client_secret_basic", &[]).await;
}

#[tokio::test]
async fn oauth4webapi_goes_the_whole_way_with_a_key() {
    for algorithm in ["RS256", "ES256", "Ed25519"] {
        strict(OAUTH4WEBAPI, CODE, SIGNED, &["--key", algorithm]).await;
    }
}

#[tokio::test]
async fn oauth4webapi_goes_the_whole_way_with_tokens_that_are_bound() {
    for nonces in ["off", "on"] {
        let server = || Launch::serving().env("DPOP_NONCES", nonces);
        strict_with(server(), OAUTH4WEBAPI, CODE, "none", &["--dpop", "ES256"]).await;
        let signed = ["--key", "ES256", "--dpop", "Ed25519"];
        strict_with(server(), OAUTH4WEBAPI, CODE, SIGNED, &signed).await;
    }
}

#[tokio::test]
async fn oauth4webapi_acts_on_its_own_authority() {
    for method in ["client_secret_basic", "client_secret_post", SIGNED] {
        strict(OAUTH4WEBAPI, ON_ITS_OWN, method, &[]).await;
    }
}

#[tokio::test]
async fn openid_client_goes_the_whole_way_without_a_secret() {
    strict(OPENID_CLIENT, CODE, "none", &[]).await;
}

#[tokio::test]
async fn openid_client_goes_the_whole_way_with_a_secret() {
    strict(OPENID_CLIENT, CODE, "client_secret_post", &[]).await;
    strict(OPENID_CLIENT, CODE, "client_secret_basic", &[]).await;
}

#[tokio::test]
async fn openid_client_goes_the_whole_way_with_a_key() {
    for algorithm in ["RS256", "ES256", "Ed25519"] {
        strict(OPENID_CLIENT, CODE, SIGNED, &["--key", algorithm]).await;
    }
}

#[tokio::test]
async fn openid_client_goes_the_whole_way_with_tokens_that_are_bound() {
    for nonces in ["off", "on"] {
        let server = || Launch::serving().env("DPOP_NONCES", nonces);
        strict_with(server(), OPENID_CLIENT, CODE, "none", &["--dpop", "ES256"]).await;
        let signed = ["--key", "ES256", "--dpop", "Ed25519"];
        strict_with(server(), OPENID_CLIENT, CODE, SIGNED, &signed).await;
    }
}

#[tokio::test]
async fn openid_client_acts_on_its_own_authority() {
    for method in ["client_secret_basic", "client_secret_post", SIGNED] {
        strict(OPENID_CLIENT, ON_ITS_OWN, method, &[]).await;
    }
}

const OAUTH4WEBAPI: &str = "oauth4webapi.mjs";
const OPENID_CLIENT: &str = "openid-client.mjs";
const CODE: &str = "code";
const ON_ITS_OWN: &str = "client_credentials";
const SIGNED: &str = "private_key_jwt";

/// Tells one of the stories of `tests/clients/strict.mjs` with one library.
async fn strict(script: &str, story: &str, method: &str, more: &[&str]) {
    strict_with(Launch::serving(), script, story, method, more).await;
}

/// The same with a server of some kind. It knows a client by a key, and another one and a resource
/// server by secrets that are hard to put into a header.
async fn strict_with(server: Launch, script: &str, story: &str, method: &str, more: &[&str]) {
    const CLIENT_SECRET: &str = "100%25 free + easy: %41/ä?";
    const RESOURCE_SERVER_SECRET: &str = "files & folders = 2";
    let key = KeyPair::generate().expect("a key");
    // Uncompressed (SEC 1 §2.3.3): a 4, then both coordinates.
    let (x, y) = key.public_key_raw()[1..].split_at(32);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let file = format!(
        r#"
        [[clients]]
        client_id = "nightly-report"
        client_secret = "{CLIENT_SECRET}"
        grant_types = ["client_credentials"]

        [[clients]]
        client_id = "nightly-signer"
        token_endpoint_auth_method = "private_key_jwt"
        jwks = {{ keys = [{{ kty = "EC", crv = "P-256", x = "{x}", y = "{y}" }}] }}
        grant_types = ["client_credentials"]

        [[resource_servers]]
        client_id = "files-api"
        client_secret = "{RESOURCE_SERVER_SECRET}"
        "#
    );
    let server = server
        .file("server.toml", &file)
        .env("CONFIG_FILE", "server.toml");
    let signs = method == SIGNED;
    let client_id = if signs {
        "nightly-signer"
    } else {
        "nightly-report"
    };
    let told = [
        ("CLIENT_ID", client_id),
        ("CLIENT_SECRET", CLIENT_SECRET),
        ("CLIENT_KEY", &STANDARD.encode(key.serialized_der())),
        ("RESOURCE_SERVER_ID", "files-api"),
        ("RESOURCE_SERVER_SECRET", RESOURCE_SERVER_SECRET),
    ];
    let arguments = [&[story, "--method", method], more].concat();
    run(script, &arguments, server, &told).await;
}

/// One of the scripts in `tests/clients`, to be run. Where that cannot be, it says so.
pub(crate) async fn script_of_ours(script: &str) -> Option<Command> {
    if !outside::has_node(script).await {
        return None;
    }
    outside::packages(script, "tests/clients")?;
    let mut command = Command::new("node");
    command.arg(outside::here("tests/clients").join(script));
    Some(command)
}

/// Runs one of the scripts in `tests/clients` against a server, with what it is told besides.
async fn run(script: &str, arguments: &[&str], server: Launch, told: &[(&str, &str)]) {
    let Some(mut command) = script_of_ours(script).await else {
        return;
    };
    let server = server.start();
    command
        .arg(server.site().url("/mcp"))
        .args(arguments)
        .env("SIGN_IN_PASSCODE", PASSCODE)
        .envs(told.iter().copied());
    outside::run(command, &server).await;
}

#[tokio::test]
async fn rmcp_goes_the_whole_way() {
    let server = Launch::serving().start();
    let journey = timeout(outside::LIMIT, rmcp(&server.site())).await;
    journey.expect("rmcp to arrive in time");
}

async fn rmcp(site: &Site) {
    const REDIRECT_URI: &str = "http://127.0.0.1:43110/callback";
    let connector_url = site.url("/mcp");

    // Discovery, registration, sign-in through the pages, exchange of the code.
    let mut oauth = OAuthState::new(&connector_url, None)
        .await
        .expect("a client");
    oauth
        .start_authorization(AuthorizationRequest::new(REDIRECT_URI).with_client_name("rmcp"))
        .await
        .expect("discovery and registration");
    let authorization_url = oauth
        .get_authorization_url()
        .await
        .expect("where to send the user");
    let callback = Browser::new(site).approve(&authorization_url).await;
    oauth
        .handle_callback_url(&callback.url)
        .await
        .expect("tokens for the code");

    // rmcp remembers tokens in a store; we keep a hand on it to make them grow old.
    let (client_id, tokens) = oauth.get_credentials().await.expect("credentials");
    let mut manager = oauth
        .into_authorization_manager()
        .expect("to be authorized");
    let store = InMemoryCredentialStore::new();
    let credentials = StoredCredentials::new(client_id, tokens, vec!["mcp".to_owned()], None)
        .with_issuer(Some(site.public_url().to_owned()));
    store.save(credentials).await.expect("to remember");
    manager.set_credential_store(store.clone());

    let transport = StreamableHttpClientTransport::with_client(
        AuthClient::new(reqwest::Client::default(), manager),
        StreamableHttpClientTransportConfig::with_uri(connector_url),
    );
    let client = ().serve(transport).await.expect("initialize");
    let tools = client.list_all_tools().await.expect("tools/list");
    assert!(
        tools
            .iter()
            .any(|tool| tool.name == "best_person_looker_upper")
    );
    look_up_ada(&client).await;

    // A token that the server refuses: rmcp refreshes on the 401.
    let issued = remembered(&store).await;
    let spoilt = "no-longer-valid".into();
    remember(&store, &issued, "/token_response/access_token", spoilt).await;
    look_up_ada(&client).await;
    let refreshed = remembered(&store).await;
    assert_rotated(&issued, &refreshed);

    // A token that rmcp knows to be old: it refreshes before it asks.
    remember(&store, &refreshed, "/token_received_at", 1.into()).await;
    look_up_ada(&client).await;
    let refreshed_again = remembered(&store).await;
    assert_rotated(&refreshed, &refreshed_again);

    client.cancel().await.expect("to leave");
}

/// Calls the example tool and insists on its answer.
async fn look_up_ada(client: &RunningService<RoleClient, ()>) {
    let arguments = rmcp::object!({"startsWith": "A"});
    let request = CallToolRequestParams::new("best_person_looker_upper").with_arguments(arguments);
    let result = client.call_tool(request).await.expect("tools/call");
    let person = result.structured_content.expect("structured content");
    assert_eq!(person.get("name"), Some(&json!("Ada Lovelace")));
}

/// What rmcp remembers, as JSON.
async fn remembered(store: &InMemoryCredentialStore) -> serde_json::Value {
    let stored = store.load().await.expect("a store").expect("credentials");
    serde_json::to_value(stored).expect("JSON")
}

/// Makes rmcp remember something else in one place.
async fn remember(
    store: &InMemoryCredentialStore,
    stored: &serde_json::Value,
    path: &str,
    value: serde_json::Value,
) {
    let mut changed = stored.clone();
    *changed.pointer_mut(path).expect("what rmcp remembers") = value;
    let changed = serde_json::from_value(changed).expect("credentials");
    store.save(changed).await.expect("to remember");
}

/// Insists that both tokens are new.
fn assert_rotated(before: &serde_json::Value, after: &serde_json::Value) {
    for token in ["access_token", "refresh_token"] {
        let path = format!("/token_response/{token}");
        let value = |stored: &serde_json::Value| stored.pointer(&path).cloned();
        assert!(
            value(after).is_some_and(|value| value.is_string()),
            "{after}"
        );
        assert_ne!(value(before), value(after));
    }
}
