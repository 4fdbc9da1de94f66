//! Clients that act for nobody but themselves (RFC 6749 §4.4): the operator has set them up, and they
//! come with a secret.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, Arrival, Browser, McpClient, ModernClient, OAuthClient, Params, REDIRECT_URI, Site,
    TestServer, Tokens, basic,
};

const FILE: &str = r#"
[[scopes]]
name = "read"
description = "Read what is there"
tools = ["best_*"]

[[scopes]]
name = "write"
description = "Change what is there"

[[clients]]
client_id = "nightly-report"
client_name = "Nightly report"
client_secret = "a secret of the night"
grant_types = ["client_credentials"]
redirect_uris = ["https://client.example/callback"]
scope = "read"

[[clients]]
client_id = "free-hand"
client_secret = "100%25 free + easy: %41"
grant_types = ["client_credentials"]

[[clients]]
client_id = "people-only"
client_secret = "a secret of the people"
redirect_uris = ["https://client.example/callback"]

[[clients]]
client_id = "no-secret"
grant_types = ["client_credentials"]
"#;

const TOOL: &str = "best_person_looker_upper";

fn nightly(site: &Site) -> OAuthClient {
    OAuthClient::known_as(site, "nightly-report", REDIRECT_URI).with_secret("a secret of the night")
}

fn free_hand(site: &Site) -> OAuthClient {
    OAuthClient::known_as(site, "free-hand", "").with_secret("100%25 free + easy: %41")
}

/// What a client sends, but for who it is.
fn own_grant() -> Params {
    Params::of([("grant_type", "client_credentials")])
}

async fn ask(client: &OAuthClient) -> Answer {
    client.ask("/token", own_grant()).await
}

async fn grants(server: &TestServer) -> Vec<Value> {
    let body = server
        .admin()
        .get("/grants")
        .send()
        .await
        .expect(200)
        .json();
    body["grants"].as_array().unwrap().clone()
}

/// A refusal of the token endpoint, and its text.
#[track_caller]
fn refusal(answer: &Answer, status: u16, error: &str) -> String {
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.oauth_error(status, error)
}

#[tokio::test]
async fn a_client_gets_a_token_that_opens_the_endpoint_in_either_era() {
    let server = TestServer::reading(FILE).await;
    let client = nightly(&server);
    let in_header = server.post("/token").form(&own_grant());
    let in_header = in_header.header("authorization", &basic(&client.id, "a secret of the night"));
    let in_json = json!({
        "grant_type": "client_credentials",
        "client_id": client.id,
        "client_secret": client.secret,
    });

    for answer in [
        ask(&client).await,
        in_header.send().await,
        server.post("/token").json(&in_json).send().await,
    ] {
        let tokens = Tokens::of(&answer);
        assert_eq!(answer.json()["expires_in"], 3600);
        // RFC 6749 §4.4.3: the client can come again.
        assert_eq!(tokens.refresh, None);
        assert_eq!(tokens.scope, "read");
        let arguments = json!({ "startsWith": "a" });
        let legacy = McpClient::initialized(&server, &tokens.access, "2025-11-25").await;
        let modern = ModernClient::new(&server, &tokens.access);
        for result in [
            legacy.call(TOOL, &arguments).await,
            modern.call(TOOL, &arguments).await,
        ] {
            assert_eq!(result["structuredContent"]["name"], "Ada Lovelace");
        }
    }
}

#[tokio::test]
async fn a_secret_of_any_characters_can_stand_in_the_header() {
    let server = TestServer::reading(FILE).await;
    let client = free_hand(&server);
    let ask = async |secret: &str| {
        let request = server.post("/token").form(&own_grant());
        let credentials = basic(&client.id, secret);
        request.header("authorization", &credentials).send().await
    };
    // RFC 6749 §2.3.1: form-encoded. Some clients escape blanks in another way, some forget it all.
    for sent in [
        "100%2525+free+%2B+easy%3A+%2541",
        "100%2525%20free%20%2B%20easy%3A%20%2541",
        "100%25 free + easy: %41",
    ] {
        Tokens::of(&ask(sent).await);
    }
    for wrong in ["100% free + easy: A", "100%2525 free   easy: %2541", "%FF"] {
        refusal(&ask(wrong).await, 401, "invalid_client");
    }
    // In the body there is but one reading.
    Tokens::of(&self::ask(&client).await);
    let read_twice = client.clone().with_secret("100%2525 free + easy: %2541");
    refusal(&self::ask(&read_twice).await, 401, "invalid_client");
}

#[tokio::test]
async fn a_client_gets_what_it_asks_for_of_what_it_may_have() {
    let server = TestServer::reading(FILE).await;
    let bound = nightly(&server);
    let free = free_hand(&server);
    for (client, scope, granted) in [
        (&bound, "", "read"),
        (&bound, "read", "read"),
        // RFC 6749 §3.3: less than was asked for, and the client is told.
        (&bound, "read write offline_access openid", "read"),
        (&free, "", "read"),
        (&free, "write", "write"),
        (&free, "write read", "read write"),
        (&free, "write offline_access", "write"),
        // As for people's clients: what we do not know asks for nothing.
        (&free, "openid", "read"),
    ] {
        let answer = client.ask("/token", own_grant().and("scope", scope)).await;
        let tokens = Tokens::of(&answer);
        assert_eq!(tokens.scope, granted, "{} asked for {scope:?}", client.id);
        // And that is what the token is good for.
        let modern = ModernClient::new(&server, &tokens.access);
        let call = json!({ "name": TOOL, "arguments": { "startsWith": "a" } });
        let status = modern.request("tools/call", &call).await.status;
        let expected = if granted.contains("read") { 200 } else { 403 };
        assert_eq!(status, expected, "{granted}");
    }
}

#[tokio::test]
async fn a_client_that_may_have_nothing_of_it_is_told_so() {
    let server = TestServer::reading(FILE).await;
    let client = nightly(&server);
    for scope in ["write", "offline_access", "openid profile", "\u{e9}"] {
        let answer = client.ask("/token", own_grant().and("scope", scope)).await;
        let description = refusal(&answer, 400, "invalid_scope");
        assert!(description.contains("scope"), "{description}");
    }
    assert_eq!(grants(&server).await, Vec::<Value>::new());
}

#[tokio::test]
async fn who_was_not_set_up_for_it_has_no_authority_of_its_own() {
    let server = TestServer::reading(FILE).await;
    let people_only = OAuthClient::known_as(&server, "people-only", REDIRECT_URI);
    let people_only = people_only.with_secret("a secret of the people");
    let no_secret = OAuthClient::known_as(&server, "no-secret", "");
    // Nobody can give it to themselves.
    let registered = OAuthClient::register_with(
        &server,
        json!({
            "token_endpoint_auth_method": "client_secret_basic",
            "grant_types": ["authorization_code", "client_credentials"],
        }),
    )
    .await;

    for (client, word) in [
        (people_only, "operator"),
        (registered, "operator"),
        // RFC 6749 §4.4: the grant must only be used by confidential clients.
        (no_secret, "does not authenticate"),
    ] {
        let description = refusal(&ask(&client).await, 400, "unauthorized_client");
        assert!(description.contains(word), "{}: {description}", client.id);
    }
    assert_eq!(grants(&server).await, Vec::<Value>::new());
}

#[tokio::test]
async fn without_the_secret_there_is_no_token() {
    let server = TestServer::reading(FILE).await;
    let client = nightly(&server);
    for wrong in [
        OAuthClient::known_as(&server, &client.id, ""),
        client.clone().with_secret("wrong"),
        client.clone().with_secret(""),
        client.clone().with_secret("a secret of the night "),
        free_hand(&server).with_secret("a secret of the night"),
    ] {
        refusal(&ask(&wrong).await, 401, "invalid_client");
    }
    let request = server.post("/token").form(&own_grant());
    let request = request.header("authorization", &basic(&client.id, "wrong"));
    let refused = request.send().await;
    refusal(&refused, 401, "invalid_client");
    assert!(refused.header("www-authenticate").starts_with("Basic"));
}

#[tokio::test]
async fn the_resource_may_be_named_and_must_be_ours() {
    let server = TestServer::reading(FILE).await;
    let client = nightly(&server);
    let named = |resource: &str| own_grant().and("resource", resource);
    let answer = client.ask("/token", named(&server.url("/mcp"))).await;
    Tokens::of(&answer);

    // RFC 8707 §2.
    let twice = named(&server.url("/mcp")).and("resource", "https://other.example/mcp");
    for wrong in [named("https://other.example/mcp"), named("mcp"), twice] {
        let answer = client.ask("/token", wrong).await;
        let description = refusal(&answer, 400, "invalid_target");
        assert!(description.contains(&server.url("/mcp")), "{description}");
    }
}

#[tokio::test]
async fn what_nobody_can_use_is_not_offered() {
    let path = "/.well-known/oauth-authorization-server";
    let offered = async |server: &TestServer| {
        let metadata = server.get(path).send().await.expect(200).json();
        let types = metadata["grant_types_supported"]
            .as_array()
            .unwrap()
            .clone();
        assert!(types.contains(&json!("authorization_code")), "{types:?}");
        types.contains(&json!("client_credentials"))
    };
    assert!(offered(&TestServer::reading(FILE).await).await);

    let server = TestServer::start().await;
    assert!(!offered(&server).await);
    let client = OAuthClient::register_confidential(&server).await;
    let description = refusal(&ask(&client).await, 400, "unsupported_grant_type");
    assert!(description.contains("authorization_code"), "{description}");
    assert!(!description.contains("client_credentials"), "{description}");
}

#[tokio::test]
async fn however_often_a_client_comes_it_has_one_grant() {
    let server = TestServer::reading(FILE).await;
    let client = nightly(&server);
    let first = Tokens::of(&ask(&client).await);
    let [created] = &grants(&server).await[..] else {
        panic!("not one grant");
    };
    assert_eq!(created["user"], "client:nightly-report");
    assert_eq!(created["client_id"], "nightly-report");
    assert_eq!(created["client_name"], "Nightly report");
    assert_eq!(created["scope"], "read");
    assert_eq!(created["resource"], server.url("/mcp"));

    server.advance(Duration::from_mins(10));
    let second = Tokens::of(&ask(&client).await);
    assert_ne!(first.access, second.access);
    let [listed] = &grants(&server).await[..] else {
        panic!("not one grant");
    };
    assert_eq!(listed["id"], created["id"]);
    assert_eq!(listed["created_at"], created["created_at"]);
    let used = |grant: &Value| grant["last_used_at"].as_u64().unwrap();
    assert_eq!(used(listed), used(created) + 600);
    // The new token does not end the old one: a client may run twice.
    for tokens in [&first, &second] {
        McpClient::initialized(&server, &tokens.access, "2025-11-25").await;
    }
}

#[tokio::test]
async fn the_grant_says_what_the_client_may_have_and_not_what_it_asked_for_once() {
    let server = TestServer::reading(FILE).await;
    let client = free_hand(&server);
    for scope in ["write", "read"] {
        let answer = client.ask("/token", own_grant().and("scope", scope)).await;
        assert_eq!(Tokens::of(&answer).scope, scope);
        let grants = grants(&server).await;
        assert_eq!(grants.len(), 1, "{grants:?}");
        assert_eq!(grants[0]["scope"], "read write");
    }
}

#[tokio::test]
async fn the_operator_ends_all_of_it_and_the_client_may_come_again() {
    let server = TestServer::reading(FILE).await;
    let client = nightly(&server);
    let tokens = [
        Tokens::of(&ask(&client).await),
        Tokens::of(&ask(&client).await),
    ];
    let mcp = McpClient::initialized(&server, &tokens[0].access, "2025-11-25").await;
    let mut stream = mcp.events(None).await;
    let changes = json!({ "toolsListChanged": true });
    let modern = ModernClient::new(&server, &tokens[1].access);
    let (mut listening, _) = modern.listen(&changes).await;

    let id = grants(&server).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/grants/{id}");
    let request = server.admin().request(Method::DELETE, &path);
    request.send().await.expect(204);
    assert_eq!(stream.rest().await, Vec::<Value>::new());
    assert_eq!(listening.rest().await.len(), 1);
    for tokens in &tokens {
        let mcp = McpClient::new(&server, &tokens.access);
        assert_eq!(mcp.ping().await, 401);
    }
    assert_eq!(grants(&server).await, Vec::<Value>::new());

    let again = Tokens::of(&ask(&client).await);
    McpClient::initialized(&server, &again.access, "2025-11-25").await;
    assert_eq!(grants(&server).await[0]["id"], id.as_str());
    assert_eq!(mcp.ping().await, 401);
}

#[tokio::test]
async fn a_token_can_be_asked_about_and_given_back_and_expires() {
    let server = TestServer::reading(FILE).await;
    let client = nightly(&server);
    let tokens = Tokens::of(&ask(&client).await);
    let said = client.introspect(&tokens.access).await.expect(200).json();
    assert_eq!(said["active"], true, "{said}");
    for member in ["sub", "username"] {
        assert_eq!(said[member], "client:nightly-report", "{said}");
    }
    assert_eq!(said["client_id"], "nightly-report");
    assert_eq!(said["grant_id"], grants(&server).await[0]["id"]);

    client.revoke(&tokens.access).await.expect(200);
    assert_eq!(McpClient::new(&server, &tokens.access).ping().await, 401);
    let tokens = Tokens::of(&ask(&client).await);
    McpClient::initialized(&server, &tokens.access, "2025-11-25").await;
    server.advance(Duration::from_hours(1));
    assert_eq!(McpClient::new(&server, &tokens.access).ping().await, 401);
    assert_eq!(grants(&server).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_client_that_acts_for_itself_cannot_ask_people() {
    let server = TestServer::reading(FILE).await;
    let mut browser = Browser::new(&server);
    // RFC 6749 §4.1.2.1: where the address of the answer is known, the client is told.
    let arrival = browser.open(&nightly(&server).authorize_url()).await;
    let callback = arrival.client();
    assert!(callback.url.starts_with(REDIRECT_URI), "{}", callback.url);
    callback.assert_error("unauthorized_client", server.public_url());
    assert_eq!(callback.params().get("state"), Some("story-state"));

    let nowhere = OAuthClient::known_as(&server, "free-hand", REDIRECT_URI);
    let Arrival::Page(page) = browser.open(&nowhere.authorize_url()).await else {
        panic!("it has no address to be redirected to");
    };
    page.answer.clone().expect(400).assert_page();
    // It has nothing to refresh either.
    let client = nightly(&server);
    refusal(&client.refresh("rt").await, 400, "invalid_grant");
}
