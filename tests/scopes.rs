//! Scopes of the operator's own: which token opens what, and how a client learns what it lacks.

use serde_json::{Value, json};

use crate::support::{
    Answer, Browser, McpClient, ModernClient, OAuthClient, Tokens, Workshop, config_file,
};

/// The scopes that the stories are about: one for reading, one for asking, one that covers both.
const TABLE: &str = r#"
[[scopes]]
name = "read"
description = "Read what is there"
tools = ["echo", "r*"]
prompts = ["greeting"]

[[scopes]]
name = "ask"
description = "Ask you questions"
tools = ["ask*"]
prompts = ["interview"]

[[scopes]]
name = "all"
description = "Do everything"
tools = ["speak"]
implies = ["read", "ask"]

[[scopes]]
name = "more"
description = "Do even more"
implies = ["all"]
"#;

async fn shop() -> Workshop {
    Workshop::configured(config_file(TABLE)).await
}

/// Tokens with these scopes, after somebody has allowed them.
async fn tokens(shop: &Workshop, scope: &str) -> Tokens {
    let client = OAuthClient::register(shop).await;
    let url = client.authorize_url_with(&client.authorization().set("scope", scope));
    let code = Browser::new(shop).approve(&url).await.code();
    Tokens::of(&client.redeem(&code).await)
}

/// Names of what a list has.
fn names(result: &Value, list: &str) -> Vec<String> {
    let items = result[list].as_array().unwrap().iter();
    items
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

/// A refusal that says what is missing (RFC 6750 §3.1; authorization, “Scope Challenge Handling”).
#[track_caller]
fn assert_lacks(answer: &Answer, scope: &str) {
    assert_eq!(answer.status, 403, "{answer:#?}");
    let challenge = answer.header("www-authenticate");
    for part in [
        "Bearer ",
        "error=\"insufficient_scope\"",
        "error_description=",
        "resource_metadata=",
    ] {
        assert!(challenge.contains(part), "no {part} in {challenge}");
    }
    assert!(
        challenge.contains(&format!("scope=\"{scope}\"")),
        "{challenge}"
    );
    // And in words of the protocol, under the request's id.
    assert!(answer.rpc_error() < 0);
    assert_eq!(answer.rpc()["id"], 1);
}

#[tokio::test]
async fn a_call_that_needs_more_names_the_scope_before_any_stream_opens() {
    let shop = shop().await;
    let token = tokens(&shop, "read").await;
    assert_eq!(token.scope, "read");
    let modern = ModernClient::new(&shop, &token.access)
        .declaring(json!({ "elicitation": {} }))
        .saying("progressToken", json!(1));
    let legacy = McpClient::initialized(&shop, &token.access, "2025-11-25").await;
    for (method, params, scope) in [
        ("tools/call", json!({ "name": "ask" }), "ask"),
        ("tools/call", json!({ "name": "ask_twice" }), "ask"),
        ("tools/call", json!({ "name": "speak" }), "all"),
        ("prompts/get", json!({ "name": "interview" }), "ask"),
    ] {
        assert_lacks(&modern.request(method, &params).await, scope);
        assert_lacks(&legacy.request(method, &params).await, scope);
    }
    // With the scope it works.
    let token = tokens(&shop, "ask").await;
    let modern = ModernClient::new(&shop, &token.access).declaring(json!({ "elicitation": {} }));
    assert_eq!(
        modern.call("ask", &json!({})).await["resultType"],
        "input_required"
    );
}

#[tokio::test]
async fn what_is_open_to_the_token_works_and_is_listed() {
    let shop = shop().await;
    for (scope, tools, prompts) in [
        // What no scope names is open to the first.
        ("read", vec!["echo", "rich", "wait"], vec!["greeting"]),
        (
            "ask",
            vec!["ask", "ask_all", "ask_twice"],
            vec!["interview"],
        ),
        (
            "read ask",
            vec!["echo", "ask", "wait"],
            vec!["greeting", "interview"],
        ),
        (
            "all",
            vec!["echo", "ask", "speak", "wait"],
            vec!["greeting", "interview"],
        ),
        (
            "more",
            vec!["echo", "ask", "speak", "wait"],
            vec!["greeting", "interview"],
        ),
    ] {
        let token = tokens(&shop, scope).await.access;
        let modern = ModernClient::new(&shop, &token);
        let legacy = McpClient::initialized(&shop, &token, "2025-11-25").await;
        let list = modern.result("tools/list", &json!({})).await;
        // Another token has another list, so this one is nobody else's.
        assert_eq!(list["cacheScope"], "private");
        let listed = names(&list, "tools");
        assert_eq!(
            listed,
            names(&legacy.result("tools/list", &json!({})).await, "tools")
        );
        for tool in &tools {
            assert!(
                listed.iter().any(|name| name == tool),
                "{scope}: {tool} of {listed:?}"
            );
        }
        for tool in ["echo", "ask", "speak"] {
            let is_listed = listed.iter().any(|name| name == tool);
            assert_eq!(is_listed, tools.contains(&tool), "{scope}: {tool}");
            let arguments = json!({ "name": tool, "arguments": { "text": "a" } });
            let status = legacy.request("tools/call", &arguments).await.status;
            assert_eq!(status, if is_listed { 200 } else { 403 }, "{scope}: {tool}");
        }
        let listed = modern.result("prompts/list", &json!({})).await;
        assert_eq!(names(&listed, "prompts"), prompts, "{scope}");
    }
}

#[tokio::test]
async fn clients_are_told_the_first_scope_to_begin_with() {
    let shop = shop().await;
    let answer = shop.post("/mcp").json(&json!({})).send().await.expect(401);
    assert!(
        answer.header("www-authenticate").contains("scope=\"read\""),
        "{answer:#?}"
    );
    // Asking for nothing that we know is asking for that.
    assert_eq!(tokens(&shop, "claudeai").await.scope, "read");
    let metadata = shop
        .get("/.well-known/oauth-authorization-server")
        .send()
        .await
        .json();
    let known = &metadata["scopes_supported"];
    for scope in ["read", "ask", "all", "more"] {
        assert!(known.as_array().unwrap().contains(&json!(scope)), "{known}");
    }
}

#[tokio::test]
async fn a_batch_tells_of_each_call_what_it_lacks() {
    let shop = shop().await;
    let token = tokens(&shop, "read").await.access;
    let mcp = McpClient::initialized(&shop, &token, "2025-03-26").await;
    let call = |id: u32, tool: &str| {
        let params = json!({ "name": tool, "arguments": { "text": "a" } });
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
    };
    let answer = mcp
        .post(&json!([call(1, "echo"), call(2, "ask")]))
        .await
        .expect(200);
    let answers = answer.json();
    assert_eq!(answers[0]["result"]["content"][0]["text"], "a");
    assert_eq!(answers[1]["id"], 2);
    assert!(
        answers[1]["error"]["message"].to_string().contains("ask"),
        "{answers}"
    );
}
