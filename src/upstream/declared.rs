//! Tools that the operator declares, one HTTP request each.

use std::sync::Arc;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Method as HttpMethod, header},
};
use serde_json::{Map, Value};

use super::{
    site::{Prepared, Site, Surroundings},
    target::encoded,
    tool::{Plan, RequestTool, annotations},
};
use crate::{
    api::{HttpTool, Part, RequestBody, Template, UrlTemplate},
    mcp::feature::{Tool, ToolDefinition},
};

/// The tool that a declaration describes.
pub(super) fn tool(declared: &HttpTool, surroundings: &Surroundings) -> Arc<dyn Tool> {
    let mut definition = ToolDefinition::new(
        declared.name.clone(),
        declared.description.clone(),
        declared.input_schema.clone(),
    );
    definition.title = declared.title.clone().map(Into::into);
    let (hints, mut shown) = (declared.hints, annotations(declared.method));
    for (hint, shown) in [
        (hints.read_only, &mut shown.read_only_hint),
        (hints.destructive, &mut shown.destructive_hint),
        (hints.idempotent, &mut shown.idempotent_hint),
        (hints.open_world, &mut shown.open_world_hint),
    ] {
        *shown = hint.unwrap_or(*shown);
    }
    definition.annotations = shown;
    Arc::new(RequestTool {
        definition,
        scope: declared.scope.clone(),
        plan: Box::new(Declared {
            method: method(declared.method.as_str()),
            url: declared.url.clone(),
            body: declared.body.clone(),
        }),
        site: Arc::new(Site {
            name: declared.name.clone(),
            origin: declared.url.origin.clone(),
            manner: declared.manner.clone(),
            surroundings: surroundings.clone(),
        }),
    })
}

/// A method by its name.
pub(super) fn method(name: &str) -> HttpMethod {
    HttpMethod::from_bytes(name.as_bytes()).unwrap_or_default()
}

struct Declared {
    method: HttpMethod,
    url: UrlTemplate,
    body: RequestBody,
}

impl Plan for Declared {
    fn request(&self, arguments: Map<String, Value>) -> Result<Prepared, String> {
        let mut target = path(&self.url.path, &arguments)?;
        let mut separator = '?';
        for (name, value) in &self.url.query {
            for value in values(value, &arguments)? {
                target.push(separator);
                target.push_str(name);
                target.push('=');
                target.push_str(&value);
                separator = '&';
            }
        }
        let body = match &self.body {
            RequestBody::Nothing => None,
            RequestBody::Arguments => {
                let placed = self.url.arguments();
                let rest = arguments.into_iter();
                let rest = rest.filter(|(name, _)| !placed.contains(name.as_str()));
                Some(Value::Object(rest.collect()))
            }
            RequestBody::Json(template) => Some(filled(template, &arguments).unwrap_or_default()),
        };
        let mut headers = HeaderMap::new();
        if body.is_some() {
            const JSON: HeaderValue = HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, JSON);
        }
        Ok(Prepared {
            method: self.method.clone(),
            target,
            headers,
            body: body.map_or_else(Bytes::new, |body| body.to_string().into()),
        })
    }
}

/// The path with its arguments in place. None may be empty: `/pets/` is another resource than
/// `/pets/7`, and sometimes all of them.
fn path(template: &Template, arguments: &Map<String, Value>) -> Result<String, String> {
    let mut path = String::new();
    for part in template.parts() {
        match part {
            Part::Literal(text) => path.push_str(text),
            Part::Argument(name) => {
                let text = arguments.get(name).and_then(as_text).unwrap_or_default();
                if text.is_empty() {
                    return Err(format!(
                        "{name} must not be empty: it is part of the address"
                    ));
                }
                path.push_str(&encoded(&text));
            }
        }
    }
    Ok(path)
}

/// The values of a pair of the query, encoded: none without its argument, several for a list.
fn values(template: &Template, arguments: &Map<String, Value>) -> Result<Vec<String>, String> {
    if let Some(name) = template.as_argument() {
        let items = match arguments.get(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(as_text).collect(),
            Some(value) => Some(vec![as_text(value).unwrap_or_else(|| value.to_string())]),
        };
        let items: Vec<String> =
            items.ok_or_else(|| format!("{name} must be a list of texts or numbers"))?;
        return Ok(items.iter().map(|item| encoded(item)).collect());
    }
    let mut value = String::new();
    for part in template.parts() {
        match part {
            Part::Literal(text) => value.push_str(text),
            Part::Argument(name) => {
                let Some(text) = arguments.get(name).and_then(as_text) else {
                    return Ok(Vec::new());
                };
                value.push_str(&encoded(&text));
            }
        }
    }
    Ok(vec![value])
}

/// A body with its arguments in place; `None` where the argument that it is, is not there.
fn filled(template: &Value, arguments: &Map<String, Value>) -> Option<Value> {
    match template {
        Value::String(text) => {
            let template = Template::parse(text);
            if let Some(name) = template.as_argument() {
                return arguments.get(name).cloned();
            }
            let parts = template.parts().iter();
            let parts = parts.map(|part| match part {
                Part::Literal(text) => text.clone(),
                Part::Argument(name) => {
                    let value = arguments.get(name);
                    value.map_or_else(String::new, |value| {
                        as_text(value).unwrap_or_else(|| value.to_string())
                    })
                }
            });
            Some(Value::String(parts.collect()))
        }
        Value::Array(items) => {
            let items = items.iter().filter_map(|item| filled(item, arguments));
            Some(Value::Array(items.collect()))
        }
        Value::Object(members) => {
            let members = members.iter();
            let members =
                members.filter_map(|(name, value)| Some((name.clone(), filled(value, arguments)?)));
            Some(Value::Object(members.collect()))
        }
        other => Some(other.clone()),
    }
}

/// A value as text, if it is one: `None` for null, lists and objects.
pub(super) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prepared(url: &str, body: RequestBody, arguments: Value) -> Result<Prepared, String> {
        let plan = Declared {
            method: HttpMethod::POST,
            url: UrlTemplate::parse(&format!("https://api.example{url}")).unwrap(),
            body,
        };
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object");
        };
        plan.request(arguments)
    }

    #[test]
    fn arguments_go_to_their_places_in_the_url() {
        for (url, arguments, expected) in [
            ("/pets/{id}", json!({ "id": 7 }), "/pets/7"),
            ("/pets/{id}", json!({ "id": "a/b?c" }), "/pets/a%2Fb%3Fc"),
            ("/pets/{id}.json", json!({ "id": "x" }), "/pets/x.json"),
            (
                "/pets?limit={n}&all=1",
                json!({ "n": 5 }),
                "/pets?limit=5&all=1",
            ),
            ("/pets?limit={n}&all=1", json!({}), "/pets?all=1"),
            (
                "/pets?tag={t}",
                json!({ "t": ["a", "b c"] }),
                "/pets?tag=a&tag=b%20c",
            ),
            (
                "/pets?q=name:{n}*",
                json!({ "n": "A&b" }),
                "/pets?q=name:A%26b*",
            ),
            ("/pets?q=name:{n}", json!({}), "/pets"),
            ("?q={q}", json!({ "q": true }), "/?q=true"),
        ] {
            let prepared = prepared(url, RequestBody::Nothing, arguments).unwrap();
            assert_eq!(prepared.target, expected, "{url}");
        }
        for empty in [
            json!({}),
            json!({ "id": "" }),
            json!({ "id": null }),
            json!({ "id": [] }),
        ] {
            let refused = prepared("/pets/{id}", RequestBody::Nothing, empty.clone());
            assert!(
                refused.unwrap_err().contains("id must not be empty"),
                "{empty}"
            );
        }
    }

    #[test]
    fn a_body_has_arguments_with_their_types() {
        let template = json!({
            "pet": { "name": "{name}", "age": "{age}", "tags": ["{tag}", "new"] },
            "note": "{name} is {age}", "nick": "{nick}", "kept": 1,
        });
        let arguments = json!({ "name": "Ada", "age": 3, "tag": ["a"] });
        let sent = prepared("/pets", RequestBody::Json(template), arguments).unwrap();
        let sent: Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(
            sent,
            json!({
                "pet": { "name": "Ada", "age": 3, "tags": [["a"], "new"] },
                "note": "Ada is 3", "kept": 1,
            })
        );
        let arguments = json!({ "id": 7, "name": "Ada" });
        let sent = prepared("/pets/{id}", RequestBody::Arguments, arguments).unwrap();
        assert_eq!(sent.body, r#"{"name":"Ada"}"#);
        assert_eq!(
            sent.headers.get("content-type").unwrap(),
            "application/json"
        );
    }
}
