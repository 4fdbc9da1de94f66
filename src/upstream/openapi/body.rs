//! Bodies of requests: which kind an operation takes, and how arguments are written in it.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    http::{HeaderValue, header::CONTENT_TYPE, header::HeaderMap},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    document::Document,
    style::{Manner, Style},
};
use crate::upstream::declared::as_text;

/// Kinds of bodies, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Json,
    Form,
    Multipart,
    Text,
    /// Bytes, which a model writes in base64.
    Bytes,
}

/// The body that an operation takes.
#[derive(Debug)]
pub(super) struct Body<'a> {
    pub(super) kind: Kind,
    pub(super) media_type: &'a str,
    pub(super) schema: Option<&'a Value>,
    pub(super) required: bool,
    pub(super) description: Option<&'a str>,
    encoding: Option<&'a Map<String, Value>>,
}

/// How the body of a call is written.
#[derive(Debug)]
pub(super) struct Writer {
    kind: Kind,
    content_type: HeaderValue,
    /// Members of forms that are not written in the usual way.
    members: BTreeMap<String, Member>,
}

/// How a member of a form is written.
#[derive(Debug, Default)]
struct Member {
    manner: Option<Manner>,
    content_type: Option<String>,
    /// Base64 that stands for bytes.
    is_file: bool,
}

fn kind(media_type: &str) -> Option<Kind> {
    let plain = media_type.split(';').next().unwrap_or_default().trim();
    let plain = plain.to_ascii_lowercase();
    Some(match plain.as_str() {
        "application/json" | "*/*" | "application/*" | "text/json" => Kind::Json,
        other if other.ends_with("+json") => Kind::Json,
        "application/x-www-form-urlencoded" => Kind::Form,
        "multipart/form-data" => Kind::Multipart,
        "application/octet-stream" => Kind::Bytes,
        other if other.starts_with("text/") => Kind::Text,
        _ => return None,
    })
}

/// The body of an operation, of several kinds the first of [`Kind`]; or why there is none that can
/// be written.
pub(super) fn read<'a>(
    document: &'a Document,
    operation: &'a Value,
) -> Result<Option<Body<'a>>, String> {
    let Some(written) = operation.get("requestBody") else {
        return Ok(None);
    };
    let body = document
        .resolve(written)
        .ok_or("its body is in another document or missing")?;
    let required = body.get("required") == Some(&Value::Bool(true));
    let content = body.get("content").and_then(Value::as_object);
    let kinds = content.into_iter().flatten();
    let kinds = kinds.filter_map(|(name, media)| Some((kind(name)?, name, media)));
    let Some((kind, name, media)) = kinds.min_by_key(|(kind, ..)| *kind) else {
        let names: Vec<&str> = content
            .into_iter()
            .flat_map(|content| content.keys())
            .map(String::as_str)
            .collect();
        return if required {
            Err(format!("its body is {}", names.join(", ")))
        } else {
            Ok(None)
        };
    };
    let media = document.resolve(media).unwrap_or(media);
    Ok(Some(Body {
        kind,
        media_type: if name.contains('*') {
            "application/json"
        } else {
            name
        },
        schema: media.get("schema"),
        required,
        description: body.get("description").and_then(Value::as_str),
        encoding: media.get("encoding").and_then(Value::as_object),
    }))
}

impl Body<'_> {
    /// How it is written. `is_file` tells members that are bytes.
    pub(super) fn writer(&self, is_file: impl Fn(&str) -> bool, members: &[String]) -> Writer {
        let described = |name: &String| {
            let encoding = self.encoding.and_then(|encoding| encoding.get(name));
            let text = |key: &str| encoding.and_then(|e| e.get(key)?.as_str());
            let style = text("style").and_then(Style::parse);
            let explode = encoding.and_then(|e| e.get("explode")?.as_bool());
            let member = Member {
                manner: style.map(|style| Manner::of(style, explode)),
                // Of several that are allowed, the first.
                content_type: text("contentType")
                    .map(|types| {
                        types
                            .split(',')
                            .next()
                            .unwrap_or_default()
                            .trim()
                            .to_owned()
                    })
                    .filter(|name| !name.contains('*') && HeaderValue::from_str(name).is_ok()),
                is_file: is_file(name),
            };
            (name.clone(), member)
        };
        let content_type = HeaderValue::from_str(self.media_type);
        Writer {
            kind: self.kind,
            content_type: content_type
                .unwrap_or_else(|_| HeaderValue::from_static("application/json")),
            members: members.iter().map(described).collect(),
        }
    }
}

impl Writer {
    /// The body, and the header that says what it is.
    pub(super) fn write(&self, value: &Value, headers: &mut HeaderMap) -> Result<Bytes, String> {
        let mut content_type = self.content_type.clone();
        let body = match self.kind {
            Kind::Json => value.to_string().into(),
            Kind::Form => self.form(value).into(),
            Kind::Multipart => {
                // Nothing that it separates holds it: nobody knows it before.
                let boundary = Uuid::new_v4().simple().to_string();
                let named = format!("multipart/form-data; boundary={boundary}");
                content_type = HeaderValue::try_from(named)
                    .map_err(|_| "the body cannot be written".to_owned())?;
                self.multipart(value, &boundary)?
            }
            Kind::Text => as_text(value).unwrap_or_else(|| value.to_string()).into(),
            Kind::Bytes => decoded("body", value)?,
        };
        headers.insert(CONTENT_TYPE, content_type);
        Ok(body)
    }

    fn form(&self, value: &Value) -> String {
        let members = value.as_object().into_iter().flatten();
        let pairs = members.flat_map(|(name, value)| {
            let member = self.members.get(name);
            let manner = member.and_then(|member| member.manner);
            // OpenAPI 3.1.1, “Encoding Object”: objects are JSON, unless a style says otherwise.
            let as_json = value.is_object() && manner.is_none();
            let manner = Manner {
                as_json,
                ..manner.unwrap_or_else(|| Manner::of(Style::Form, None))
            };
            manner.pairs(name, value)
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    fn multipart(&self, value: &Value, boundary: &str) -> Result<Bytes, String> {
        let usual = Member::default();
        let mut body = Vec::new();
        for (name, value) in value.as_object().into_iter().flatten() {
            let member = self.members.get(name).unwrap_or(&usual);
            let values = match value {
                Value::Array(items) => items.as_slice(),
                Value::Null => continue,
                single => std::slice::from_ref(single),
            };
            for value in values {
                member.part(name, value, boundary, &mut body)?;
            }
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Ok(body.into())
    }
}

impl Member {
    /// One part (RFC 7578 §4).
    fn part(
        &self,
        name: &str,
        value: &Value,
        boundary: &str,
        body: &mut Vec<u8>,
    ) -> Result<(), String> {
        let (content, usual): (Bytes, Option<&str>) = if self.is_file {
            (decoded(name, value)?, Some("application/octet-stream"))
        } else if let Some(text) = as_text(value) {
            (text.into(), None)
        } else {
            (value.to_string().into(), Some("application/json"))
        };
        let quoted = quoted(name);
        let filename = if self.is_file {
            format!("; filename=\"{quoted}\"")
        } else {
            String::new()
        };
        let mut head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{quoted}\"{filename}\r\n"
        );
        if let Some(content_type) = self.content_type.as_deref().or(usual) {
            head = format!("{head}Content-Type: {content_type}\r\n");
        }
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"\r\n");
        body.extend_from_slice(&content);
        body.extend_from_slice(b"\r\n");
        Ok(())
    }
}

/// A name in quotes, as browsers write it (the HTML standard, “multipart form data”).
fn quoted(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The bytes that base64 stands for.
fn decoded(name: &str, value: &Value) -> Result<Bytes, String> {
    let text: String = as_text(value)
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    STANDARD
        .decode(&text)
        .or_else(|_| STANDARD_NO_PAD.decode(&text))
        .map(Bytes::from)
        .map_err(|_| format!("{name} must be base64"))
}

#[cfg(test)]
#[expect(
    clippy::needless_pass_by_value,
    reason = "values are written where they are passed"
)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operation(content: Value) -> (Document, Value) {
        let document = Document::parse(r#"{ "openapi": "3.1.0" }"#).unwrap();
        (document, json!({ "requestBody": { "content": content } }))
    }

    /// What is written of a value, and under which type.
    fn written(content: Value, files: &[&str], value: Value) -> (String, String) {
        let (document, operation) = operation(content);
        let body = read(&document, &operation).unwrap().unwrap();
        let members: Vec<String> = value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect();
        let writer = body.writer(|name| files.contains(&name), &members);
        let mut headers = HeaderMap::new();
        let body = writer.write(&value, &mut headers).unwrap();
        let content_type = headers.get(CONTENT_TYPE).unwrap().to_str().unwrap();
        (
            content_type.to_owned(),
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    #[test]
    fn of_several_kinds_the_most_telling_is_taken() {
        for (types, expected) in [
            (
                vec!["application/xml", "text/plain", "application/json"],
                Some(Kind::Json),
            ),
            (
                vec!["multipart/form-data", "application/x-www-form-urlencoded"],
                Some(Kind::Form),
            ),
            (
                vec!["application/vnd.api+json; version=1"],
                Some(Kind::Json),
            ),
            (vec!["text/csv"], Some(Kind::Text)),
            (vec!["application/xml"], None),
        ] {
            let content: Map<String, Value> = types
                .iter()
                .map(|name| ((*name).to_owned(), json!({})))
                .collect();
            let (document, operation) = operation(Value::Object(content));
            let body = read(&document, &operation).unwrap();
            assert_eq!(body.map(|body| body.kind), expected, "{types:?}");
        }
    }

    #[test]
    fn a_form_is_written_as_its_encoding_says() {
        // OpenAPI 3.1.1, “Support for x-www-form-urlencoded Request Bodies”.
        let content = json!({ "application/x-www-form-urlencoded": {} });
        let value = json!({
            "id": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "address": { "streetAddress": "123 Example Dr." },
            "tags": ["a b", "c"], "none": null,
        });
        let (content_type, body) = written(content, &[], value);
        assert_eq!(content_type, "application/x-www-form-urlencoded");
        assert_eq!(
            body,
            "address=%7B%22streetAddress%22%3A%22123%20Example%20Dr.%22%7D\
             &id=f81d4fae-7dec-11d0-a765-00a0c91e6bf6&tags=a%20b&tags=c"
        );
        let content = json!({ "application/x-www-form-urlencoded": { "encoding": {
            "filter": { "style": "deepObject" }, "tags": { "style": "form", "explode": false },
        } } });
        let value = json!({ "filter": { "a": 1 }, "tags": ["a", "b"] });
        assert_eq!(written(content, &[], value).1, "filter%5Ba%5D=1&tags=a,b");
    }

    #[test]
    fn a_multipart_body_has_texts_json_and_files() {
        let content = json!({ "multipart/form-data": { "encoding": {
            "icon": { "contentType": "image/png, image/jpeg" },
        } } });
        let value =
            json!({ "name": "Ada", "icon": "aGk=", "meta": { "a": 1 }, "tags": ["x", "y"] });
        let (content_type, body) = written(content, &["icon"], value);
        let boundary = content_type
            .strip_prefix("multipart/form-data; boundary=")
            .unwrap();
        let part =
            |rest: &str| format!("--{boundary}\r\nContent-Disposition: form-data; {rest}\r\n");
        let expected = [
            part("name=\"icon\"; filename=\"icon\"\r\nContent-Type: image/png\r\n\r\nhi"),
            part("name=\"meta\"\r\nContent-Type: application/json\r\n\r\n{\"a\":1}"),
            part("name=\"name\"\r\n\r\nAda"),
            part("name=\"tags\"\r\n\r\nx"),
            part("name=\"tags\"\r\n\r\ny"),
            format!("--{boundary}--\r\n"),
        ];
        assert_eq!(body, expected.concat());
        assert_eq!(quoted("a\"b\r\nX: y"), "a%22b%0D%0AX: y");
        assert!(decoded("icon", &json!("not base64!")).is_err());
    }

    #[test]
    fn text_is_sent_as_it_is() {
        let (content_type, body) = written(json!({ "text/plain": {} }), &[], json!("hello"));
        assert_eq!(
            (content_type.as_str(), body.as_str()),
            ("text/plain", "hello")
        );
    }
}
