//! Resources: text, bytes, one to subscribe to, and a family.

use std::sync::Arc;

use async_trait::async_trait;
use remote_mcp_auth::mcp::feature::{
    CallError, Context, Resource, ResourceContents, ResourceDefinition, ResourceTemplate,
    ResourceTemplateDefinition,
};
use serde_json::json;

use crate::fixture::picture_base64;

/// The suite reads whatever is listed first.
pub(crate) fn resources() -> Vec<Arc<dyn Resource>> {
    vec![
        Arc::new(Static {
            uri: "test://static-text",
            name: "static-text",
            description: "Text that never changes.",
            mime_type: "text/plain",
            contents: |uri, mime_type| {
                let text = "This is the content of the static text resource.";
                ResourceContents::text(uri, mime_type, text)
            },
        }),
        Arc::new(Static {
            uri: "test://static-binary",
            name: "static-binary",
            description: "A picture that never changes.",
            mime_type: "image/png",
            contents: |uri, mime_type| ResourceContents::blob(uri, mime_type, picture_base64()),
        }),
        Arc::new(Static {
            uri: "test://watched-resource",
            name: "watched-resource",
            description: "Text to subscribe to.",
            mime_type: "text/plain",
            contents: |uri, mime_type| {
                ResourceContents::text(uri, mime_type, "Watched resource content.")
            },
        }),
    ]
}

pub(crate) fn template() -> Arc<dyn ResourceTemplate> {
    Arc::new(Data)
}

struct Static {
    uri: &'static str,
    name: &'static str,
    description: &'static str,
    mime_type: &'static str,
    contents: fn(&str, &str) -> ResourceContents,
}

#[async_trait]
impl Resource for Static {
    fn definition(&self) -> ResourceDefinition {
        ResourceDefinition {
            uri: self.uri.into(),
            name: self.name.into(),
            title: None,
            description: Some(self.description.into()),
            mime_type: Some(self.mime_type.into()),
        }
    }

    async fn read(&self, _: &Context) -> Result<Vec<ResourceContents>, CallError> {
        Ok(vec![(self.contents)(self.uri, self.mime_type)])
    }
}

/// `test://template/{id}/data`
struct Data;

#[async_trait]
impl ResourceTemplate for Data {
    fn definition(&self) -> ResourceTemplateDefinition {
        ResourceTemplateDefinition {
            uri_template: "test://template/{id}/data".into(),
            name: "template-data".into(),
            title: None,
            description: Some("Data for every id.".into()),
            mime_type: Some("application/json".into()),
        }
    }

    async fn read(
        &self,
        uri: &str,
        _: &Context,
    ) -> Result<Option<Vec<ResourceContents>>, CallError> {
        let id = uri
            .strip_prefix("test://template/")
            .and_then(|rest| rest.strip_suffix("/data"))
            .filter(|id| !id.is_empty() && !id.contains('/'));
        let Some(id) = id else {
            return Ok(None);
        };
        // Written out for the order of the members.
        let text = format!(
            r#"{{"id":{},"templateTest":true,"data":{}}}"#,
            json!(id),
            json!(format!("Data for ID: {id}"))
        );
        let contents = ResourceContents::text(uri, "application/json", text);
        Ok(Some(vec![contents]))
    }
}
