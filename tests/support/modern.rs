//! An MCP client of 2026-07-28: no session, and in every request all that there is to know.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{Answer, Events, Request, Site, connect, mcp::names_of};

pub(crate) const MODERN: &str = "2026-07-28";
pub(crate) const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
pub(crate) const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
pub(crate) const TASKS: &str = "io.modelcontextprotocol/tasks";

/// A client with an access token and what it says of itself.
#[derive(Clone)]
pub(crate) struct ModernClient {
    site: Site,
    token: String,
    meta: Map<String, Value>,
}

impl ModernClient {
    pub(crate) fn new(site: &Site, token: &str) -> Self {
        let meta = json!({
            VERSION_KEY: MODERN,
            CAPABILITIES_KEY: {},
            "io.modelcontextprotocol/clientInfo": { "name": "story", "version": "1.0.0" },
        });
        Self {
            site: site.clone(),
            token: token.to_owned(),
            meta: meta.as_object().expect("an object").clone(),
        }
    }

    /// One that somebody has just let in.
    pub(crate) async fn connected(site: &Site) -> Self {
        Self::new(site, &connect(site).await.tokens.access)
    }

    /// The same client at another replica.
    pub(crate) fn at(&self, site: &Site) -> Self {
        Self {
            site: site.clone(),
            ..self.clone()
        }
    }

    /// The same client with these capabilities.
    pub(crate) fn declaring(self, capabilities: Value) -> Self {
        self.saying(CAPABILITIES_KEY, capabilities)
    }

    /// The same client with this member in every request's `_meta`.
    pub(crate) fn saying(mut self, key: &str, value: Value) -> Self {
        self.meta.insert(key.to_owned(), value);
        self
    }

    /// A request in its envelope.
    pub(crate) fn message(&self, method: &str, params: &Value) -> Value {
        let mut params = params.clone();
        params["_meta"] = Value::Object(self.meta.clone());
        json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
    }

    /// A request to the endpoint with the headers that belong to the message.
    pub(crate) fn http(&self, message: &Value) -> Request {
        let method = message["method"].as_str().unwrap_or_default();
        let params = &message["params"];
        let mut request = self
            .site
            .post("/mcp")
            .bearer(&self.token)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", MODERN)
            .header("mcp-method", method);
        let name = match method {
            "tools/call" | "prompts/get" => &params["name"],
            "resources/read" => &params["uri"],
            "tasks/get" | "tasks/update" | "tasks/cancel" => &params["taskId"],
            _ => &Value::Null,
        };
        if let Some(name) = name.as_str() {
            request = request.header("mcp-name", &header_form(name));
        }
        request.json(message)
    }

    /// One request and its whole response.
    pub(crate) async fn request(&self, method: &str, params: &Value) -> Answer {
        self.http(&self.message(method, params)).send().await
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
        let params = json!({ "name": tool, "arguments": arguments });
        self.result("tools/call", &params).await
    }

    /// What the tools are called that it may call, in their order.
    pub(crate) async fn tool_names(&self) -> Vec<String> {
        let listed = self.result("tools/list", &json!({})).await;
        names_of(&listed["tools"])
    }

    /// A request whose answer is a stream.
    pub(crate) async fn open(&self, method: &str, params: &Value) -> Events {
        Events::of(self.http(&self.message(method, params)).open().await)
    }

    /// A stream of changes that has been acknowledged, and what it grants.
    pub(crate) async fn listen(&self, notifications: &Value) -> (Events, Value) {
        let params = json!({ "notifications": notifications });
        let mut events = self.open("subscriptions/listen", &params).await;
        let acknowledged = events.message().await;
        // 2026-07-28, subscriptions: the acknowledgement comes first.
        assert_eq!(
            acknowledged["method"], "notifications/subscriptions/acknowledged",
            "{acknowledged}"
        );
        let granted = acknowledged["params"]["notifications"].clone();
        (events, granted)
    }
}

/// A value as it can stand in a header: as it is, or in base64 where it cannot.
pub(crate) fn header_form(value: &str) -> String {
    let is_plain = value.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        && value.trim() == value
        && !value.starts_with("=?base64?");
    if is_plain {
        value.to_owned()
    } else {
        format!("=?base64?{}?=", STANDARD.encode(value))
    }
}
