//! What tools and prompts hand over: text, pictures, sound, resources.

use serde::Serialize;
use serde_json::{Map, Value};

use super::resource::ResourceContents;
use crate::mcp::era::Era;

/// One piece of content.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture.
    #[serde(rename_all = "camelCase")]
    Image {
        /// Base64 (RFC 4648 §4).
        data: String,
        /// `image/png` …
        mime_type: String,
    },
    /// Sound. Clients of 2024-11-05 are told in words that there is some.
    #[serde(rename_all = "camelCase")]
    Audio {
        /// Base64 (RFC 4648 §4).
        data: String,
        /// `audio/wav` …
        mime_type: String,
    },
    /// A resource by its address. Clients before 2025-06-18 get the address as text.
    #[serde(rename_all = "camelCase")]
    ResourceLink {
        /// Where it is.
        uri: String,
        /// What it is called.
        name: String,
        /// What it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
    },
    /// A resource with its contents.
    Resource {
        /// The contents.
        resource: ResourceContents,
    },
    /// Whatever else, as it is written: content that comes from another server, with all that it
    /// carries. It must have a `type`.
    #[serde(untagged)]
    Other(Map<String, Value>),
}

impl Content {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// The content as `era` can carry it.
    pub(in crate::mcp) fn in_era(self, era: Era) -> Self {
        match self {
            Self::Audio { mime_type, .. } if !era.has_audio() => Self::text(format!(
                "(sound of type {mime_type}, which this client cannot take)"
            )),
            Self::ResourceLink { uri, name, .. } if !era.has_resource_links() => {
                Self::text(format!("{name}: {uri}"))
            }
            Self::Other(content) => match in_words(&content, era) {
                Some(words) => words,
                None => Self::Other(content),
            },
            content => content,
        }
    }
}

/// Content of another server in words, where `era` cannot carry it.
fn in_words(content: &Map<String, Value>, era: Era) -> Option<Content> {
    let text = |key: &str| {
        let text = content.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let known = match content.get("type")?.as_str()? {
        "audio" => Content::Audio {
            data: String::new(),
            mime_type: text("mimeType"),
        },
        "resource_link" => Content::ResourceLink {
            uri: text("uri"),
            name: text("name"),
            mime_type: None,
        },
        _ => return None,
    };
    match known.in_era(era) {
        words @ Content::Text { .. } => Some(words),
        _ => None,
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}
