//! 2026-07-28: headers that repeat what a request is about (basic/transports, “Standard MCP
//! Request Headers”, “Custom Headers from Tool Parameters”).

use serde_json::{Value, json};

use crate::{
    modern_envelope::assert_refused,
    support::{Workshop, header_form},
};

const HEADER_MISMATCH: i64 = -32020;

fn echo() -> Value {
    json!({ "name": "echo", "arguments": { "text": "hi" } })
}

#[tokio::test]
async fn the_name_header_repeats_what_the_request_is_about() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    for (method, params) in [
        ("tools/call", echo()),
        (
            "prompts/get",
            json!({ "name": "greeting", "arguments": { "name": "A" } }),
        ),
        ("resources/read", json!({ "uri": "test://note" })),
    ] {
        let message = mcp.message(method, &params);
        let name = params["name"].as_str().or(params["uri"].as_str()).unwrap();
        let encoded = format!("=?base64?{}?=", base64(name));
        for good in [name.to_owned(), format!(" {name}\t"), encoded.clone()] {
            let answer = mcp.http(&message).header("mcp-name", &good).send().await;
            assert_eq!(answer.status, 200, "{good}: {answer:#?}");
        }
        assert_refused(
            &mcp.http(&message).without("mcp-name").send().await,
            400,
            HEADER_MISMATCH,
        );
        for wrong in [
            "other".to_owned(),
            name.to_uppercase(),
            String::new(),
            // Not marked as encoded, so it stands for itself.
            base64(name),
            encoded.replace("base64", "BASE64"),
            encoded.trim_end_matches("?=").to_owned(),
            // Marked and malformed.
            "=?base64?!!!?=".to_owned(),
            format!(
                "=?base64?{}?=",
                base64(name).trim_end_matches('=').to_owned() + "="
            ),
        ] {
            if wrong == encoded {
                continue;
            }
            let answer = mcp.http(&message).header("mcp-name", &wrong).send().await;
            assert_eq!(answer.status, 400, "{wrong}: {answer:#?}");
            assert_refused(&answer, 400, HEADER_MISMATCH);
        }
    }
}

#[tokio::test]
async fn a_name_that_no_header_can_carry_comes_in_base64() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    for name in ["ä🦀", " echo", "=?base64?ZWNobw==?=", "a\nb"] {
        assert_ne!(header_form(name), name);
        // It is not a tool of ours, which is found out behind the headers.
        let answer = mcp.request("tools/call", &json!({ "name": name })).await;
        assert_eq!(answer.rpc_error(), -32602, "{name:?}: {answer:#?}");
    }
}

fn base64(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(text)
}

#[tokio::test]
async fn arguments_are_repeated_in_headers_of_their_own() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let call = |arguments: Value, headers: &[(&str, &str)]| {
        let params = json!({ "name": "regional", "arguments": arguments });
        let request = mcp.http(&mcp.message("tools/call", &params));
        let add = |request: crate::support::Request, (name, value): &(&str, &str)| {
            request.header(&format!("mcp-param-{name}"), value)
        };
        headers.iter().fold(request, add).send()
    };
    for (arguments, headers) in [
        (json!({}), vec![]),
        (json!({ "region": "eu" }), vec![("Region", "eu")]),
        (json!({ "region": "eu" }), vec![("Region", " eu ")]),
        (
            json!({ "region": "eu" }),
            vec![("region", "=?base64?ZXU=?=")],
        ),
        (
            json!({ "region": "ä" }),
            vec![("region", "=?base64?w6Q=?=")],
        ),
        (json!({ "shard": 42 }), vec![("shard", "42")]),
        (json!({ "shard": -7 }), vec![("shard", "-7")]),
        (json!({ "at": { "home": true } }), vec![("home", "true")]),
        // Headers of arguments that we do not know are nothing to us.
        (json!({}), vec![("unknown", "x")]),
    ] {
        let answer = call(arguments.clone(), &headers).await;
        assert_eq!(answer.status, 200, "{arguments} {headers:?} {answer:#?}");
        assert_eq!(answer.rpc()["result"]["isError"], false, "{answer:#?}");
    }
    for (arguments, headers) in [
        (json!({ "region": "eu" }), vec![]),
        (json!({ "region": "eu" }), vec![("region", "us")]),
        (json!({ "region": "eu" }), vec![("region", "EU")]),
        (
            json!({ "region": "eu" }),
            vec![("region", "=?base64?ZXU?=")],
        ),
        (
            json!({ "region": "eu" }),
            vec![("region", "=?base64?Z!U=?=")],
        ),
        (json!({ "shard": 42 }), vec![("shard", "43")]),
        (json!({ "shard": 42 }), vec![("shard", "forty-two")]),
        (json!({ "at": { "home": true } }), vec![("home", "True")]),
        (json!({ "at": { "home": true } }), vec![]),
    ] {
        let answer = call(arguments.clone(), &headers).await;
        assert_eq!(answer.status, 400, "{arguments} {headers:?} {answer:#?}");
        assert_refused(&answer, 400, HEADER_MISMATCH);
    }
}

#[tokio::test]
async fn headers_of_arguments_are_checked_before_the_arguments() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    // `count` breaks the schema; `region` has no header.
    let arguments = json!({ "region": "eu", "count": 0 });
    let params = json!({ "name": "regional", "arguments": arguments });
    let answer = mcp.request("tools/call", &params).await;
    assert_refused(&answer, 400, HEADER_MISMATCH);
}
