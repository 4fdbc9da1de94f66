//! An MCP server behind this one: what it offers is offered as it describes it, and nothing of the
//! client's reaches it but what the client wants done.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use remote_mcp_auth::mcp::feature::Change;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    Browser, JsonServer, McpClient, ModernClient, OAuthClient, Outcome, TestServer, Workshop,
    connect, initialize_message, jwt,
};

/// How the upstream is spoken to: as it likes best, which is 2026-07-28, and in sessions.
pub(crate) const BOTH: [&str; 2] = ["", "sessions_only = true"];

/// The list without what each answer says of itself.
async fn list(mcp: &ModernClient, method: &str, member: &str) -> Value {
    mcp.result(method, &json!({})).await[member].clone()
}

#[tokio::test]
async fn everything_is_listed_as_the_upstream_lists_it() {
    for more in BOTH {
        let shop = Workshop::behind_a_gateway(more).await;
        let here = shop.modern().await;
        let there = ModernClient::connected(shop.behind()).await;
        for (method, member) in [
            ("prompts/list", "prompts"),
            ("resources/list", "resources"),
            ("resources/templates/list", "resourceTemplates"),
        ] {
            let listed = list(&here, method, member).await;
            assert_eq!(listed, list(&there, method, member).await, "{method}");
            assert!(!listed.as_array().unwrap().is_empty());
        }
        let (ours, theirs) = (
            list(&here, "tools/list", "tools").await,
            list(&there, "tools/list", "tools").await,
        );
        let shown = |tools: &Value| -> Vec<Value> {
            let tools = tools.as_array().unwrap().iter();
            // What is no object has no schema in sessions.
            tools
                .filter(|tool| tool["name"] != "numbers")
                .cloned()
                .collect()
        };
        assert_eq!(shown(&ours), shown(&theirs));
        assert!(shown(&ours).len() > 10);
    }
}

#[tokio::test]
async fn results_are_passed_on_with_all_that_is_in_them() {
    for more in BOTH {
        let shop = Workshop::behind_a_gateway(more).await;
        let here = shop.modern().await;
        let there = ModernClient::connected(shop.behind()).await;
        for (tool, arguments) in [
            ("echo", json!({ "text": "hello" })),
            ("rich", json!({})),
            ("regional", json!({ "count": 1 })),
        ] {
            let passed = here.call(tool, &arguments).await;
            assert_eq!(passed, there.call(tool, &arguments).await, "{tool}");
        }
        // The upstream says itself what is wrong with arguments.
        let wrong = here.call("echo", &json!({})).await;
        assert_eq!(wrong, there.call("echo", &json!({})).await);
        assert_eq!(wrong["isError"], true);
    }
}

#[tokio::test]
async fn arguments_that_belong_into_headers_are_put_there() {
    let shop = Workshop::behind_a_gateway("").await;
    let mcp = shop.modern().await;
    let arguments = json!({ "region": "eu", "shard": 7, "count": 1 });
    let params = json!({ "name": "regional", "arguments": arguments });
    let request = mcp.http(&mcp.message("tools/call", &params));
    let request = request
        .header("mcp-param-region", "eu")
        .header("mcp-param-shard", "7");
    let result = request.send().await.expect(200).rpc()["result"].clone();
    assert_eq!(result["content"][0]["text"], "here", "{result}");
}

#[tokio::test]
async fn prompts_and_resources_are_passed_on_with_their_errors() {
    for more in BOTH {
        let shop = Workshop::behind_a_gateway(more).await;
        let modern = shop.modern().await;
        let legacy = shop.legacy("2025-11-25", json!({})).await;
        let greeting = json!({ "name": "greeting", "arguments": { "name": "Ada" } });
        let note = json!({ "uri": "test://note" });
        let item = json!({ "uri": "test://items/7" });
        for (method, params, path, text) in [
            (
                "prompts/get",
                &greeting,
                "/messages/0/content/text",
                "Greet Ada",
            ),
            ("resources/read", &note, "/contents/0/text", "noted"),
            ("resources/read", &item, "/contents/0/text", "item 7"),
        ] {
            for result in [
                modern.result(method, params).await,
                legacy.result(method, params).await,
            ] {
                assert_eq!(result.pointer(path), Some(&json!(text)), "{result}");
            }
        }
        // Each revision has its own code for what is not there, whatever the upstream speaks.
        let nothing = json!({ "uri": "test://nothing" });
        let answer = modern.request("resources/read", &nothing).await;
        assert_eq!(answer.rpc_error(), -32602);
        let answer = legacy.request("resources/read", &nothing).await;
        assert_eq!(answer.rpc_error(), -32002);
        // Who fills in a prompt knows what it takes.
        let empty = json!({ "name": "greeting", "arguments": {} });
        assert_eq!(
            modern.request("prompts/get", &empty).await.rpc_error(),
            -32602
        );
    }
}

#[tokio::test]
async fn the_upstream_completes() {
    for more in BOTH {
        let shop = Workshop::behind_a_gateway(more).await;
        let mcp = shop.modern().await;
        let complete = async |reference: Value, name: &str, value: &str| {
            let argument = json!({ "name": name, "value": value });
            let params = json!({ "ref": reference, "argument": argument });
            mcp.result("completion/complete", &params).await["completion"].clone()
        };
        let prompt = json!({ "type": "ref/prompt", "name": "greeting" });
        let tones = complete(prompt, "tone", "tone-").await;
        assert_eq!(tones["values"].as_array().unwrap().len(), 100);
        assert_eq!(
            (&tones["total"], &tones["hasMore"]),
            (&json!(150), &json!(true))
        );
        let template = json!({ "type": "ref/resource", "uri": "test://items/{id}" });
        let ids = complete(template, "id", "7").await;
        assert_eq!(ids["values"], json!(["7"]));
    }
}

#[tokio::test]
async fn changes_reach_those_who_asked_to_hear_of_them() {
    for more in BOTH {
        let shop = Workshop::behind_a_gateway(more).await;
        let modern = shop.modern().await;
        let legacy = shop.legacy("2025-11-25", json!({})).await;
        let watch = json!({ "toolsListChanged": true, "resourceSubscriptions": ["test://note"] });
        let (mut listening, granted) = modern.listen(&watch).await;
        assert_eq!(granted, watch);
        let note = json!({ "uri": "test://note" });
        legacy.result("resources/subscribe", &note).await;
        let mut stream = legacy.events(None).await;

        let updated = Change::Resource("test://note".into());
        shop.behind().changes().tell(updated.clone());
        for events in [&mut listening, &mut stream] {
            let message = events.message().await;
            assert_eq!(message["method"], "notifications/resources/updated");
            assert_eq!(message["params"]["uri"], "test://note");
        }
        shop.behind().changes().tell(Change::Tools);
        for events in [&mut listening, &mut stream] {
            let message = events.message().await;
            assert_eq!(message["method"], "notifications/tools/list_changed");
        }
        // Who has unsubscribed hears of it no more, and the others do.
        legacy.result("resources/unsubscribe", &note).await;
        shop.behind().changes().tell(updated);
        shop.behind().changes().tell(Change::Tools);
        let message = listening.message().await;
        assert_eq!(message["method"], "notifications/resources/updated");
        let message = stream.message().await;
        assert_eq!(message["method"], "notifications/tools/list_changed");
    }
}

/// Passes bytes on to `to`, and keeps those that go there.
async fn wiretap(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let heard = Arc::<Mutex<Vec<u8>>>::default();
    let keep = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let keep = Arc::clone(&keep);
            tokio::spawn(async move {
                let server = TcpStream::connect(to).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let back = tokio::io::copy(&mut from_server, &mut to_client);
                let there = async {
                    let mut buffer = [0; 4096];
                    while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                        keep.lock().unwrap().extend_from_slice(&buffer[..read]);
                        if to_server.write_all(&buffer[..read]).await.is_err() {
                            break;
                        }
                    }
                };
                tokio::join!(async { back.await.map_or(0, |bytes| bytes) }, there);
            });
        }
    });
    (addr, heard)
}

#[tokio::test]
async fn nothing_that_the_client_is_known_by_reaches_the_upstream() {
    for more in BOTH {
        let shop = Workshop::open().await;
        let key = connect(&shop).await.tokens.access;
        let (tapped, heard) = wiretap(shop.addr()).await;
        let file = format!(
            "[[upstreams]]\nurl = \"http://{tapped}/mcp\"\nauthorization = \"Bearer {key}\"\n{more}\n"
        );
        let gateway = TestServer::one_reading(&file).await;
        let person = connect(&gateway).await;
        let token = &person.tokens.access;

        let modern = ModernClient::new(&gateway, token);
        let params = json!({ "name": "echo", "arguments": { "text": "wanted" } });
        let request = modern.http(&modern.message("tools/call", &params));
        let request = request
            .header("cookie", "cookie=unwanted")
            .header("x-anything", "unwanted");
        request.send().await.expect(200);
        let mut legacy = McpClient::new(&gateway, token);
        let mut hello = initialize_message("2025-11-25");
        hello["params"]["clientInfo"]["name"] = json!("unwanted");
        legacy.initialize("2025-11-25").await;
        legacy.post(&hello).await.expect(200);
        legacy.call("echo", &json!({ "text": "wanted" })).await;
        legacy
            .result("resources/read", &json!({ "uri": "test://note" }))
            .await;

        let heard = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
        assert!(heard.contains("wanted") && heard.contains(&key), "{heard}");
        let refresh = person.tokens.refresh.as_deref();
        let session = legacy.session.as_deref();
        for secret in [Some(token.as_str()), refresh, session, Some("unwanted")] {
            assert!(!heard.contains(secret.unwrap()), "{heard}");
        }
        assert!(!heard.contains(&person.client.id), "{heard}");
    }
}

#[tokio::test]
async fn each_grant_has_a_session_of_its_own_unless_it_is_shared() {
    for (more, sessions) in [("", 3), ("shared = true", 1)] {
        let more = format!("sessions_only = true\n{more}");
        let shop = Workshop::open().await;
        let key = connect(&shop).await.tokens.access;
        let (tapped, heard) = wiretap(shop.addr()).await;
        let file = format!(
            "[[upstreams]]\nurl = \"http://{tapped}/mcp\"\nauthorization = \"Bearer {key}\"\n{more}\n"
        );
        let gateway = TestServer::one_reading(&file).await;
        for _ in 0..2 {
            let token = connect(&gateway).await.tokens.access;
            for _ in 0..3 {
                let mcp = ModernClient::new(&gateway, &token);
                mcp.call("echo", &json!({ "text": "x" })).await;
            }
        }
        let heard = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
        // One more that the lists are read on.
        assert_eq!(heard.matches("\"initialize\"").count(), sessions, "{heard}");
    }
}

#[tokio::test]
async fn a_session_that_the_upstream_has_forgotten_is_begun_again() {
    let shop = Workshop::with([("mcp_session_ttl", "5m")]).await;
    let shop = shop.put_behind_a_gateway("sessions_only = true").await;
    let mcp = shop.modern().await;
    for _ in 0..3 {
        let result = mcp.call("echo", &json!({ "text": "hello" })).await;
        assert_eq!(result["content"][0]["text"], "hello", "{result}");
        shop.behind().advance(Duration::from_mins(10));
    }
}

#[tokio::test]
async fn what_the_upstream_is_good_for_reaches_the_model() {
    let child = crate::gateway_children::child("");
    let gateway = TestServer::one_reading(&child).await;
    let token = connect(&gateway).await.tokens.access;
    let mcp = ModernClient::new(&gateway, &token);
    let discovered = mcp.result("server/discover", &json!({})).await;
    assert_eq!(discovered["instructions"], "be kind");
    let mut legacy = McpClient::new(&gateway, &token);
    let initialized = legacy.initialize("2025-06-18").await;
    assert_eq!(initialized["instructions"], "be kind");
}

/// A server of the session era that says more than anybody knows.
fn talkative(message: &Value) -> Outcome {
    let icons = json!([{ "src": "https://icons.example/i.png", "mimeType": "image/png" }]);
    let meta = json!({ "vendor.example/page": "ui://page" });
    let text = json!({
        "type": "text", "text": "words", "annotations": { "audience": ["user"], "priority": 0.5 },
        "_meta": { "vendor.example/part": 1 },
    });
    Ok(match message["method"].as_str().unwrap() {
        "initialize" => json!({
            "protocolVersion": "2025-11-25",
            "capabilities": { "tools": {}, "prompts": {}, "resources": {} },
            "serverInfo": { "name": "talkative", "version": "1" },
        }),
        "tools/list" if message["params"].get("cursor").is_none() => json!({
            "nextCursor": "more",
            "tools": [{
                "name": "old/school", "title": "Old school", "icons": icons, "_meta": meta,
                "inputSchema": {
                    "$schema": "http://json-schema.org/draft-04/schema#", "type": "object",
                    "properties": { "n": { "type": "number", "minimum": 0, "exclusiveMinimum": true } },
                    "definitions": { "far": { "$ref": "https://schemas.example/far.json" } },
                },
                "annotations": { "readOnlyHint": true, "title": "Hint" },
            }],
        }),
        "tools/list" => json!({
            "tools": [{ "name": "second", "inputSchema": { "type": "object" } }],
        }),
        "prompts/list" => json!({ "prompts": [{
            "name": "a prompt", "icons": icons, "_meta": meta,
            "arguments": [{ "name": "a", "title": "An argument", "required": true }],
        }]}),
        "resources/list" => json!({ "resources": [{
            "uri": "ui://page", "name": "page", "size": 7, "icons": icons, "_meta": meta,
            "annotations": { "priority": 1.0 },
        }]}),
        "resources/templates/list" => json!({ "resourceTemplates": [{
            "uriTemplate": "ui://{page}", "name": "pages", "_meta": meta,
        }]}),
        "tools/call" if message["params"]["name"] == "second" => {
            return Err(json!({ "code": -31_999, "message": "not today", "data": { "when": 1 } }));
        }
        "tools/call" => json!({
            "content": [text, { "type": "hologram", "beams": [1, 2] }],
            "structuredContent": { "n": 1.5, "big": 12_345_678_901_u64 }, "_meta": meta,
        }),
        "prompts/get" => json!({
            "description": "said", "_meta": meta,
            "messages": [{ "role": "assistant", "content": text }],
        }),
        "resources/read" => json!({
            "contents": [{ "uri": "ui://page", "text": "<p>", "_meta": meta }], "_meta": meta,
        }),
        method => return Err(json!({ "code": -32601, "message": method })),
    })
}

#[tokio::test]
async fn what_we_do_not_know_is_passed_on_as_it_is() {
    let upstream = JsonServer::start(talkative).await;
    let gateway = TestServer::one_reading(&upstream.table()).await;
    let token = connect(&gateway).await.tokens.access;
    let legacy = McpClient::initialized(&gateway, &token, "2025-11-25").await;
    let modern = ModernClient::new(&gateway, &token);
    let asked = |method: &str, params: Value| {
        let message = json!({ "method": method, "params": params });
        talkative(&message).unwrap()
    };
    let call = json!({ "name": "old/school", "arguments": { "n": "no number" } });
    let prompt = json!({ "name": "a prompt", "arguments": { "a": "b" } });
    let page = json!({ "uri": "ui://page" });
    for (method, params, members) in [
        ("prompts/list", json!({}), &["prompts"][..]),
        ("resources/list", json!({}), &["resources"]),
        (
            "resources/templates/list",
            json!({}),
            &["resourceTemplates"],
        ),
        ("tools/call", call, &["content", "structuredContent"]),
        ("prompts/get", prompt, &["messages", "description"]),
        ("resources/read", page, &["contents"]),
    ] {
        let expected = asked(method, params.clone());
        for result in [
            legacy.result(method, &params).await,
            modern.result(method, &params).await,
        ] {
            for member in members {
                assert_eq!(result[member], expected[member], "{method}");
            }
            if let Some(Value::Object(meta)) = expected.get("_meta") {
                for (key, value) in meta {
                    assert_eq!(&result["_meta"][key], value, "{method} {result}");
                }
            }
        }
    }
    // Both pages, one list.
    let listed = legacy.result("tools/list", &json!({})).await;
    let first = asked("tools/list", json!({}))["tools"][0].clone();
    assert_eq!(listed["tools"][0], first);
    assert_eq!(listed["tools"][1]["name"], "second");
    // Errors are the upstream's, to the letter.
    let second = json!({ "name": "second", "arguments": {} });
    for answer in [
        legacy.request("tools/call", &second).await,
        modern.request("tools/call", &second).await,
    ] {
        let error = json!({ "code": -31_999, "message": "not today", "data": { "when": 1 } });
        assert_eq!(answer.rpc()["error"], error);
    }
}

/// What the assertions among these bytes claim, in their order.
fn asserted(heard: &[u8]) -> Vec<Value> {
    let heard = String::from_utf8_lossy(heard).into_owned();
    let assertions = heard.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_it = name.eq_ignore_ascii_case("x-person");
        is_it.then(|| value.strip_prefix("Bearer ").unwrap().to_owned())
    });
    assertions
        .map(|assertion| jwt::claims(&assertion))
        .collect()
}

#[tokio::test]
async fn an_upstream_is_told_who_calls_with_each_request() {
    let upstream = JsonServer::start(talkative).await;
    let (tapped, heard) = wiretap(upstream.addr()).await;
    let file = format!(
        "[[upstreams]]\nurl = \"http://{tapped}/mcp\"\n\
         identity = {{ assertion = true, header = \"X-Person\" }}\n"
    );
    let gateway = TestServer::one_reading(&file).await;
    let lists_read = heard.lock().unwrap().len();
    let own = asserted(&heard.lock().unwrap());
    let issuer = own[0]["iss"].clone();
    for claims in &own {
        assert_eq!(claims["sub"], issuer, "this server reads lists for itself");
        assert_eq!(claims["aud"], format!("http://{tapped}"));
        assert!(claims.get("client_id").is_none(), "{claims}");
    }

    let person = connect(&gateway).await;
    let modern = ModernClient::new(&gateway, &person.tokens.access);
    modern.call("old/school", &json!({ "n": 1 })).await;
    let theirs = asserted(&heard.lock().unwrap()[lists_read..]);
    assert!(!theirs.is_empty());
    for claims in &theirs {
        assert_eq!(claims["sub"], "owner", "{claims}");
        assert_eq!(claims["client_id"], person.client.id);
        assert_eq!(claims["iss"], issuer);
    }
    let names: HashSet<&str> = theirs
        .iter()
        .map(|claims| claims["jti"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), theirs.len(), "each is made anew");
}

#[tokio::test]
async fn people_are_asked_with_what_the_upstream_says_of_its_tools() {
    let upstream = JsonServer::start(talkative).await;
    let gateway = TestServer::one_reading(&upstream.table()).await;
    let client = OAuthClient::register(&gateway).await;
    let mut browser = Browser::new(&gateway);
    let page = browser.consent_page(&client.authorize_url()).await;
    let tools = page.texts(".tools li");
    // One says that it reads, and the other says nothing, which is the worst.
    let words = ["Reads", "Can delete or overwrite"];
    assert_eq!(tools.len(), words.len(), "{tools:?}");
    for (tool, word) in tools.iter().zip(words) {
        assert!(tool.ends_with(word), "{tool}");
    }
}
