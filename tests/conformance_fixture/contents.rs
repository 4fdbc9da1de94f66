//! Tools that answer at once.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Fixture, NEWEST, PNG, WAV, call, complete, said};

/// What each tool without arguments answers.
fn answers() -> [(&'static str, Value); 6] {
    let picture = json!({ "type": "image", "data": PNG, "mimeType": "image/png" });
    let sound = json!({ "type": "audio", "data": WAV, "mimeType": "audio/wav" });
    let resource = json!({ "type": "resource", "resource": {
        "uri": "test://embedded-resource",
        "mimeType": "text/plain",
        "text": "This is an embedded resource content.",
    } });
    let mixed = json!([
        { "type": "text", "text": "Multiple content types test:" },
        picture,
        { "type": "resource", "resource": {
            "uri": "test://mixed-content-resource",
            "mimeType": "application/json",
            "text": r#"{"test":"data","value":123}"#,
        } },
    ]);
    let failure = "This tool intentionally returns an error for testing";
    let mut failed = said(failure);
    failed["isError"] = json!(true);
    let content = |content: Value| json!({ "content": content, "isError": false });
    [
        (
            "test_simple_text",
            said("This is a simple text response for testing."),
        ),
        ("test_image_content", content(json!([picture]))),
        ("test_audio_content", content(json!([sound]))),
        ("test_embedded_resource", content(json!([resource]))),
        ("test_multiple_content_types", content(mixed)),
        ("test_error_handling", failed),
    ]
}

#[tokio::test]
async fn tools_without_arguments_answer_with_what_the_suite_expects() {
    let fixture = Fixture::start().await;
    for client in fixture.clients().await {
        for (tool, answer) in answers() {
            let answer = complete(&client, answer);
            assert_eq!(call(&client, tool, &json!({})).await, answer);
            // The suite leaves empty arguments out.
            let params = json!({ "name": tool });
            assert_eq!(client.result("tools/call", &params).await, answer);
        }
    }
}

#[tokio::test]
async fn picture_and_sound_are_files_of_their_type() {
    let fixture = Fixture::start().await;
    let mcp = fixture.modern();
    let file = async |tool: &str| {
        let result = mcp.call(tool, &json!({})).await;
        let data = result["content"][0]["data"].as_str().unwrap();
        STANDARD.decode(data).unwrap()
    };
    let picture = file("test_image_content").await;
    assert_eq!(chunks(&picture), ["IHDR", "IDAT", "IEND"]);

    let sound = file("test_audio_content").await;
    let (head, size) = (&sound[..12], u32::try_from(sound.len() - 8).unwrap());
    let expected = [&b"RIFF"[..], &size.to_le_bytes(), b"WAVE"].concat();
    assert_eq!(head, expected);
}

/// The names of a picture's chunks, which must fill it to its end.
// PNG §5: a signature; then length, type, data and checksum, until the end.
fn chunks(picture: &[u8]) -> Vec<&str> {
    let mut rest = picture.strip_prefix(b"\x89PNG\r\n\x1a\n").unwrap();
    let mut names = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        names.push(str::from_utf8(&after[..4]).unwrap());
        rest = &after[4 + length + 4..];
    }
    assert_eq!(rest, b"");
    names
}

#[tokio::test]
async fn tools_with_arguments_use_them() {
    let fixture = Fixture::start().await;
    for client in fixture.clients().await {
        for (tool, arguments, text) in [
            ("greet", json!({ "name": "Ada" }), "Hello, Ada!"),
            (
                "slow_compute",
                json!({ "seconds": 0.01, "label": "pi" }),
                "Computed pi.",
            ),
            (
                "json_schema_2020_12_tool",
                json!({ "contactMethod": "phone", "phone": "1" }),
                "The arguments fit the schema.",
            ),
            (
                "json_schema_2020_12_tool",
                json!({ "address": { "city": "Turin" }, "email": "a@example.com" }),
                "The arguments fit the schema.",
            ),
        ] {
            let expected = complete(&client, said(text));
            assert_eq!(call(&client, tool, &arguments).await, expected);
        }
    }
}

#[tokio::test]
async fn every_part_of_the_json_schema_2020_12_tool_is_enforced() {
    let fixture = Fixture::start().await;
    for client in fixture.clients().await {
        for arguments in [
            // `allOf` with `anyOf`; `then`; `else`; `$ref`; `enum`; `additionalProperties`.
            json!({}),
            json!({ "contactMethod": "phone", "email": "a@example.com" }),
            json!({ "contactMethod": "email", "phone": "1" }),
            json!({ "address": { "city": 7 }, "email": "a@example.com" }),
            json!({ "contactMethod": "post", "email": "a@example.com" }),
            json!({ "email": "a@example.com", "more": 1 }),
        ] {
            let result = call(&client, "json_schema_2020_12_tool", &arguments).await;
            assert_eq!(result["isError"], true, "{arguments}: {result}");
        }
    }
}

#[tokio::test]
async fn the_argument_of_the_custom_header_tool_stands_in_a_header_in_2026() {
    let fixture = Fixture::start().await;
    let params = json!({ "name": "test_custom_header", "arguments": { "value": "Hello" } });
    let legacy = fixture.legacy(NEWEST).await;
    assert_eq!(legacy.result("tools/call", &params).await, said("Hello"));

    let mcp = fixture.modern();
    let message = mcp.message("tools/call", &params);
    let with = async |header: Option<&str>| {
        let request = mcp.http(&message);
        let request = match header {
            Some(value) => request.header("mcp-param-value", value),
            None => request,
        };
        request.send().await
    };
    for header in ["Hello", "=?base64?SGVsbG8=?="] {
        let answer = with(Some(header)).await.expect(200);
        assert_eq!(answer.rpc()["result"]["content"], said("Hello")["content"]);
    }
    // SEP-2243: what is missing, different or no base64 is refused.
    for header in [
        None,
        Some("hello"),
        Some("=?base64?SGVsbG8?="),
        Some("=?base64?SGVs!!!bG8=?="),
    ] {
        let answer = with(header).await.expect(400);
        assert_eq!(answer.rpc_error(), -32020, "{header:?}");
    }
}
