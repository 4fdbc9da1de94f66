//! What an upstream asks of its client: passed on to the call that it belongs to.

use std::sync::Arc;

use rmcp::{
    ErrorData, RoleClient, Service,
    model::{
        ClientConfig, ClientResult, CustomResult, EmptyResult, Implementation, ProtocolVersion,
        ServerNotification, ServerRequest,
    },
    service::{InboundStreamOrigin, NotificationContext, RequestContext},
};
use serde_json::{Map, Value, json};

use super::routes::Routes;
use crate::mcp::feature::{Capability, ClientCapabilities, Question};

/// The client that an upstream sees.
pub(super) struct Client {
    pub(super) routes: Arc<Routes>,
    /// What it can do, which is what the client before us can do.
    pub(super) capabilities: ClientCapabilities,
}

impl Service<RoleClient> for Client {
    async fn handle_request(
        &self,
        request: ServerRequest,
        context: RequestContext<RoleClient>,
    ) -> Result<ClientResult, ErrorData> {
        let (method, params) = match request {
            ServerRequest::PingRequest(_) => {
                return Ok(ClientResult::EmptyResult(EmptyResult {}));
            }
            ServerRequest::CreateMessageRequest(request) => {
                ("sampling/createMessage", to_value(&request.params))
            }
            ServerRequest::ListRootsRequest(_) => ("roots/list", json!({})),
            ServerRequest::ElicitRequest(request) => {
                ("elicitation/create", to_value(&request.params))
            }
            ServerRequest::CustomRequest(request) => {
                return Err(method_not_found(&request.method));
            }
            _ => return Err(method_not_found("that")),
        };
        let Some(question) = question(method, params) else {
            return Err(ErrorData::invalid_params(
                "the request cannot be read",
                None,
            ));
        };
        if !self.capabilities.contains(question.capability()) {
            return Err(method_not_found(method));
        }
        let origin = context.extensions.get::<InboundStreamOrigin>();
        let asked = self.routes.ask(origin, question);
        let answer = tokio::select! {
            answer = asked => answer,
            () = context.ct.cancelled() => None,
        };
        match answer {
            Some(answer) => Ok(ClientResult::CustomResult(CustomResult(answer))),
            None => Err(ErrorData::internal_error("the client did not answer", None)),
        }
    }

    async fn handle_notification(
        &self,
        _notification: ServerNotification,
        _context: NotificationContext<RoleClient>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    fn get_info(&self) -> ClientConfig {
        let declared = declared(self.capabilities);
        let capabilities = serde_json::from_value(declared).unwrap_or_default();
        let us = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        ClientConfig::new(capabilities, us).with_protocol_version(ProtocolVersion::V_2025_11_25)
    }
}

fn to_value(params: &impl serde::Serialize) -> Value {
    serde_json::to_value(params).unwrap_or_default()
}

fn method_not_found(method: &str) -> ErrorData {
    let message = format!("the client cannot do {method}");
    ErrorData::new(rmcp::model::ErrorCode::METHOD_NOT_FOUND, message, None)
}

/// Capabilities as a client declares them. Tasks are not passed on.
fn declared(capabilities: ClientCapabilities) -> Value {
    let mut declared = Map::new();
    let mut modes = Map::new();
    for (capability, mode) in [
        (Capability::ElicitationForm, "form"),
        (Capability::ElicitationUrl, "url"),
    ] {
        if capabilities.contains(capability) {
            modes.insert(mode.to_owned(), json!({}));
        }
    }
    if !modes.is_empty() {
        declared.insert("elicitation".to_owned(), Value::Object(modes));
    }
    for (capability, name) in [
        (Capability::Sampling, "sampling"),
        (Capability::Roots, "roots"),
    ] {
        if capabilities.contains(capability) {
            declared.insert(name.to_owned(), json!({}));
        }
    }
    Value::Object(declared)
}

/// A request of an upstream as a question to a client; `None` if it is none that we know.
pub(super) fn question(method: &str, mut params: Value) -> Option<Question> {
    let text = |key: &str| params.get(key)?.as_str().map(str::to_owned);
    Some(match method {
        "elicitation/create" if text("mode").as_deref() == Some("url") => Question::Url {
            message: text("message")?,
            url: text("url")?,
        },
        "elicitation/create" => Question::Form {
            message: text("message")?,
            schema: params.get_mut("requestedSchema")?.take(),
        },
        "sampling/createMessage" => Question::Sampling(params),
        "roots/list" => Question::Roots,
        _ => return None,
    })
}
