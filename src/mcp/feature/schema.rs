//! JSON Schema 2020-12: compiled once, never fetched, and its complaints in words for a model.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

/// How many violations of a schema a model is told of at once.
const MOST_VIOLATIONS: usize = 5;

/// How deep a schema may be nested.
const MAX_DEPTH: usize = 64;

/// The most that a compiled pattern may take, in bytes. The engine takes time in proportion to the
/// text, whatever the pattern.
const MAX_PATTERN: usize = 1 << 20;

/// Compiles a schema. It may refer to itself, but nothing is ever fetched for it.
pub(super) fn compile(schema: &Value) -> Result<Validator, String> {
    if depth(schema) > MAX_DEPTH {
        return Err(format!("it is nested deeper than {MAX_DEPTH} levels"));
    }
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN))
        .offline()
        .build(schema)
        .map_err(|error| error.to_string())
}

/// Why a schema cannot be used for a tool; `None` if it can.
pub fn schema_problem(schema: &Value) -> Option<String> {
    compile(schema).err()
}

/// Whether a value fits a schema that need not be kept.
pub(super) fn fits(schema: &Value, value: &Value) -> bool {
    compile(schema).is_ok_and(|schema| schema.is_valid(value))
}

/// What is wrong with a value, in words for a model; `None` if nothing is. The value itself is not
/// repeated: the caller knows it, and it may be long.
pub(super) fn violations(schema: &Validator, value: &Value) -> Option<String> {
    if schema.is_valid(value) {
        return None;
    }
    let problems: Vec<String> = schema
        .iter_errors(value)
        .take(MOST_VIOLATIONS)
        .map(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "/" } else { &place };
            format!("at {place}: {}", error.masked())
        })
        .collect();
    Some(problems.join("; "))
}

fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or_default()
}
