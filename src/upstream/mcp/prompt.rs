//! A prompt of an upstream.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{call::Failure, completing, text, upstream::Upstream};
use crate::mcp::feature::{
    CallError, Completing, Completion, Content, Context, Prompt, PromptArgument, PromptDefinition,
    PromptMessage, PromptResult, Role,
};

/// A prompt of an upstream, under the name that it has here.
pub(super) struct ProxiedPrompt {
    pub(super) upstream: Arc<Upstream>,
    pub(super) name: String,
    pub(super) described: Map<String, Value>,
    pub(super) is_listed: bool,
}

#[async_trait]
impl Prompt for ProxiedPrompt {
    fn definition(&self) -> PromptDefinition {
        let arguments = self.described.get("arguments").and_then(Value::as_array);
        let arguments = arguments.into_iter().flatten().filter_map(Value::as_object);
        PromptDefinition {
            name: self.name.clone().into(),
            title: text(&self.described, "title").map(Into::into),
            description: text(&self.described, "description").map(Into::into),
            arguments: arguments
                .filter_map(|argument| {
                    Some(PromptArgument {
                        name: text(argument, "name")?.into(),
                        description: None,
                        // Whether something is missing is for the upstream to say.
                        required: false,
                    })
                })
                .collect(),
        }
    }

    fn extra(&self) -> Map<String, Value> {
        super::without(&self.described, &["name", "title", "description"])
    }

    fn is_listed(&self) -> bool {
        self.is_listed
    }

    async fn get(
        &self,
        arguments: BTreeMap<String, String>,
        context: &Context,
    ) -> Result<PromptResult, CallError> {
        let mut params = self.named();
        if !arguments.is_empty() {
            params.insert("arguments".to_owned(), json!(arguments));
        }
        let in_words = |failure: Failure| failure.into_call_error(&self.upstream.label);
        let got = self.upstream.pass_on(context, "prompts/get", params).await;
        let mut result = match got.map_err(in_words)? {
            Value::Object(result) => result,
            _ => Map::new(),
        };
        let messages = match result.remove("messages") {
            Some(Value::Array(messages)) => messages.into_iter().filter_map(message).collect(),
            _ => Vec::new(),
        };
        result.remove("resultType");
        super::drop_server_info(&mut result);
        Ok(PromptResult {
            description: match result.remove("description") {
                Some(Value::String(description)) => Some(description),
                _ => None,
            },
            messages,
            extra: result,
        })
    }

    async fn complete(
        &self,
        completing: Completing<'_>,
        context: &Context,
    ) -> Result<Completion, CallError> {
        let mut reference = self.named();
        reference.insert("type".to_owned(), json!("ref/prompt"));
        completing::pass_on(&self.upstream, reference, completing, context).await
    }
}

impl ProxiedPrompt {
    /// The name that the upstream knows it by.
    fn named(&self) -> Map<String, Value> {
        let name = self.described.get("name").cloned().unwrap_or_default();
        Map::from_iter([("name".to_owned(), name)])
    }
}

fn message(mut message: Value) -> Option<PromptMessage> {
    let role = match message.get("role")?.as_str()? {
        "assistant" => Role::Assistant,
        _ => Role::User,
    };
    match message.get_mut("content")?.take() {
        Value::Object(content) => Some(PromptMessage {
            role,
            content: Content::Other(content),
        }),
        _ => None,
    }
}
