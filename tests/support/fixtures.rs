//! A server that offers what the stories of the protocol need: tools that speak, ask, wait, fail.

mod asking;
mod files;
mod reading;
mod tools;

use std::{collections::BTreeSet, future::Future, ops::Deref, pin::Pin, sync::Arc};

use async_trait::async_trait;
use remote_mcp_auth::{
    ServerBuilder,
    config::Config,
    mcp::feature::{CallError, Context, Tool, ToolDefinition, ToolResult},
    store::MemoryStore,
};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};

pub(crate) use files::{ALL_OF_FILES, files_server, hostile_server};

use super::{McpClient, ModernClient, PATIENCE, TestServer, connect};

/// A server with all of it, and what its tools tell the story.
pub(crate) struct Workshop {
    server: TestServer,
    /// Where the tools are, if they are not in the server itself.
    behind: Option<TestServer>,
    happenings: mpsc::UnboundedReceiver<&'static str>,
    gate: Arc<Semaphore>,
}

/// What a tool tells the story, and how the story lets it go on.
#[derive(Clone)]
pub(crate) struct Probe {
    happenings: mpsc::UnboundedSender<&'static str>,
    gate: Arc<Semaphore>,
}

impl Probe {
    /// One that was not used yet, and what it tells.
    fn new() -> (Self, mpsc::UnboundedReceiver<&'static str>) {
        let (happenings, happened) = mpsc::unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        (Self { happenings, gate }, happened)
    }

    fn tell(&self, what: &'static str) {
        // The story may be over.
        let _ = self.happenings.send(what);
    }

    /// Waits until the story lets one go.
    async fn wait(&self) {
        self.gate.acquire().await.expect("never closed").forget();
    }
}

impl Workshop {
    pub(crate) async fn open() -> Self {
        Self::with([]).await
    }

    /// With these settings besides.
    pub(crate) async fn with<const N: usize>(settings: [(&str, &str); N]) -> Self {
        let (probe, happenings) = Probe::new();
        let gate = Arc::clone(&probe.gate);
        let server = TestServer::offering(settings, move |builder| offer(builder, &probe)).await;
        Self {
            server,
            behind: None,
            happenings,
            gate,
        }
    }

    /// Behind a gateway, which is what the story meets. `more`: what the gateway's file says of it
    /// besides.
    pub(crate) async fn behind_a_gateway(more: &str) -> Self {
        Self::open().await.put_behind_a_gateway(more).await
    }

    /// The same for one that is there already.
    pub(crate) async fn put_behind_a_gateway(mut self, more: &str) -> Self {
        let token = connect(&self).await.tokens.access;
        let url = self.url("/mcp");
        let file =
            format!("[[upstreams]]\nurl = \"{url}\"\nauthorization = \"Bearer {token}\"\n{more}\n");
        let gateway = TestServer::one_reading(&file).await;
        self.behind = Some(std::mem::replace(&mut self.server, gateway));
        self
    }

    /// The server that the tools are in, behind the gateway.
    pub(crate) fn behind(&self) -> &TestServer {
        self.behind.as_ref().expect("a gateway")
    }

    /// One of several with the same store, under one name.
    pub(crate) async fn replica(store: &MemoryStore) -> Self {
        let (probe, happenings) = Probe::new();
        let gate = Arc::clone(&probe.gate);
        let store = Arc::new(store.clone());
        let settings = [("public_url", "https://mcp.example.com")];
        let server =
            TestServer::offering(settings, move |builder| offer(builder.store(store), &probe));
        Self {
            server: server.await,
            behind: None,
            happenings,
            gate,
        }
    }

    /// One of several with the same database, under one name.
    pub(crate) async fn replica_with(database_url: &str) -> Self {
        let (probe, happenings) = Probe::new();
        let gate = Arc::clone(&probe.gate);
        let settings = [
            ("public_url", "https://mcp.example.com"),
            ("database_url", database_url),
        ];
        let server = TestServer::offering(settings, move |builder| offer(builder, &probe));
        Self {
            server: server.await,
            behind: None,
            happenings,
            gate,
        }
    }

    /// Ends the server, and waits for that.
    pub(crate) async fn end(&mut self) {
        self.server.begin_shutdown();
        self.server.stopped().await;
    }

    /// With this configuration, whatever it says.
    pub(crate) async fn configured(config: Config) -> Self {
        let (probe, happenings) = Probe::new();
        let gate = Arc::clone(&probe.gate);
        let server = TestServer::configured(config, move |builder| offer(builder, &probe)).await;
        Self {
            server,
            behind: None,
            happenings,
            gate,
        }
    }

    /// A client of 2026-07-28 that somebody has allowed in.
    pub(crate) async fn modern(&self) -> ModernClient {
        ModernClient::connected(self).await
    }

    /// A client with a session in that revision and these capabilities.
    pub(crate) async fn legacy(&self, version: &str, capabilities: Value) -> McpClient {
        let token = connect(self).await.tokens.access;
        McpClient::declaring(self, &token, version, capabilities).await
    }

    /// Ends what people have allowed.
    pub(crate) async fn revoke_all(&self) {
        let grants = self.admin().get("/grants").send().await.expect(200).json();
        for grant in grants["grants"].as_array().expect("a list of grants") {
            let path = format!("/grants/{}", grant["id"].as_str().expect("an id"));
            let request = self.admin().request(Method::DELETE, &path);
            assert!((200..300).contains(&request.send().await.status));
        }
    }

    /// Lets one waiting tool go on.
    pub(crate) fn let_go(&self) {
        self.gate.add_permits(1);
    }

    /// Waits until a tool has told of all these, in whatever order.
    pub(crate) async fn happen<const N: usize>(&mut self, what: [&'static str; N]) {
        let mut missing = BTreeSet::from(what);
        while !missing.is_empty() {
            let told = timeout(PATIENCE, self.happenings.recv()).await;
            let Ok(told) = told else {
                panic!("{missing:?} did not happen");
            };
            let told = told.expect("the tools are there as long as the server is");
            assert!(missing.remove(told), "{told} happened before {missing:?}");
        }
    }

    /// What the tools have told and nobody has waited for.
    pub(crate) fn happened(&mut self) -> Vec<&'static str> {
        std::iter::from_fn(|| self.happenings.try_recv().ok()).collect()
    }
}

impl Deref for Workshop {
    type Target = TestServer;

    fn deref(&self) -> &TestServer {
        &self.server
    }
}

fn offer(builder: ServerBuilder, probe: &Probe) -> ServerBuilder {
    let tools = [
        tools::plain(probe),
        tools::tasks(probe),
        asking::tools(probe),
    ];
    let tools = tools.into_iter().flatten();
    let builder = tools.fold(builder, |builder, tool| builder.tool(Arc::new(tool)));
    reading::offer(builder)
}

type Running<'a, T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send + 'a>>;
type Run = for<'a> fn(Map<String, Value>, &'a Context, &'a Probe) -> Running<'a, ToolResult>;
type Prepare = for<'a> fn(&'a Context) -> Running<'a, ()>;

/// A tool made of a function.
struct TestTool {
    definition: ToolDefinition,
    prepare: Option<Prepare>,
    run: Run,
    probe: Probe,
}

impl TestTool {
    fn new(name: &'static str, probe: &Probe, run: Run) -> Self {
        let schema = json!({ "type": "object" });
        Self {
            definition: ToolDefinition::new(name, "for a story", schema),
            prepare: None,
            run,
            probe: probe.clone(),
        }
    }

    fn defined(mut self, define: impl FnOnce(&mut ToolDefinition)) -> Self {
        define(&mut self.definition);
        self
    }
}

#[async_trait]
impl Tool for TestTool {
    fn definition(&self) -> ToolDefinition {
        self.definition.clone()
    }

    async fn prepare(&self, _: &Map<String, Value>, context: &Context) -> Result<(), CallError> {
        match self.prepare {
            Some(prepare) => prepare(context).await,
            None => Ok(()),
        }
    }

    async fn call(
        &self,
        arguments: Map<String, Value>,
        context: &Context,
    ) -> Result<ToolResult, CallError> {
        (self.run)(arguments, context, &self.probe).await
    }
}
