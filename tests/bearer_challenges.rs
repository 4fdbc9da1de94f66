//! What stands before the endpoint: Origin and Host, then the bearer token, then everything else.

use std::time::Duration;

use reqwest::Method;

use crate::support::{
    Answer, Connected, McpClient, RawConnection, Request, Site, TestServer, connect,
    initialize_message,
};

const PATHS: [&str; 2] = ["/mcp", "/mcp/"];

/// A proper `initialize`, but for whatever the story changes.
fn initialize(site: &Site) -> Request {
    site.post("/mcp")
        .header("accept", "application/json, text/event-stream")
        .json(&initialize_message("2025-11-25"))
}

/// The challenge of RFC 9728 §5.1 and RFC 6750 §3, where no token came.
fn bare_challenge(site: &Site) -> String {
    let metadata = site.url("/.well-known/oauth-protected-resource/mcp");
    format!("Bearer resource_metadata=\"{metadata}\", scope=\"mcp\"")
}

#[track_caller]
fn assert_invalid_token(site: &Site, answer: &Answer) {
    assert_eq!(answer.status, 401, "{answer:#?}");
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    let metadata = site.url("/.well-known/oauth-protected-resource/mcp");
    for part in [
        "error=\"invalid_token\"",
        "error_description=\"",
        &format!("resource_metadata=\"{metadata}\""),
        "scope=\"mcp\"",
    ] {
        assert!(challenge.contains(part), "no {part} in {challenge}");
    }
    assert!(answer.json().is_object());
}

#[tokio::test]
async fn every_method_is_challenged_before_anything_else_is_said() {
    let server = TestServer::start().await;

    for path in PATHS {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::POST,
        ] {
            // No Accept, no content type, no body: 405, 406 and 415 would all be right, later.
            let answer = server.request(method.clone(), path).send().await;
            assert_eq!(answer.status, 401, "{method} {path}: {answer:#?}");
            assert_eq!(
                answer.header("www-authenticate"),
                bare_challenge(&server),
                "{method} {path}"
            );
            if method != Method::HEAD {
                assert!(answer.json().is_object(), "{method} {path}");
            }
        }
        let wrong_type = server.post(path).body("text/plain", "hello").send().await;
        assert_eq!(wrong_type.status, 401, "{wrong_type:#?}");
    }
}

#[tokio::test]
async fn without_a_token_no_error_is_named() {
    let server = TestServer::start().await;
    let answer = initialize(&server).send().await.expect(401);
    // RFC 6750 §3.1: no error code where the request lacks any authentication information.
    assert_eq!(answer.header("www-authenticate"), bare_challenge(&server));
}

#[tokio::test]
async fn with_a_token_the_methods_get_their_own_answers() {
    let server = TestServer::start().await;
    let token = connect(&server).await.tokens.access;

    for method in [Method::HEAD, Method::PUT, Method::PATCH] {
        let answer = server
            .request(method, "/mcp")
            .bearer(&token)
            .send()
            .await
            .expect(405);
        let allowed = answer.list("allow");
        for method in ["get", "post", "delete"] {
            assert!(allowed.contains(&method.to_owned()), "{allowed:?}");
        }
    }
    let request = server
        .get("/mcp")
        .bearer(&token)
        .header("accept", "text/html");
    request.send().await.expect(406);
    let request = initialize(&server)
        .bearer(&token)
        .header("accept", "text/html");
    request.send().await.expect(406);
    let request = initialize(&server)
        .bearer(&token)
        .header("content-type", "text/plain");
    request.send().await.expect(415);
}

#[tokio::test]
async fn both_spellings_of_the_path_are_the_endpoint() {
    let server = TestServer::start().await;
    let token = connect(&server).await.tokens.access;

    // A redirect would lose the method or the Authorization header.
    for path in PATHS {
        let answer = server
            .post(path)
            .bearer(&token)
            .header("accept", "application/json, text/event-stream")
            .json(&initialize_message("2025-11-25"))
            .send()
            .await
            .expect(200);
        assert_eq!(answer.rpc()["result"]["protocolVersion"], "2025-11-25");
    }
}

#[tokio::test]
async fn tokens_that_are_not_ours_are_invalid() {
    let server = TestServer::start().await;
    let Connected {
        client,
        mut browser,
        tokens,
    } = connect(&server).await;
    let code = client.code(&mut browser).await;

    for token in [
        "garbage",
        "at_garbage",
        tokens.refresh_token(),
        &code,
        &tokens.access[1..],
    ] {
        let answer = initialize(&server).bearer(token).send().await;
        assert_invalid_token(&server, &answer);
    }
    let upper = tokens.access.to_ascii_uppercase();
    assert_ne!(upper, tokens.access);
    assert_invalid_token(&server, &initialize(&server).bearer(&upper).send().await);
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case_and_others_are_not_read_at_all() {
    let server = TestServer::start().await;
    let token = connect(&server).await.tokens.access;

    // RFC 9110 §11.1: scheme names are case-insensitive.
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let request = initialize(&server).header("authorization", &format!("{scheme} {token}"));
        request.send().await.expect(200);
    }
    for value in [
        format!("Basic {token}"),
        token.clone(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
    ] {
        let answer = initialize(&server)
            .header("authorization", &value)
            .send()
            .await;
        assert_eq!(answer.status, 401, "{answer:#?}");
        assert!(
            answer.header("www-authenticate").starts_with("Bearer "),
            "{answer:#?}"
        );
    }
}

#[tokio::test]
async fn tokens_outside_the_header_do_not_count() {
    let server = TestServer::start().await;
    let token = connect(&server).await.tokens.access;

    // MCP: never in the query string. RFC 6750 §2.2: form bodies are no better.
    let query = server.post(&format!("/mcp?access_token={token}"));
    query
        .json(&initialize_message("2025-11-25"))
        .send()
        .await
        .expect(401);
    let form = format!("access_token={token}");
    let form = server
        .post("/mcp")
        .body("application/x-www-form-urlencoded", form);
    form.send().await.expect(401);
    let cookie = initialize(&server).header("cookie", &format!("access_token={token}"));
    cookie.send().await.expect(401);
}

#[tokio::test]
async fn two_authorization_headers_are_one_too_many() {
    let server = TestServer::start().await;
    let token = connect(&server).await.tokens.access;

    for (first, second) in [
        (token.as_str(), token.as_str()),
        (&token, "other"),
        ("other", &token),
    ] {
        let request = initialize(&server).bearer(first);
        let request = request.another_header("authorization", &format!("Bearer {second}"));
        let answer = request.send().await;
        // RFC 6750 §3.1 would have it 400, the contract's order 401; never a success.
        assert!(matches!(answer.status, 400 | 401), "{answer:#?}");
        assert!(
            answer.header("www-authenticate").starts_with("Bearer "),
            "{answer:#?}"
        );
    }
}

#[tokio::test]
async fn a_token_is_good_for_the_server_it_was_issued_for() {
    let (ours, theirs) = (TestServer::start().await, TestServer::start().await);
    let token = connect(&theirs).await.tokens.access;
    assert_invalid_token(&ours, &initialize(&ours).bearer(&token).send().await);
}

#[tokio::test]
async fn a_token_expires_when_it_was_said_to() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let mcp = McpClient::initialized(&server, &connected.tokens.access, "2025-11-25").await;

    server.advance(Duration::from_secs(3599));
    assert_eq!(mcp.ping().await, 200);
    server.advance(Duration::from_secs(2));
    // An expired token is the client's cue to refresh, so it looks like any other invalid one.
    assert_invalid_token(&server, &mcp.http(Method::POST).send().await);
    assert_invalid_token(&server, &mcp.http(Method::GET).send().await);
    assert_invalid_token(&server, &mcp.end().await);
}

#[tokio::test]
async fn a_strange_origin_is_forbidden_before_the_token_is_looked_at() {
    let server = TestServer::start().await;
    let token = connect(&server).await.tokens.access;

    for origin in [
        "https://evil.example",
        "null",
        "https://claude.ai.evil.example",
        "http://claude.ai",
        "https://claude.ai:8443",
        "http://localhost.evil.example",
        "https://evil.example/http://localhost",
        "file://",
        "",
    ] {
        for request in [initialize(&server), initialize(&server).bearer(&token)] {
            let answer = request.header("origin", origin).send().await;
            assert_eq!(answer.status, 403, "{origin}: {answer:#?}");
            assert!(answer.find("www-authenticate").is_none(), "{answer:#?}");
            assert!(answer.json().is_object());
        }
        let answer = server.get("/mcp").header("origin", origin).send().await;
        assert_eq!(answer.status, 403, "{origin}: {answer:#?}");
    }
}

#[tokio::test]
async fn known_origins_and_none_at_all_are_welcome() {
    let server = TestServer::with([("allowed_origins", "https://app.example.com")]).await;
    let token = connect(&server).await.tokens.access;

    for origin in [
        server.public_url(),
        "http://localhost:6274",
        "http://127.0.0.1:6274",
        "http://[::1]:6274",
        "http://localhost",
        "https://claude.ai",
        "https://claude.com",
        "https://chatgpt.com",
        "https://app.example.com",
    ] {
        let answer = initialize(&server)
            .bearer(&token)
            .header("origin", origin)
            .send()
            .await;
        assert_eq!(answer.status, 200, "{origin}: {answer:#?}");
    }
    initialize(&server).bearer(&token).send().await.expect(200);
}

#[tokio::test]
async fn a_strange_host_is_forbidden_with_a_hint() {
    let server = TestServer::start().await;
    let token = connect(&server).await.tokens.access;

    // DNS rebinding: the browser believes that evil.example is at 127.0.0.1.
    for host in [
        "evil.example",
        "evil.example:4000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
    ] {
        for request in [initialize(&server), initialize(&server).bearer(&token)] {
            let answer = request.header("host", host).send().await;
            assert_eq!(answer.status, 403, "{host}: {answer:#?}");
            assert!(answer.body.contains("PUBLIC_URL"), "{answer:#?}");
        }
    }
}

#[tokio::test]
async fn the_hosts_that_lead_here_are_welcome() {
    let server = TestServer::with([
        ("public_url", "https://mcp.example.com"),
        ("allowed_hosts", "inside.example"),
    ])
    .await;
    let token = connect(&server).await.tokens.access;
    let port = server.addr().port();

    for host in [
        "mcp.example.com",
        "MCP.example.com",
        "localhost",
        "inside.example",
        &format!("localhost:{port}"),
        &format!("127.0.0.1:{port}"),
        &format!("[::1]:{port}"),
    ] {
        let answer = initialize(&server)
            .bearer(&token)
            .header("host", host)
            .send()
            .await;
        assert_eq!(answer.status, 200, "{host}: {answer:#?}");
    }
}

#[tokio::test]
async fn a_request_without_a_host_gets_nowhere() {
    let server = TestServer::start().await;
    let mut connection = RawConnection::open(server.addr()).await;
    // RFC 9112 §3.2: HTTP/1.1 without Host, or with two of them, is a bad request.
    connection
        .send("POST /mcp HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
        .await;
    let head = connection.read_head().await;
    assert!(
        head.starts_with("HTTP/1.1 400") || head.starts_with("HTTP/1.1 403"),
        "{head}"
    );
}
