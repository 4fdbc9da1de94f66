//! The conformance fixture (`examples/conformance`), value by value and in both eras. The official
//! suite mostly looks whether something is there, so that even an error passes for a text. Here
//! whole results are held against what the suite's reference wants of a fixture (“The conformance
//! fixture our server must expose”). Where it leaves the words free they are the fixture's own.

mod asking;
mod contents;
mod lists;
mod reading;
mod rounds;
mod speaking;
mod tasks;
mod versions;

use serde_json::{Value, json};

use crate::{
    every_version::Client,
    support::{Launch, McpClient, ModernClient, Program, Site, connect},
};

/// The newest version with sessions.
const NEWEST: &str = "2025-11-25";

/// Who answers, in every result of 2026-07-28.
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg==";
const WAV: &str = "UklGRigAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQQAAACAgICA";

/// The running fixture, and the token of somebody who was allowed in.
struct Fixture {
    site: Site,
    token: String,
    _program: Program,
}

impl Fixture {
    async fn start() -> Self {
        let program = Launch::fixture().start();
        let site = program.site();
        let token = connect(&site).await.tokens.access;
        Self {
            site,
            token,
            _program: program,
        }
    }

    /// A client with a session in that version, which can be asked everything.
    async fn legacy(&self, version: &str) -> McpClient {
        McpClient::declaring(&self.site, &self.token, version, everything()).await
    }

    /// A client of 2026-07-28 that can be asked everything.
    fn modern(&self) -> ModernClient {
        ModernClient::new(&self.site, &self.token).declaring(everything())
    }

    /// A client of each era.
    async fn clients(&self) -> [Client; 2] {
        let session = self.legacy(NEWEST).await;
        [Client::Session(session), Client::Modern(self.modern())]
    }
}

fn everything() -> Value {
    json!({ "elicitation": {}, "sampling": {}, "roots": {} })
}

/// Calls a tool.
async fn call(client: &Client, tool: &str, arguments: &Value) -> Value {
    let params = json!({ "name": tool, "arguments": arguments });
    client.result("tools/call", &params).await
}

/// A result as the client's era writes it: 2026-07-28 says that it is complete and who answered.
fn complete(client: &Client, mut result: Value) -> Value {
    if matches!(client, Client::Modern(_)) {
        result["resultType"] = json!("complete");
        result["_meta"] = server_meta();
    }
    result
}

/// The same for what may be kept, which in 2026-07-28 says for how long and by whom.
fn cacheable(client: &Client, mut result: Value) -> Value {
    if matches!(client, Client::Modern(_)) {
        result["ttlMs"] = json!(60_000);
        result["cacheScope"] = json!("private");
    }
    complete(client, result)
}

fn server_meta() -> Value {
    json!({ SERVER_INFO: {
        "name": "remote-mcp-auth",
        "title": "Remote MCP server",
        "version": env!("CARGO_PKG_VERSION"),
    } })
}

/// What a tool answers that has this to say.
fn said(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": false })
}

/// A schema with one member, which must be there.
fn one(name: &str, kind: &str) -> Value {
    json!({ "type": "object", "properties": { name: { "type": kind } }, "required": [name] })
}

/// What a person filled in.
fn filled(content: &Value) -> Value {
    json!({ "action": "accept", "content": content })
}

/// What a model answered.
fn sampled(text: &str) -> Value {
    let content = json!({ "type": "text", "text": text });
    json!({ "role": "assistant", "model": "m", "content": content })
}

/// A question for the person.
fn form(message: &str, schema: &Value) -> Value {
    let params = json!({ "mode": "form", "message": message, "requestedSchema": schema });
    json!({ "method": "elicitation/create", "params": params })
}

/// A question for the model.
fn prompt(text: &str, max_tokens: u32) -> Value {
    let message = json!({ "role": "user", "content": { "type": "text", "text": text } });
    let params = json!({ "messages": [message], "maxTokens": max_tokens });
    json!({ "method": "sampling/createMessage", "params": params })
}
