//! Dynamic client registration (RFC 7591): what is kept, what is refused, and in which words.

use serde_json::{Value, json};

use crate::support::{Answer, REDIRECT_URI, Site, TestServer};

async fn register(site: &Site, metadata: &Value) -> Answer {
    site.post("/register").json(metadata).send().await
}

#[tokio::test]
async fn a_public_client_gets_an_id_no_secret_and_its_metadata_back() {
    let server = TestServer::start().await;
    let metadata = json!({
        "client_name": "Claude Code (claude-api)",
        "client_uri": "https://client.example/about",
        "redirect_uris": [REDIRECT_URI, "http://localhost:8787/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "scope": "mcp",
    });
    let answer = register(&server, &metadata).await.expect(201);
    assert_eq!(answer.header("cache-control"), "no-store");

    // RFC 7591 §3.2.1: the response holds all registered metadata about the client.
    let registered = answer.json();
    for (member, value) in metadata.as_object().unwrap() {
        assert_eq!(&registered[member], value, "{member} in {registered}");
    }
    let id = registered["client_id"].as_str().unwrap();
    assert!(!id.is_empty() && !id.starts_with("https://"), "{id}");
    assert!(registered["client_id_issued_at"].is_u64(), "{registered}");
    // Strict parsers refuse nulls and URLs that lead nowhere.
    assert!(!answer.body.contains("null"), "{registered}");
    for absent in ["client_secret", "client_secret_expires_at", "logo_uri"] {
        assert!(registered.get(absent).is_none(), "{absent} in {registered}");
    }
}

#[tokio::test]
async fn confidential_clients_get_a_secret_and_are_told_that_it_does_not_expire() {
    let server = TestServer::start().await;

    for method in ["client_secret_post", "client_secret_basic"] {
        let metadata = json!({
            "redirect_uris": [REDIRECT_URI],
            "token_endpoint_auth_method": method,
        });
        let registered = register(&server, &metadata).await.expect(201).json();
        assert_eq!(registered["token_endpoint_auth_method"], method);
        let secret = registered["client_secret"].as_str().unwrap();
        // At least 128 bits, and no character that Basic credentials would have to escape.
        assert!(secret.len() >= 22, "{secret}");
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        assert!(secret.chars().all(plain), "{secret}");
        // RFC 7591 §3.2.1: required if there is a secret; 0 means never.
        assert_eq!(registered["client_secret_expires_at"], 0);
    }
}

#[tokio::test]
async fn what_a_client_leaves_out_gets_the_defaults_of_the_rfc() {
    let server = TestServer::start().await;
    let metadata = json!({ "redirect_uris": [REDIRECT_URI] });
    let registered = register(&server, &metadata).await.expect(201).json();

    // RFC 7591 §2.
    assert_eq!(
        registered["token_endpoint_auth_method"],
        "client_secret_basic"
    );
    assert!(registered["client_secret"].is_string(), "{registered}");
    assert_eq!(registered["grant_types"], json!(["authorization_code"]));
    assert_eq!(registered["response_types"], json!(["code"]));
}

#[tokio::test]
async fn unknown_members_are_ignored() {
    let server = TestServer::start().await;
    let metadata = json!({
        "redirect_uris": [REDIRECT_URI],
        "token_endpoint_auth_method": "none",
        "favourite_colour": { "r": 1 },
        "software_id": "story",
        "client_name#de": "Geschichte",
    });
    register(&server, &metadata).await.expect(201);
}

#[tokio::test]
async fn every_registration_is_a_client_of_its_own() {
    let server = TestServer::start().await;
    let metadata = json!({ "redirect_uris": [REDIRECT_URI] });
    let first = register(&server, &metadata).await.expect(201).json();
    let second = register(&server, &metadata).await.expect(201).json();
    assert_ne!(first["client_id"], second["client_id"]);
    assert_ne!(first["client_secret"], second["client_secret"]);
}

#[tokio::test]
async fn the_redirect_uris_of_real_clients_are_accepted() {
    let server = TestServer::start().await;

    for uri in [
        "https://claude.ai/api/mcp/auth_callback",
        "https://chatgpt.com/connector/oauth/abc123",
        "https://client.example:8443/callback?tenant=a%20b&x",
        "https://xn--bcher-kva.example/callback",
        "http://localhost/callback",
        "http://localhost:6274/oauth/callback",
        "http://127.0.0.1/",
        "http://127.0.0.1:33418/",
        "http://[::1]:7777/callback",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "vscode://vendor.extension/callback",
        "vscode-insiders://vendor.extension/callback",
    ] {
        let metadata = json!({ "redirect_uris": [uri], "token_endpoint_auth_method": "none" });
        let registered = register(&server, &metadata).await.expect(201).json();
        // Byte for byte: it is compared as a string later.
        assert_eq!(registered["redirect_uris"], json!([uri]));
    }
}

#[tokio::test]
async fn redirect_uris_that_could_lead_a_code_astray_are_refused() {
    let server = TestServer::start().await;

    for uri in [
        "",
        "/callback",
        "callback",
        "//client.example/callback",
        "javascript:alert(1)",
        "JavaScript://client.example/%0aalert(1)",
        "data:text/html,hello",
        "file:///etc/passwd",
        "urn:ietf:wg:oauth:2.0:oob",
        "about:blank",
        "ftp://client.example/callback",
        // http is for loopback only, and only for what is really loopback.
        "http://client.example/callback",
        "http://localhost.evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1@evil.example/callback",
        // RFC 6749 §3.1.2: no fragment. RFC 3986 §3.2.1 userinfo only confuses people.
        "https://client.example/callback#",
        "https://client.example/callback#part",
        "https://user@client.example/callback",
        "https://user:secret@client.example/callback",
        "https://*.example/callback",
        "https://client.example/*",
        // Not URIs at all by RFC 3986, though parsers of the web would repair them.
        "https://client.example\\@evil.example/callback",
        "https:\\\\client.example\\callback",
        "https:///callback",
        "https:client.example/callback",
        "https://",
        "https://client.example/call back",
        " https://client.example/callback",
        "https://client.example/callback ",
        "https://client.example/\tcallback",
        "https://client.example/callback\r\nSet-Cookie: a=b",
        "https://client.example/callback\u{0}",
        "https://bücher.example/callback",
        "https://client.example/%zz",
        // A private-use scheme that nobody allowed.
        "com.example.app:/callback",
        "cursors://anysphere/callback",
    ] {
        let metadata = json!({ "redirect_uris": [uri], "token_endpoint_auth_method": "none" });
        let answer = register(&server, &metadata).await;
        assert_eq!(answer.status, 400, "{uri:?} was accepted: {answer:#?}");
        let description = answer.oauth_error(400, "invalid_redirect_uri");
        assert!(
            description.contains("redirect_uri"),
            "{uri:?}: {description}"
        );
    }
}

#[tokio::test]
async fn one_bad_redirect_uri_among_good_ones_is_refused() {
    let server = TestServer::start().await;
    let metadata = json!({ "redirect_uris": [REDIRECT_URI, "http://client.example/callback"] });
    register(&server, &metadata)
        .await
        .oauth_error(400, "invalid_redirect_uri");
}

#[tokio::test]
async fn private_use_schemes_are_a_setting() {
    let server = TestServer::with([("redirect_schemes", "com.example.app")]).await;
    let metadata = json!({
        "redirect_uris": ["com.example.app:/callback"],
        "token_endpoint_auth_method": "none",
    });
    register(&server, &metadata).await.expect(201);
}

#[tokio::test]
async fn a_client_without_redirect_uris_is_refused() {
    let server = TestServer::start().await;

    for metadata in [
        json!({ "client_name": "Nowhere" }),
        json!({ "redirect_uris": [] }),
        json!({ "redirect_uris": REDIRECT_URI }),
        json!({ "redirect_uris": [7] }),
    ] {
        let answer = register(&server, &metadata).await;
        assert_refused_for(&answer, "redirect_uris");
    }
}

#[tokio::test]
async fn more_than_twenty_redirect_uris_are_refused() {
    let server = TestServer::start().await;
    let uris = |count| {
        (0..count)
            .map(|n| format!("https://client.example/{n}"))
            .collect::<Vec<_>>()
    };

    register(&server, &json!({ "redirect_uris": uris(20) }))
        .await
        .expect(201);
    let answer = register(&server, &json!({ "redirect_uris": uris(21) })).await;
    assert_refused_for(&answer, "redirect_uris");
}

#[tokio::test]
async fn more_than_twenty_contacts_are_refused() {
    let server = TestServer::start().await;
    let named = |count| {
        let contacts = vec!["operator@client.example"; count];
        json!({ "redirect_uris": [REDIRECT_URI], "contacts": contacts })
    };

    register(&server, &named(20)).await.expect(201);
    let answer = register(&server, &named(21)).await;
    answer.oauth_error(400, "invalid_client_metadata");
    assert_refused_for(&answer, "contacts");
}

#[tokio::test]
async fn names_that_could_deceive_on_the_consent_page_are_refused() {
    let server = TestServer::start().await;
    let named = |name: &str| json!({ "redirect_uris": [REDIRECT_URI], "client_name": name, "token_endpoint_auth_method": "none" });

    register(&server, &named(&"é".repeat(200)))
        .await
        .expect(201);
    for name in [
        "n".repeat(201),
        "two\nlines".to_owned(),
        "bell\u{7}".to_owned(),
        "nul\u{0}".to_owned(),
        // Bidirectional overrides make text read as what it is not.
        "Claude \u{202e}live\u{202c}".to_owned(),
        "isolate \u{2066}x\u{2069}".to_owned(),
        // What is not seen makes two names look like one, and a name like none.
        "\u{200b}".to_owned(),
        "\u{feff}".to_owned(),
        "\u{ad}".to_owned(),
        "\u{3164}".to_owned(),
        "Claude\u{200b}".to_owned(),
        "Claude\u{e0041}".to_owned(),
    ] {
        let answer = register(&server, &named(&name)).await;
        let description = answer.oauth_error(400, "invalid_client_metadata");
        assert!(
            description.contains("client_name"),
            "{name:?}: {description}"
        );
    }
}

#[tokio::test]
async fn links_to_the_client_are_https_or_refused() {
    let server = TestServer::start().await;

    for member in ["client_uri", "logo_uri", "tos_uri", "policy_uri"] {
        for uri in [
            "http://client.example/",
            "javascript:alert(1)",
            "data:image/png;base64,AAAA",
        ] {
            let metadata = json!({ "redirect_uris": [REDIRECT_URI], (member): uri });
            let answer = register(&server, &metadata).await;
            let description = answer.oauth_error(400, "invalid_client_metadata");
            assert!(
                description.contains(member),
                "{member} {uri}: {description}"
            );
        }
    }
}

#[tokio::test]
async fn members_of_the_wrong_type_are_refused_by_name() {
    let server = TestServer::start().await;

    for (member, value) in [
        ("client_name", json!(["Story"])),
        ("grant_types", json!("authorization_code")),
        ("response_types", json!(7)),
        ("token_endpoint_auth_method", json!({})),
        ("scope", json!(["mcp"])),
    ] {
        let metadata = json!({ "redirect_uris": [REDIRECT_URI], (member): value });
        let answer = register(&server, &metadata).await;
        assert_refused_for(&answer, member);
    }
}

#[tokio::test]
async fn what_is_not_a_json_object_is_refused_as_metadata() {
    let server = TestServer::start().await;

    for body in [
        "",
        "{",
        "[]",
        "null",
        "redirect_uris=https%3A%2F%2Fclient.example%2Fcallback",
    ] {
        let answer = server
            .post("/register")
            .body("application/json", body)
            .send()
            .await;
        answer.oauth_error(400, "invalid_client_metadata");
    }
}

#[tokio::test]
async fn only_post_registers() {
    let server = TestServer::start().await;
    let answer = server.get("/register").send().await.expect(405);
    assert!(
        answer.list("allow").contains(&"post".to_owned()),
        "{answer:#?}"
    );
}

/// A refusal whose description names the member, under either code that RFC 7591 §3.2.2 has for it.
#[track_caller]
fn assert_refused_for(answer: &Answer, member: &str) {
    assert_eq!(answer.status, 400, "{answer:#?}");
    let code = answer.json()["error"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        ["invalid_redirect_uri", "invalid_client_metadata"].contains(&code.as_str()),
        "{code}"
    );
    let description = answer.oauth_error(400, &code);
    assert!(description.contains(member), "{description}");
}

#[tokio::test]
async fn an_empty_list_means_the_default() {
    let server = TestServer::start().await;
    let metadata = json!({
        "redirect_uris": [REDIRECT_URI],
        "grant_types": [],
        "response_types": [],
        "contacts": [],
    });
    let registered = register(&server, &metadata).await.expect(201).json();
    assert_eq!(registered["grant_types"], json!(["authorization_code"]));
    assert_eq!(registered["response_types"], json!(["code"]));
    assert!(registered.get("contacts").is_none(), "{registered}");
}
