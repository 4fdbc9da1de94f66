//! Tasks of several servers behind one name: whichever a client comes to knows how they are.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    modern_tasks::{assert_acknowledged, begin, follower, until},
    replicas::{Stores, with_each_store},
    support::{ModernClient, Workshop},
};

with_each_store! {
    a_task_is_known_to_every_replica_the_moment_it_begins
    a_task_is_answered_at_any_replica
    a_task_is_cancelled_at_any_replica
    whoever_listens_elsewhere_is_told_of_every_turn
    a_task_is_its_owners_alone_everywhere
    a_task_that_went_down_with_its_replica_has_failed
}

/// Two replicas, and a client that follows tasks at both.
struct Pair {
    one: Workshop,
    other: Workshop,
    at_one: ModernClient,
    at_other: ModernClient,
}

impl Pair {
    async fn open(stores: Stores) -> Self {
        let (one, other) = stores.two().await;
        let at_one = follower(&one).await;
        let at_other = at_one.at(&other);
        Self {
            one,
            other,
            at_one,
            at_other,
        }
    }
}

fn answer(task: &str, name: &str) -> Value {
    let answer = json!({ "action": "accept", "content": { "name": name } });
    json!({ "taskId": task, "inputResponses": { "name": answer } })
}

async fn a_task_is_known_to_every_replica_the_moment_it_begins(stores: Stores) {
    let pair = Pair::open(stores).await;
    let task = begin(&pair.at_one, "task_asks").await;
    let named = json!({ "taskId": task });
    let state = pair.at_other.result("tasks/get", &named).await;
    assert_eq!(state["taskId"], task, "{state}");
    until(&pair.at_other, &task, &["input_required"]).await;
}

async fn a_task_is_answered_at_any_replica(stores: Stores) {
    let pair = Pair::open(stores).await;
    let task = begin(&pair.at_one, "task_asks").await;
    let state = until(&pair.at_other, &task, &["input_required"]).await;
    let asked = &state["inputRequests"]["name"];
    assert_eq!(asked["method"], "elicitation/create");
    let answer = answer(&task, "Ada");
    assert_acknowledged(&pair.at_other.result("tasks/update", &answer).await);
    for client in [&pair.at_other, &pair.at_one] {
        let state = until(client, &task, &["completed"]).await;
        assert_eq!(state["result"]["content"][0]["text"], "Hello, Ada!");
    }
}

async fn a_task_is_cancelled_at_any_replica(stores: Stores) {
    let mut pair = Pair::open(stores).await;
    let task = begin(&pair.at_one, "wait").await;
    pair.one.happen(["started"]).await;
    let named = json!({ "taskId": task });
    assert_acknowledged(&pair.at_other.result("tasks/cancel", &named).await);
    pair.one.happen(["dropped", "told"]).await;
    until(&pair.at_other, &task, &["cancelled"]).await;
}

async fn whoever_listens_elsewhere_is_told_of_every_turn(stores: Stores) {
    let pair = Pair::open(stores).await;
    let task = begin(&pair.at_one, "task_asks").await;
    until(&pair.at_other, &task, &["input_required"]).await;
    let wanted = json!({ "taskIds": [task, "task_unknown"] });
    let (mut events, granted) = pair.at_other.listen(&wanted).await;
    assert_eq!(granted, json!({ "taskIds": [task] }));
    pair.at_one
        .result("tasks/update", &answer(&task, "Ada"))
        .await;
    loop {
        let message = events.message().await;
        assert_eq!(message["method"], "notifications/tasks", "{message}");
        assert_eq!(message["params"]["taskId"], task);
        if message["params"]["status"] == "completed" {
            break;
        }
    }
}

async fn a_task_is_its_owners_alone_everywhere(stores: Stores) {
    let pair = Pair::open(stores).await;
    let task = begin(&pair.at_one, "task_asks").await;
    let stranger = follower(&pair.other).await;
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let named = json!({ "taskId": task, "inputResponses": {} });
        let refused = stranger.request(method, &named).await;
        assert_eq!(refused.rpc_error(), -32602, "{method}: {refused:#?}");
    }
    until(&pair.at_other, &task, &["input_required"]).await;
}

async fn a_task_that_went_down_with_its_replica_has_failed(stores: Stores) {
    let Pair {
        mut one,
        other,
        at_one,
        at_other,
    } = Pair::open(stores).await;
    let task = begin(&at_one, "task_asks").await;
    until(&at_other, &task, &["input_required"]).await;
    // Gone without a word, as a process that was killed.
    one.end().await;
    other.advance(Duration::from_mins(1));
    let state = until(&at_other, &task, &["failed"]).await;
    let text = state["error"]["message"].as_str().unwrap();
    assert!(text.contains("restarted"), "{text}");
    assert!(state.get("inputRequests").is_none(), "{state}");
    let named = json!({ "taskId": task });
    assert_acknowledged(&at_other.result("tasks/cancel", &named).await);
    until(&at_other, &task, &["failed"]).await;
}
