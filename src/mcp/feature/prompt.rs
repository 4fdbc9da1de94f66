//! Prompts: texts that people pick to begin with.

use std::{borrow::Cow, collections::BTreeMap};

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    completion::{Completing, Completion},
    content::{Content, Role},
    context::{CallError, Context},
};

/// A text with gaps.
#[async_trait]
pub trait Prompt: Send + Sync + 'static {
    /// What it is called and what it takes. Asked for once, when it is registered.
    fn definition(&self) -> PromptDefinition;

    /// Fills the gaps. The required arguments are there; all of them come from outside.
    async fn get(
        &self,
        arguments: BTreeMap<String, String>,
        context: &Context,
    ) -> Result<PromptResult, CallError>;

    /// Completes an argument. At most 100 are passed on.
    async fn complete(
        &self,
        completing: Completing<'_>,
        context: &Context,
    ) -> Result<Completion, CallError> {
        let _ = (completing, context);
        Ok(Completion::default())
    }

    /// Members of the description that [`PromptDefinition`] has no place for. They go out as they
    /// are, and take the place of ours.
    fn extra(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Whether clients are told of it.
    fn is_listed(&self) -> bool {
        true
    }
}

/// What clients are told about a prompt.
#[derive(Debug, Clone, Serialize)]
pub struct PromptDefinition {
    /// Unique.
    pub name: Cow<'static, str>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Cow<'static, str>>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'static, str>>,
    /// What it takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<PromptArgument>,
}

/// A gap in a prompt.
#[derive(Debug, Clone, Serialize)]
pub struct PromptArgument {
    /// What it is called.
    pub name: Cow<'static, str>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'static, str>>,
    /// Whether it must be filled.
    pub required: bool,
}

/// A prompt with its gaps filled.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PromptResult {
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What is said.
    pub messages: Vec<PromptMessage>,
    /// Whatever else the result says, such as `_meta`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One thing that is said.
#[derive(Debug, Clone, Serialize)]
pub struct PromptMessage {
    /// By whom.
    pub role: Role,
    /// What.
    pub content: Content,
}

impl PromptMessage {
    /// Said by the person.
    pub fn user(content: Content) -> Self {
        Self {
            role: Role::User,
            content,
        }
    }
}
