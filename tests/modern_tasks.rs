//! The tasks extension of 2026-07-28 (`io.modelcontextprotocol/tasks`): calls that go on after
//! their answer.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{Answer, ModernClient, PATIENCE, TASKS, Workshop};

/// A client that follows tasks and can be asked.
pub(crate) async fn follower(shop: &Workshop) -> ModernClient {
    let client = shop.modern().await;
    client.declaring(json!({ "extensions": { TASKS: {} }, "elicitation": {} }))
}

/// Calls a tool and returns the task's id.
pub(crate) async fn begin(mcp: &ModernClient, tool: &str) -> String {
    let created = mcp.call(tool, &json!({})).await;
    assert_eq!(created["resultType"], "task", "{created}");
    created["taskId"].as_str().unwrap().to_owned()
}

pub(crate) async fn get(mcp: &ModernClient, task: &str) -> Value {
    mcp.result("tasks/get", &json!({ "taskId": task })).await
}

/// Asks until the task's status is one of these. The tool runs by itself, so there is nothing to
/// wait for but its state.
pub(crate) async fn until(mcp: &ModernClient, task: &str, statuses: &[&str]) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let state = get(mcp, task).await;
        if statuses.iter().any(|status| state["status"] == *status) {
            return state;
        }
        assert!(Instant::now() < deadline, "never {statuses:?}: {state}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[track_caller]
fn assert_error(answer: &Answer, status: u16, code: i64) {
    assert_eq!(
        (answer.status, answer.rpc_error()),
        (status, code),
        "{answer:#?}"
    );
    assert_eq!(answer.rpc()["id"], 1);
}

/// An acknowledgement says nothing of the task.
#[track_caller]
pub(crate) fn assert_acknowledged(result: &Value) {
    assert_eq!(result["resultType"], "complete", "{result}");
    for absent in ["taskId", "status", "result", "error", "inputRequests"] {
        assert!(result.get(absent).is_none(), "{result}");
    }
}

#[tokio::test]
async fn a_call_becomes_a_task_that_is_found_at_once_and_completes() {
    let mut shop = Workshop::open().await;
    let mcp = follower(&shop).await;
    let created = mcp.call("wait", &json!({})).await;
    assert_eq!(created["resultType"], "task");
    assert_eq!(created["status"], "working");
    assert!(
        created["ttlMs"].is_u64() && created["pollIntervalMs"].is_u64(),
        "{created}"
    );
    // The server's clock stands still.
    assert_eq!(created["createdAt"], "2026-01-01T00:00:00.000Z");
    assert_eq!(created["lastUpdatedAt"], created["createdAt"]);
    for absent in [
        "task",
        "result",
        "error",
        "inputRequests",
        "requestState",
        "ttl",
        "content",
    ] {
        assert!(created.get(absent).is_none(), "{created}");
    }
    let task = created["taskId"].as_str().unwrap();
    assert!(task.len() >= 22, "guessable: {task}");
    let state = get(&mcp, task).await;
    assert_eq!(
        (&state["resultType"], &state["taskId"]),
        (&json!("complete"), &json!(task))
    );

    shop.happen(["started"]).await;
    shop.advance(Duration::from_mins(1));
    shop.let_go();
    let state = until(&mcp, task, &["completed"]).await;
    assert_eq!(state["result"]["content"][0]["text"], "done");
    assert_eq!(state["lastUpdatedAt"], "2026-01-01T00:01:00.000Z");
    let meta = &state["result"]["_meta"]["io.modelcontextprotocol/related-task"];
    assert!(meta.is_null() && state.get("error").is_none(), "{state}");
}

#[tokio::test]
async fn a_task_keeps_what_its_tool_says_beside_the_answer() {
    let shop = Workshop::open().await;
    let mcp = follower(&shop).await;
    let state = until(&mcp, &begin(&mcp, "noted").await, &["completed"]).await;
    let meta = json!({ "vendor.example/beside": 1, "vendor.example/within": 2 });
    assert_eq!(state["result"]["_meta"], meta);
}

#[tokio::test]
async fn a_failure_of_the_tool_completes_and_an_error_of_the_protocol_fails() {
    let shop = Workshop::open().await;
    let mcp = follower(&shop).await;
    let state = until(
        &mcp,
        &begin(&mcp, "task_fails").await,
        &["completed", "failed"],
    )
    .await;
    assert_eq!(state["status"], "completed");
    assert_eq!(state["result"]["isError"], true);
    let state = until(
        &mcp,
        &begin(&mcp, "task_errs").await,
        &["completed", "failed"],
    )
    .await;
    assert_eq!(state["status"], "failed");
    assert_eq!(
        state["error"],
        json!({ "code": -32603, "message": "no luck" })
    );
    assert!(state.get("result").is_none(), "{state}");
}

#[tokio::test]
async fn a_task_whose_tool_panics_has_failed() {
    let shop = Workshop::open().await;
    let mcp = follower(&shop).await;
    let state = until(&mcp, &begin(&mcp, "task_panics").await, &["failed"]).await;
    assert_eq!(state["error"]["code"], -32603);
}

#[tokio::test]
async fn tasks_are_for_clients_that_declare_them_in_the_same_request() {
    let shop = Workshop::open().await;
    let mcp = shop.modern().await;
    // A tool that may become a task runs to its end in the call.
    shop.let_go();
    let result = mcp.call("wait", &json!({})).await;
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["content"][0]["text"], "done");
    // One that must is refused, before it runs; and so is asking, before the id is looked for.
    for (method, params) in [
        ("tools/call", json!({ "name": "task_fails" })),
        ("tasks/get", json!({ "taskId": "task_x" })),
        (
            "tasks/update",
            json!({ "taskId": "task_x", "inputResponses": {} }),
        ),
        ("tasks/cancel", json!({ "taskId": "task_x" })),
    ] {
        let answer = mcp.request(method, &params).await;
        assert_error(&answer, 400, -32021);
        let needed = &answer.rpc()["error"]["data"]["requiredCapabilities"];
        assert_eq!(needed, &json!({ "extensions": { TASKS: {} } }));
    }
    // What 2025-11-25 had in its place means nothing.
    let params = json!({ "name": "echo", "arguments": { "text": "a" }, "task": { "ttl": 1 } });
    let result = follower(&shop).await.result("tools/call", &params).await;
    assert_eq!(result["resultType"], "complete");
}

#[tokio::test]
async fn unknown_ids_are_invalid_and_headers_come_first() {
    let shop = Workshop::open().await;
    let mcp = follower(&shop).await;
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let params = json!({ "taskId": "task_unknown", "inputResponses": {} });
        let answer = mcp.request(method, &params).await;
        assert!([200, 400].contains(&answer.status), "{answer:#?}");
        assert_eq!(answer.rpc_error(), -32602, "{method}");
        let message = mcp.message(method, &params);
        let other = mcp.http(&message).header("mcp-name", "task_other");
        assert_error(&other.send().await, 400, -32020);
    }
    for method in ["tasks/list", "tasks/result"] {
        assert_error(
            &mcp.request(method, &json!({ "taskId": "x" })).await,
            404,
            -32601,
        );
    }
}

#[tokio::test]
async fn a_task_is_its_owners_alone() {
    let mut shop = Workshop::open().await;
    let (mcp, other) = (follower(&shop).await, follower(&shop).await);
    let task = begin(&mcp, "wait").await;
    shop.happen(["started"]).await;
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let answer = other.request(method, &json!({ "taskId": task })).await;
        assert_eq!(answer.rpc_error(), -32602, "{method}");
    }
    assert_eq!(
        other.listen(&json!({ "taskIds": [task] })).await.1,
        json!({})
    );
    assert_eq!(get(&mcp, &task).await["status"], "working");
    shop.let_go();
    until(&mcp, &task, &["completed"]).await;
}

#[tokio::test]
async fn a_task_is_forgotten_when_its_time_is_over() {
    let shop = Workshop::with([("access_token_ttl", "30d")]).await;
    let mcp = follower(&shop).await;
    let created = mcp.call("task_fails", &json!({})).await;
    let task = created["taskId"].as_str().unwrap();
    let ttl = created["ttlMs"].as_u64().unwrap();
    until(&mcp, task, &["completed"]).await;
    shop.advance(Duration::from_millis(ttl - 1));
    assert_eq!(get(&mcp, task).await["status"], "completed");
    shop.advance(Duration::from_millis(1));
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let answer = mcp.request(method, &json!({ "taskId": task })).await;
        assert_eq!(answer.rpc_error(), -32602, "{method}");
    }
}

#[tokio::test]
async fn cancelled_work_stops() {
    let mut shop = Workshop::open().await;
    let mcp = follower(&shop).await;
    let task = begin(&mcp, "wait").await;
    shop.happen(["started"]).await;
    // Twice is as good as once.
    for _ in 0..2 {
        assert_acknowledged(&mcp.result("tasks/cancel", &json!({ "taskId": task })).await);
        assert_eq!(get(&mcp, &task).await["status"], "cancelled");
    }
    shop.happen(["dropped", "told"]).await;
    shop.let_go();
    assert_eq!(shop.happened(), [""; 0]);
    // What is over stays as it is.
    let done = begin(&mcp, "task_fails").await;
    until(&mcp, &done, &["completed"]).await;
    assert_acknowledged(&mcp.result("tasks/cancel", &json!({ "taskId": done })).await);
    assert_eq!(get(&mcp, &done).await["status"], "completed");
}
