//! Tools that are one HTTP request each, in the TOML file:
//!
//! ```toml
//! [[http_tools]]
//! name = "get_pet"
//! description = "Tells everything about a pet."
//! url = "https://api.example.com/pets/{id}?fields={fields}"
//!
//! [[http_tools]]
//! name = "add_pet"
//! description = "Adds a pet."
//! method = "POST"
//! url = "https://api.example.com/pets"
//! body = { pet = { name = "{name}" } }      # or "arguments"
//! input_schema = { type = "object", properties = { name = { type = "string" } } }
//! ```

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    ConfigError, Environment, manner,
    scopes::known_scope,
    table::{self, Table},
};
use crate::{
    api::{Hints, HttpTool, Method, RequestBody, Template, UrlTemplate},
    model::scope::{Scope, ScopeCatalogue},
};

const KEYS: [&str; 9] = [
    "name",
    "title",
    "description",
    "method",
    "url",
    "input_schema",
    "body",
    "annotations",
    "scope",
];

/// Understands `[[http_tools]]`.
pub(super) fn read(
    tables: &[Table],
    scopes: &ScopeCatalogue,
    environment: Environment<'_>,
    errors: &mut Vec<ConfigError>,
) -> Vec<HttpTool> {
    table::each_once(
        tables,
        errors,
        |tool: &HttpTool| &tool.name,
        |table| tool(table, scopes, environment),
    )
}

fn tool(
    table: &Table,
    scopes: &ScopeCatalogue,
    environment: Environment<'_>,
) -> Result<HttpTool, String> {
    table.knows_only(&[&KEYS[..], &manner::KEYS].concat())?;
    let url = table.text("url")?;
    let url = UrlTemplate::parse(&url).map_err(|problem| format!("url {problem}"))?;
    let method = method(table)?;
    let body = body(table)?;
    let input_schema = match table.members().get("input_schema") {
        None => schema_of_places(&url, &body),
        Some(schema) if schema.get("type") == Some(&json!("object")) => schema.clone(),
        Some(_) => return Err("input_schema must be a table with type = \"object\"".to_owned()),
    };
    check_places(&url, &body, &input_schema)?;
    if method.is_safe() && body != RequestBody::Nothing {
        return Err(format!("a {} request has no body", method.as_str()));
    }
    Ok(HttpTool {
        name: tool_name(table)?,
        title: table.optional_text("title")?,
        description: table.text("description")?,
        method,
        url,
        input_schema,
        body,
        hints: hints(table)?,
        scope: scope(table, scopes)?,
        manner: manner::read(table, environment)?,
    })
}

/// What the specification allows, and one client in use: 1 to 64 of `A-Z a-z 0-9 _ -`.
fn tool_name(table: &Table) -> Result<String, String> {
    let name = table.text("name")?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.len() <= 64 && name.bytes().all(allowed) {
        Ok(name)
    } else {
        Err("name must be 1 to 64 of A-Z a-z 0-9 _ -".to_owned())
    }
}

fn method(table: &Table) -> Result<Method, String> {
    let Some(name) = table.optional_text("method")? else {
        return Ok(Method::Get);
    };
    Method::parse(&name)
        .filter(|method| *method != Method::Trace)
        .ok_or_else(|| format!("method {name:?} is not one of GET, POST, PUT, PATCH, DELETE, HEAD"))
}

fn body(table: &Table) -> Result<RequestBody, String> {
    match table.members().get("body") {
        None => Ok(RequestBody::Nothing),
        Some(Value::String(word)) if word == "arguments" => Ok(RequestBody::Arguments),
        Some(template @ (Value::Object(_) | Value::Array(_))) => {
            Ok(RequestBody::Json(template.clone()))
        }
        Some(_) => Err("body must be \"arguments\", a table or a list".to_owned()),
    }
}

fn hints(table: &Table) -> Result<Hints, String> {
    const MUST: &str = "annotations must be a table of true and false";
    let Some(members) = table.inner("annotations", MUST)? else {
        return Ok(Hints::default());
    };
    let known = ["read_only", "destructive", "idempotent", "open_world"];
    table::knows_only(members, &known)?;
    let hint = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(Value::Bool(hint)) => Ok(Some(*hint)),
        Some(_) => Err(MUST.to_owned()),
    };
    Ok(Hints {
        read_only: hint("read_only")?,
        destructive: hint("destructive")?,
        idempotent: hint("idempotent")?,
        open_world: hint("open_world")?,
    })
}

/// The scope that opens the tool, which must exist.
fn scope(table: &Table, scopes: &ScopeCatalogue) -> Result<Option<Scope>, String> {
    let Some(name) = table.optional_text("scope")? else {
        return Ok(None);
    };
    known_scope(&name, scopes).map(Some)
}

/// The schema of a tool that has none: every place is a text, and those of the path must be filled.
fn schema_of_places(url: &UrlTemplate, body: &RequestBody) -> Value {
    let in_path: BTreeSet<&str> = url.path.arguments().collect();
    let mut all: BTreeSet<String> = url.arguments().into_iter().map(str::to_owned).collect();
    if let RequestBody::Json(template) = body {
        places(template, &mut all);
    }
    let properties = all
        .into_iter()
        .map(|name| (name, json!({ "type": "string" })));
    json!({
        "type": "object",
        "properties": properties.collect::<Map<_, _>>(),
        "required": in_path,
        "additionalProperties": *body == RequestBody::Arguments,
    })
}

/// A place whose argument the schema does not know would never be filled.
fn check_places(url: &UrlTemplate, body: &RequestBody, schema: &Value) -> Result<(), String> {
    let mut all: BTreeSet<String> = url.arguments().into_iter().map(str::to_owned).collect();
    if let RequestBody::Json(template) = body {
        places(template, &mut all);
    }
    let known = schema.get("properties").and_then(Value::as_object);
    let is_known = |name: &&String| known.is_some_and(|known| known.contains_key(*name));
    match all.iter().find(|name| !is_known(name)) {
        Some(unknown) => Err(format!(
            "there is a place for {{{unknown}}}, which input_schema does not know"
        )),
        None => Ok(()),
    }
}

/// Collects the names that a body has places for.
fn places(template: &Value, names: &mut BTreeSet<String>) {
    match template {
        Value::String(text) => {
            names.extend(Template::parse(text).arguments().map(str::to_owned));
        }
        Value::Array(items) => items.iter().for_each(|item| places(item, names)),
        Value::Object(members) => members.values().for_each(|value| places(value, names)),
        _ => {}
    }
}
