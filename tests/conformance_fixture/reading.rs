//! Prompts, resources and completion.

use serde_json::{Value, json};

use super::{Fixture, NEWEST, PNG, cacheable, complete};
use crate::every_version::Client;

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// Gets a prompt in which everything is said by the person.
async fn assert_says(client: &Client, name: &str, arguments: Value, contents: &[Value]) {
    let params = json!({ "name": name, "arguments": arguments });
    let messages = contents.iter();
    let messages: Vec<Value> = messages
        .map(|content| json!({ "role": "user", "content": content }))
        .collect();
    let expected = complete(client, json!({ "messages": messages }));
    assert_eq!(client.result("prompts/get", &params).await, expected);
}

#[tokio::test]
async fn prompts_say_what_the_suite_expects() {
    let fixture = Fixture::start().await;
    for client in fixture.clients().await {
        let simple = text("This is a simple prompt for testing.");
        assert_says(&client, "test_simple_prompt", json!({}), &[simple]).await;

        let arguments = json!({ "arg1": "hello", "arg2": "world" });
        let filled = text("Prompt with arguments: arg1='hello', arg2='world'");
        assert_says(&client, "test_prompt_with_arguments", arguments, &[filled]).await;

        let arguments = json!({ "resourceUri": "test://example-resource" });
        let resource = json!({ "type": "resource", "resource": {
            "uri": "test://example-resource",
            "mimeType": "text/plain",
            "text": "Embedded resource content for testing.",
        } });
        let task = text("Please process the embedded resource above.");
        let name = "test_prompt_with_embedded_resource";
        assert_says(&client, name, arguments, &[resource, task]).await;

        let picture = json!({ "type": "image", "data": PNG, "mimeType": "image/png" });
        let task = text("Please analyze the image above.");
        let name = "test_prompt_with_image";
        assert_says(&client, name, json!({}), &[picture, task]).await;
    }
}

#[tokio::test]
async fn a_prompt_wants_all_its_arguments() {
    let fixture = Fixture::start().await;
    let (legacy, modern) = (fixture.legacy(NEWEST).await, fixture.modern());
    for (name, arguments) in [
        ("test_prompt_with_arguments", json!({ "arg1": "hello" })),
        ("test_prompt_with_arguments", json!({ "arg2": "world" })),
        ("test_prompt_with_embedded_resource", json!({})),
    ] {
        let params = json!({ "name": name, "arguments": arguments });
        let refused = legacy.request("prompts/get", &params).await;
        assert_eq!(refused.rpc_error(), -32602, "{params}");
        let refused = modern.request("prompts/get", &params).await;
        assert_eq!(refused.rpc_error(), -32602, "{params}");
    }
}

#[tokio::test]
async fn resources_hold_what_the_suite_expects() {
    let fixture = Fixture::start().await;
    for client in fixture.clients().await {
        for contents in [
            json!({
                "uri": "test://static-text",
                "mimeType": "text/plain",
                "text": "This is the content of the static text resource.",
            }),
            json!({ "uri": "test://static-binary", "mimeType": "image/png", "blob": PNG }),
            json!({
                "uri": "test://watched-resource",
                "mimeType": "text/plain",
                "text": "Watched resource content.",
            }),
            json!({
                "uri": "test://template/123/data",
                "mimeType": "application/json",
                "text": r#"{"id":"123","templateTest":true,"data":"Data for ID: 123"}"#,
            }),
        ] {
            let params = json!({ "uri": contents["uri"] });
            let expected = cacheable(&client, json!({ "contents": [contents] }));
            assert_eq!(client.result("resources/read", &params).await, expected);
        }
    }
}

#[tokio::test]
async fn a_resource_that_is_not_there_is_named_in_the_refusal() {
    let fixture = Fixture::start().await;
    let (legacy, modern) = (fixture.legacy(NEWEST).await, fixture.modern());
    for uri in [
        "test://nonexistent-resource-for-conformance-testing",
        "test://template//data",
        "test://template/1/2/data",
    ] {
        let params = json!({ "uri": uri });
        // SEP-2164 changed the code with 2026-07-28.
        for (answer, code) in [
            (legacy.request("resources/read", &params).await, -32002),
            (modern.request("resources/read", &params).await, -32602),
        ] {
            assert_eq!(answer.rpc_error(), code, "{answer:#?}");
            assert_eq!(answer.rpc()["error"]["data"], json!({ "uri": uri }));
        }
    }
}

#[tokio::test]
async fn the_watched_resource_can_be_watched() {
    let fixture = Fixture::start().await;
    let watched = "test://watched-resource";
    let mcp = fixture.legacy(NEWEST).await;
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        let result = mcp.result(method, &json!({ "uri": watched })).await;
        assert_eq!(result, json!({}));
    }
    // In 2026-07-28 it is a matter of the stream.
    let filter = json!({ "resourceSubscriptions": [watched] });
    let (_events, granted) = fixture.modern().listen(&filter).await;
    assert_eq!(granted, filter);
}

#[tokio::test]
async fn there_is_nothing_to_complete() {
    let fixture = Fixture::start().await;
    let params = json!({
        "ref": { "type": "ref/prompt", "name": "test_prompt_with_arguments" },
        "argument": { "name": "arg1", "value": "test" },
    });
    let nothing = json!({ "completion": { "values": [], "total": 0, "hasMore": false } });
    for client in fixture.clients().await {
        let result = client.result("completion/complete", &params).await;
        assert_eq!(result, complete(&client, nothing.clone()));
    }
}
