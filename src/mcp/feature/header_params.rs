//! Arguments that clients of 2026-07-28 repeat in headers, so that proxies can route by them:
//! properties annotated with `x-mcp-header`.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::web::sole_header;

const ANNOTATION: &str = "x-mcp-header";
const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";

/// The annotated properties of a tool.
#[derive(Debug, Default)]
pub(in crate::mcp) struct HeaderParams(Vec<HeaderParam>);

#[derive(Debug)]
struct HeaderParam {
    header: HeaderName,
    /// Where the argument is, from the root of the arguments.
    path: Vec<String>,
}

impl HeaderParams {
    /// Finds the annotations of an input schema and checks the specification's rules for them:
    /// clients drop a tool that breaks one, so it is better not to start with it.
    pub(super) fn of_schema(schema: &Value) -> Result<Self, String> {
        let mut found = Self::default();
        found.collect(schema, &mut Vec::new())?;
        let annotated = count_annotations(schema);
        if annotated != found.0.len() {
            return Err(format!(
                "{ANNOTATION} may stand only on properties that are reached through `properties`"
            ));
        }
        Ok(found)
    }

    fn collect(&mut self, schema: &Value, path: &mut Vec<String>) -> Result<(), String> {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return Ok(());
        };
        for (name, property) in properties {
            path.push(name.clone());
            if let Some(annotation) = property.get(ANNOTATION) {
                let header = header_name(annotation, property)?;
                if self.0.iter().any(|known| known.header == header) {
                    return Err(format!("{ANNOTATION} {annotation} stands there twice"));
                }
                self.0.push(HeaderParam {
                    header,
                    path: path.clone(),
                });
            }
            self.collect(property, path)?;
            path.pop();
        }
        Ok(())
    }

    /// Checks that headers and arguments agree; tells the header that does not.
    pub(in crate::mcp) fn check(
        &self,
        headers: &HeaderMap,
        arguments: &Value,
    ) -> Result<(), String> {
        for param in &self.0 {
            let argument = param
                .path
                .iter()
                .try_fold(arguments, |value, name| value.get(name))
                .filter(|value| !value.is_null());
            let agrees = match (argument, single(headers, &param.header)) {
                (Some(argument), Some(value)) => {
                    decode(value).is_some_and(|text| says(&text, argument))
                }
                (None, _) => true,
                (Some(_), None) => false,
            };
            if !agrees {
                return Err(param.header.to_string());
            }
        }
        Ok(())
    }
}

/// A header's one value as text, without the blanks around it.
pub(in crate::mcp) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = sole_header(headers, name).ok()??.to_str().ok()?;
    Some(value.trim_matches([' ', '\t']))
}

/// Undoes the encoding of values that cannot stand in a header. What is not marked is literal;
/// what is marked and cannot be decoded is `None`.
pub(in crate::mcp) fn decode(value: &str) -> Option<Cow<'_, str>> {
    let Some(encoded) = value
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX))
    else {
        return Some(Cow::Borrowed(value));
    };
    let decoded = STANDARD.decode(encoded).ok()?;
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn says(text: &str, argument: &Value) -> bool {
    match argument {
        Value::String(argument) => argument == text,
        Value::Bool(argument) => text == if *argument { "true" } else { "false" },
        // Compared as numbers: 1e3 and 1000 are the same argument.
        Value::Number(argument) => text
            .parse::<f64>()
            .is_ok_and(|number| argument.as_f64() == Some(number)),
        _ => false,
    }
}

fn header_name(annotation: &Value, property: &Value) -> Result<HeaderName, String> {
    let bad = || format!("{ANNOTATION} {annotation} is not a header's name");
    let name = annotation.as_str().filter(|name| !name.is_empty());
    let name = name.ok_or_else(bad)?;
    let kind = property.get("type").and_then(Value::as_str);
    if !matches!(kind, Some("string" | "integer" | "boolean")) {
        return Err(format!(
            "{ANNOTATION} {annotation} must be on a string, an integer or a boolean"
        ));
    }
    HeaderName::try_from(format!("mcp-param-{name}")).map_err(|_| bad())
}

/// How many annotations there are anywhere. A property may itself be named like the annotation.
fn count_annotations(schema: &Value) -> usize {
    match schema {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match (name.as_str(), value) {
                (ANNOTATION, Value::String(_)) => 1,
                (_, value) => count_annotations(value),
            })
            .sum(),
        Value::Array(items) => items.iter().map(count_annotations).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn annotations_are_found_and_judged() {
        let nested = json!({ "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "at": { "properties": { "zone": { "type": "integer", "x-mcp-header": "Zone" } } }
        }});
        assert_eq!(HeaderParams::of_schema(&nested).unwrap().0.len(), 2);
        for bad in [
            json!({ "properties": { "a": { "type": "number", "x-mcp-header": "A" } } }),
            json!({ "properties": { "a": { "type": "string", "x-mcp-header": "" } } }),
            json!({ "properties": { "a": { "type": "string", "x-mcp-header": "a b" } } }),
            json!({ "properties": { "a": { "type": "string", "x-mcp-header": "X" },
                                    "b": { "type": "string", "x-mcp-header": "x" } } }),
            json!({ "properties": { "a": { "items": { "type": "string", "x-mcp-header": "A" } } } }),
        ] {
            assert!(HeaderParams::of_schema(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_marked_values_are_decoded() {
        for (value, expected) in [
            ("Hello", Some("Hello")),
            ("=?base64?SGVsbG8=?=", Some("Hello")),
            ("=?base64?SGVsbG8?=", None),
            ("=?base64?SGVs!!!bG8=?=", None),
            ("SGVsbG8=", Some("SGVsbG8=")),
            ("=?base64?SGVsbG8=", Some("=?base64?SGVsbG8=")),
            ("=?BASE64?SGVsbG8=?=", Some("=?BASE64?SGVsbG8=?=")),
        ] {
            assert_eq!(decode(value).as_deref(), expected, "{value}");
        }
    }
}
