//! An MCP client of the session-based revisions.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, Events, Request, Site, connect};

/// A client with an access token and, once initialized, a session.
#[derive(Clone)]
pub(crate) struct McpClient {
    site: Site,
    token: String,
    pub(crate) session: Option<String>,
    version: Option<String>,
}

/// The first message of a session.
pub(crate) fn initialize_message(version: &str) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": version,
            "capabilities": {},
            "clientInfo": { "name": "story", "version": "1.0.0" },
        },
    })
}

/// What the members of a list are called.
pub(super) fn names_of(list: &Value) -> Vec<String> {
    let members = list.as_array().expect("a list").iter();
    let names = members.map(|member| member["name"].as_str().expect("a name"));
    names.map(str::to_owned).collect()
}

/// What a client declares that can be asked everything.
pub(crate) fn everything() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} })
}

/// What a person answers who is asked for a name.
pub(crate) fn named(name: &str) -> Value {
    json!({ "action": "accept", "content": { "name": name } })
}

impl McpClient {
    pub(crate) fn new(site: &Site, token: &str) -> Self {
        Self {
            site: site.clone(),
            token: token.to_owned(),
            session: None,
            version: None,
        }
    }

    /// The same client, of the same server at another address.
    pub(crate) fn moved_to(mut self, site: &Site) -> Self {
        self.site = site.clone();
        self
    }

    /// The same client, in the same session, with a newer token.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        token.clone_into(&mut self.token);
        self
    }

    /// A client with a session in that revision.
    pub(crate) async fn initialized(site: &Site, token: &str, version: &str) -> Self {
        let mut client = Self::new(site, token);
        let result = client.initialize(version).await;
        assert_eq!(result["protocolVersion"], version, "{result}");
        client
    }

    /// The same for one that somebody has just let in.
    pub(crate) async fn connected(site: &Site, version: &str) -> Self {
        Self::initialized(site, &connect(site).await.tokens.access, version).await
    }

    /// A client with a session in that revision and these capabilities.
    pub(crate) async fn declaring(
        site: &Site,
        token: &str,
        version: &str,
        capabilities: Value,
    ) -> Self {
        let mut client = Self::new(site, token);
        let mut message = initialize_message(version);
        message["params"]["capabilities"] = capabilities;
        let result = client.begin(&message).await;
        assert_eq!(result["protocolVersion"], version, "{result}");
        client
    }

    /// The same client and session at another replica.
    pub(crate) fn at(&self, site: &Site) -> Self {
        Self {
            site: site.clone(),
            ..self.clone()
        }
    }

    /// Opens a session and returns the result of `initialize`.
    pub(crate) async fn initialize(&mut self, version: &str) -> Value {
        self.begin(&initialize_message(version)).await
    }

    async fn begin(&mut self, message: &Value) -> Value {
        let answer = self.post(message).await.expect(200);
        let result = answer.rpc()["result"].clone();
        self.session = Some(answer.header("mcp-session-id").to_owned());
        let version = result["protocolVersion"]
            .as_str()
            .expect("a protocol version");
        // Only from 2025-06-18 on do clients name the revision in a header.
        self.version = (version >= "2025-06-18").then(|| version.to_owned());
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        self.post(&initialized).await.expect(202);
        result
    }

    /// A request to the endpoint with the headers that a proper client sends.
    pub(crate) fn http(&self, method: Method) -> Request {
        let accept = match method {
            Method::GET => "text/event-stream",
            _ => "application/json, text/event-stream",
        };
        let mut request = self
            .site
            .request(method, "/mcp")
            .bearer(&self.token)
            .header("accept", accept);
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        if let Some(version) = &self.version {
            request = request.header("mcp-protocol-version", version);
        }
        request
    }

    /// Posts one message, or several.
    pub(crate) async fn post(&self, message: &Value) -> Answer {
        self.http(Method::POST).json(message).send().await
    }

    /// One request and its whole response.
    pub(crate) async fn request(&self, method: &str, params: &Value) -> Answer {
        self.post(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
            .await
    }

    /// The result of a request that succeeds.
    pub(crate) async fn result(&self, method: &str, params: &Value) -> Value {
        let message = self.request(method, params).await.expect(200).rpc();
        assert_eq!(message["id"], 1, "{message}");
        assert!(message["error"].is_null(), "{message}");
        message["result"].clone()
    }

    /// The result of calling a tool.
    pub(crate) async fn call(&self, tool: &str, arguments: &Value) -> Value {
        self.result(
            "tools/call",
            &json!({ "name": tool, "arguments": arguments }),
        )
        .await
    }

    /// What the tools are called that it may call, in their order.
    pub(crate) async fn tool_names(&self) -> Vec<String> {
        let listed = self.result("tools/list", &json!({})).await;
        names_of(&listed["tools"])
    }

    /// Whether the token and the session are still good.
    pub(crate) async fn ping(&self) -> u16 {
        self.request("ping", &json!({})).await.status
    }

    /// Opens the stream on which the server may speak by itself.
    pub(crate) async fn stream(&self) -> reqwest::Response {
        self.http(Method::GET).open().await
    }

    /// The same, to be read event by event. `last`: the event after which it goes on.
    pub(crate) async fn events(&self, last: Option<&str>) -> Events {
        let request = self.http(Method::GET);
        let request = match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        };
        Events::of(request.open().await)
    }

    /// Calls a tool that answers with a stream. Progress is asked for, under the id's own name.
    pub(crate) async fn open(&self, id: u64, tool: &str, arguments: &Value) -> Events {
        let meta = json!({ "progressToken": id });
        let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        let message =
            json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        Events::of(self.http(Method::POST).json(&message).open().await)
    }

    /// The first message that comes of calling a tool: its result, or what the server wants first.
    pub(crate) async fn call_open(&self, tool: &str) -> Value {
        let params = json!({ "name": tool, "arguments": {} });
        let message =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let response = self.http(Method::POST).json(&message).open().await;
        if response.headers()["content-type"] == "text/event-stream" {
            return Events::of(response).message().await;
        }
        Answer::read(response).await.rpc()
    }

    /// Answers a request of the server's.
    pub(crate) async fn answer(&self, id: &Value, result: &Value) {
        let message = json!({ "jsonrpc": "2.0", "id": id, "result": result });
        self.post(&message).await.expect(202);
    }

    /// Sends a notification.
    pub(crate) async fn notify(&self, method: &str, params: &Value) {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        self.post(&message).await.expect(202);
    }

    /// Ends the session.
    pub(crate) async fn end(&self) -> Answer {
        self.http(Method::DELETE).send().await
    }
}
