//! 2026-07-28: how a request is told from one of the older era, and in which order its envelope is
//! checked (basic/transports, “Streamable HTTP”; basic/versioning).

use reqwest::Method;
use serde_json::json;

use crate::support::{
    Answer, CAPABILITIES_KEY, MODERN, McpClient, ModernClient, VERSION_KEY, Workshop, connect,
};

const HEADER_MISMATCH: i64 = -32020;
const UNSUPPORTED_VERSION: i64 = -32022;

/// A refusal: status, code and the id of the request.
#[track_caller]
pub(crate) fn assert_refused(answer: &Answer, status: u16, code: i64) {
    assert_eq!(answer.status, status, "{answer:#?}");
    assert_eq!(answer.rpc_error(), code, "{answer:#?}");
    assert_eq!(answer.rpc()["id"], 1, "{answer:#?}");
    assert!(answer.find("mcp-session-id").is_none(), "{answer:#?}");
}

#[tokio::test]
async fn what_the_envelope_must_have_is_missed() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let whole = mcp.message("tools/list", &json!({}));

    let mut without_meta = whole.clone();
    without_meta["params"]
        .as_object_mut()
        .unwrap()
        .remove("_meta");
    let mut without_params = whole.clone();
    without_params.as_object_mut().unwrap().remove("params");
    let mut broken = vec![without_meta, without_params];
    for key in [VERSION_KEY, CAPABILITIES_KEY] {
        let mut without = whole.clone();
        without["params"]["_meta"]
            .as_object_mut()
            .unwrap()
            .remove(key);
        broken.push(without);
        for wrong in [json!(5), json!(null), json!([]), json!(true)] {
            let mut malformed = whole.clone();
            malformed["params"]["_meta"][key] = wrong;
            broken.push(malformed);
        }
    }
    // A good header does not make up for it, and is not what is complained about.
    for message in broken {
        assert_refused(&mcp.http(&message).send().await, 400, -32602);
    }
    // Who the client is need not be said.
    let mut anonymous = whole;
    let meta = anonymous["params"]["_meta"].as_object_mut().unwrap();
    meta.remove("io.modelcontextprotocol/clientInfo");
    mcp.http(&anonymous).send().await.expect(200);
}

#[tokio::test]
async fn methods_of_this_era_are_known_for_it_without_header_or_envelope() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    for method in ["server/discover", "subscriptions/listen"] {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": {} });
        let request = mcp.http(&message).without("mcp-protocol-version");
        let answer = request.send().await;
        assert_refused(&answer, 400, -32602);
        let text = answer.rpc()["error"]["message"].to_string();
        assert!(text.contains(VERSION_KEY), "{text}");
    }
}

#[tokio::test]
async fn the_version_header_repeats_the_body() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let message = mcp.message("tools/list", &json!({}));

    let absent = mcp.http(&message).without("mcp-protocol-version");
    assert_refused(&absent.send().await, 400, HEADER_MISMATCH);
    for other in [
        "2025-11-25",
        "2026-07-29",
        "v999",
        "",
        "2026-07-28, 2026-07-28",
    ] {
        let request = mcp.http(&message).header("mcp-protocol-version", other);
        assert_refused(&request.send().await, 400, HEADER_MISMATCH);
    }
    let twice = mcp
        .http(&message)
        .another_header("mcp-protocol-version", MODERN);
    assert_refused(&twice.send().await, 400, HEADER_MISMATCH);
    let padded = mcp
        .http(&message)
        .header("mcp-protocol-version", " 2026-07-28\t");
    padded.send().await.expect(200);
    // The mismatch is told before the version that we do not speak.
    let mcp = mcp.saying(VERSION_KEY, json!("v999"));
    assert_refused(
        &mcp.request("tools/list", &json!({})).await,
        400,
        HEADER_MISMATCH,
    );
}

#[tokio::test]
async fn versions_that_we_do_not_speak_are_named_with_those_that_we_do() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let supported = mcp.result("server/discover", &json!({})).await["supportedVersions"].clone();
    assert_eq!(supported, json!([MODERN]));

    for version in ["v999", "2027-01-01", "2025-11-25", "2024-11-05", ""] {
        let mcp = mcp.clone().saying(VERSION_KEY, json!(version));
        for method in [
            "server/discover",
            "tools/list",
            "no/such/method",
            "initialize",
        ] {
            let message = mcp.message(method, &json!({}));
            let request = mcp.http(&message).header("mcp-protocol-version", version);
            let answer = request.send().await;
            assert_refused(&answer, 400, UNSUPPORTED_VERSION);
            let data = &answer.rpc()["error"]["data"];
            assert_eq!(
                data,
                &json!({ "supported": supported, "requested": version })
            );
        }
    }
}

#[tokio::test]
async fn the_method_header_repeats_the_method() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let message = mcp.message("tools/list", &json!({}));

    assert_refused(
        &mcp.http(&message).without("mcp-method").send().await,
        400,
        HEADER_MISMATCH,
    );
    for wrong in [
        "tools/call",
        "Tools/List",
        "tools/list/",
        "=?base64?dG9vbHMvbGlzdA==?=",
    ] {
        let request = mcp.http(&message).header("mcp-method", wrong);
        assert_refused(&request.send().await, 400, HEADER_MISMATCH);
    }
    // Names of headers have no case, and blanks around a value are not part of it.
    let request = mcp.http(&message).without("mcp-method");
    request
        .header("MCP-METHOD", "  tools/list ")
        .send()
        .await
        .expect(200);
    // An unknown method is looked for only when the headers agree.
    let unknown = mcp.message("no/such/method", &json!({}));
    let request = mcp.http(&unknown).header("mcp-method", "tools/list");
    assert_refused(&request.send().await, 400, HEADER_MISMATCH);
}

#[tokio::test]
async fn both_eras_are_spoken_at_one_url_in_turns() {
    let shop = Workshop::open().await;
    let token = connect(&shop).await.tokens.access;
    let modern = ModernClient::new(&shop, &token);
    let legacy = McpClient::initialized(&shop, &token, "2025-06-18").await;
    for _ in 0..3 {
        let result = modern.call("echo", &json!({ "text": "new" })).await;
        assert_eq!(result["resultType"], "complete");
        let result = legacy.call("echo", &json!({ "text": "old" })).await;
        assert!(result.get("resultType").is_none(), "{result}");
        assert_eq!(result["structuredContent"]["text"], "old");
    }
    // A session that is named is ignored and not named back, real or invented.
    let session = legacy.session.as_deref().unwrap();
    for named in [session, "invented"] {
        let message = modern.message("tools/list", &json!({}));
        let request = modern.http(&message).header("mcp-session-id", named);
        let answer = request.send().await.expect(200);
        assert!(answer.find("mcp-session-id").is_none(), "{answer:#?}");
        assert_eq!(answer.rpc()["result"]["resultType"], "complete");
    }
    assert_eq!(legacy.http(Method::DELETE).send().await.status, 204);
    modern.result("tools/list", &json!({})).await;
}

#[tokio::test]
async fn capabilities_of_one_request_are_not_those_of_the_next() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    let asked = mcp.clone().declaring(json!({ "elicitation": {} }));
    assert_eq!(
        asked.call("ask", &json!({})).await["resultType"],
        "input_required"
    );
    let answer = mcp.request("tools/call", &json!({ "name": "ask" })).await;
    assert_refused(&answer, 400, -32021);
}
