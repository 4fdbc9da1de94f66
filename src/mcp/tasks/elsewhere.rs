//! Tasks that any replica can be asked about.
//!
//! A task runs in the process that began it. How it is stands in the store before anybody is told,
//! so every replica answers `tasks/get`; answers and cancellations reach it by mail. A process that
//! has tasks gives a sign of life now and then. Without it, its tasks have gone down with it.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use super::Task;
use crate::{
    access::Authorization,
    clock::Timestamp,
    mcp::{
        McpState,
        jsonrpc::{INTERNAL_ERROR, RpcError},
        mail,
    },
    model::{kept_task::KeptTask, session_stream::News},
    store::Result,
};

/// How often a process that has tasks says that it is there.
pub(in crate::mcp) const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(10);

/// For how long it is believed.
const BELIEVED: Duration = Duration::from_secs(40);

/// How soon it is tried again to keep what could not be kept.
const RETRY: Duration = Duration::from_secs(1);

/// Keeps a task that has just begun, and from now on whatever changes about it.
pub(in crate::mcp) async fn keep(mcp: &Arc<McpState>, task: &Arc<Task>) -> Result<()> {
    if task.keeper.is_some() {
        write(mcp, task).await?;
        tokio::spawn(keep_on(Arc::clone(mcp), Arc::clone(task)));
    }
    Ok(())
}

async fn keep_on(mcp: Arc<McpState>, task: Arc<Task>) {
    let Some(changed) = &task.keeper else {
        return;
    };
    loop {
        changed.notified().await;
        let is_over = task.is_over();
        while let Err(error) = write(&mcp, &task).await {
            if task.has_expired(mcp.clock.now()) {
                return;
            }
            tracing::warn!(error = %error, "how a task is could not be kept; trying again");
            tokio::time::sleep(RETRY).await;
        }
        task.tell();
        if is_over {
            return;
        }
    }
}

async fn write(mcp: &McpState, task: &Task) -> Result<()> {
    let kept = task.to_keep(mcp.internal.replica, mcp.clock.now() + BELIEVED);
    mcp.tasks.keep_task(&task.owner, &task.id, kept).await
}

/// Says that this process is there, if it has tasks.
pub(in crate::mcp) async fn give_sign_of_life(mcp: &McpState) {
    if !mcp.internal.tasks.is_busy() {
        return;
    }
    let alive_until = mcp.clock.now() + BELIEVED;
    let said = mcp.tasks.runner_lives(mcp.internal.replica, alive_until);
    if let Err(error) = said.await {
        tracing::warn!(error = %error, "the other replicas could not be told that this one works on its tasks");
    }
}

/// A task as `tasks/get` answers with it, for its owner alone, wherever it runs.
pub(in crate::mcp) async fn describe(
    mcp: &McpState,
    authorization: &Authorization,
    id: &str,
) -> Result<Option<Map<String, Value>>> {
    let now = mcp.clock.now();
    if !mcp.mail.is_shared() {
        let task = mcp.internal.tasks.find(id, authorization, now);
        return Ok(task.map(|task| task.detailed()));
    }
    let owner = &authorization.owner;
    let kept = mcp.tasks.kept_task(owner, id, now).await?;
    Ok(kept.and_then(|kept| {
        let described: Map<String, Value> = serde_json::from_str(&kept.described).ok()?;
        Some(if kept.is_lost(now) {
            lost(described, kept.alive_until)
        } else {
            described
        })
    }))
}

/// Gives a task answers. Whether there is such a task.
pub(in crate::mcp) async fn update(
    mcp: &McpState,
    authorization: &Authorization,
    id: &str,
    answers: Map<String, Value>,
) -> Result<bool> {
    let now = mcp.clock.now();
    if let Some(task) = mcp.internal.tasks.find(id, authorization, now) {
        task.update(answers, now);
        return settle(mcp, &task).await.map(|()| true);
    }
    let kept = kept_elsewhere(mcp, authorization, id, now).await?;
    if kept.is_some() {
        let answers = Value::Object(answers).to_string().into();
        let task = id.into();
        mail::tell(mcp, News::TaskAnswered { task, answers }).await;
    }
    Ok(kept.is_some())
}

/// Ends a task. Whether there is such a task.
pub(in crate::mcp) async fn cancel(
    mcp: &McpState,
    authorization: &Authorization,
    id: &str,
) -> Result<bool> {
    let now = mcp.clock.now();
    if let Some(task) = mcp.internal.tasks.find(id, authorization, now) {
        task.cancel(now);
        return settle(mcp, &task).await.map(|()| true);
    }
    let kept = kept_elsewhere(mcp, authorization, id, now).await?;
    // One that is lost has ended already.
    if kept.as_ref().is_some_and(|kept| !kept.is_lost(now)) {
        mail::tell(mcp, News::TaskCancelled(id.into())).await;
    }
    Ok(kept.is_some())
}

/// Another replica's client has answered.
pub(in crate::mcp) fn answered(mcp: &McpState, id: &str, answers: &str) {
    if let Some(task) = mcp.internal.tasks.get(id)
        && let Ok(answers) = serde_json::from_str(answers)
    {
        task.update(answers, mcp.clock.now());
    }
}

/// Another replica's client has cancelled.
pub(in crate::mcp) fn cancelled(mcp: &McpState, id: &str) {
    if let Some(task) = mcp.internal.tasks.get(id) {
        task.cancel(mcp.clock.now());
    }
}

/// Whoever has changed a task and asks next sees what it came to.
async fn settle(mcp: &McpState, task: &Task) -> Result<()> {
    match task.keeper {
        Some(_) => write(mcp, task).await,
        None => Ok(()),
    }
}

async fn kept_elsewhere(
    mcp: &McpState,
    authorization: &Authorization,
    id: &str,
    now: Timestamp,
) -> Result<Option<KeptTask>> {
    if !mcp.mail.is_shared() {
        return Ok(None);
    }
    let owner = &authorization.owner;
    mcp.tasks.kept_task(owner, id, now).await
}

/// A task whose process has gone: it has failed, and its client may ask again.
fn lost(mut described: Map<String, Value>, since: Timestamp) -> Map<String, Value> {
    let why = "the server was restarted while it worked on this; ask again";
    let error = RpcError::new(INTERNAL_ERROR, why);
    described.remove("inputRequests");
    described.insert("status".to_owned(), json!("failed"));
    described.insert("lastUpdatedAt".to_owned(), json!(since.to_rfc3339_millis()));
    described.insert("error".to_owned(), json!(error));
    described
}
