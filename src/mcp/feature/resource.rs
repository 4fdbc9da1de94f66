//! Resources: what models can read here.

use std::{any::Any, borrow::Cow, fmt};

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    completion::{Completing, Completion},
    context::{CallError, Context},
};

/// Something that can be read, at one address.
#[async_trait]
pub trait Resource: Send + Sync + 'static {
    /// What it is. Asked for once, when it is registered.
    fn definition(&self) -> ResourceDefinition;

    /// Reads it.
    async fn read(&self, context: &Context) -> Result<Vec<ResourceContents>, CallError>;

    /// Somebody wants to be told when it changes, for as long as what comes back is kept. `None`:
    /// nothing has to be done for that.
    async fn watch(&self, context: &Context) -> Result<Option<Watch>, CallError> {
        let _ = context;
        Ok(None)
    }

    /// Members of the description that [`ResourceDefinition`] has no place for. They go out as they
    /// are, and take the place of ours.
    fn extra(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Whether clients are told of it.
    fn is_listed(&self) -> bool {
        true
    }
}

/// Keeps a subscription alive; dropped when nobody wants to be told any more.
pub struct Watch(
    #[expect(dead_code, reason = "it is there to be dropped")] Box<dyn Any + Send + Sync>,
);

impl Watch {
    /// `guard` is dropped when nobody wants to be told any more.
    pub fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

/// A family of resources, at addresses of one pattern.
#[async_trait]
pub trait ResourceTemplate: Send + Sync + 'static {
    /// What it is. Asked for once, when it is registered.
    fn definition(&self) -> ResourceTemplateDefinition;

    /// Reads the resource at `uri`; `Ok(None)` if it is not one of these, or there is none. The
    /// address comes from outside.
    async fn read(
        &self,
        uri: &str,
        context: &Context,
    ) -> Result<Option<Vec<ResourceContents>>, CallError>;

    /// Somebody wants to be told when the resource at `uri` changes, as with [`Resource::watch`].
    async fn watch(&self, uri: &str, context: &Context) -> Result<Option<Watch>, CallError> {
        let _ = (uri, context);
        Ok(None)
    }

    /// Completes a variable of the pattern. At most 100 are passed on.
    async fn complete(
        &self,
        completing: Completing<'_>,
        context: &Context,
    ) -> Result<Completion, CallError> {
        let _ = (completing, context);
        Ok(Completion::default())
    }

    /// Members of the description that [`ResourceTemplateDefinition`] has no place for. They go out
    /// as they are, and take the place of ours.
    fn extra(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Whether clients are told of it.
    fn is_listed(&self) -> bool {
        true
    }
}

/// What models are told about a resource.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceDefinition {
    /// Where it is; unique.
    pub uri: Cow<'static, str>,
    /// What it is called.
    pub name: Cow<'static, str>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Cow<'static, str>>,
    /// For the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'static, str>>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<Cow<'static, str>>,
}

/// What models are told about a family of resources.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceTemplateDefinition {
    /// The pattern of their addresses (RFC 6570); unique.
    pub uri_template: Cow<'static, str>,
    /// What they are called.
    pub name: Cow<'static, str>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Cow<'static, str>>,
    /// For the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'static, str>>,
    /// What they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<Cow<'static, str>>,
}

/// What was read.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceContents {
    /// Where.
    pub uri: String,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The contents.
    #[serde(flatten)]
    pub body: ResourceBody,
    /// Whatever else is known of it, such as `_meta`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Contents of either kind.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceBody {
    /// Text.
    Text(String),
    /// Bytes, in base64 (RFC 4648 §4).
    Blob(String),
}

impl ResourceContents {
    /// Text at `uri`.
    pub fn text(uri: impl Into<String>, mime_type: &str, text: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            mime_type: Some(mime_type.to_owned()),
            body: ResourceBody::Text(text.into()),
            extra: Map::new(),
        }
    }

    /// Bytes at `uri`, in base64.
    pub fn blob(uri: impl Into<String>, mime_type: &str, base64: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            mime_type: Some(mime_type.to_owned()),
            body: ResourceBody::Blob(base64.into()),
            extra: Map::new(),
        }
    }
}
