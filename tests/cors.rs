//! Browser-based clients: who may read which answers, errors included (Fetch, “CORS protocol”).

use crate::support::{Answer, McpClient, TestServer, connect};

const OPEN_PATHS: [&str; 9] = [
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-authorization-server",
    "/.well-known/jwks.json",
    "/register",
    "/token",
    "/revoke",
    "/introspect",
    "/par",
];
const STRANGER: &str = "https://inspector.example";
const INSPECTOR: &str = "http://localhost:6274";

#[track_caller]
fn assert_open_to_all(answer: &Answer) {
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    // Credentials and `*` exclude each other, and cookies have no business here.
    assert!(
        answer.find("access-control-allow-credentials").is_none(),
        "{answer:#?}"
    );
}

#[track_caller]
fn assert_open_to(answer: &Answer, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), origin);
    assert!(
        answer.find("access-control-allow-credentials").is_none(),
        "{answer:#?}"
    );
    assert!(
        answer.list("vary").contains(&"origin".to_owned()),
        "{answer:#?}"
    );
    let exposed = answer.list("access-control-expose-headers");
    for name in ["www-authenticate", "mcp-session-id"] {
        assert!(
            exposed.contains(&name.to_owned()),
            "{name} is not in {exposed:?}"
        );
    }
}

#[tokio::test]
async fn discovery_registration_and_tokens_are_open_to_every_page() {
    let server = TestServer::start().await;

    for path in OPEN_PATHS {
        let answer = server.get(path).header("origin", STRANGER).send().await;
        // 200 or 405, whichever it is: the page must be able to read it.
        assert_open_to_all(&answer);
    }
    for path in OPEN_PATHS.into_iter().filter(|p| !p.starts_with("/.")) {
        let answer = server
            .post(path)
            .header("origin", STRANGER)
            .body("application/json", "{")
            .send()
            .await;
        assert_open_to_all(&answer.expect(400));
    }
    let missing = server
        .get("/.well-known/openid-configuration")
        .header("origin", STRANGER);
    assert_open_to_all(&missing.send().await.expect(404));
}

#[tokio::test]
async fn a_page_can_read_every_refusal_of_discovery() {
    let server = TestServer::start().await;

    for path in OPEN_PATHS {
        let refused = server
            .request(reqwest::Method::PATCH, path)
            .header("origin", STRANGER)
            .send()
            .await;
        assert_open_to_all(&refused);
        refused.oauth_error(405, "invalid_request");
        assert!(!refused.list("allow").is_empty(), "{path}: {refused:#?}");
    }
    // Clients look in several places, and their browser asks before each.
    for path in [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/mcp",
    ] {
        let wanted = "mcp-protocol-version";
        let answer = server.preflight(path, STRANGER, wanted).await;
        assert_open_to_all(&answer.clone().expect(204));
        assert_allows(&answer, wanted);
    }
}

#[tokio::test]
async fn preflights_to_open_paths_are_answered_for_everyone() {
    let server = TestServer::start().await;

    for path in OPEN_PATHS {
        let wanted = "content-type, authorization, mcp-protocol-version";
        let answer = server.preflight(path, STRANGER, wanted).await;
        assert!(matches!(answer.status, 200 | 204), "{path}: {answer:#?}");
        assert_open_to_all(&answer);
        assert_allows(&answer, wanted);
        let methods = answer.list("access-control-allow-methods");
        let needed = if path.starts_with("/.well-known") {
            "get"
        } else {
            "post"
        };
        assert!(methods.contains(&needed.to_owned()), "{path}: {methods:?}");
    }
}

#[tokio::test]
async fn the_endpoint_is_open_to_the_origins_it_knows() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let mcp = McpClient::initialized(&server, &connected.tokens.access, "2025-11-25").await;

    let wanted = "authorization, content-type, accept, mcp-protocol-version, mcp-session-id, \
                  last-event-id, mcp-method, mcp-name";
    for path in ["/mcp", "/mcp/"] {
        // No token: browsers never send one with a preflight.
        let answer = server.preflight(path, INSPECTOR, wanted).await;
        assert!(matches!(answer.status, 200 | 204), "{answer:#?}");
        assert_open_to(&answer, INSPECTOR);
        assert_allows(&answer, wanted);
        let methods = answer.list("access-control-allow-methods");
        for method in ["get", "post", "delete"] {
            assert!(methods.contains(&method.to_owned()), "{methods:?}");
        }
    }
    let ping = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let answer = mcp
        .http(reqwest::Method::POST)
        .header("origin", INSPECTOR)
        .json(&ping)
        .send()
        .await;
    assert_open_to(&answer.expect(200), INSPECTOR);
}

#[tokio::test]
async fn refusals_at_the_endpoint_can_be_read_too() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let mcp = connected.mcp(&server);

    let unauthorized = server.post("/mcp").header("origin", INSPECTOR).send().await;
    assert_open_to(&unauthorized.expect(401), INSPECTOR);
    let not_allowed = mcp
        .http(reqwest::Method::PUT)
        .header("origin", INSPECTOR)
        .send()
        .await;
    assert_open_to(&not_allowed.expect(405), INSPECTOR);
    let gone = mcp
        .http(reqwest::Method::GET)
        .header("mcp-session-id", "gone");
    assert_open_to(
        &gone.header("origin", INSPECTOR).send().await.expect(404),
        INSPECTOR,
    );
}

#[tokio::test]
async fn pages_from_elsewhere_may_not_read_the_endpoint() {
    let server = TestServer::start().await;

    for origin in [STRANGER, "null"] {
        let preflight = server.preflight("/mcp", origin, "authorization").await;
        assert_eq!(preflight.status, 403, "{preflight:#?}");
        let request = server
            .post("/mcp")
            .header("origin", origin)
            .send()
            .await
            .expect(403);
        for answer in [preflight, request] {
            assert!(
                answer.find("access-control-allow-origin").is_none(),
                "{answer:#?}"
            );
        }
    }
}

#[tokio::test]
async fn the_pages_for_people_are_not_shared() {
    let server = TestServer::start().await;
    for path in ["/authorize", "/"] {
        let answer = server.get(path).header("origin", STRANGER).send().await;
        assert!(
            answer.find("access-control-allow-origin").is_none(),
            "{path}: {answer:#?}"
        );
    }
}

#[track_caller]
fn assert_allows(answer: &Answer, wanted: &str) {
    let allowed = answer.list("access-control-allow-headers");
    for name in wanted.split(',').map(str::trim) {
        // The Fetch standard: `*` does not cover Authorization.
        assert!(
            allowed.contains(&name.to_owned()),
            "{name} is not in {allowed:?}"
        );
    }
}
