//! What clients find out before they know anything: RFC 9728, RFC 8414, and what is not there.

use serde_json::json;

use crate::support::{Site, TestServer};

#[tokio::test]
async fn the_resource_metadata_names_the_endpoint_and_its_authorization_server() {
    let server = TestServer::start().await;

    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
    ] {
        let answer = server.get(path).send().await.expect(200);
        let metadata = answer.json();

        // RFC 9728 §3.3: `resource` must be the URL that the client uses.
        assert_eq!(metadata["resource"], server.url("/mcp"), "{path}");
        assert_eq!(
            metadata["authorization_servers"],
            json!([server.public_url()]),
            "{path}"
        );
        assert_eq!(
            metadata["bearer_methods_supported"],
            json!(["header"]),
            "{path}"
        );
        // The contract: `offline_access` is the authorization server's business.
        assert_eq!(metadata["scopes_supported"], json!(["mcp"]), "{path}");
        assert_no_nulls(&metadata);
    }
}

#[tokio::test]
async fn the_server_metadata_says_everything_that_clients_insist_on() {
    let server = TestServer::start().await;
    let answer = server
        .get("/.well-known/oauth-authorization-server")
        .send()
        .await
        .expect(200);
    let metadata = answer.json();

    // RFC 8414 §2.
    assert_eq!(metadata["issuer"], server.public_url());
    assert_eq!(metadata["authorization_endpoint"], server.url("/authorize"));
    assert_eq!(metadata["token_endpoint"], server.url("/token"));
    assert_eq!(metadata["registration_endpoint"], server.url("/register"));
    assert_eq!(metadata["response_types_supported"], json!(["code"]));
    // RFC 9207 §3.
    assert_eq!(
        metadata["authorization_response_iss_parameter_supported"],
        true
    );
    // `plain` protects nothing (RFC 9700 §2.1.1).
    assert_eq!(
        metadata["code_challenge_methods_supported"],
        json!(["S256"])
    );
    let lists = [
        (
            "grant_types_supported",
            ["authorization_code", "refresh_token"].as_slice(),
        ),
        (
            "token_endpoint_auth_methods_supported",
            &["none", "client_secret_basic", "client_secret_post"],
        ),
        ("scopes_supported", &["mcp", "offline_access"]),
    ];
    for (member, expected) in lists {
        let listed = metadata[member].as_array().unwrap();
        for value in expected {
            assert!(
                listed.contains(&json!(value)),
                "{member} lacks {value}: {metadata}"
            );
        }
    }
    assert_no_nulls(&metadata);
}

#[tokio::test]
async fn everything_that_the_metadata_promises_is_there() {
    let server = TestServer::start().await;
    let metadata = server
        .get("/.well-known/oauth-authorization-server")
        .send()
        .await
        .json();

    for (member, value) in metadata.as_object().unwrap() {
        let Some(url) = value.as_str().filter(|_| member.ends_with("_endpoint")) else {
            continue;
        };
        let answer = server.get(url).send().await;
        assert_ne!(answer.status, 404, "{member} leads nowhere: {url}");
    }
}

#[tokio::test]
async fn the_issuer_is_configured_and_never_taken_from_a_request() {
    let server = TestServer::with([("public_url", "https://mcp.example.com")]).await;
    assert_eq!(server.public_url(), "https://mcp.example.com");

    // RFC 8414 §3.3, RFC 9728 §3.3: clients compare character for character.
    for (name, value) in [
        ("host", "inside.example:8080"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "host=evil.example;proto=http"),
    ] {
        for path in [
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-protected-resource/mcp",
        ] {
            let answer = server.get(path).header(name, value).send().await;
            assert!(!answer.body.contains("evil.example"), "{name}: {answer:#?}");
            assert!(
                !answer.body.contains("inside.example:8080/"),
                "{name}: {answer:#?}"
            );
            if answer.status == 200 {
                assert!(
                    answer.body.contains(r#""https://mcp.example.com"#),
                    "{name}: {answer:#?}"
                );
            }
        }
    }
    let metadata = server
        .get("/.well-known/oauth-authorization-server")
        .send()
        .await
        .json();
    assert_eq!(metadata["issuer"], "https://mcp.example.com");
}

#[tokio::test]
async fn the_public_url_is_where_the_server_listens_when_nobody_says_otherwise() {
    let server = TestServer::start().await;
    assert_eq!(
        server.public_url(),
        format!("http://localhost:{}", server.addr().port())
    );
}

#[tokio::test]
async fn other_well_known_documents_are_a_plain_json_404() {
    let server = TestServer::start().await;

    // Clients go on to the next place after a 404, and stumble over pages and over 5xx.
    for path in [
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/mcp",
        "/.well-known/oauth-authorization-server/mcp",
        "/mcp/.well-known/openid-configuration",
        "/mcp/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/other",
        "/.well-known/no-such-thing",
    ] {
        let answer = server.get(path).header("accept", "*/*").send().await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json().is_object(), "{path}");
    }
}

#[tokio::test]
async fn discovery_ignores_the_protocol_version_that_clients_send_along() {
    let server = TestServer::start().await;

    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/mcp",
    ] {
        let request = server
            .get(path)
            .header("mcp-protocol-version", "1999-01-01");
        request.send().await.expect(200);
    }
}

#[tokio::test]
async fn discovery_answers_head_like_get_without_a_body() {
    let server = TestServer::start().await;
    let head = server
        .request(
            reqwest::Method::HEAD,
            "/.well-known/oauth-authorization-server",
        )
        .send()
        .await
        .expect(200);
    assert!(head.header("content-type").starts_with("application/json"));
    assert_eq!(head.body, "");
}

#[tokio::test]
async fn the_front_page_shows_the_connector_url_and_how_to_add_it() {
    let server = TestServer::start().await;
    let page = front_page(&server).await;

    assert!(page.contains(&server.url("/mcp")), "{page}");
    for client in ["Claude", "ChatGPT", "Cursor", "VS Code"] {
        assert!(page.contains(client), "nothing about {client}");
    }
}

#[tokio::test]
async fn the_public_listener_says_that_it_is_well() {
    let server = TestServer::start().await;
    let answer = server.get("/healthz").send().await.expect(200);
    assert_eq!(answer.body.trim(), "ok");
}

#[tokio::test]
async fn a_request_id_comes_back_and_one_is_made_up_where_none_was_sent() {
    let server = TestServer::start().await;
    let answer = server
        .get("/healthz")
        .header("x-request-id", "story-7f3a")
        .send()
        .await;
    assert_eq!(answer.header("x-request-id"), "story-7f3a");
    let answer = server.get("/healthz").send().await;
    assert!(!answer.header("x-request-id").is_empty());
}

async fn front_page(site: &Site) -> String {
    let answer = site.get("/").send().await.expect(200);
    answer.assert_page();
    answer.body
}

/// Clients with strict parsers take a null for a broken document.
#[track_caller]
fn assert_no_nulls(document: &serde_json::Value) {
    assert!(!document.to_string().contains("null"), "{document}");
}
