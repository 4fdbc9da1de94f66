//! 2026-07-28: every request stands alone. No handshake, no session; what used to be a session's is
//! in each request's `_meta`.

mod call;
mod envelope;
mod listen;
mod request_state;

use std::sync::LazyLock;

use axum::{http::StatusCode, response::Response};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

pub(super) use envelope::VERSION_HEADER;

use super::{
    dispatch::{self, Fault, Prepared},
    era::{Era, MODERN},
    exchange::Exchange,
    feature::{Capability, TASKS_EXTENSION},
    guard,
    jsonrpc::{self, INVALID_PARAMS, METHOD_NOT_FOUND, RpcError},
    params::Params,
    rejection::UNAVAILABLE,
    tasks,
};
use crate::web::note;
use envelope::Envelope;

/// `MissingRequiredClientCapability`.
const MISSING_CAPABILITY: i32 = -32021;

/// How long lists may be kept, in milliseconds. They change with the configuration, and who listens
/// is told.
const LIST_TTL_MS: u32 = 60_000;

/// One request, its envelope read.
struct Modern<'a> {
    exchange: &'a Exchange<'a>,
    envelope: Envelope<'a>,
}

/// A request, as the message has it.
pub(super) struct Request<'a> {
    pub(super) id: &'a RawValue,
    pub(super) method: &'a str,
    pub(super) params: &'a Params<'a>,
}

/// `POST` of a request.
pub(super) async fn post(exchange: &Exchange<'_>, request: &Request<'_>) -> Response {
    tracing::debug!(mcp.method = ?request.method.chars().take(100).collect::<String>(), "request");
    let id = request.id;
    let envelope = match envelope::read(exchange.headers, request) {
        Ok(envelope) => envelope,
        // Whatever is wrong with an envelope is the transport's business: 400.
        Err(error) => {
            let body = jsonrpc::error(Some(id), &error);
            return jsonrpc::respond(StatusCode::BAD_REQUEST, body);
        }
    };
    let modern = Modern { exchange, envelope };
    match answer(&modern, request).await {
        Ok(Answer::Result(result)) => exchange.reply(jsonrpc::result(id, &result)),
        Ok(Answer::Response(response)) => response,
        Err(fault) => refuse(&modern, id, fault),
    }
}

/// What a request comes to.
enum Answer {
    /// A result, complete.
    Result(Vec<u8>),
    /// A response of its own.
    Response(Response),
}

async fn answer(modern: &Modern<'_>, request: &Request<'_>) -> Result<Answer, Fault> {
    let features = modern.exchange.features;
    let Request { method, params, .. } = request;
    let method = *method;
    let is_offered = match method {
        "prompts/list" | "prompts/get" => features.has_prompts(),
        "resources/list" | "resources/templates/list" | "resources/read" => {
            features.has_resources()
        }
        "completion/complete" => features.has_prompts() || features.has_resources(),
        "tasks/get" | "tasks/update" | "tasks/cancel" => features.has_tasks(),
        _ => true,
    };
    if !is_offered {
        return Err(dispatch::method_not_found(method).into());
    }
    match method {
        "server/discover" => Ok(Answer::Result(discover(modern))),
        "subscriptions/listen" => {
            if !modern.exchange.accepts.events {
                let message = "the answer is a stream; accept text/event-stream";
                return Err(RpcError::new(jsonrpc::INVALID_REQUEST, message).into());
            }
            Ok(Answer::Response(listen::open(modern, request).await?))
        }
        "tasks/get" | "tasks/update" | "tasks/cancel" => {
            task(modern, method, params).await.map(Answer::Result)
        }
        _ => match dispatch::prepare(modern.exchange, Era::Modern, method, params)? {
            Prepared::Answer(result) => Ok(Answer::Result(complete(result, cache(method)))),
            Prepared::Work(work) => call::answer(modern, request, work).await,
        },
    }
}

fn discover(modern: &Modern<'_>) -> Vec<u8> {
    let features = modern.exchange.features;
    let mut capabilities = dispatch::capabilities(features, Era::Modern);
    if features.has_tasks() {
        capabilities.insert("extensions".to_owned(), json!({ TASKS_EXTENSION: {} }));
    }
    let mut result = json!({ "supportedVersions": [MODERN], "capabilities": capabilities });
    if let (Some(instructions), Some(result)) = (features.instructions(), result.as_object_mut()) {
        result.insert("instructions".to_owned(), json!(instructions));
    }
    complete(
        result.to_string().into_bytes(),
        Some(("public", LIST_TTL_MS)),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskParams {
    task_id: String,
    #[serde(default)]
    input_responses: Map<String, Value>,
}

async fn task(modern: &Modern<'_>, method: &str, params: &Params<'_>) -> Result<Vec<u8>, Fault> {
    if !modern.envelope.capabilities.contains(Capability::Tasks) {
        return Err(Fault::Capability(Capability::Tasks));
    }
    let TaskParams {
        task_id,
        input_responses,
    } = params.read()?;
    let (mcp, theirs) = (modern.exchange.mcp, modern.exchange.authorization);
    let acknowledged = |is_there: bool| is_there.then(Map::new);
    let result = match method {
        "tasks/get" => tasks::describe(mcp, theirs, &task_id).await?,
        "tasks/update" => {
            let updated = tasks::update(mcp, theirs, &task_id, input_responses);
            acknowledged(updated.await?)
        }
        _ => acknowledged(tasks::cancel(mcp, theirs, &task_id).await?),
    };
    let result =
        result.ok_or_else(|| RpcError::new(INVALID_PARAMS, "there is no task of that id"))?;
    let result = Value::Object(result);
    Ok(complete(result.to_string().into_bytes(), None))
}

/// Who may keep a result of `method`: what depends on the token is the person's own.
fn cache(method: &str) -> Option<Cache> {
    matches!(
        method,
        "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    )
    .then_some(("private", LIST_TTL_MS))
}

/// Who may keep a result, and for how many milliseconds.
type Cache = (&'static str, u32);

/// The `_meta` of every result: who answered.
fn server_meta() -> Value {
    json!({ "io.modelcontextprotocol/serverInfo": dispatch::server_info(Era::Modern) })
}

/// What every complete result ends with.
static SERVER_META: LazyLock<String> = LazyLock::new(|| format!("\"_meta\":{}}}", server_meta()));

/// Adds to a result what this era wants in each. `cache`: who may keep it, where the method says.
/// The members are written behind those of the object that `result` is, which costs no second pass.
fn complete(result: Vec<u8>, cache: Option<Cache>) -> Vec<u8> {
    complete_with(result, cache, Map::new())
}

/// The same with more to say in its `_meta`.
fn complete_with(
    mut result: Vec<u8>,
    cache: Option<Cache>,
    mut meta: Map<String, Value>,
) -> Vec<u8> {
    debug_assert!(result.ends_with(b"}"));
    result.pop();
    if !result.ends_with(b"{") {
        result.push(b',');
    }
    result.extend_from_slice(b"\"resultType\":\"complete\",");
    if let Some((scope, ttl)) = cache {
        let hints = format!("\"ttlMs\":{ttl},\"cacheScope\":\"{scope}\",");
        result.extend_from_slice(hints.as_bytes());
    }
    if meta.is_empty() {
        result.extend_from_slice(SERVER_META.as_bytes());
        return result;
    }
    // Who answers is for us to say.
    if let Value::Object(ours) = server_meta() {
        meta.extend(ours);
    }
    let meta = format!("\"_meta\":{}}}", Value::Object(meta));
    result.extend_from_slice(meta.as_bytes());
    result
}

/// Errors of the protocol have a status of their own in this era.
fn refuse(modern: &Modern<'_>, id: &RawValue, fault: Fault) -> Response {
    let error = match fault {
        // RFC 6750 §3.1: the status and the challenge make the client ask for more.
        Fault::Scope(scope) => {
            return guard::insufficient_scope(modern.exchange, &scope, Some(id));
        }
        Fault::Unavailable(error) => {
            let body = jsonrpc::error(Some(id), &unavailable());
            let response = jsonrpc::respond(StatusCode::SERVICE_UNAVAILABLE, body);
            return note::unavailable(response, error);
        }
        fault => told(fault),
    };
    let status = match error.code {
        METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        jsonrpc::INTERNAL_ERROR => StatusCode::INTERNAL_SERVER_ERROR,
        jsonrpc::INVALID_REQUEST | MISSING_CAPABILITY => StatusCode::BAD_REQUEST,
        code if (-32099..=-32020).contains(&code) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    jsonrpc::respond(status, jsonrpc::error(Some(id), &error))
}

/// What this era makes of a fault.
fn told(fault: Fault) -> RpcError {
    match fault {
        Fault::Rpc(error) => error,
        Fault::Capability(capability) => RpcError {
            data: Some(json!({ "requiredCapabilities": capability.declaration() })),
            ..RpcError::new(
                MISSING_CAPABILITY,
                "the client must declare a capability for this",
            )
        },
        Fault::NoAnswer(why) => RpcError::new(jsonrpc::INTERNAL_ERROR, why),
        Fault::ResourceNotFound(uri) => dispatch::no_resource(Era::Modern, &uri),
        Fault::Scope(scope) => RpcError::new(
            jsonrpc::INVALID_REQUEST,
            format!("the access token needs the scope {}", scope.as_str()),
        ),
        Fault::InputRequired => {
            RpcError::new(jsonrpc::INTERNAL_ERROR, "an answer is required first")
        }
        Fault::Unavailable(error) => {
            tracing::error!(error = %error, "a call failed on the store");
            unavailable()
        }
    }
}

fn unavailable() -> RpcError {
    RpcError::new(jsonrpc::INTERNAL_ERROR, UNAVAILABLE)
}
