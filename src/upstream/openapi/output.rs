//! The shape of an answer, told to models and clients.
//!
//! It is a description and no promise: a client checks an answer against the output schema and throws
//! away what does not fit, while APIs deviate from their descriptions every day. So the schema says
//! that there is an object, names its members and tells their types in words, and forbids nothing.

use serde_json::{Map, Value, json};

use super::{
    document::Document,
    keywords::on_one_line,
    schema::{is_object, types},
};
use crate::api::FieldPath;

/// Levels of members that are named.
const MAX_DEPTH: usize = 2;

/// Members that are named in all.
const MAX_MEMBERS: usize = 60;

/// How much is said of each, in characters.
const MAX_DESCRIPTION: usize = 80;

/// The output schema of an operation whose answer is an object.
pub(super) fn schema(
    document: &Document,
    operation: &Value,
    fields: &[FieldPath],
) -> Option<Value> {
    let answered = document.resolve(answer(document, operation)?)?;
    let merged = gathered(document, answered, 0)?;
    let mut left = MAX_MEMBERS;
    let mut schema = members(document, &merged, 0, &mut left);
    if !fields.is_empty()
        && let Some(Value::Object(properties)) = schema.get_mut("properties")
    {
        let is_kept = |name: &str| {
            let mut first = fields.iter().filter_map(|field| field.names().first());
            first.any(|kept| kept == name)
        };
        properties.retain(|name, _| is_kept(name));
    }
    schema.insert("type".to_owned(), json!("object"));
    Some(Value::Object(schema))
}

/// The schema of what comes back when all went well.
fn answer<'a>(document: &'a Document, operation: &'a Value) -> Option<&'a Value> {
    let responses = operation.get("responses")?.as_object()?;
    let good = ["200", "201", "202", "203", "2XX"];
    let response = good.iter().find_map(|status| responses.get(*status))?;
    let content = document.resolve(response)?.get("content")?.as_object()?;
    let is_json = |name: &str| {
        let plain = name.split(';').next().unwrap_or_default().trim();
        plain == "application/json" || plain.ends_with("+json")
    };
    let (_, media) = content.iter().find(|(name, _)| is_json(name))?;
    document.resolve(media)?.get("schema")
}

/// The members of an object, its own and those of all that it is made of; `None` if it is none.
fn gathered<'a>(
    document: &'a Document,
    schema: &'a Value,
    depth: usize,
) -> Option<Vec<(&'a String, &'a Value)>> {
    let mut found = is_object(schema);
    let mut members: Vec<(&String, &Value)> = Vec::new();
    if depth < 5 {
        let parts = schema.get("allOf").and_then(Value::as_array);
        for part in parts.into_iter().flatten() {
            let part = document.resolve(part);
            if let Some(more) = part.and_then(|part| gathered(document, part, depth + 1)) {
                found = true;
                members.extend(more);
            }
        }
    }
    let own = schema.get("properties").and_then(Value::as_object);
    members.extend(own.into_iter().flatten());
    found.then_some(members)
}

fn members(
    document: &Document,
    of: &[(&String, &Value)],
    depth: usize,
    left: &mut usize,
) -> Map<String, Value> {
    let mut properties = Map::new();
    for (name, schema) in of {
        if *left == 0 {
            break;
        }
        let Some(resolved) = document.resolve(schema) else {
            continue;
        };
        if resolved.get("writeOnly") == Some(&Value::Bool(true)) {
            continue;
        }
        *left -= 1;
        properties.insert(
            (*name).clone(),
            member(document, schema, resolved, depth, left),
        );
    }
    if properties.is_empty() {
        Map::new()
    } else {
        Map::from_iter([("properties".to_owned(), Value::Object(properties))])
    }
}

fn member(
    document: &Document,
    written: &Value,
    schema: &Value,
    depth: usize,
    left: &mut usize,
) -> Value {
    let object = gathered(document, schema, 0);
    let kind = match types(schema).as_slice() {
        _ if object.is_some() => "object".to_owned(),
        few @ ([_] | [_, _]) => few.join(" or "),
        _ => String::new(),
    };
    let said = [written, schema].map(|schema| schema.get("description").and_then(Value::as_str));
    let said = said.into_iter().flatten().next().unwrap_or_default();
    let said = on_one_line(said, MAX_DESCRIPTION);
    let description = match (kind.is_empty(), said.is_empty()) {
        (true, _) => said,
        (false, true) => kind,
        (false, false) => format!("{kind}: {said}"),
    };
    let mut described = match object {
        Some(inner) if depth + 1 < MAX_DEPTH => members(document, &inner, depth + 1, left),
        _ => Map::new(),
    };
    if !description.is_empty() {
        described.insert("description".to_owned(), description.into());
    }
    Value::Object(described)
}

#[cfg(test)]
#[expect(
    clippy::needless_pass_by_value,
    reason = "values are written where they are passed"
)]
mod tests {
    use super::*;
    use crate::mcp::feature::schema_problem;

    fn schema_of(response: Value) -> Option<Value> {
        let document = json!({
            "openapi": "3.0.3",
            "components": { "schemas": { "Pet": {
                "type": "object", "required": ["id"],
                "properties": {
                    "id": { "type": "integer", "minimum": 1, "description": "Which  one." },
                    "owner": { "type": "object", "properties": { "name": { "type": "string" } } },
                    "password": { "type": "string", "writeOnly": true },
                },
            } } },
        });
        let document = Document::parse(&document.to_string()).unwrap();
        let content = json!({ "application/json; charset=utf-8": { "schema": response } });
        let operation = json!({ "responses": { "201": { "content": content } } });
        let schema = schema(&document, &operation, &[]);
        if let Some(schema) = &schema {
            assert_eq!(schema_problem(schema), None, "{schema}");
        }
        schema
    }

    #[test]
    fn members_are_named_and_nothing_is_forbidden() {
        let expected = json!({ "type": "object", "properties": {
            "id": { "description": "integer: Which one." },
            "owner": {
                "description": "object",
                "properties": { "name": { "description": "string" } },
            },
        } });
        let pet = json!({ "$ref": "#/components/schemas/Pet" });
        assert_eq!(schema_of(pet.clone()), Some(expected.clone()));
        assert_eq!(schema_of(json!({ "allOf": [pet] })), Some(expected));
    }

    #[test]
    fn only_objects_have_a_shape() {
        for other in [
            json!({ "type": "array", "items": { "type": "object" } }),
            json!({ "type": "string" }),
            json!({ "oneOf": [{ "type": "object" }] }),
            json!({ "$ref": "#/nowhere" }),
            json!({}),
            json!(true),
        ] {
            assert_eq!(schema_of(other.clone()), None, "{other}");
        }
        assert_eq!(
            schema_of(json!({ "type": "object" })),
            Some(json!({ "type": "object" }))
        );
    }
}
