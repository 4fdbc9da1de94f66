//! 2026-07-28: the tools whose calls become tasks (`io.modelcontextprotocol/tasks`).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Fixture, complete, filled, form, one, said, server_meta};
use crate::{
    every_version::Client,
    modern_rounds::next,
    modern_tasks::{assert_acknowledged, get, until},
    support::{ModernClient, TASKS},
};

/// A client that follows tasks and can be asked.
fn follower(fixture: &Fixture) -> ModernClient {
    let capabilities = json!({ "extensions": { TASKS: {} }, "elicitation": {} });
    fixture.modern().declaring(capabilities)
}

/// What every answer about a task says that has this status. Its id and its times are its own.
fn described(state: &Value, status: &str) -> Value {
    json!({
        "resultType": "complete",
        "taskId": state["taskId"],
        "status": status,
        "createdAt": state["createdAt"],
        "lastUpdatedAt": state["lastUpdatedAt"],
        "ttlMs": 3_600_000,
        "pollIntervalMs": 1000,
        "_meta": server_meta(),
    })
}

/// Sends a call that must become a task, and returns the task's id.
async fn begin(mcp: &ModernClient, params: &Value) -> String {
    let created = mcp.result("tools/call", params).await;
    let mut expected = described(&created, "working");
    expected["resultType"] = json!("task");
    assert_eq!(created, expected);
    created["taskId"].as_str().unwrap().to_owned()
}

/// Waits until the task is over, and insists on how it ended.
async fn assert_ends(mcp: &ModernClient, task: &str, status: &str, member: &str, value: Value) {
    let over = ["completed", "failed", "cancelled"];
    let state = until(mcp, task, &over).await;
    let mut expected = described(&state, status);
    expected[member] = value;
    assert_eq!(state, expected);
}

async fn assert_completes(mcp: &ModernClient, task: &str, text: &str) {
    assert_ends(mcp, task, "completed", "result", said(text)).await;
}

/// Waits until the task asks, and insists on its questions.
async fn assert_asks(mcp: &ModernClient, task: &str, questions: Value) {
    let state = until(mcp, task, &["input_required"]).await;
    let mut expected = described(&state, "input_required");
    expected["inputRequests"] = questions;
    assert_eq!(state, expected);
}

async fn answer(mcp: &ModernClient, task: &str, answers: Value) {
    let params = json!({ "taskId": task, "inputResponses": answers });
    assert_acknowledged(&mcp.result("tasks/update", &params).await);
}

fn tool(name: &str, arguments: &Value) -> Value {
    json!({ "name": name, "arguments": arguments })
}

#[tokio::test]
async fn greeting_never_becomes_a_task() {
    let fixture = Fixture::start().await;
    let client = Client::Modern(follower(&fixture));
    let greeted = super::call(&client, "greet", &json!({ "name": "Ada" })).await;
    assert_eq!(greeted, complete(&client, said("Hello, Ada!")));
}

#[tokio::test]
async fn computing_ends_when_its_time_is_up_or_it_is_cancelled() {
    let fixture = Fixture::start().await;
    let mcp = follower(&fixture);
    let quick = tool("slow_compute", &json!({ "seconds": 0.05, "label": "pi" }));
    let begun = Instant::now();
    let task = begin(&mcp, &quick).await;
    assert_completes(&mcp, &task, "Computed pi.").await;
    assert!(begun.elapsed() >= Duration::from_millis(50), "too early");

    let endless = tool("slow_compute", &json!({ "seconds": 3600, "label": "e" }));
    let task = begin(&mcp, &endless).await;
    let state = get(&mcp, &task).await;
    assert_eq!(state, described(&state, "working"));
    let params = json!({ "taskId": task });
    assert_acknowledged(&mcp.result("tasks/cancel", &params).await);
    let state = get(&mcp, &task).await;
    assert_eq!(state, described(&state, "cancelled"));
}

#[tokio::test]
async fn one_job_completes_with_a_failure_and_one_fails_with_an_error() {
    let fixture = Fixture::start().await;
    let mcp = follower(&fixture);
    let task = begin(&mcp, &tool("failing_job", &json!({}))).await;
    let mut failure = said("The job failed.");
    failure["isError"] = json!(true);
    assert_ends(&mcp, &task, "completed", "result", failure).await;

    let task = begin(&mcp, &tool("protocol_error_job", &json!({}))).await;
    let error = json!({ "code": -32603, "message": "the job ended with an error" });
    assert_ends(&mcp, &task, "failed", "error", error).await;
}

#[tokio::test]
async fn deleting_is_confirmed_first() {
    let fixture = Fixture::start().await;
    let mcp = follower(&fixture);
    let params = tool("confirm_delete", &json!({ "filename": "notes.txt" }));
    for (confirmation, text) in [
        (filled(&json!({ "confirm": true })), "Deleted notes.txt."),
        (filled(&json!({ "confirm": false })), "Kept notes.txt."),
        (json!({ "action": "decline" }), "Kept notes.txt."),
    ] {
        let task = begin(&mcp, &params).await;
        let question = form("Delete notes.txt?", &one("confirm", "boolean"));
        assert_asks(&mcp, &task, json!({ "confirm": question })).await;
        answer(&mcp, &task, json!({ "confirm": confirmation })).await;
        assert_completes(&mcp, &task, text).await;
    }
}

#[tokio::test]
async fn two_questions_of_a_task_are_answered_one_after_the_other() {
    let fixture = Fixture::start().await;
    let mcp = follower(&fixture);
    let task = begin(&mcp, &tool("multi_input", &json!({}))).await;
    let name = form("What is your name?", &one("name", "string"));
    let confirm = form("Please confirm.", &one("confirm", "boolean"));
    let both = json!({ "name": name, "confirm": confirm });
    assert_asks(&mcp, &task, both).await;

    let confirmed = filled(&json!({ "confirm": true }));
    answer(&mcp, &task, json!({ "confirm": confirmed })).await;
    assert_asks(&mcp, &task, json!({ "name": name })).await;

    let named = filled(&json!({ "name": "Ada" }));
    answer(&mcp, &task, json!({ "name": named })).await;
    assert_completes(&mcp, &task, "Both answered, by Ada.").await;
}

#[tokio::test]
async fn a_task_may_begin_with_a_question() {
    let fixture = Fixture::start().await;
    let mcp = follower(&fixture);
    let params = tool("test_tool_with_task", &json!({}));
    let asked = mcp.result("tools/call", &params).await;
    let question = form("What is your name?", &one("name", "string"));
    assert_eq!(asked["resultType"], "input_required");
    assert_eq!(asked["inputRequests"], json!({ "user_name": question }));

    let answers = json!({ "user_name": filled(&json!({ "name": "Ada" })) });
    let task = begin(&mcp, &next(&params, &asked, answers)).await;
    assert_completes(&mcp, &task, "Worked for Ada.").await;
}
