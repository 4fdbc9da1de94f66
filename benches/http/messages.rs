//! The requests that are measured, byte for byte.

use serde_json::{Value, json};

use crate::support::initialize_message;

/// The newest protocol version with sessions.
pub(crate) const LEGACY: &str = "2025-11-25";

/// The first protocol version without.
const MODERN: &str = "2026-07-28";

const TOOL: &str = "best_person_looker_upper";

/// Clients name every type that they take; one that names only one of them gets that.
const ANYTHING: &str = "application/json, text/event-stream";
const EVENT_STREAM: &str = "text/event-stream";

/// With sessions or without.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    Legacy,
    Modern,
}

impl Era {
    pub(crate) const fn version(self) -> &'static str {
        match self {
            Self::Legacy => LEGACY,
            Self::Modern => MODERN,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// Who calls.
pub(crate) struct Caller {
    /// Of the server's URL.
    pub(crate) authority: String,
    pub(crate) token: String,
    /// Of the legacy era.
    pub(crate) session: String,
}

pub(crate) fn list_tools(caller: &Caller, era: Era) -> Vec<u8> {
    request(caller, era, "tools/list", json!({}), ANYTHING)
}

pub(crate) fn call_tool(caller: &Caller, era: Era) -> Vec<u8> {
    request(caller, era, "tools/call", call(), ANYTHING)
}

/// The same from a client that wants its answer as a stream.
pub(crate) fn call_tool_for_events(caller: &Caller) -> Vec<u8> {
    request(caller, Era::Legacy, "tools/call", call(), EVENT_STREAM)
}

/// Opens a session.
pub(crate) fn initialize(authority: &str, token: &str) -> Vec<u8> {
    let message = initialize_message(LEGACY);
    post(authority, token, ANYTHING, &[], &message)
}

fn call() -> Value {
    json!({ "name": TOOL, "arguments": { "startsWith": "A" } })
}

fn request(caller: &Caller, era: Era, method: &str, mut params: Value, accept: &str) -> Vec<u8> {
    let mut headers = vec![("MCP-Protocol-Version", era.version())];
    match era {
        Era::Legacy => headers.push(("Mcp-Session-Id", &caller.session)),
        Era::Modern => {
            headers.push(("Mcp-Method", method));
            if method == "tools/call" {
                headers.push(("Mcp-Name", TOOL));
            }
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": era.version(),
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1.0.0" },
            });
            if let Some(params) = params.as_object_mut() {
                params.insert("_meta".to_owned(), meta);
            }
        }
    }
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    post(&caller.authority, &caller.token, accept, &headers, &message)
}

fn post(
    authority: &str,
    token: &str,
    accept: &str,
    headers: &[(&str, &str)],
    message: &Value,
) -> Vec<u8> {
    let body = message.to_string();
    let length = body.len();
    let lines = headers.iter();
    let lines: Vec<String> = lines
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let more = lines.concat();
    format!(
        "POST /mcp HTTP/1.1\r\n\
         Host: {authority}\r\n\
         Authorization: Bearer {token}\r\n\
         Content-Type: application/json\r\n\
         Accept: {accept}\r\n\
         {more}\
         Content-Length: {length}\r\n\
         \r\n\
         {body}"
    )
    .into_bytes()
}
