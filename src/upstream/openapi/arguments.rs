//! The arguments of a tool: parameters and body side by side, each under a name of its own.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{
    body::{Body, Kind},
    document::Document,
    keywords::described,
    naming::{argument_name, unique},
    parameter::{Parameter, any_text},
    plan::{BodyArguments, BodyPlan},
    schema::{Schemas, types},
};

/// How much a model reads about an argument, in characters.
const MAX_DESCRIPTION: usize = 300;

/// The arguments of a tool, as they come together.
pub(super) struct Arguments<'a> {
    document: &'a Document,
    schemas: Schemas<'a>,
    properties: Map<String, Value>,
    required: Vec<String>,
    taken: HashSet<String>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(document: &'a Document) -> Self {
        Self {
            document,
            schemas: Schemas::new(document),
            properties: Map::new(),
            required: Vec::new(),
            taken: HashSet::new(),
        }
    }

    /// A name that nobody has. Whoever comes second says where it belongs.
    fn name(&mut self, wanted: &str, place: &str) -> String {
        let plain = argument_name(wanted);
        if self.taken.insert(plain.clone()) {
            return plain;
        }
        unique(&argument_name(&format!("{place}_{plain}")), &mut self.taken)
    }

    fn add(&mut self, name: &str, schema: Value, description: Option<&str>, required: bool) {
        let mut schema = schema;
        let description = description.and_then(|text| described(text, MAX_DESCRIPTION));
        if let (Some(description), Value::Object(members)) = (description, &mut schema) {
            members.insert("description".to_owned(), description);
        }
        self.properties.insert(name.to_owned(), schema);
        if required {
            self.required.push(name.to_owned());
        }
    }

    pub(super) fn parameter(&mut self, parameter: &Parameter<'_>) -> String {
        let name = self.name(parameter.name, parameter.place.as_str());
        let schema = match parameter.schema {
            Some(schema) => self.schemas.convert(schema),
            None => any_text(),
        };
        self.add(&name, schema, parameter.description, parameter.required);
        name
    }

    /// The arguments that make the body: its members, or all of it.
    pub(super) fn body(&mut self, body: &Body<'_>) -> BodyPlan {
        let converted = match (body.kind, body.schema) {
            (Kind::Bytes, _) => json!({ "type": "string", "contentEncoding": "base64" }),
            (Kind::Text, None) => any_text(),
            (_, Some(schema)) => self.schemas.convert(schema),
            (_, None) => json!({}),
        };
        let is_file = |name: &str| {
            body.kind == Kind::Multipart && is_file(self.document, body.schema, name, 0)
        };
        let Some(members) = members_of(&converted).cloned() else {
            let known = body.schema.and_then(|schema| self.document.resolve(schema));
            let known = known.and_then(|schema| schema.get("properties")?.as_object());
            let known = known.into_iter().flatten().map(|(name, _)| name.clone());
            let writer = body.writer(is_file, &known.collect::<Vec<_>>());
            let name = self.name("body", "request");
            self.add(&name, converted, body.description, body.required);
            return BodyPlan {
                writer,
                required: body.required,
                arguments: BodyArguments::Whole(name),
            };
        };
        let names: Vec<String> = members.keys().cloned().collect();
        let writer = body.writer(is_file, &names);
        let files: Vec<&String> = names.iter().filter(|name| is_file(name)).collect();
        let needed = converted.get("required").and_then(Value::as_array);
        let needed: Vec<&str> = needed
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut arguments = Vec::new();
        for (member, mut schema) in members {
            if files.contains(&&member) {
                in_base64(&mut schema);
            }
            let name = self.name(&member, "body");
            let required = body.required && needed.contains(&member.as_str());
            self.add(&name, schema, None, required);
            arguments.push((name, member));
        }
        BodyPlan {
            writer,
            required: body.required,
            arguments: BodyArguments::Members(arguments),
        }
    }

    pub(super) fn schema(mut self, omissions: &mut Vec<String>) -> Value {
        let definitions = self.schemas.definitions();
        omissions.extend(self.schemas.omissions.iter().map(|&o| o.to_owned()));
        let mut schema = json!({
            "type": "object",
            "properties": self.properties,
            "additionalProperties": false,
        });
        if let Value::Object(members) = &mut schema {
            if !self.required.is_empty() {
                members.insert("required".to_owned(), json!(self.required));
            }
            if !definitions.is_empty() {
                members.insert("$defs".to_owned(), Value::Object(definitions));
            }
        }
        schema
    }
}

/// The members of an object that can stand beside the parameters: one that says nothing about them
/// together but which are required.
fn members_of(schema: &Value) -> Option<&Map<String, Value>> {
    const HARMLESS: [&str; 8] = [
        "type",
        "properties",
        "required",
        "description",
        "default",
        "minProperties",
        "maxProperties",
        "additionalProperties",
    ];
    let members = schema.as_object()?;
    let properties = members.get("properties")?.as_object()?;
    let is_plain = members.keys().all(|name| HARMLESS.contains(&name.as_str()))
        && matches!(types(schema).as_slice(), ["object"] | [_, _, _, _, _, _, _])
        && matches!(
            members.get("additionalProperties"),
            None | Some(Value::Bool(false))
        );
    (is_plain && !properties.is_empty()).then_some(properties)
}

/// Whether a member of a form is bytes: `format: binary` in 3.0, `contentMediaType` in 3.1. A list
/// of such is several.
fn is_file(document: &Document, schema: Option<&Value>, name: &str, depth: usize) -> bool {
    let Some(schema) = schema.and_then(|schema| document.resolve(schema)) else {
        return false;
    };
    let is_binary = |schema: &Value| {
        schema.get("format") == Some(&json!("binary"))
            || (schema.get("contentMediaType").is_some() && schema.get("contentEncoding").is_none())
    };
    let member = schema
        .get("properties")
        .and_then(|members| members.get(name));
    let member = member.and_then(|member| document.resolve(member));
    let items = member.and_then(|member| document.resolve(member.get("items")?));
    if member.into_iter().chain(items).any(is_binary) {
        return true;
    }
    let parts = schema.get("allOf").and_then(Value::as_array);
    let mut parts = parts.into_iter().flatten();
    depth < 4 && parts.any(|part| is_file(document, Some(part), name, depth + 1))
}

/// A text that stands for bytes.
fn in_base64(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    match members.get_mut("items") {
        Some(items) => in_base64(items),
        None => {
            members.insert("contentEncoding".to_owned(), json!("base64"));
        }
    }
}
