//! MCP servers behind this one: their tools, prompts and resources, offered as our own.
//!
//! What each of them offers is kept (`keeping.rs`) and becomes part of what we offer. A call goes over a
//! connection that belongs to whoever makes it (`pool.rs`), with all that comes of it before its answer
//! (`call.rs`): progress, log messages and questions reach the client in the way of its own revision of
//! the protocol, whatever the upstream speaks.

mod asked;
mod call;
mod catalogue;
mod child;
mod completing;
mod connection;
mod connector;
mod keeping;
mod parked;
mod pool;
mod prompt;
mod resource;
mod round;
mod routes;
mod says;
mod tool;
mod transport;
mod upstream;
mod watching;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    mcp::feature::{Changes, Features},
    mcp_upstream::McpUpstream,
    upstream::site::Surroundings,
};
use connector::Connector;
use prompt::ProxiedPrompt;
use resource::{Others, ProxiedResource, ProxiedTemplate};
use tool::ProxiedTool;
use upstream::{Known, Upstream};

/// How long the server waits at its start for what is behind it.
const START: Duration = Duration::from_secs(10);

/// How long the end of what is behind it may take: longer than children are given.
const END: Duration = Duration::from_secs(6);

/// How often it is looked for connections that nobody uses.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// All MCP servers behind this one.
pub struct McpUpstreams {
    upstreams: Vec<Arc<Upstream>>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl fmt::Debug for McpUpstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.upstreams.iter().map(|upstream| &upstream.label);
        f.debug_list().entries(labels).finish()
    }
}

impl McpUpstreams {
    /// Those of `settings`. Nothing is reached yet. `changes` tells clients of resources that have
    /// changed.
    pub fn new(settings: &[McpUpstream], surroundings: &Surroundings, changes: &Changes) -> Self {
        let tasks = TaskTracker::new();
        let shutdown = CancellationToken::new();
        let upstreams = settings.iter().map(|settings| {
            Arc::new(Upstream::new(Connector {
                label: settings.label().into(),
                settings: settings.clone(),
                surroundings: surroundings.clone(),
                changes: changes.clone(),
                doubt: Notify::new(),
                tasks: tasks.clone(),
                shutdown: shutdown.clone(),
                has_sessions: AtomicBool::new(false),
            }))
        });
        Self {
            upstreams: upstreams.collect(),
            tasks,
            shutdown,
        }
    }

    /// Whether they are those of `settings`.
    pub fn are(&self, settings: &[McpUpstream]) -> bool {
        let ours = self.upstreams.iter().map(|upstream| upstream.settings());
        ours.eq(settings)
    }

    /// What they are called.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.upstreams.iter().map(|upstream| &*upstream.label)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.upstreams.is_empty()
    }

    /// Reaches them, and keeps them. `changed` is called when something is to be offered anew. Comes
    /// back when all of them have answered, or after a while.
    pub async fn start(&self, changed: Arc<dyn Fn() + Send + Sync>) {
        for upstream in &self.upstreams {
            let keeping = keeping::keep(Arc::clone(upstream), Arc::clone(&changed));
            let (upstream, shutdown) = (Arc::clone(upstream), self.shutdown.clone());
            self.tasks.spawn(async move {
                tokio::select! {
                    () = keeping => {}
                    () = sweep(&upstream) => {}
                    () = shutdown.cancelled() => {}
                }
            });
        }
        let deadline = Instant::now() + START;
        for upstream in &self.upstreams {
            while upstream.known().down.is_some() && Instant::now() < deadline {
                sleep(Duration::from_millis(10)).await;
            }
            if let Some(why) = upstream.known().down {
                tracing::warn!(
                    upstream = &*upstream.label,
                    why = &*why,
                    "an upstream is not there; it is offered when it is"
                );
            }
        }
    }

    /// Ends all that has been started for them.
    pub async fn stop(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        if timeout(END, self.tasks.wait()).await.is_err() {
            tracing::warn!("something that was started for an upstream does not end");
        }
    }

    /// Adds what they offer, in the order in which they are configured. What cannot be offered is
    /// left out, and logged.
    pub fn offer(&self, features: &mut Features) {
        let mut instructions = Vec::new();
        for upstream in &self.upstreams {
            let Known { catalogue, down } = upstream.known();
            let is_listed = down.is_none();
            let left_out = |kind: &str, name: &str, why: &dyn fmt::Display| {
                tracing::warn!(
                    upstream = &*upstream.label,
                    "its {kind} {name:?} is not offered: {why}"
                );
            };
            for described in &catalogue.tools {
                let name = text(described, "name").unwrap_or_default();
                let Some(offered) = upstream.settings().offered_as(&name) else {
                    continue;
                };
                let added = features.add_tool(Arc::new(ProxiedTool {
                    upstream: Arc::clone(upstream),
                    name: offered,
                    described: described.clone(),
                    is_listed,
                }));
                if let Err(error) = added {
                    left_out("tool", &name, &error);
                }
            }
            for described in &catalogue.prompts {
                let name = text(described, "name").unwrap_or_default();
                let Some(offered) = upstream.settings().offered_as(&name) else {
                    continue;
                };
                let added = features.add_prompt(Arc::new(ProxiedPrompt {
                    upstream: Arc::clone(upstream),
                    name: offered,
                    described: described.clone(),
                    is_listed,
                }));
                if let Err(error) = added {
                    left_out("prompt", &name, &error);
                }
            }
            for described in &catalogue.resources {
                let added = features.add_resource(Arc::new(ProxiedResource {
                    upstream: Arc::clone(upstream),
                    described: described.clone(),
                    is_listed,
                }));
                if let Err(error) = added {
                    let uri = text(described, "uri").unwrap_or_default();
                    left_out("resource", &uri, &error);
                }
            }
            for described in &catalogue.templates {
                features.add_template(Arc::new(ProxiedTemplate {
                    upstream: Arc::clone(upstream),
                    described: described.clone(),
                    is_listed,
                }));
            }
            if let Some(text) = catalogue.instructions.as_deref().filter(|_| is_listed) {
                instructions.push(match &upstream.settings().name {
                    Some(name) => format!("{name}: {text}"),
                    None => text.to_owned(),
                });
            }
        }
        // Behind everything that is listed.
        for upstream in &self.upstreams {
            if upstream.known().catalogue.has("resources") {
                features.add_template(Arc::new(Others {
                    upstream: Arc::clone(upstream),
                    is_alone: self.upstreams.len() == 1,
                }));
            }
        }
        if !instructions.is_empty() {
            features.set_instructions(Some(instructions.join("\n\n")));
        }
    }
}

/// Ends what nobody uses or waits for, now and then.
async fn sweep(upstream: &Upstream) {
    loop {
        sleep(SWEEP_EVERY).await;
        upstream.pool.sweep();
        upstream.parked.sweep();
    }
}

/// A text of a description.
fn text(described: &Map<String, Value>, key: &str) -> Option<String> {
    described.get(key)?.as_str().map(str::to_owned)
}

/// What else there is in a description.
fn without(described: &Map<String, Value>, known: &[&str]) -> Map<String, Value> {
    let others = described.iter();
    others
        .filter(|(name, _)| !known.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Who answered is for us to say.
fn drop_server_info(result: &mut Map<String, Value>) {
    if let Some(Value::Object(meta)) = result.get_mut("_meta") {
        meta.remove("io.modelcontextprotocol/serverInfo");
        if meta.is_empty() {
            result.remove("_meta");
        }
    }
}
