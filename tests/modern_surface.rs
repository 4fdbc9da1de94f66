//! 2026-07-28: what is there and what is gone, and what every result carries.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{MODERN, ModernClient, TASKS, TestServer, Workshop, connect};

#[tokio::test]
async fn discovery_tells_what_is_offered() {
    let shop = Workshop::open().await;
    let result = shop
        .modern()
        .await
        .result("server/discover", &json!({}))
        .await;
    assert_eq!(result["supportedVersions"], json!([MODERN]));
    assert_eq!(
        result["capabilities"],
        json!({
            "tools": { "listChanged": true },
            "prompts": { "listChanged": true },
            "resources": { "subscribe": true, "listChanged": true },
            "completions": {},
            "logging": {},
            "extensions": { TASKS: {} },
        })
    );
    // Who we are stands in `_meta` and nowhere else.
    assert!(result.get("serverInfo").is_none(), "{result}");
    assert_hints(&result, "public");
}

#[tokio::test]
async fn what_is_not_offered_is_neither_declared_nor_found() {
    let server = TestServer::start().await;
    let mcp = ModernClient::connected(&server).await;
    let result = mcp.result("server/discover", &json!({})).await;
    let capabilities = result["capabilities"].as_object().unwrap();
    let names: Vec<&String> = capabilities.keys().collect();
    assert_eq!(names, ["logging", "tools"]);
    for (method, params) in [
        ("prompts/list", json!({})),
        ("prompts/get", json!({ "name": "x" })),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({ "uri": "test://note" })),
        ("completion/complete", json!({})),
        ("tasks/get", json!({ "taskId": "x" })),
        ("tasks/update", json!({ "taskId": "x" })),
        ("tasks/cancel", json!({ "taskId": "x" })),
    ] {
        let answer = mcp.request(method, &params).await;
        assert_eq!(
            (answer.status, answer.rpc_error()),
            (404, -32601),
            "{method}"
        );
        assert_eq!(answer.rpc()["id"], 1, "{method}");
    }
}

#[tokio::test]
async fn methods_that_are_gone_or_never_were_are_not_found() {
    let shop = Workshop::open().await;
    let mcp = shop
        .modern()
        .await
        .declaring(json!({ "extensions": { TASKS: {} } }));
    for method in [
        "initialize",
        "notifications/initialized",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "tasks/list",
        "tasks/result",
        "roots/list",
        "sampling/createMessage",
        "elicitation/create",
        "no/such/method",
        "tools/List",
        "",
    ] {
        let answer = mcp
            .request(method, &json!({ "uri": "test://note", "level": "info" }))
            .await;
        assert_eq!(
            (answer.status, answer.rpc_error()),
            (404, -32601),
            "{method}: {answer:#?}"
        );
        assert_eq!(answer.rpc()["id"], 1, "{method}");
    }
}

#[tokio::test]
async fn an_initialize_without_envelope_under_a_modern_header_is_a_mismatch() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let message = crate::support::initialize_message("2025-11-25");
    let answer = mcp.http(&message).send().await.expect(400);
    assert_eq!(answer.rpc_error(), -32020);
    assert_eq!(answer.rpc()["id"], 0);
    assert!(answer.find("mcp-session-id").is_none(), "{answer:#?}");
}

#[tokio::test]
async fn batches_and_responses_are_not_posted() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let message = mcp.message("tools/list", &json!({}));
    let batch = json!([message]);
    for request in [
        mcp.http(&batch),
        // Either the header or the envelope of one member is enough.
        mcp.http(&batch).without("mcp-protocol-version"),
        mcp.http(&json!([{ "jsonrpc": "2.0", "id": 1, "method": "ping" }])),
        mcp.http(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} })),
        mcp.http(&json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": 1, "message": "x" } })),
    ] {
        assert_eq!(request.send().await.expect(400).rpc_error(), -32600);
    }
}

#[tokio::test]
async fn notifications_are_accepted_and_ignored() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    for method in ["notifications/cancelled", "notifications/of/the/future"] {
        let notification =
            json!({ "jsonrpc": "2.0", "method": method, "params": { "requestId": 1 } });
        let answer = mcp.http(&notification).send().await.expect(202);
        assert_eq!(answer.body, "");
    }
}

#[tokio::test]
async fn there_is_one_method_of_http() {
    let shop = Workshop::open().await;
    let token = connect(&shop).await.tokens.access;
    for method in [
        Method::GET,
        Method::DELETE,
        Method::PUT,
        Method::PATCH,
        Method::HEAD,
    ] {
        let request = shop.request(method.clone(), "/mcp").bearer(&token);
        let request = request.header("mcp-protocol-version", MODERN);
        let answer = request
            .header("accept", "text/event-stream")
            .send()
            .await
            .expect(405);
        assert!(
            answer.list("allow").contains(&"post".to_owned()),
            "{method}: {answer:#?}"
        );
    }
}

/// The members that a result which may be kept has.
#[track_caller]
fn assert_hints(result: &Value, scope: &str) {
    assert!(result["ttlMs"].is_u64(), "{result}");
    assert_eq!(result["cacheScope"], scope, "{result}");
}

#[tokio::test]
async fn every_result_says_what_it_is_who_gave_it_and_whether_to_keep_it() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let reference = json!({ "type": "ref/prompt", "name": "greeting" });
    let argument = json!({ "name": "tone", "value": "" });
    for (method, params, scope) in [
        ("server/discover", json!({}), Some("public")),
        // What depends on the token is for whoever holds it.
        ("tools/list", json!({}), Some("private")),
        ("prompts/list", json!({}), Some("private")),
        ("resources/list", json!({}), Some("private")),
        ("resources/templates/list", json!({}), Some("private")),
        (
            "resources/read",
            json!({ "uri": "test://note" }),
            Some("private"),
        ),
        ("tools/call", json!({ "name": "rich" }), None),
        (
            "prompts/get",
            json!({ "name": "greeting", "arguments": { "name": "A" } }),
            None,
        ),
        (
            "completion/complete",
            json!({ "ref": reference, "argument": argument }),
            None,
        ),
    ] {
        let result = mcp.result(method, &params).await;
        assert_eq!(result["resultType"], "complete", "{method}: {result}");
        let info = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
        assert!(
            info["name"].is_string() && info["version"].is_string(),
            "{method}: {result}"
        );
        match scope {
            Some(scope) => assert_hints(&result, scope),
            None => assert!(result.get("ttlMs").is_none(), "{method}: {result}"),
        }
    }
}

#[tokio::test]
async fn errors_of_the_handlers_kind_keep_their_code() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    for (method, params) in [
        ("tools/call", json!({ "name": "no_such_tool" })),
        ("tools/call", json!({ "name": "echo", "arguments": [] })),
        ("prompts/get", json!({ "name": "no_such_prompt" })),
        ("prompts/get", json!({ "name": "greeting" })),
        ("resources/read", json!({ "uri": "test://nowhere" })),
        ("tools/list", json!({ "cursor": "garbage" })),
        ("prompts/list", json!({ "cursor": "" })),
    ] {
        let answer = mcp.request(method, &params).await;
        assert!([200, 400].contains(&answer.status), "{answer:#?}");
        assert_eq!(answer.rpc_error(), -32602, "{method} {params}");
    }
    let missing = mcp
        .request("resources/read", &json!({ "uri": "test://nowhere" }))
        .await;
    assert_eq!(missing.rpc()["error"]["data"]["uri"], "test://nowhere");
    // Arguments that do not fit are something that a model can act on.
    let result = mcp.call("echo", &json!({ "text": 5 })).await;
    assert_eq!(result["isError"], true, "{result}");
}

#[tokio::test]
async fn completion_is_capped_and_knows_what_it_completes() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let complete = async |reference: Value, name: &str, value: &str| {
        let argument = json!({ "name": name, "value": value });
        let params = json!({ "ref": reference, "argument": argument });
        mcp.request("completion/complete", &params).await
    };
    let prompt = json!({ "type": "ref/prompt", "name": "greeting" });
    let items = json!({ "type": "ref/resource", "uri": "test://items/{id}" });

    let answer = complete(prompt.clone(), "tone", "").await.rpc();
    let completion = &answer["result"]["completion"];
    assert_eq!(completion["values"].as_array().unwrap().len(), 100);
    assert_eq!(
        (&completion["total"], &completion["hasMore"]),
        (&json!(150), &json!(true))
    );
    let answer = complete(prompt.clone(), "tone", "tone-01").await.rpc();
    assert_eq!(answer["result"]["completion"]["total"], 10);
    assert_eq!(answer["result"]["completion"]["hasMore"], false);
    let answer = complete(items, "id", "7").await.rpc();
    assert_eq!(answer["result"]["completion"]["values"], json!(["7"]));
    for (reference, name) in [
        (prompt, "no_such_argument"),
        (json!({ "type": "ref/prompt", "name": "nobody" }), "tone"),
        (json!({ "type": "ref/resource", "uri": "test://{x}" }), "id"),
        (json!({ "type": "ref/other", "name": "greeting" }), "tone"),
    ] {
        let answer = complete(reference.clone(), name, "").await;
        assert_eq!(answer.rpc_error(), -32602, "{reference} {name}");
    }
}

#[tokio::test]
async fn a_variable_that_a_template_does_not_have_is_not_completed() {
    let shop = Workshop::open().await;
    let reference = json!({ "type": "ref/resource", "uri": "test://items/{id}" });
    let argument = json!({ "name": "no_such_variable", "value": "" });
    let params = json!({ "ref": reference, "argument": argument });
    // server/utilities/completion, “Error Handling”: invalid argument names are -32602.
    let answer = shop
        .modern()
        .await
        .request("completion/complete", &params)
        .await;
    assert_eq!(answer.rpc_error(), -32602);
}
