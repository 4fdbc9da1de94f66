//! From the schemas of a description to JSON Schema 2020-12, as a tool's arguments need it.
//!
//! References are written out where they stand, because not every client follows them; what refers
//! to itself, or would grow too large, goes to `$defs`. Only keywords that are known and make sense
//! get through, so that whatever a description says, the schema is one.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value, json};

use super::{
    document::Document,
    keywords::{self, TYPES, named_types},
    merge::merge,
    naming,
};

/// Schemas that are written out where they are referred to. From then on they go to `$defs`.
const WRITTEN_OUT: usize = 300;

/// Schemas in all. What lies beyond may be anything.
const MOST: usize = 1500;

/// How deep schemas are written out. The registry takes twice as many levels of JSON.
const MAX_DEPTH: usize = 20;

/// Converts the schemas of one tool.
pub(super) struct Schemas<'a> {
    document: &'a Document,
    /// References that are being written out.
    open: Vec<String>,
    /// Names in `$defs`, by reference.
    named: BTreeMap<String, String>,
    taken: HashSet<String>,
    /// References whose schemas are still to be put there.
    pending: Vec<String>,
    converted: usize,
    /// What was not converted, in words.
    pub(super) omissions: BTreeSet<&'static str>,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(document: &'a Document) -> Self {
        Self {
            document,
            open: Vec::new(),
            named: BTreeMap::new(),
            taken: HashSet::new(),
            pending: Vec::new(),
            converted: 0,
            omissions: BTreeSet::new(),
        }
    }

    /// The schema of an argument.
    pub(super) fn convert(&mut self, schema: &Value) -> Value {
        self.at(schema, 0)
    }

    /// The definitions that the converted schemas refer to.
    pub(super) fn definitions(&mut self) -> Map<String, Value> {
        let mut definitions = Map::new();
        while let Some(reference) = self.pending.pop() {
            let name = self.named.get(&reference).cloned().unwrap_or_default();
            self.open = vec![reference.clone()];
            let found = self.document.find(&reference).cloned();
            let schema = found.map_or_else(|| json!({}), |found| self.at(&found, 1));
            definitions.insert(name, schema);
        }
        self.open.clear();
        definitions
    }

    fn at(&mut self, schema: &Value, depth: usize) -> Value {
        self.converted += 1;
        if self.converted > MOST || depth > 2 * MAX_DEPTH {
            self.omissions.insert("parts of its schema are too large");
            return json!({});
        }
        match schema {
            Value::Object(members) => match members.get("$ref") {
                Some(Value::String(reference)) => self.reference(reference, members, depth),
                _ => self.object(members, depth),
            },
            Value::Bool(false) => json!({ "not": {} }),
            // `true`, and what is no schema at all.
            _ => json!({}),
        }
    }

    fn reference(&mut self, reference: &str, members: &Map<String, Value>, depth: usize) -> Value {
        let Some(found) = self.document.find(reference) else {
            self.omissions
                .insert("parts of its schema are in another document or missing");
            return json!({});
        };
        let is_open = self.open.iter().any(|open| open == reference);
        let mut schema = if is_open || self.converted > WRITTEN_OUT || depth > MAX_DEPTH {
            json!({ "$ref": format!("#/$defs/{}", self.definition(reference)) })
        } else {
            self.open.push(reference.to_owned());
            let schema = self.at(found, depth + 1);
            self.open.pop();
            schema
        };
        // In 3.0 nothing counts beside a reference, but everybody writes descriptions there.
        let beside: Map<String, Value> = members
            .iter()
            .filter(|(name, _)| *name != "$ref")
            .filter(|(name, _)| !self.document.is_3_0 || *name == "description")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if let (Value::Object(beside), Value::Object(members)) =
            (self.object(&beside, depth), &mut schema)
            && !beside.is_empty()
        {
            let parts = vec![beside, members.clone()];
            *members = merge(&parts).unwrap_or_else(|| {
                let parts = parts.into_iter().map(Value::Object).collect();
                Map::from_iter([("allOf".to_owned(), Value::Array(parts))])
            });
        }
        schema
    }

    /// The name under which a reference's schema stands in `$defs`.
    fn definition(&mut self, reference: &str) -> String {
        if let Some(name) = self.named.get(reference) {
            return name.clone();
        }
        let last = reference.rsplit('/').next().unwrap_or_default();
        let name = naming::unique(&naming::argument_name(last), &mut self.taken);
        self.named.insert(reference.to_owned(), name.clone());
        self.pending.push(reference.to_owned());
        name
    }

    fn object(&mut self, members: &Map<String, Value>, depth: usize) -> Value {
        let hidden = self.read_only(members, 0);
        let mut schema = Map::new();
        for (name, value) in members {
            if let Some(value) = self.keyword(name, value, &hidden, depth) {
                schema.insert(name.clone(), value);
            }
        }
        keywords::exclusive_limits(members, &mut schema);
        match members.get("items") {
            // A tuple, as JSON Schema wrote it until 2019.
            Some(Value::Array(tuple)) if schema.contains_key("prefixItems") || tuple.is_empty() => {
            }
            Some(Value::Array(tuple)) => {
                let tuple = tuple.iter().map(|schema| self.at(schema, depth + 1));
                schema.insert("prefixItems".to_owned(), tuple.collect());
            }
            Some(items) => {
                schema.insert("items".to_owned(), self.at(items, depth + 1));
            }
            None => {}
        }
        if let Some(Value::Array(parts)) = members.get("allOf") {
            self.all_of(parts, &hidden, &mut schema, depth);
        }
        if members.get("nullable") == Some(&Value::Bool(true)) {
            return keywords::nullable(schema);
        }
        Value::Object(schema)
    }

    fn keyword(
        &mut self,
        name: &str,
        value: &Value,
        hidden: &BTreeSet<String>,
        depth: usize,
    ) -> Option<Value> {
        match name {
            "type" => keywords::types(value),
            "properties" => {
                let properties = value.as_object()?.iter();
                let properties = properties.filter(|(name, _)| !hidden.contains(*name));
                Some(self.each(properties, depth))
            }
            "required" => {
                let names = value.as_array()?.iter().filter_map(Value::as_str);
                let names: BTreeSet<&str> = names.filter(|name| !hidden.contains(*name)).collect();
                (!names.is_empty()).then(|| json!(names))
            }
            "patternProperties" => {
                let patterns = value.as_object()?.iter();
                let patterns = patterns.filter(|(pattern, _)| keywords::is_pattern(pattern));
                Some(self.each(patterns, depth))
            }
            "dependentSchemas" => Some(self.each(value.as_object()?.iter(), depth)),
            "additionalProperties" => match value {
                Value::Bool(_) => Some(value.clone()),
                Value::Object(members) if members.is_empty() => None,
                schema => Some(self.at(schema, depth + 1)),
            },
            "propertyNames" | "contains" | "not" | "if" | "then" | "else" => {
                Some(self.at(value, depth + 1))
            }
            "oneOf" | "anyOf" | "prefixItems" => {
                let schemas = value.as_array().filter(|schemas| !schemas.is_empty())?;
                let schemas = schemas.iter().map(|schema| self.at(schema, depth + 1));
                Some(Value::Array(schemas.collect()))
            }
            // Looked at together with others.
            "allOf" | "items" | "nullable" | "exclusiveMinimum" | "exclusiveMaximum" => None,
            _ => keywords::plain(name, value),
        }
    }

    /// Schemas under names.
    fn each<'s>(
        &mut self,
        schemas: impl Iterator<Item = (&'s String, &'s Value)>,
        depth: usize,
    ) -> Value {
        let schemas = schemas.map(|(name, schema)| (name.clone(), self.at(schema, depth + 1)));
        Value::Object(schemas.collect())
    }

    /// What all of several schemas say: as one, where they do not contradict.
    fn all_of(
        &mut self,
        parts: &[Value],
        hidden: &BTreeSet<String>,
        schema: &mut Map<String, Value>,
        depth: usize,
    ) {
        let mut converted: Vec<Map<String, Value>> = Vec::new();
        for part in parts {
            let Value::Object(mut part) = self.at(part, depth + 1) else {
                continue;
            };
            if let Some(Value::Array(required)) = part.get_mut("required") {
                required.retain(|name| name.as_str().is_some_and(|name| !hidden.contains(name)));
                if required.is_empty() {
                    part.remove("required");
                }
            }
            if !part.is_empty() {
                converted.push(part);
            }
        }
        let mut all = vec![schema.clone()];
        all.extend(converted.iter().cloned());
        if let Some(merged) = merge(&all) {
            *schema = merged;
        } else if !converted.is_empty() {
            let parts = converted.into_iter().map(Value::Object).collect();
            schema.insert("allOf".to_owned(), Value::Array(parts));
        }
    }

    /// Properties that only answers have (`readOnly`), here and in what this is made of.
    fn read_only(&self, members: &Map<String, Value>, depth: usize) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        if depth > 4 {
            return names;
        }
        let properties = members.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            let says = |schema: &Value| schema.get("readOnly") == Some(&Value::Bool(true));
            if says(schema) || self.document.resolve(schema).is_some_and(says) {
                names.insert(name.clone());
            }
        }
        let parts = members.get("allOf").and_then(Value::as_array);
        for part in parts.into_iter().flatten() {
            if let Some(Value::Object(part)) = self.document.resolve(part) {
                names.extend(self.read_only(part, depth + 1));
            }
        }
        names
    }
}

/// Whether a schema speaks of objects.
pub(super) fn is_object(schema: &Value) -> bool {
    match schema.get("type") {
        Some(value) => named_types(value).contains(&"object"),
        None => schema.get("properties").is_some_and(Value::is_object),
    }
}

/// The types that a schema allows; all of them, where it does not say.
pub(super) fn types(schema: &Value) -> Vec<&str> {
    let named = schema.get("type").map(named_types);
    let named = named.filter(|named| !named.is_empty());
    named.unwrap_or_else(|| TYPES.to_vec())
}

#[cfg(test)]
#[expect(
    clippy::needless_pass_by_value,
    reason = "values are written where they are passed"
)]
mod tests {
    use super::*;
    use crate::mcp::feature::schema_problem;

    /// Converts a schema of a description with these components, and checks that it is one.
    #[track_caller]
    fn converted(version: &str, components: Value, schema: Value) -> Value {
        let document = json!({ "openapi": version, "components": { "schemas": components } });
        let document = Document::parse(&document.to_string()).unwrap();
        let mut schemas = Schemas::new(&document);
        let mut converted = schemas.convert(&schema);
        let definitions = schemas.definitions();
        if !definitions.is_empty() {
            converted["$defs"] = Value::Object(definitions);
        }
        assert_eq!(schema_problem(&converted), None, "{converted}");
        converted
    }

    #[track_caller]
    fn check_3_0(schema: Value, expected: Value) {
        assert_eq!(
            converted("3.0.3", json!({}), schema.clone()),
            expected,
            "{schema}"
        );
    }

    #[track_caller]
    fn check_3_1(schema: Value, expected: Value) {
        assert_eq!(
            converted("3.1.0", json!({}), schema.clone()),
            expected,
            "{schema}"
        );
    }

    #[test]
    fn what_3_0_says_in_its_own_way_is_said_in_json_schemas() {
        // The differences that the OpenAPI Initiative lists for whoever moves from 3.0 to 3.1.
        check_3_0(
            json!({ "type": "string", "nullable": true }),
            json!({ "type": ["string", "null"] }),
        );
        check_3_0(
            json!({ "type": "string", "nullable": true, "enum": ["a", "b"] }),
            json!({ "type": ["string", "null"], "enum": ["a", "b", null] }),
        );
        check_3_0(
            json!({ "type": "string", "nullable": false }),
            json!({ "type": "string" }),
        );
        check_3_0(
            json!({ "type": "integer", "minimum": 7, "exclusiveMinimum": true }),
            json!({ "type": "integer", "exclusiveMinimum": 7 }),
        );
        check_3_0(
            json!({ "type": "integer", "maximum": 7, "exclusiveMaximum": false }),
            json!({ "type": "integer", "maximum": 7 }),
        );
        check_3_0(
            json!({ "type": "string", "example": "fedora" }),
            json!({ "type": "string" }),
        );
        check_3_0(
            json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }], "nullable": true }),
            json!({ "anyOf": [
                { "anyOf": [{ "type": "string" }, { "type": "integer" }] },
                { "type": "null" },
            ] }),
        );
        check_3_0(
            json!({ "type": "string", "format": "byte" }),
            json!({ "type": "string", "contentEncoding": "base64" }),
        );
    }

    #[test]
    fn what_3_1_says_stays_as_it_is() {
        for schema in [
            json!({ "type": ["string", "null"], "const": "a" }),
            json!({ "type": "integer", "exclusiveMinimum": 7, "exclusiveMaximum": 9 }),
            json!({ "type": "array", "prefixItems": [{ "type": "string" }], "items": { "not": {} } }),
            json!({ "type": "object", "patternProperties": { "^a": { "type": "string" } } }),
            json!({ "if": { "type": "string" }, "then": { "minLength": 1 }, "else": {} }),
            json!({ "type": "string", "default": "a", "enum": ["a", "b"] }),
        ] {
            check_3_1(schema.clone(), schema);
        }
        check_3_1(
            json!({ "type": "array", "items": [{ "type": "string" }] }),
            json!({ "type": "array", "prefixItems": [{ "type": "string" }] }),
        );
        check_3_1(json!(true), json!({}));
        check_3_1(
            json!({ "properties": { "a": false, "b": true } }),
            json!({ "properties": { "a": { "not": {} }, "b": {} } }),
        );
    }

    #[test]
    fn nothing_gets_through_that_is_no_schema() {
        for nonsense in [
            json!({ "type": "int" }),
            json!({ "type": ["file"] }),
            json!({ "type": 7 }),
            json!({ "required": true }),
            json!({ "required": [] }),
            json!({ "minLength": -1, "maxItems": "many", "multipleOf": 0, "minimum": "1" }),
            json!({ "enum": "a" }),
            json!({ "pattern": "([" }),
            json!({ "properties": [] }),
            json!({ "anyOf": [] }),
            json!({ "allOf": [] }),
            json!({ "x-internal": true, "xml": {}, "discriminator": {}, "externalDocs": {} }),
            json!({ "$id": "https://x.example/", "$schema": "nonsense", "$dynamicRef": "#x" }),
            json!("nonsense"),
            json!(null),
        ] {
            check_3_1(nonsense.clone(), json!({}));
            check_3_0(nonsense, json!({}));
        }
        check_3_0(
            json!({ "type": "array", "items": null }),
            json!({ "type": "array", "items": {} }),
        );
    }

    #[test]
    fn references_are_written_out_and_circles_are_named() {
        let components = json!({
            "Name": { "type": "string", "minLength": 1 },
            "Pet": { "type": "object", "properties": {
                "name": { "$ref": "#/components/schemas/Name" },
                "friends": { "type": "array", "items": { "$ref": "#/components/schemas/Pet" } },
            } },
        });
        let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        assert_eq!(
            converted("3.0.3", components.clone(), reference("Name")),
            json!({ "type": "string", "minLength": 1 })
        );
        let friends = json!({ "type": "array", "items": { "$ref": "#/$defs/Pet" } });
        let pet = json!({ "type": "object", "properties": {
            "name": { "type": "string", "minLength": 1 }, "friends": friends,
        } });
        let mut expected = pet.clone();
        expected["$defs"] = json!({ "Pet": pet });
        assert_eq!(
            converted("3.0.3", components.clone(), reference("Pet")),
            expected
        );

        // Beside a reference, 3.1 may say more.
        let mut beside = reference("Name");
        beside["description"] = json!("Whom to greet.");
        beside["maxLength"] = json!(9);
        assert_eq!(
            converted("3.1.0", components.clone(), beside.clone())["maxLength"],
            json!(9)
        );
        let in_3_0 = converted("3.0.3", components.clone(), beside);
        assert_eq!(in_3_0["description"], "Whom to greet.");
        assert_eq!(in_3_0.get("maxLength"), None);

        for lost in ["#/nowhere", "other.yaml#/Pet", "https://x.example/pet.json"] {
            assert_eq!(
                converted("3.1.0", json!({}), json!({ "$ref": lost })),
                json!({})
            );
        }
        let circle = json!({ "A": { "$ref": "#/components/schemas/A" } });
        converted("3.1.0", circle, reference("A"));
    }

    #[test]
    fn all_of_becomes_one_object_where_it_can() {
        let base = json!({ "Base": {
            "type": "object", "required": ["id", "kind"],
            "properties": { "id": { "type": "integer", "readOnly": true }, "kind": { "type": "string" } },
        } });
        let schema = json!({ "description": "A pet.", "allOf": [
            { "$ref": "#/components/schemas/Base" },
            { "type": "object", "required": ["id", "name"],
              "properties": { "name": { "type": "string" } } },
        ] });
        assert_eq!(
            converted("3.0.3", base, schema),
            json!({
                "type": "object", "description": "A pet.", "required": ["kind", "name"],
                "properties": { "kind": { "type": "string" }, "name": { "type": "string" } },
            })
        );
        // What contradicts stays side by side.
        let schema = json!({ "allOf": [
            { "properties": { "a": { "type": "string" } } },
            { "properties": { "a": { "minLength": 1 } } },
        ] });
        check_3_1(schema.clone(), schema);
    }

    #[test]
    fn what_only_answers_have_is_not_asked_for() {
        check_3_0(
            json!({
                "type": "object", "required": ["id", "name"],
                "properties": {
                    "id": { "type": "integer", "readOnly": true },
                    "name": { "type": "string" },
                    "secret": { "type": "string", "writeOnly": true },
                },
            }),
            json!({
                "type": "object", "required": ["name"],
                "properties": { "name": { "type": "string" }, "secret": { "type": "string" } },
            }),
        );
    }

    #[test]
    fn a_schema_without_end_ends() {
        // Each of fifty refers to all fifty, nine times.
        let names: Vec<String> = (0..50).map(|n| format!("S{n}")).collect();
        let properties: Map<String, Value> = names
            .iter()
            .flat_map(|name| (0..9).map(move |n| (format!("{name}_{n}"), name)))
            .map(|(property, name)| {
                (
                    property,
                    json!({ "$ref": format!("#/components/schemas/{name}") }),
                )
            })
            .collect();
        let components: Map<String, Value> = names
            .iter()
            .map(|name| {
                (
                    name.clone(),
                    json!({ "type": "object", "properties": properties }),
                )
            })
            .collect();
        let reference = json!({ "$ref": "#/components/schemas/S0" });
        let schema = converted("3.0.3", Value::Object(components), reference);
        assert!(schema.to_string().len() < 200_000);
    }
}
