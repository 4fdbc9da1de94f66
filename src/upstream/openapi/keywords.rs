//! Keywords of JSON Schema that stand alone: which values make sense, and how 3.0 wrote some of
//! them.

use serde_json::{Map, Value, json};

use crate::mcp::feature::schema_problem;

/// The types of JSON Schema.
pub(super) const TYPES: [&str; 7] = [
    "string", "number", "integer", "boolean", "object", "array", "null",
];

/// How much a model reads about one value, in characters.
const MAX_DESCRIPTION: usize = 300;

/// The largest default, in characters of JSON.
const MAX_DEFAULT: usize = 300;

/// What a value of `type` names: one type, or several.
pub(super) fn named_types(value: &Value) -> Vec<&str> {
    match value {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The value of `type`, without what is none.
pub(super) fn types(value: &Value) -> Option<Value> {
    let mut known: Vec<&str> = Vec::new();
    for name in named_types(value) {
        if TYPES.contains(&name) && !known.contains(&name) {
            known.push(name);
        }
    }
    match value {
        _ if known.is_empty() => None,
        Value::Array(_) => Some(json!(known)),
        single => Some(single.clone()),
    }
}

/// A keyword that needs nothing but itself, if the value is one; of all others, nothing.
pub(super) fn plain(name: &str, value: &Value) -> Option<Value> {
    let keeps = match name {
        "description" => return described(value.as_str()?, MAX_DESCRIPTION),
        // 3.0 says so with a format, 3.1 with a keyword.
        "format" => return format(value.as_str()?),
        "default" => value.to_string().chars().count() <= MAX_DEFAULT,
        "const" => true,
        "enum" => value.as_array().is_some_and(|values| !values.is_empty()),
        "minimum" | "maximum" => value.is_number(),
        "multipleOf" => value.as_f64().is_some_and(|number| number > 0.0),
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties"
        | "minContains" | "maxContains" => value.is_u64(),
        "uniqueItems" => *value == Value::Bool(true),
        "pattern" => value.as_str().is_some_and(is_pattern),
        "contentEncoding" | "contentMediaType" => value.is_string(),
        "dependentRequired" => value.as_object().is_some_and(|members| {
            members.values().all(|names| {
                let names = names.as_array();
                names.is_some_and(|names| names.iter().all(Value::is_string))
            })
        }),
        _ => false,
    };
    keeps.then(|| value.clone())
}

/// As much of a description as a model should read.
pub(super) fn described(text: &str, max: usize) -> Option<Value> {
    let text = on_one_line(text, max);
    (!text.is_empty()).then_some(Value::String(text))
}

/// As much of a text, without the breaks and blanks that mean nothing.
pub(super) fn on_one_line(text: &str, max: usize) -> String {
    shortened(&text.split_whitespace().collect::<Vec<_>>().join(" "), max)
}

/// A text of at most that many characters, the last of which says that there was more.
pub(super) fn shortened(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut beginning: String = text.chars().take(max - 1).collect();
    beginning.push('…');
    beginning
}

/// Formats that say something to a model. How many bits a number has does not.
fn format(name: &str) -> Option<Value> {
    let says_nothing = [
        "int32", "int64", "float", "double", "byte", "binary", "string",
    ];
    (!says_nothing.contains(&name) && !name.is_empty()).then(|| Value::from(name))
}

/// Whether a text is a regular expression that can be used.
pub(super) fn is_pattern(text: &str) -> bool {
    schema_problem(&json!({ "pattern": text })).is_none()
}

/// `exclusiveMinimum` and `exclusiveMaximum`: numbers now, and in 3.0 a word about `minimum` and
/// `maximum`. Bytes, which 3.0 knows by a format, are told as JSON Schema does.
pub(super) fn exclusive_limits(members: &Map<String, Value>, schema: &mut Map<String, Value>) {
    for (exclusive, inclusive) in [
        ("exclusiveMinimum", "minimum"),
        ("exclusiveMaximum", "maximum"),
    ] {
        match members.get(exclusive) {
            Some(Value::Bool(true)) => {
                if let Some(limit) = schema.remove(inclusive) {
                    schema.insert(exclusive.to_owned(), limit);
                }
            }
            Some(limit @ Value::Number(_)) => {
                schema.insert(exclusive.to_owned(), limit.clone());
            }
            _ => {}
        }
    }
    if members.get("format") == Some(&json!("byte")) {
        schema.insert("contentEncoding".to_owned(), json!("base64"));
    }
}

/// The same schema, and null as well.
pub(super) fn nullable(mut schema: Map<String, Value>) -> Value {
    if schema.is_empty() {
        return Value::Object(schema);
    }
    match schema.get_mut("type") {
        Some(Value::String(name)) => {
            let both = json!([name, "null"]);
            schema.insert("type".to_owned(), both);
        }
        Some(Value::Array(names)) if !names.contains(&json!("null")) => names.push(json!("null")),
        Some(_) => {}
        None => return json!({ "anyOf": [schema, { "type": "null" }] }),
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    Value::Object(schema)
}
