//! Tools that answer at once, each with another kind of content.

use std::sync::Arc;

use remote_mcp_auth::mcp::feature::{Content, ResourceContents, Tool, ToolResult};

use crate::fixture::{bare, picture, sound};

pub(crate) fn tools() -> Vec<Arc<dyn Tool>> {
    vec![
        bare("test_simple_text", "Answers with text.", |_, _| {
            let text = "This is a simple text response for testing.";
            Box::pin(async move { Ok(ToolResult::text(text)) })
        }),
        bare("test_image_content", "Answers with a picture.", |_, _| {
            Box::pin(async { Ok(ToolResult::content(vec![picture()])) })
        }),
        bare("test_audio_content", "Answers with sound.", |_, _| {
            Box::pin(async { Ok(ToolResult::content(vec![sound()])) })
        }),
        bare(
            "test_embedded_resource",
            "Answers with a resource.",
            |_, _| {
                let resource = resource(
                    "test://embedded-resource",
                    "text/plain",
                    "This is an embedded resource content.",
                );
                Box::pin(async { Ok(ToolResult::content(vec![resource])) })
            },
        ),
        bare(
            "test_multiple_content_types",
            "Answers with text, a picture and a resource.",
            |_, _| {
                let content = vec![
                    Content::text("Multiple content types test:"),
                    picture(),
                    resource(
                        "test://mixed-content-resource",
                        "application/json",
                        r#"{"test":"data","value":123}"#,
                    ),
                ];
                Box::pin(async { Ok(ToolResult::content(content)) })
            },
        ),
        bare("test_error_handling", "Fails.", |_, _| {
            let text = "This tool intentionally returns an error for testing";
            Box::pin(async move { Ok(ToolResult::error(text)) })
        }),
    ]
}

fn resource(uri: &str, mime_type: &str, text: &str) -> Content {
    Content::Resource {
        resource: ResourceContents::text(uri, mime_type, text),
    }
}
