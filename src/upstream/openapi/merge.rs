//! Several schemas that all have to hold, as one: models and forms take an object more easily than
//! `allOf`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::keywords::named_types;

/// One schema that says the same as all of them; `None` where they say different things of the same.
pub(super) fn merge(parts: &[Map<String, Value>]) -> Option<Map<String, Value>> {
    let mut merged = Map::new();
    for part in parts {
        for (name, value) in part {
            match merged.get_mut(name) {
                None => {
                    merged.insert(name.clone(), value.clone());
                }
                Some(known) if known == value => {}
                Some(known) => *known = both(name, known, value)?,
            }
        }
    }
    Some(merged)
}

/// What a keyword says if it says one thing here and another there.
fn both(name: &str, one: &Value, other: &Value) -> Option<Value> {
    match (name, one, other) {
        // The outermost knows best what it is about.
        ("description" | "default", _, _) => Some(one.clone()),
        ("required", Value::Array(one), Value::Array(other)) => {
            let names: BTreeSet<&str> = one.iter().chain(other).filter_map(Value::as_str).collect();
            Some(json!(names))
        }
        ("properties", Value::Object(one), Value::Object(other)) => {
            let mut properties = one.clone();
            for (name, schema) in other {
                match properties.get(name) {
                    Some(known) if known != schema => return None,
                    Some(_) => {}
                    None => {
                        properties.insert(name.clone(), schema.clone());
                    }
                }
            }
            Some(Value::Object(properties))
        }
        ("type", one, other) => {
            let (one, other) = (named_types(one), named_types(other));
            let common: Vec<&str> = one
                .into_iter()
                .filter(|name| other.contains(name))
                .collect();
            match common.as_slice() {
                [] => None,
                [single] => Some(json!(single)),
                several => Some(json!(several)),
            }
        }
        _ => None,
    }
}
