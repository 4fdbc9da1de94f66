//! Which method does what: the only match on method names.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};

use super::{
    era::LegacyVersion,
    jsonrpc::{
        self, INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, Malformed,
        Message, RpcError,
    },
    tools::{CallError, ToolCall, ToolRegistry},
};
use crate::access::Authorization;

/// What a message is handled with.
pub(super) struct Call<'a> {
    pub(super) tools: &'a ToolRegistry,
    pub(super) authorization: &'a Arc<Authorization>,
    pub(super) version: LegacyVersion,
}

/// Handles one message; `None` if it wants no answer.
pub(super) async fn message(call: &Call<'_>, message: Message<'_>) -> Option<Vec<u8>> {
    match message {
        Message::Request { id, method, params } => {
            let outcome = request(call, &method, params).await;
            Some(jsonrpc::answer(Some(id), outcome))
        }
        // `notifications/initialized` and the like need nothing done, and unknown ones are to be
        // ignored. Nothing is ever asked of clients yet, so their responses answer nothing.
        Message::Notification { method } => {
            tracing::debug!(mcp.method = %method, "notification");
            None
        }
        Message::Response => None,
    }
}

/// Handles the messages of a batch in order; `None` if none wants an answer.
pub(super) async fn batch(
    call: &Call<'_>,
    messages: Vec<Result<Message<'_>, Malformed<'_>>>,
) -> Option<Vec<u8>> {
    let mut answers = Vec::new();
    for item in messages {
        match item {
            // A handshake is a request of its own, never one of many.
            Ok(Message::Request { id, method, .. }) if method == "initialize" => {
                let error = RpcError::new(INVALID_REQUEST, "initialize must not be in a batch");
                answers.push(jsonrpc::answer(Some(id), Err::<(), _>(error)));
            }
            Ok(item) => answers.extend(message(call, item).await),
            Err(malformed) => {
                answers.push(jsonrpc::answer(malformed.id, Err::<(), _>(malformed.error)));
            }
        }
    }
    (!answers.is_empty()).then(|| [b"[", answers.join(&b","[..]).as_slice(), b"]"].concat())
}

#[derive(Deserialize)]
struct InitializeParams<'a> {
    #[serde(borrow, rename = "protocolVersion")]
    protocol_version: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InitializeResult {
    protocol_version: &'static str,
    capabilities: Value,
    server_info: Implementation,
}

#[derive(Serialize)]
struct Implementation {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'static str>,
    version: &'static str,
}

/// A result as JSON.
type Outcome = Result<Box<RawValue>, RpcError>;

fn result(value: &impl Serialize) -> Outcome {
    to_raw_value(value).map_err(|error| {
        tracing::error!(error = %error, "a result could not be written as JSON");
        RpcError::new(INTERNAL_ERROR, "the result could not be written as JSON")
    })
}

/// The handshake: the version that was asked for, if we speak it, and what we offer. The version is
/// `None` if the handshake failed.
pub(super) fn initialize(
    id: &RawValue,
    params: Option<&RawValue>,
) -> (Option<LegacyVersion>, Vec<u8>) {
    let params = match read_params::<InitializeParams<'_>>(params) {
        Ok(params) => params,
        Err(error) => return (None, jsonrpc::answer(Some(id), Err::<(), _>(error))),
    };
    let version = LegacyVersion::parse(&params.protocol_version).unwrap_or(LegacyVersion::NEWEST);
    let result = InitializeResult {
        protocol_version: version.as_str(),
        capabilities: json!({ "tools": {} }),
        server_info: Implementation {
            name: env!("CARGO_PKG_NAME"),
            title: version.has_titles().then_some("Remote MCP server"),
            version: env!("CARGO_PKG_VERSION"),
        },
    };
    (Some(version), jsonrpc::answer(Some(id), Ok(result)))
}

async fn request(call: &Call<'_>, method: &str, params: Option<&RawValue>) -> Outcome {
    tracing::debug!(mcp.method = %method, "request");
    match method {
        "ping" => result(&json!({})),
        "tools/list" => {
            first_page(params)?;
            result(&call.tools.list(call.version))
        }
        "tools/call" => call_tool(call, params).await,
        // Claude asks for all lists whatever was declared.
        "prompts/list" => empty_list(params, "prompts"),
        "resources/list" => empty_list(params, "resources"),
        "resources/templates/list" => empty_list(params, "resourceTemplates"),
        _ => Err(RpcError::new(
            METHOD_NOT_FOUND,
            format!("method {} is not offered", shortened(method)),
        )),
    }
}

#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    arguments: Option<Map<String, Value>>,
}

async fn call_tool(call: &Call<'_>, params: Option<&RawValue>) -> Outcome {
    let params: CallParams<'_> = read_params(params)?;
    let tool_call = ToolCall {
        arguments: params.arguments.unwrap_or_default(),
        authorization: Arc::clone(call.authorization),
    };
    match call.tools.call(&params.name, tool_call).await {
        Ok(answer) => result(&answer.on_wire(call.version)),
        Err(CallError::UnknownTool) => Err(RpcError::new(
            INVALID_PARAMS,
            format!("unknown tool {}", shortened(&params.name)),
        )),
        Err(CallError::OutsideSchema(problem)) => {
            tracing::error!(mcp.tool = %params.name, problem, "a tool broke its own output schema");
            Err(RpcError::new(
                INTERNAL_ERROR,
                "the tool's answer does not fit its output schema",
            ))
        }
    }
}

#[derive(Deserialize, Default)]
struct PageParams<'a> {
    #[serde(borrow, default)]
    cursor: Option<Cow<'a, str>>,
}

/// Every list has one page: we never hand out a cursor, so none can be ours.
fn first_page(params: Option<&RawValue>) -> Result<(), RpcError> {
    let params: PageParams<'_> = match params {
        Some(_) => read_params(params)?,
        None => PageParams::default(),
    };
    match params.cursor {
        None => Ok(()),
        Some(_) => Err(RpcError::new(INVALID_PARAMS, "unknown cursor")),
    }
}

fn empty_list(params: Option<&RawValue>, name: &str) -> Outcome {
    first_page(params)?;
    result(&json!({ name: [] }))
}

fn read_params<'a, T: Deserialize<'a>>(params: Option<&'a RawValue>) -> Result<T, RpcError> {
    let text = params.map_or("{}", RawValue::get);
    // An array would be read as a struct by position; parameters have names.
    if !text.starts_with('{') {
        return Err(RpcError::new(INVALID_PARAMS, "params must be an object"));
    }
    serde_json::from_str(text)
        .map_err(|error| RpcError::new(INVALID_PARAMS, format!("params: {error}")))
}

/// What a caller sent, short enough to be repeated to it.
fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}
