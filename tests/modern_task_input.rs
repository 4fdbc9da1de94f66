//! Tasks that ask, and what those who listen are told of them.

use serde_json::json;

use crate::{
    modern_tasks::{assert_acknowledged, begin, follower, get, until},
    support::Workshop,
};

#[tokio::test]
async fn a_task_asks_in_its_state_and_is_answered_by_update() {
    let shop = Workshop::open().await;
    let mcp = follower(&shop).await;
    for (answer, text) in [
        (
            json!({ "action": "accept", "content": { "name": "Ada" } }),
            "Hello, Ada!",
        ),
        (json!({ "action": "decline" }), "Hello, declined!"),
        (json!({ "action": "cancel" }), "Hello, cancelled!"),
    ] {
        let task = begin(&mcp, "task_asks").await;
        let state = until(&mcp, &task, &["input_required"]).await;
        assert_eq!(
            state["inputRequests"]["name"]["method"],
            "elicitation/create"
        );
        assert!(state.get("requestState").is_none(), "{state}");
        // What does not answer leaves the question where it is.
        for ignored in [
            json!({}),
            json!({ "other": { "x": 1 } }),
            json!({ "name": { "action": "accept", "content": { "name": 5 } } }),
        ] {
            let params = json!({ "taskId": task, "inputResponses": ignored });
            assert_acknowledged(&mcp.result("tasks/update", &params).await);
            assert_eq!(get(&mcp, &task).await["status"], "input_required");
        }
        let params = json!({ "taskId": task, "inputResponses": { "name": answer } });
        assert_acknowledged(&mcp.result("tasks/update", &params).await);
        let state = until(&mcp, &task, &["completed"]).await;
        assert_eq!(state["result"]["content"][0]["text"], text);
        // A late answer changes nothing.
        assert_acknowledged(&mcp.result("tasks/update", &params).await);
        assert_eq!(get(&mcp, &task).await["result"], state["result"]);
    }
}

#[tokio::test]
async fn what_must_be_known_first_is_asked_before_there_is_a_task() {
    let shop = Workshop::open().await;
    let mcp = follower(&shop).await;
    let asked = mcp.call("task_prepared", &json!({})).await;
    assert_eq!(asked["resultType"], "input_required");
    assert!(asked.get("taskId").is_none(), "{asked}");
    let answer = json!({ "action": "accept", "content": { "name": "Ada" } });
    let params = json!({
        "name": "task_prepared",
        "arguments": {},
        "inputResponses": { "name": answer },
        "requestState": asked["requestState"],
    });
    let created = mcp.result("tools/call", &params).await;
    assert_eq!(created["resultType"], "task", "{created}");
    let state = until(&mcp, created["taskId"].as_str().unwrap(), &["completed"]).await;
    assert_eq!(state["result"]["content"][0]["text"], "Hello, Ada!");
}

#[tokio::test]
async fn whoever_listens_is_told_of_every_turn() {
    let shop = Workshop::open().await;
    let mcp = follower(&shop).await.saying("progressToken", json!(1));
    let task = begin(&mcp, "task_asks").await;
    until(&mcp, &task, &["input_required"]).await;
    let filter = json!({ "taskIds": [task, "task_unknown"] });
    let (mut events, granted) = mcp.listen(&filter).await;
    assert_eq!(granted, json!({ "taskIds": [task] }));

    let answer = json!({ "action": "accept", "content": { "name": "Ada" } });
    let params = json!({ "taskId": task, "inputResponses": { "name": answer } });
    mcp.result("tasks/update", &params).await;
    loop {
        let message = events.message().await;
        assert_eq!(message["method"], "notifications/tasks");
        let state = &message["params"];
        assert_eq!(state["taskId"], json!(task));
        assert_eq!(state["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
        if state["status"] == "completed" {
            assert_eq!(state["result"]["content"][0]["text"], "Hello, Ada!");
            break;
        }
    }
    // A task of which nothing was asked is not told of.
    let other = begin(&mcp, "task_fails").await;
    until(&mcp, &other, &["completed"]).await;
    shop.begin_shutdown();
    let rest = events.rest().await;
    assert!(
        rest.iter().all(|m| m["params"]["taskId"] != json!(other)),
        "{rest:?}"
    );
}
