//! Every method in every version, held against one table; and what each version leaves out.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Events, Workshop, initialize_message};

pub(crate) const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// What a request comes to: a status, and a result, a stream or an error's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Result,
    Stream,
    Error(u16, i64),
}

use Outcome::{Error, Result, Stream};

/// The methods that every version has, and those that began or ended with 2026-07-28. The columns
/// are 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25 and 2026-07-28.
fn table() -> Vec<(&'static str, Value, [Outcome; 5])> {
    // 404 on a request of a session would mean that the session is gone.
    const GONE: [Outcome; 5] = [Result, Result, Result, Result, Error(404, -32601)];
    const NEVER: [Outcome; 5] = {
        let unknown = Error(200, -32601);
        [unknown, unknown, unknown, unknown, Error(404, -32601)]
    };
    const ALWAYS: [Outcome; 5] = [Result; 5];
    // Methods of the newest version are known for it, and what misses is its envelope.
    const fn begun(outcome: Outcome) -> [Outcome; 5] {
        let incomplete = Error(400, -32602);
        [incomplete, incomplete, incomplete, incomplete, outcome]
    }
    // The tasks of 2025-11-25 were an experiment that we do not offer; those of 2026-07-28 are an
    // extension that this client has not declared.
    const TASK: [Outcome; 5] = {
        let unknown = Error(200, -32601);
        [unknown, unknown, unknown, unknown, Error(400, -32021)]
    };
    let note = json!({ "uri": "test://note" });
    let greeting = json!({ "name": "greeting", "arguments": { "name": "Ada" } });
    let completion = json!({
        "ref": { "type": "ref/prompt", "name": "greeting" },
        "argument": { "name": "tone", "value": "t" },
    });
    let task = json!({ "taskId": "task_x" });
    vec![
        (
            "initialize",
            initialize_message("2025-11-25")["params"].clone(),
            GONE,
        ),
        ("ping", json!({}), GONE),
        ("logging/setLevel", json!({ "level": "info" }), GONE),
        ("resources/subscribe", note.clone(), GONE),
        ("resources/unsubscribe", note.clone(), GONE),
        ("tools/list", json!({}), ALWAYS),
        (
            "tools/call",
            json!({ "name": "echo", "arguments": { "text": "a" } }),
            ALWAYS,
        ),
        ("prompts/list", json!({}), ALWAYS),
        ("prompts/get", greeting, ALWAYS),
        ("resources/list", json!({}), ALWAYS),
        ("resources/templates/list", json!({}), ALWAYS),
        ("resources/read", note, ALWAYS),
        ("completion/complete", completion, ALWAYS),
        ("server/discover", json!({}), begun(Result)),
        (
            "subscriptions/listen",
            json!({ "notifications": {} }),
            begun(Stream),
        ),
        ("tasks/get", task.clone(), TASK),
        ("tasks/update", task.clone(), TASK),
        ("tasks/cancel", task.clone(), TASK),
        ("tasks/result", task, NEVER),
        ("tasks/list", json!({}), NEVER),
        // What servers ask of clients, not clients of servers.
        ("roots/list", json!({}), NEVER),
        ("sampling/createMessage", json!({}), NEVER),
        ("elicitation/create", json!({}), NEVER),
        // Notifications are none of the methods that are answered.
        ("notifications/initialized", json!({}), NEVER),
        ("notifications/cancelled", json!({ "requestId": 9 }), NEVER),
        ("no/such/method", json!({}), NEVER),
    ]
}

async fn outcome(response: reqwest::Response) -> Outcome {
    let content_type = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    if content_type == "text/event-stream" {
        let mut events = Events::of(response);
        assert!(events.message().await["method"].is_string());
        return Stream;
    }
    let answer = Answer::read(response).await;
    let message = answer.json();
    assert_eq!(message["id"], 1, "{answer:#?}");
    if let Some(code) = message["error"]["code"].as_i64() {
        return Error(answer.status, code);
    }
    assert!(
        answer.status == 200 && message["result"].is_object(),
        "{answer:#?}"
    );
    Result
}

#[tokio::test]
async fn every_method_comes_to_the_same_in_every_version_as_the_table_says() {
    let shop = Workshop::open().await;
    let mut sessions = Vec::new();
    for version in LEGACY {
        sessions.push(shop.legacy(version, json!({})).await);
    }
    let modern = shop.modern().await;
    for (method, params, expected) in table() {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut outcomes = Vec::new();
        for session in &sessions {
            let request = session.http(Method::POST).json(&message);
            outcomes.push(outcome(request.open().await).await);
        }
        let message = modern.message(method, &params);
        outcomes.push(outcome(modern.http(&message).open().await).await);
        assert_eq!(outcomes, expected, "{method}");
    }
}

#[tokio::test]
async fn notifications_are_accepted_in_every_version() {
    let shop = Workshop::open().await;
    for (method, params) in [
        ("notifications/initialized", json!({})),
        ("notifications/cancelled", json!({ "requestId": 9 })),
        (
            "notifications/progress",
            json!({ "progressToken": 1, "progress": 1 }),
        ),
        ("notifications/roots/list_changed", json!({})),
        ("notifications/of/the/future", json!({ "x": [] })),
        // Methods that are answered, when they have no id.
        ("tools/call", json!({ "name": "echo" })),
    ] {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        let modern = shop.modern().await;
        assert_eq!(
            modern.http(&message).send().await.expect(202).body,
            "",
            "{method}"
        );
        for version in LEGACY {
            let session = shop.legacy(version, json!({})).await;
            assert_eq!(
                session.post(&message).await.expect(202).body,
                "",
                "{version} {method}"
            );
        }
    }
}

#[tokio::test]
async fn a_missing_resource_has_its_code() {
    let shop = Workshop::open().await;
    for uri in [
        "test://nowhere",
        "test://items/11",
        "test://items/../note",
        "",
        "\0",
    ] {
        for version in LEGACY {
            let session = shop.legacy(version, json!({})).await;
            let answer = session
                .request("resources/read", &json!({ "uri": uri }))
                .await;
            assert_eq!(answer.rpc_error(), -32002, "{version} {uri}");
        }
        let answer = shop
            .modern()
            .await
            .request("resources/read", &json!({ "uri": uri }))
            .await;
        assert_eq!(answer.rpc_error(), -32602, "{uri}");
    }
}
