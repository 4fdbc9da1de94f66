//! `subscriptions/listen`: a stream of changes that a client asked to hear of.

use std::sync::Arc;

use axum::{body::Bytes, response::Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::{Modern, Request};
use crate::{
    access::Authorization,
    mcp::{
        McpState,
        dispatch::{self, Fault},
        era::Era,
        feature::{Capability, Change, Context, Watch},
        jsonrpc,
        sse::{self, GuardedStream},
        tasks,
    },
    store::StoreError,
};

/// How many addresses or tasks one stream may watch.
const MAX_WATCHED: usize = 1000;

const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

#[derive(Deserialize)]
struct ListenParams {
    #[serde(default)]
    notifications: Filter,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    tools_list_changed: bool,
    prompts_list_changed: bool,
    resources_list_changed: bool,
    resource_subscriptions: Vec<String>,
    task_ids: Vec<String>,
}

/// Opens the stream. What was not granted is left out of the acknowledgement.
pub(super) async fn open(modern: &Modern<'_>, request: &Request<'_>) -> Result<Response, Fault> {
    let ListenParams { notifications } = request.params.read()?;
    let id = request.id;
    let mcp = modern.exchange.mcp;
    // Listening begins before the client is told so: it may cause a change the moment it hears it.
    let changes = mcp.offered.changes().listen();
    let mut granted = grant(modern, notifications).await?;
    let watches = watch(modern, &mut granted.resource_subscriptions).await;
    let listener = Listener {
        mcp: Arc::clone(mcp),
        authorization: Arc::clone(modern.exchange.authorization),
        id: id.to_owned(),
        acknowledgement: Some(acknowledge(&granted)),
        granted,
        changes,
        _watches: watches,
    };
    let farewell = json!({ "resultType": "complete", "_meta": {
        SUBSCRIPTION_ID: id,
        "io.modelcontextprotocol/serverInfo": dispatch::server_info(Era::Modern),
    }});
    let farewell = jsonrpc::result(id, farewell.to_string().as_bytes());
    let events = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((event, listener))
    });
    Ok(GuardedStream {
        mcp: Arc::clone(mcp),
        authorization: Arc::clone(modern.exchange.authorization),
        events: Box::pin(events),
        ended: CancellationToken::new(),
        is_call: false,
        farewell: Some(sse::event(&farewell)),
    }
    .into_response())
}

/// Sees to it that changes of these resources are heard of. Those of which they cannot be are not
/// granted.
async fn watch(modern: &Modern<'_>, uris: &mut Vec<String>) -> Vec<Watch> {
    if uris.is_empty() {
        return Vec::new();
    }
    let context = Context::aside(
        modern.exchange.authorization,
        modern.envelope.capabilities,
        Era::Modern,
        modern.exchange.mcp.offered.changes(),
    );
    let features = modern.exchange.features;
    let mut watches = Vec::new();
    let mut granted = Vec::new();
    for uri in std::mem::take(uris) {
        match features.watch(&uri, &context).await {
            Ok(watch) => {
                watches.extend(watch);
                granted.push(uri);
            }
            Err(error) => tracing::debug!(error = ?error, "a resource cannot be watched"),
        }
    }
    *uris = granted;
    watches
}

/// Narrows what was asked for to what is offered.
async fn grant(modern: &Modern<'_>, asked: Filter) -> Result<Filter, StoreError> {
    let mcp = modern.exchange.mcp;
    let features = modern.exchange.features;
    let follows_tasks = modern.envelope.capabilities.contains(Capability::Tasks);
    let watched = |list: Vec<String>, offered: bool| {
        let list = list.into_iter().take(MAX_WATCHED);
        list.filter(|_| offered).collect::<Vec<_>>()
    };
    let mut task_ids = Vec::new();
    for id in watched(asked.task_ids, follows_tasks) {
        let task = tasks::describe(mcp, modern.exchange.authorization, &id);
        if task.await?.is_some() {
            task_ids.push(id);
        }
    }
    Ok(Filter {
        tools_list_changed: asked.tools_list_changed,
        prompts_list_changed: asked.prompts_list_changed && features.has_prompts(),
        resources_list_changed: asked.resources_list_changed && features.has_resources(),
        resource_subscriptions: watched(asked.resource_subscriptions, features.has_resources()),
        task_ids,
    })
}

fn acknowledge(granted: &Filter) -> Map<String, Value> {
    let mut notifications = Map::new();
    for (name, is_granted) in [
        ("toolsListChanged", granted.tools_list_changed),
        ("promptsListChanged", granted.prompts_list_changed),
        ("resourcesListChanged", granted.resources_list_changed),
    ] {
        if is_granted {
            notifications.insert(name.to_owned(), json!(true));
        }
    }
    for (name, watched) in [
        ("resourceSubscriptions", &granted.resource_subscriptions),
        ("taskIds", &granted.task_ids),
    ] {
        if !watched.is_empty() {
            notifications.insert(name.to_owned(), json!(watched));
        }
    }
    notifications
}

struct Listener {
    mcp: Arc<McpState>,
    authorization: Arc<Authorization>,
    id: Box<RawValue>,
    acknowledgement: Option<Map<String, Value>>,
    granted: Filter,
    changes: broadcast::Receiver<Change>,
    /// Kept for as long as somebody listens.
    _watches: Vec<Watch>,
}

impl Listener {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(granted) = self.acknowledgement.take() {
            let mut params = Map::new();
            params.insert("notifications".to_owned(), Value::Object(granted));
            return Some(self.notification("notifications/subscriptions/acknowledged", params));
        }
        loop {
            match self.changes.recv().await {
                Ok(change) => {
                    if let Some(params) = self.params_of(&change).await {
                        return Some(self.notification(change.method(), params));
                    }
                }
                // Some were missed; the client reads lists anew at the next one.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// What a change's notification says; `None` if it was not asked for.
    async fn params_of(&self, change: &Change) -> Option<Map<String, Value>> {
        let mut params = Map::new();
        let wanted = match change {
            Change::Tools => self.granted.tools_list_changed,
            Change::Prompts => self.granted.prompts_list_changed,
            Change::Resources => self.granted.resources_list_changed,
            Change::Resource(uri) => {
                params.insert("uri".to_owned(), json!(&**uri));
                self.granted
                    .resource_subscriptions
                    .iter()
                    .any(|watched| **watched == **uri)
            }
            Change::Task(id) => {
                let mut watched = self.granted.task_ids.iter();
                if !watched.any(|watched| **watched == **id) {
                    return None;
                }
                match tasks::describe(&self.mcp, &self.authorization, id).await {
                    Ok(task) => params = task?,
                    // The client asks now and then anyway.
                    Err(error) => {
                        tracing::warn!(error = %error, "a listener could not be told how its task is");
                        return None;
                    }
                }
                true
            }
        };
        wanted.then_some(params)
    }

    fn notification(&self, method: &str, mut params: Map<String, Value>) -> Bytes {
        let meta = json!({ SUBSCRIPTION_ID: self.id });
        params.insert("_meta".to_owned(), meta);
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        sse::event(message.to_string().as_bytes())
    }
}
