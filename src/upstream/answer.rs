//! From an API's answer to a tool's result.

use axum::http::{HeaderMap, Method, StatusCode, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{
    client::Answer,
    message,
    trimming::{first_chars, keep, shorten},
};
use crate::{
    api::FieldPath,
    mcp::feature::{Content, ToolResult},
};

/// The largest picture or sound that is handed on, in bytes.
const MAX_MEDIA: usize = 1 << 20;

/// How much of an answer is wanted, and in which shape.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) fields: &'a [FieldPath],
    pub(super) max_chars: usize,
    /// The tool promises structured content, which is an object.
    pub(super) structured: bool,
}

/// What the model gets to see.
pub(super) fn result(method: &Method, answer: &Answer, wanted: &Wanted<'_>) -> ToolResult {
    if !answer.status.is_success() {
        return ToolResult::error(refusal(answer));
    }
    if *method == Method::HEAD {
        return promised(ToolResult::text(about(answer)), json!({}), wanted);
    }
    if answer.body.is_empty() {
        return promised(ToolResult::text(done(answer)), json!({}), wanted);
    }
    let media_type = answer.media_type();
    let media_type = media_type.as_deref().unwrap_or("application/json");
    if is_json(media_type)
        && let Ok(value) = serde_json::from_slice(&answer.body)
    {
        return json_result(value, wanted);
    }
    if let Ok(text) = str::from_utf8(&answer.body) {
        let mut missing = Vec::new();
        let text = first_chars(text, wanted.max_chars, "", &mut missing);
        let result = with_note(ToolResult::text(text.clone()), &missing);
        return promised(result, json!({ "text": text }), wanted);
    }
    let result = ToolResult::content(vec![media(media_type, answer)]);
    promised(result, json!({}), wanted)
}

fn json_result(value: Value, wanted: &Wanted<'_>) -> ToolResult {
    let (value, missing) = shorten(keep(value, wanted.fields), wanted.max_chars);
    let result = with_note(ToolResult::text(value.to_string()), &missing);
    match value {
        // Who reads nothing but this has to know as well.
        Value::Object(mut members) if !missing.is_empty() => {
            members.insert("_left_out".to_owned(), json!(missing));
            promised(result, Value::Object(members), wanted)
        }
        value => promised(result, value, wanted),
    }
}

/// Structured content, where the tool has promised it. An API that deviates from its description
/// and answers with something else than an object breaks no promise of ours.
fn promised(result: ToolResult, value: Value, wanted: &Wanted<'_>) -> ToolResult {
    if !wanted.structured {
        return result;
    }
    result.with_structured(match value {
        Value::Object(_) => value,
        other => {
            tracing::debug!("an API answered with something else than the object it describes");
            Value::Object(Map::from_iter([("result".to_owned(), other)]))
        }
    })
}

fn with_note(mut result: ToolResult, missing: &[String]) -> ToolResult {
    if !missing.is_empty() {
        let missing = missing.join(", ");
        result.content.push(Content::text(format!(
            "(The answer is too long. Left out: {missing}. Ask for less to see the rest.)"
        )));
    }
    result
}

/// An answer without a body, in words.
fn done(answer: &Answer) -> String {
    let location = text_of(&answer.headers, header::LOCATION);
    let location = location.map(|location| format!(", at {location}"));
    format!("Done ({}{})", answer.status, location.unwrap_or_default())
}

/// What the head of an answer says of what there is.
fn about(answer: &Answer) -> String {
    let told = [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::LAST_MODIFIED,
        header::ETAG,
        header::LINK,
    ];
    let mut lines = vec![answer.status.to_string()];
    for name in told {
        if let Some(value) = text_of(&answer.headers, name.clone()) {
            lines.push(format!("{name}: {value}"));
        }
    }
    lines.join("\n")
}

/// What went wrong, in words that a model can do something with.
fn refusal(answer: &Answer) -> String {
    let status = answer.status;
    let mut text = format!("The API answered {status}");
    let said = message::of(answer);
    if !said.is_empty() {
        text.push_str(": ");
        text.push_str(&said);
    }
    let waits = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    if waits && let Some(after) = text_of(&answer.headers, header::RETRY_AFTER) {
        text.push_str(" (try again after ");
        text.push_str(after);
        text.push_str(if after.parse::<u64>().is_ok() {
            " seconds)"
        } else {
            ")"
        });
    }
    text
}

/// Pictures and sound as such, and all else by name.
fn media(media_type: &str, answer: &Answer) -> Content {
    let is_small = answer.body.len() <= MAX_MEDIA;
    let data = || STANDARD.encode(&answer.body);
    let mime_type = media_type.to_owned();
    if media_type.starts_with("image/") && is_small {
        Content::Image {
            data: data(),
            mime_type,
        }
    } else if media_type.starts_with("audio/") && is_small {
        Content::Audio {
            data: data(),
            mime_type,
        }
    } else {
        let length = answer.body.len();
        Content::text(format!(
            "({length} bytes of type {mime_type}, which are not shown)"
        ))
    }
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json")
}

fn text_of(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
