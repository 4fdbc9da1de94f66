//! The one core behind both eras: which method does what. Here is the only match on the names of
//! methods that both have.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    audit::Record,
    era::Era,
    exchange::Exchange,
    feature::{
        CallError, Capability, Completing, Completion, Context, Features, RegisteredPrompt,
        RegisteredTool, Stop, TaskSupport, ToolResult,
    },
    jsonrpc::{INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, RpcError},
    params::Params,
};
use crate::{
    model::scope::{Requirement, Scope, ScopeSet},
    store::StoreError,
};

/// How many completions are passed on at most.
const MAX_COMPLETIONS: usize = 100;

/// Why there is no result.
#[derive(Debug)]
pub(super) enum Fault {
    /// An error of the protocol.
    Rpc(RpcError),
    /// The token does not open this; the scope that would.
    Scope(Scope),
    /// The client cannot do what is needed.
    Capability(Capability),
    /// Something has to be answered first.
    InputRequired,
    /// The client was asked and did not answer.
    NoAnswer(&'static str),
    /// Nothing is at this address.
    ResourceNotFound(String),
    /// Our fault.
    Unavailable(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}

impl From<RpcError> for Fault {
    fn from(error: RpcError) -> Self {
        Self::Rpc(error)
    }
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        match error.0 {
            Stop::InputRequired => Self::InputRequired,
            Stop::MissingCapability(capability) => Self::Capability(capability),
            Stop::NoAnswer(why) => Self::NoAnswer(why),
            Stop::ResourceNotFound(uri) => Self::ResourceNotFound(uri),
            Stop::Protocol(error) => Self::Rpc(error),
        }
    }
}

/// A result, as JSON.
pub(super) type Outcome = Result<Vec<u8>, Fault>;

/// A request that has been understood.
#[derive(Debug)]
pub(super) enum Prepared {
    /// Nothing has to be run for it.
    Answer(Vec<u8>),
    /// A handler has to be run.
    Work(Work),
}

/// A handler and what it is given. Scopes have been checked.
#[derive(Debug)]
pub(super) enum Work {
    /// `tools/call`. The arguments are an object.
    Tool {
        tool: Arc<RegisteredTool>,
        arguments: Value,
    },
    /// `prompts/get`.
    Prompt {
        prompt: Arc<RegisteredPrompt>,
        arguments: BTreeMap<String, String>,
    },
    /// `resources/read`.
    Read { uri: String },
    /// `completion/complete`.
    Complete(Box<Complete>),
}

/// What is to be completed.
#[derive(Debug)]
pub(super) struct Complete {
    reference: Reference,
    argument: Argument,
    others: BTreeMap<String, String>,
}

/// Understands a request of a method that both eras have.
pub(super) fn prepare(
    exchange: &Exchange<'_>,
    era: Era,
    method: &str,
    params: &Params<'_>,
) -> Result<Prepared, Fault> {
    let features = exchange.features;
    let granted = &exchange.authorization.scopes;
    let answer = match method {
        "tools/list" => first_page(params).map(|()| features.tool_list(granted, era))?,
        "prompts/list" => first_page(params).map(|()| features.prompt_list(granted, era))?,
        "resources/list" => first_page(params).map(|()| features.resource_list(era))?,
        "resources/templates/list" => first_page(params).map(|()| features.template_list(era))?,
        "completion/complete" if features.has_prompts() || features.has_resources() => {
            let CompleteParams {
                reference,
                argument,
                context,
            } = params.read()?;
            return Ok(Prepared::Work(Work::Complete(Box::new(Complete {
                reference,
                argument,
                others: context.arguments,
            }))));
        }
        "tools/call" => return prepare_tool(exchange, params).map(Prepared::Work),
        "prompts/get" => return prepare_prompt(features, granted, params).map(Prepared::Work),
        "resources/read" => {
            let uri = params.uri()?.into_owned();
            return Ok(Prepared::Work(Work::Read { uri }));
        }
        _ => return Err(method_not_found(method).into()),
    };
    Ok(Prepared::Answer(answer))
}

/// Runs a handler. One that panics has failed, and nothing else has.
pub(super) async fn run(features: &Features, work: Work, context: &Context) -> Outcome {
    let running = AssertUnwindSafe(handle(features, work, context));
    running.catch_unwind().await.unwrap_or_else(|_| {
        // The panic hook has logged it, with its place.
        let message = "the server failed to answer; it has been logged";
        Err(RpcError::new(INTERNAL_ERROR, message).into())
    })
}

async fn handle(features: &Features, work: Work, context: &Context) -> Outcome {
    let handled = handle_work(features, work, context).await;
    handled.map_err(|fault| match fault {
        Fault::ResourceNotFound(uri) => no_resource(context.era, &uri).into(),
        fault => fault,
    })
}

async fn handle_work(features: &Features, work: Work, context: &Context) -> Outcome {
    match work {
        Work::Tool { tool, arguments } => call_tool(&tool, arguments, context).await,
        Work::Prompt { prompt, arguments } => {
            let mut result = prompt.handler().get(arguments, context).await?;
            settle_meta(&mut result.extra, context);
            to_json(&result.on_wire(context.era))
        }
        Work::Read { uri } => match features.read(&uri, context).await? {
            Some(contents) => {
                let mut read = Map::from_iter([("contents".to_owned(), json!(contents))]);
                settle_meta(&mut read, context);
                to_json(&read)
            }
            None => Err(Fault::ResourceNotFound(uri)),
        },
        Work::Complete(complete) => run_complete(features, &complete, context).await,
    }
}

/// Lets a tool ask what it must know before its call becomes a task. A result means that there is
/// nothing to become one: the arguments do not fit.
pub(super) async fn prepare_task(work: &Work, context: &Context) -> Result<Option<Vec<u8>>, Fault> {
    let Work::Tool { tool, arguments } = work else {
        return Ok(None);
    };
    if let Some(refusal) = tool.refuse(arguments) {
        return tool_result(refusal, Era::Modern).map(Some);
    }
    if let Value::Object(arguments) = arguments {
        tool.handler().prepare(arguments, context).await?;
    }
    Ok(None)
}

async fn call_tool(tool: &RegisteredTool, arguments: Value, context: &Context) -> Outcome {
    let mut record = Record::begin(tool, &arguments, context);
    let outcome = result_of(tool, arguments, context).await;
    if let Some(record) = &mut record {
        record.end(&outcome);
    }
    tool_result(outcome?, context.era)
}

async fn result_of(
    tool: &RegisteredTool,
    arguments: Value,
    context: &Context,
) -> Result<ToolResult, Fault> {
    if tool.definition.task == TaskSupport::Required && !context.asker.is_task() {
        return Err(Fault::Capability(Capability::Tasks));
    }
    if let Some(refusal) = tool.refuse(&arguments) {
        return Ok(refusal);
    }
    let Value::Object(arguments) = arguments else {
        unreachable!("it was made from an object, and no schema changes it");
    };
    let handler = tool.handler();
    if tool.definition.task != TaskSupport::Never {
        handler.prepare(&arguments, context).await?;
    }
    let mut result = handler.call(arguments, context).await?;
    if let Err(problem) = tool.check(&result) {
        tracing::error!(
            mcp.tool = &*tool.definition.name,
            problem = problem.0,
            "a tool answered outside its output schema"
        );
        let message = "the tool's answer does not fit its output schema";
        return Err(RpcError::new(INTERNAL_ERROR, message).into());
    }
    settle_meta(&mut result.extra, context);
    Ok(result)
}

/// Puts the `_meta` that a handler added together with that of its result: with what surrounds the
/// answer where every answer has a `_meta` of ours, else, and in what a task keeps, into the result.
fn settle_meta(result: &mut Map<String, Value>, context: &Context) {
    if context.era == Era::Modern && !context.asker.is_task() {
        if let Some(Value::Object(meta)) = result.remove("_meta") {
            context.add_meta(meta);
        }
        return;
    }
    let added = std::mem::take(&mut context.lock_hints().meta);
    if added.is_empty() {
        return;
    }
    let meta = result.entry("_meta").or_insert_with(|| json!({}));
    if let Value::Object(meta) = meta {
        meta.extend(added);
    }
}

/// A tool's result as JSON.
pub(super) fn tool_result(result: ToolResult, era: Era) -> Outcome {
    to_json(&result.on_wire(era))
}

fn prepare_tool(exchange: &Exchange<'_>, params: &Params<'_>) -> Result<Work, Fault> {
    let name = params.name()?;
    let tool = exchange.features.tool(&name);
    let tool = tool.ok_or_else(|| unknown("tool", &name))?;
    check_scope(&tool.requirement, &exchange.authorization.scopes)?;
    let verifier = &exchange.mcp.verifier;
    verifier.note_tool(exchange.authorization, &tool.definition.name);
    Ok(Work::Tool {
        tool: Arc::clone(tool),
        arguments: Value::Object(params.arguments()?),
    })
}

#[derive(Deserialize)]
struct PromptParams {
    #[serde(default)]
    arguments: Option<BTreeMap<String, String>>,
}

fn prepare_prompt(
    features: &Features,
    granted: &ScopeSet,
    params: &Params<'_>,
) -> Result<Work, Fault> {
    let name = params.name()?;
    let prompt = features.prompt(&name);
    let prompt = prompt.ok_or_else(|| unknown("prompt", &name))?;
    check_scope(&prompt.requirement, granted)?;
    let PromptParams { arguments } = params.read()?;
    let arguments = arguments.unwrap_or_default();
    let mut required = prompt.definition.arguments.iter().filter(|a| a.required);
    if let Some(missing) = required.find(|argument| !arguments.contains_key(&*argument.name)) {
        let message = format!("the argument {} is required", missing.name);
        return Err(RpcError::new(INVALID_PARAMS, message).into());
    }
    Ok(Work::Prompt {
        prompt: Arc::clone(prompt),
        arguments,
    })
}

fn check_scope(requirement: &Requirement, granted: &ScopeSet) -> Result<(), Fault> {
    if requirement.is_met_by(granted) {
        Ok(())
    } else {
        Err(Fault::Scope(requirement.scope.clone()))
    }
}

#[derive(Deserialize)]
struct CompleteParams {
    #[serde(rename = "ref")]
    reference: Reference,
    argument: Argument,
    #[serde(default)]
    context: CompleteContext,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum Reference {
    #[serde(rename = "ref/prompt")]
    Prompt { name: String },
    #[serde(rename = "ref/resource")]
    Resource { uri: String },
}

#[derive(Debug, Deserialize)]
struct Argument {
    name: String,
    value: String,
}

#[derive(Deserialize, Default)]
struct CompleteContext {
    #[serde(default)]
    arguments: BTreeMap<String, String>,
}

async fn run_complete(features: &Features, complete: &Complete, context: &Context) -> Outcome {
    let completing = Completing {
        name: &complete.argument.name,
        value: &complete.argument.value,
        others: &complete.others,
    };
    let completion = match &complete.reference {
        Reference::Prompt { name } => features.complete_prompt(name, completing, context).await?,
        Reference::Resource { uri } => features.complete_template(uri, completing, context).await?,
    };
    let completion = completion.ok_or_else(|| {
        RpcError::new(
            INVALID_PARAMS,
            "there is nothing to complete under that name",
        )
    })?;
    let Completion {
        mut values,
        total,
        has_more,
    } = completion;
    let found = values.len();
    values.truncate(MAX_COMPLETIONS);
    to_json(&json!({ "completion": {
        "values": values,
        "total": total.unwrap_or(found as u64),
        "hasMore": has_more || found > MAX_COMPLETIONS,
    }}))
}

/// Every list has one page: we never hand out a cursor, so none can be ours.
fn first_page(params: &Params<'_>) -> Result<(), RpcError> {
    match params.members()?.cursor {
        None => Ok(()),
        Some(_) => Err(RpcError::new(INVALID_PARAMS, "unknown cursor")),
    }
}

/// The error for a method that does not exist, or is not offered.
pub(super) fn method_not_found(method: &str) -> RpcError {
    let method: String = method.chars().take(100).collect();
    RpcError::new(METHOD_NOT_FOUND, format!("method {method} is not offered"))
}

/// The error for an address at which nothing is.
pub(super) fn no_resource(era: Era, uri: &str) -> RpcError {
    RpcError {
        data: Some(json!({ "uri": uri })),
        ..RpcError::new(era.resource_not_found(), "there is no resource at this URI")
    }
}

fn unknown(kind: &str, name: &str) -> Fault {
    let name: String = name.chars().take(100).collect();
    RpcError::new(INVALID_PARAMS, format!("unknown {kind} {name}")).into()
}

pub(super) fn to_json(value: &impl Serialize) -> Outcome {
    // Room for most results, and for what an era adds to them.
    let mut json = Vec::with_capacity(1024);
    match serde_json::to_writer(&mut json, value) {
        Ok(()) => Ok(json),
        Err(error) => {
            tracing::error!(error = %error, "a result could not be written as JSON");
            Err(RpcError::new(INTERNAL_ERROR, "the result could not be written as JSON").into())
        }
    }
}

/// What is offered, as `initialize` and `server/discover` declare it.
pub(super) fn capabilities(features: &Features, era: Era) -> Map<String, Value> {
    let mut capabilities = Map::new();
    let mut offer = |name: &str, settings: Value| {
        capabilities.insert(name.to_owned(), settings);
    };
    offer("tools", json!({ "listChanged": true }));
    offer("logging", json!({}));
    if features.has_prompts() {
        offer("prompts", json!({ "listChanged": true }));
    }
    if features.has_resources() {
        offer(
            "resources",
            json!({ "subscribe": true, "listChanged": true }),
        );
    }
    if era.has_completions() && (features.has_prompts() || features.has_resources()) {
        offer("completions", json!({}));
    }
    capabilities
}

/// Who we are, as `initialize` and `server/discover` say it.
pub(super) fn server_info(era: Era) -> Value {
    let mut info = Map::new();
    info.insert("name".to_owned(), json!(env!("CARGO_PKG_NAME")));
    if era.has_titles() {
        info.insert("title".to_owned(), json!("Remote MCP server"));
    }
    info.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
    Value::Object(info)
}
