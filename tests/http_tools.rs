//! Tools that the operator declares as HTTP requests: what the API gets, and what the model does.

use serde_json::{Value, json};

use crate::support::{Api, McpClient, Received, Reply, TestServer, connect};

const VERSION: &str = "2025-11-25";

/// What the model reads.
#[track_caller]
fn text(result: &Value) -> &str {
    assert_eq!(result["isError"], false, "{result}");
    result["content"][0]["text"].as_str().unwrap()
}

/// What the model reads of a failure.
#[track_caller]
fn failure(result: &Value) -> &str {
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap()
}

/// The pets of the stories.
fn pets(request: &Received) -> Reply {
    match request.line() {
        "GET /pets/7" => Reply::json(200, &json!({ "id": 7, "name": "Ada" })),
        "POST /pets" => Reply::json(201, &request.json()),
        "DELETE /pets/7" => Reply::new(204, ""),
        "GET /broken" => Reply::new(200, "{").header("content-type", "application/json"),
        "GET /page" => Reply::new(502, "<h1>Bad gateway</h1>").header("content-type", "text/html"),
        "GET /picture" => Reply::new(200, [0x89, 0x50, 0xff]).header("content-type", "image/png"),
        "GET /busy" => {
            Reply::json(429, &json!({ "message": "Slow down" })).header("retry-after", "7")
        }
        _ => Reply::json(404, &json!({ "detail": "there is no such pet" })),
    }
}

const GET_PET: &str = r#"
[[http_tools]]
name = "get_pet"
description = "Tells everything about a pet."
url = "API/pets/{id}"
"#;

#[tokio::test]
async fn a_declared_tool_takes_the_place_of_the_example_and_asks_the_api() {
    let api = Api::start(pets).await;
    let (_server, client) = api.connected(GET_PET).await;
    let tools = client.result("tools/list", &json!({})).await;
    assert_eq!(tools["tools"].as_array().unwrap().len(), 1, "{tools}");
    let tool = &tools["tools"][0];
    assert_eq!(tool["name"], "get_pet");
    assert_eq!(tool["inputSchema"]["required"], json!(["id"]));
    assert_eq!(tool["annotations"]["readOnlyHint"], true);

    let result = client.call("get_pet", &json!({ "id": "7" })).await;
    assert_eq!(text(&result), r#"{"id":7,"name":"Ada"}"#);
    assert_eq!(api.last().line(), "GET /pets/7");

    let result = client.call("get_pet", &json!({ "id": "8" })).await;
    assert_eq!(
        failure(&result),
        "The API answered 404 Not Found: there is no such pet"
    );
}

#[tokio::test]
async fn a_tool_sends_what_its_template_says() {
    let api = Api::start(pets).await;
    let file = r#"
        [[http_tools]]
        name = "add_pet"
        title = "Add a pet"
        description = "Adds a pet."
        method = "POST"
        url = "API/pets"
        headers = { X-Version = "2" }
        body = { pet = { name = "{name}", age = "{age}" }, note = "for {name}" }
        annotations = { destructive = false }

        [http_tools.input_schema]
        type = "object"
        required = ["name"]
        properties.name = { type = "string" }
        properties.age = { type = "integer", minimum = 0 }

        [[http_tools]]
        name = "remove_pet"
        description = "Removes a pet."
        method = "DELETE"
        url = "API/pets/{id}"
    "#;
    let (_server, client) = api.connected(file).await;
    let tools = client.result("tools/list", &json!({})).await;
    assert_eq!(tools["tools"][0]["title"], "Add a pet");
    assert_eq!(tools["tools"][0]["annotations"]["destructiveHint"], false);
    assert_eq!(tools["tools"][1]["annotations"]["destructiveHint"], true);
    assert_eq!(tools["tools"][1]["annotations"]["idempotentHint"], true);

    client
        .call("add_pet", &json!({ "name": "Ada", "age": 3 }))
        .await;
    let sent = api.last();
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert_eq!(sent.header("x-version"), Some("2"));
    let expected = json!({ "pet": { "name": "Ada", "age": 3 }, "note": "for Ada" });
    assert_eq!(sent.json(), expected);

    client.call("add_pet", &json!({ "name": "Ada" })).await;
    assert_eq!(api.last().json()["pet"], json!({ "name": "Ada" }));

    let requests = api.received().len();
    let refused = client
        .call("add_pet", &json!({ "name": "Ada", "age": -1 }))
        .await;
    assert!(failure(&refused).contains("/age"), "{refused}");
    assert_eq!(
        api.received().len(),
        requests,
        "what does not fit is not sent"
    );

    let removed = client.call("remove_pet", &json!({ "id": "7" })).await;
    assert_eq!(text(&removed), "Done (204 No Content)");
}

#[tokio::test]
async fn no_argument_leaves_its_place() {
    let api = Api::start(pets).await;
    let (_server, client) = api.connected(GET_PET).await;
    for (id, expected) in [
        ("a/b", Some("GET /pets/a%2Fb")),
        ("7?x=1#y", Some("GET /pets/7%3Fx%3D1%23y")),
        ("@evil.example", Some("GET /pets/%40evil.example")),
        (
            "http://evil.example/",
            Some("GET /pets/http%3A%2F%2Fevil.example%2F"),
        ),
        (
            "7 HTTP/1.1\r\nX-Evil: 1",
            Some("GET /pets/7%20HTTP%2F1.1%0D%0AX-Evil%3A%201"),
        ),
        ("..", None),
        ("../admin", None),
        ("%2e%2e/admin", None),
        (r"..\admin", None),
        (".", None),
        ("", None),
    ] {
        let before = api.received().len();
        let result = client.call("get_pet", &json!({ "id": id })).await;
        if let Some(line) = expected {
            assert_eq!(api.last().line(), line);
        } else {
            failure(&result);
            assert_eq!(api.received().len(), before, "{id} was asked for");
        }
    }
}

/// A tool without arguments for each path.
fn tools_at(paths: &[&str]) -> String {
    let tools = paths.iter().map(|path| {
        format!(
            "[[http_tools]]\nname = \"{path}\"\ndescription = \"Asks.\"\nurl = \"API/{path}\"\n\
             timeout = \"2s\"\nmax_chars = 200\n"
        )
    });
    tools.collect()
}

#[tokio::test]
async fn the_model_learns_what_went_wrong() {
    let api = Api::start(pets).await;
    let paths = ["broken", "page", "picture", "busy", "gone"];
    let (_server, client) = api.connected(&tools_at(&paths)).await;
    let result = client.call("broken", &json!({})).await;
    assert_eq!(text(&result), "{");
    let result = client.call("page", &json!({})).await;
    assert_eq!(failure(&result), "The API answered 502 Bad Gateway");
    let result = client.call("busy", &json!({})).await;
    assert_eq!(
        failure(&result),
        "The API answered 429 Too Many Requests: Slow down (try again after 7 seconds)"
    );
    let result = client.call("picture", &json!({})).await;
    let picture = json!({ "type": "image", "data": "iVD/", "mimeType": "image/png" });
    assert_eq!(result["content"][0], picture);
    drop(api);
    let result = client.call("gone", &json!({})).await;
    assert_eq!(failure(&result), "The API cannot be reached at the moment.");
}

#[tokio::test]
async fn redirects_are_followed_within_the_host_and_three_times() {
    let elsewhere = Api::start(|_| Reply::json(200, &json!("caught"))).await;
    let to = elsewhere.url();
    let api = Api::start(move |request| {
        let moved = |status, location: &str| Reply::new(status, "").header("location", location);
        match request.line() {
            "GET /here" => moved(302, "/there"),
            "GET /there" => Reply::json(200, &json!("found")),
            "POST /form" => moved(303, "/there"),
            "POST /kept" => moved(307, "/taken"),
            "POST /taken" => Reply::json(200, &request.json()),
            "GET /away" => moved(302, &format!("{to}/x")),
            _ => moved(302, "/round"),
        }
    })
    .await;
    let post = |path: &str| {
        format!(
            "[[http_tools]]\nname = \"{path}\"\ndescription = \"Asks.\"\nurl = \"API/{path}\"\n\
             method = \"POST\"\nbody = \"arguments\"\n"
        )
    };
    let file = tools_at(&["here", "away", "round"]) + &post("form") + &post("kept");
    let (_server, client) = api.connected(&file).await;
    assert_eq!(text(&client.call("here", &json!({})).await), "\"found\"");
    assert_eq!(
        text(&client.call("form", &json!({ "a": 1 })).await),
        "\"found\""
    );
    assert_eq!(
        (api.last().line(), api.last().body.as_str()),
        ("GET /there", "")
    );
    assert_eq!(
        text(&client.call("kept", &json!({ "a": 1 })).await),
        r#"{"a":1}"#
    );

    let before = api.received().len();
    for path in ["away", "round"] {
        let result = client.call(path, &json!({})).await;
        let said = "The API redirects to where this server does not follow.";
        assert_eq!(failure(&result), said);
    }
    assert_eq!(api.received().len() - before, 1 + 4);
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn an_answer_is_cut_to_what_is_wanted_and_says_so() {
    let api = Api::start(|_| {
        let items: Vec<Value> = (0..100)
            .map(|n| json!({ "id": n, "secret": "x" }))
            .collect();
        Reply::json(200, &json!({ "total": 100, "items": items }))
    })
    .await;
    let file = tools_at(&["items"]) + "fields = [\"total\", \"items.id\"]\n";
    let (_server, client) = api.connected(&file).await;
    let result = client.call("items", &json!({})).await;
    let shown: Value = serde_json::from_str(text(&result)).unwrap();
    assert_eq!(shown["total"], 100);
    assert_eq!(shown["items"][1], json!({ "id": 1 }));
    let kept = shown["items"].as_array().unwrap().len();
    assert!(
        (10..100).contains(&kept) && text(&result).len() <= 200,
        "{result}"
    );
    let note = result["content"][1]["text"].as_str().unwrap();
    assert!(
        note.contains(&format!("{} of 100 items", 100 - kept)),
        "{note}"
    );
}

#[tokio::test]
async fn an_api_that_is_slow_or_endless_keeps_nobody() {
    let api = Api::start(|request| match request.line() {
        "GET /slow" => {
            // It says that there is more, and never sends it.
            Reply::new(200, "").header("content-length", "5")
        }
        _ => Reply::new(200, vec![b'x'; (8 << 20) + 1]),
    })
    .await;
    let (_server, client) = api.connected(&tools_at(&["slow", "endless"])).await;
    let result = client.call("slow", &json!({})).await;
    let said = "The API did not answer within 2s. It may have done what was asked.";
    assert_eq!(failure(&result), said);
    let result = client.call("endless", &json!({})).await;
    assert!(failure(&result).contains("larger than"), "{result}");
}

#[tokio::test]
async fn an_upstream_receives_nothing_that_the_client_sent_but_its_arguments() {
    let api = Api::start(pets).await;
    let server = TestServer::reading(&GET_PET.replace("API", &api.url())).await;
    let connected = connect(&server).await;
    let (token, refresh) = (connected.tokens.access, connected.tokens.refresh.unwrap());
    let client = McpClient::initialized(&server, &token, VERSION).await;
    let session = client.session.clone().unwrap();
    let message = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {
            "name": "get_pet", "arguments": { "id": "7" },
            "_meta": { "progressToken": "progress-1", "com.example/note": "meta-note" },
        },
    });
    let request = client
        .http(reqwest::Method::POST)
        .header("cookie", "sid=cookie-value")
        .header("x-inbound", "inbound-value")
        .header("x-forwarded-for", "192.0.2.77")
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .json(&message);
    request.send().await.expect(200);

    let received = api.received();
    assert_eq!(received.len(), 1);
    let request = &received[0];
    assert_eq!(request.line(), "GET /pets/7");
    assert_eq!(request.header_names(), ["accept", "host", "user-agent"]);
    assert_eq!(request.body, "");
    let everything = format!("{request:?}");
    for secret in [&token, &refresh, &session] {
        for part in secret.as_bytes().windows(8) {
            let part = str::from_utf8(part).unwrap();
            assert!(
                !everything.contains(part),
                "{part} of {secret} in {everything}"
            );
        }
    }
    for word in [
        "cookie",
        "inbound",
        "192.0.2.77",
        "0af7651916cd",
        "progress-1",
        "meta-note",
    ] {
        assert!(!everything.contains(word), "{word} in {everything}");
    }
}
