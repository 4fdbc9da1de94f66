//! Resources of an upstream: those that it lists, those of its patterns, and all others that it may
//! know.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{call::Failure, completing, text, upstream::Upstream};
use crate::mcp::feature::{
    CallError, Completing, Completion, Context, Resource, ResourceBody, ResourceContents,
    ResourceDefinition, ResourceTemplate, ResourceTemplateDefinition, Watch,
};

/// The error codes for a resource that is not there: before 2026-07-28, and since.
const NOT_FOUND: i32 = -32002;
const INVALID_PARAMS: i32 = -32602;

/// A resource that an upstream lists.
pub(super) struct ProxiedResource {
    pub(super) upstream: Arc<Upstream>,
    pub(super) described: Map<String, Value>,
    pub(super) is_listed: bool,
}

#[async_trait]
impl Resource for ProxiedResource {
    fn definition(&self) -> ResourceDefinition {
        let text = |key: &str| text(&self.described, key);
        ResourceDefinition {
            uri: text("uri").unwrap_or_default().into(),
            name: text("name").unwrap_or_default().into(),
            title: text("title").map(Into::into),
            description: text("description").map(Into::into),
            mime_type: text("mimeType").map(Into::into),
        }
    }

    fn extra(&self) -> Map<String, Value> {
        let known = ["uri", "name", "title", "description", "mimeType"];
        super::without(&self.described, &known)
    }

    fn is_listed(&self) -> bool {
        self.is_listed
    }

    async fn read(&self, context: &Context) -> Result<Vec<ResourceContents>, CallError> {
        let uri = text(&self.described, "uri").unwrap_or_default();
        read(&self.upstream, &uri, context).await
    }

    async fn watch(&self, context: &Context) -> Result<Option<Watch>, CallError> {
        let uri = text(&self.described, "uri").unwrap_or_default();
        self.upstream.watch(&uri, context).await.map(Some)
    }
}

/// A pattern of an upstream.
pub(super) struct ProxiedTemplate {
    pub(super) upstream: Arc<Upstream>,
    pub(super) described: Map<String, Value>,
    pub(super) is_listed: bool,
}

#[async_trait]
impl ResourceTemplate for ProxiedTemplate {
    fn definition(&self) -> ResourceTemplateDefinition {
        let text = |key: &str| text(&self.described, key);
        ResourceTemplateDefinition {
            uri_template: text("uriTemplate").unwrap_or_default().into(),
            name: text("name").unwrap_or_default().into(),
            title: text("title").map(Into::into),
            description: text("description").map(Into::into),
            mime_type: text("mimeType").map(Into::into),
        }
    }

    fn extra(&self) -> Map<String, Value> {
        let known = ["uriTemplate", "name", "title", "description", "mimeType"];
        super::without(&self.described, &known)
    }

    fn is_listed(&self) -> bool {
        self.is_listed
    }

    async fn read(
        &self,
        uri: &str,
        context: &Context,
    ) -> Result<Option<Vec<ResourceContents>>, CallError> {
        if self.may_fit(uri) {
            return read(&self.upstream, uri, context).await.map(Some);
        }
        Ok(None)
    }

    async fn watch(&self, uri: &str, context: &Context) -> Result<Option<Watch>, CallError> {
        if self.may_fit(uri) {
            return self.upstream.watch(uri, context).await.map(Some);
        }
        Ok(None)
    }

    async fn complete(
        &self,
        completing: Completing<'_>,
        context: &Context,
    ) -> Result<Completion, CallError> {
        let pattern = text(&self.described, "uriTemplate").unwrap_or_default();
        let reference = json!({ "type": "ref/resource", "uri": pattern });
        let reference = reference.as_object().cloned().unwrap_or_default();
        completing::pass_on(&self.upstream, reference, completing, context).await
    }
}

impl ProxiedTemplate {
    /// Whether an address may be one of the pattern: it begins and ends as that does. Whether it is
    /// one is for the upstream to say.
    fn may_fit(&self, uri: &str) -> bool {
        let pattern = text(&self.described, "uriTemplate").unwrap_or_default();
        let beginning = pattern.split('{').next().unwrap_or_default();
        let end = pattern.rsplit('}').next().unwrap_or_default();
        let end = if pattern.contains('}') { end } else { "" };
        !beginning.is_empty()
            && uri.len() >= beginning.len() + end.len()
            && uri.starts_with(beginning)
            && uri.ends_with(end)
    }
}

/// Whatever else an upstream may know the address of: servers hand out addresses that they do not list.
/// It comes after all that is listed, and is not listed itself.
pub(super) struct Others {
    pub(super) upstream: Arc<Upstream>,
    /// Whether there is no other upstream.
    pub(super) is_alone: bool,
}

#[async_trait]
impl ResourceTemplate for Others {
    fn definition(&self) -> ResourceTemplateDefinition {
        ResourceTemplateDefinition {
            uri_template: "".into(),
            name: "others".into(),
            title: None,
            description: None,
            mime_type: None,
        }
    }

    fn is_listed(&self) -> bool {
        false
    }

    async fn read(
        &self,
        uri: &str,
        context: &Context,
    ) -> Result<Option<Vec<ResourceContents>>, CallError> {
        match read_from(&self.upstream, uri, context).await {
            Ok(contents) => Ok(Some(contents)),
            Err(Failure::Rpc {
                code: NOT_FOUND | INVALID_PARAMS,
                ..
            }) => Ok(None),
            // Another one may know it.
            Err(Failure::Unavailable(_)) if !self.is_alone => Ok(None),
            Err(failure) => Err(failure.into_call_error(&self.upstream.label)),
        }
    }

    async fn watch(&self, uri: &str, context: &Context) -> Result<Option<Watch>, CallError> {
        self.upstream.watch(uri, context).await.map(Some)
    }
}

async fn read(
    upstream: &Arc<Upstream>,
    uri: &str,
    context: &Context,
) -> Result<Vec<ResourceContents>, CallError> {
    match read_from(upstream, uri, context).await {
        Ok(contents) => Ok(contents),
        Err(Failure::Rpc { code, data, .. }) if is_not_found(code, data.as_ref()) => {
            Err(CallError::resource_not_found(uri))
        }
        Err(failure) => Err(failure.into_call_error(&upstream.label)),
    }
}

/// 2026-07-28 has the code of any bad parameter for it, and says which.
fn is_not_found(code: i32, data: Option<&Value>) -> bool {
    code == NOT_FOUND
        || (code == INVALID_PARAMS && data.is_some_and(|data| data.get("uri").is_some()))
}

async fn read_from(
    upstream: &Arc<Upstream>,
    uri: &str,
    context: &Context,
) -> Result<Vec<ResourceContents>, Failure> {
    let params = Map::from_iter([("uri".to_owned(), json!(uri))]);
    let mut result = upstream.pass_on(context, "resources/read", params).await?;
    if let Some(result) = result.as_object_mut() {
        super::drop_server_info(result);
        if let Some(Value::Object(meta)) = result.remove("_meta") {
            context.add_meta(meta);
        }
    }
    // A server that says nothing of it does not know of copies.
    let ttl = result.get("ttlMs").and_then(Value::as_u64).unwrap_or(0);
    context.good_for(u32::try_from(ttl).unwrap_or(u32::MAX));
    let contents = match result.get_mut("contents").map(Value::take) {
        Some(Value::Array(contents)) => contents,
        _ => Vec::new(),
    };
    Ok(contents.into_iter().filter_map(one_of).collect())
}

fn one_of(contents: Value) -> Option<ResourceContents> {
    let Value::Object(mut extra) = contents else {
        return None;
    };
    let mut take = |key: &str| match extra.remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let uri = take("uri")?;
    let mime_type = take("mimeType");
    let body = match (take("text"), take("blob")) {
        (Some(text), _) => ResourceBody::Text(text),
        (None, Some(blob)) => ResourceBody::Blob(blob),
        (None, None) => return None,
    };
    Some(ResourceContents {
        uri,
        mime_type,
        body,
        extra,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_keep_what_we_do_not_know() {
        let contents = json!({ "uri": "a:b", "text": "x", "_meta": { "k": 1 } });
        let read = one_of(contents.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), contents);
    }
}
