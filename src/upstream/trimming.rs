//! Less of an answer: the fields that the operator wants, and no more than a model should read.
//!
//! What is too long is shortened so that it is still JSON, and what was left out is said.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::api::FieldPath;

/// The part of an answer that is wanted. Lists are gone through item by item.
pub(super) fn keep(value: Value, fields: &[FieldPath]) -> Value {
    if fields.is_empty() {
        return value;
    }
    let mut wanted = Wanted::default();
    for field in fields {
        wanted.add(field.names());
    }
    wanted.of(value)
}

/// Names that are wanted, and what is wanted of each; nothing below a name: all of it.
#[derive(Default)]
struct Wanted<'a>(BTreeMap<&'a str, Self>);

impl<'a> Wanted<'a> {
    fn add(&mut self, names: &'a [String]) {
        if let Some((first, rest)) = names.split_first() {
            let is_new = !self.0.contains_key(first.as_str());
            let inner = self.0.entry(first).or_default();
            // Who wants all of it gets that, whoever else wants a part.
            if rest.is_empty() {
                inner.0.clear();
            } else if is_new || !inner.0.is_empty() {
                inner.add(rest);
            }
        }
    }

    fn of(&self, value: Value) -> Value {
        match value {
            _ if self.0.is_empty() => value,
            Value::Array(items) => items.into_iter().map(|item| self.of(item)).collect(),
            Value::Object(members) => {
                let members = members.into_iter();
                let kept = members.filter_map(|(name, value)| {
                    let inner = self.0.get(name.as_str())?;
                    Some((name, inner.of(value)))
                });
                Value::Object(kept.collect())
            }
            // Not what was expected at this place: the model sees it as it is.
            other => other,
        }
    }
}

/// Shortens a value to about `max` characters of JSON; tells what is missing.
pub(super) fn shorten(value: Value, max: usize) -> (Value, Vec<String>) {
    let mut missing = Vec::new();
    if length(&value) <= max {
        return (value, missing);
    }
    let value = match value {
        Value::Array(items) => Value::Array(first_items(items, max, "", &mut missing)),
        Value::Object(members) => Value::Object(largest_last(members, max, &mut missing)),
        Value::String(text) => Value::String(first_chars(&text, max, "", &mut missing)),
        other => other,
    };
    (value, missing)
}

/// As many items as there is room for.
fn first_items(items: Vec<Value>, max: usize, name: &str, missing: &mut Vec<String>) -> Vec<Value> {
    let total = items.len();
    let mut room = max.saturating_sub(2);
    let mut kept = Vec::new();
    for item in items {
        let needed = length(&item) + 1;
        if needed > room {
            break;
        }
        room -= needed;
        kept.push(item);
    }
    let left_out = total - kept.len();
    missing.push(format!("{left_out} of {total} items{}", of(name)));
    kept
}

/// As much of a text as there is room for.
pub(super) fn first_chars(text: &str, max: usize, name: &str, missing: &mut Vec<String>) -> String {
    let total = text.chars().count();
    if total <= max {
        return text.to_owned();
    }
    missing.push(format!("{} of {total} characters{}", total - max, of(name)));
    text.chars().take(max).collect()
}

/// Shortens the largest members until the whole fits.
fn largest_last(
    members: Map<String, Value>,
    max: usize,
    missing: &mut Vec<String>,
) -> Map<String, Value> {
    let size = |name: &str, value: &Value| name.chars().count() + length(value) + 4;
    let mut sizes: Vec<(usize, String)> = members
        .iter()
        .map(|(name, value)| (size(name, value), name.clone()))
        .collect();
    sizes.sort();
    // The braces, and no comma after the last.
    let mut total = 1 + sizes.iter().map(|(size, _)| size).sum::<usize>();
    let mut members = members;
    while total > max {
        let Some((large, name)) = sizes.pop() else {
            break;
        };
        let Some(value) = members.remove(&name) else {
            continue;
        };
        total -= large;
        let room = max.saturating_sub(total + name.chars().count() + 4);
        let shortened = match value {
            Value::Array(items) if room > 2 => {
                Some(Value::Array(first_items(items, room, &name, missing)))
            }
            Value::String(text) if room > 2 => {
                let room = room - 2;
                Some(Value::String(first_chars(&text, room, &name, missing)))
            }
            _ => None,
        };
        match shortened {
            Some(value) => {
                total += size(&name, &value);
                members.insert(name, value);
            }
            None => missing.push(format!("{name:?}")),
        }
    }
    members
}

fn of(name: &str) -> String {
    if name.is_empty() {
        String::new()
    } else {
        format!(" of {name:?}")
    }
}

fn length(value: &Value) -> usize {
    value.to_string().chars().count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept(value: Value, fields: &[&str]) -> Value {
        let fields: Vec<FieldPath> = fields
            .iter()
            .map(|f| FieldPath::parse(f).unwrap())
            .collect();
        keep(value, &fields)
    }

    #[test]
    fn wanted_fields_are_found_in_lists_too() {
        let value = json!({
            "total": 2, "next": "…",
            "items": [{ "id": 1, "owner": { "login": "a", "url": "…" } }, { "id": 2, "x": 1 }],
        });
        assert_eq!(kept(value.clone(), &[]), value);
        assert_eq!(
            kept(value.clone(), &["total", "items.id", "items.owner.login"]),
            json!({
                "total": 2,
                "items": [{ "id": 1, "owner": { "login": "a" } }, { "id": 2 }],
            })
        );
        for fields in [["items.id", "items"], ["items", "items.id"]] {
            assert_eq!(kept(value.clone(), &fields)["items"], value["items"]);
        }
        assert_eq!(kept(value, &["nothing"]), json!({}));
        assert_eq!(
            kept(json!([{ "a": 1, "b": 2 }, 3]), &["a"]),
            json!([{ "a": 1 }, 3])
        );
    }

    #[test]
    fn what_is_too_long_is_shortened_to_json_and_what_is_missing_is_said() {
        for (value, max, expected, said) in [
            (json!([1, 2, 3]), 100, json!([1, 2, 3]), vec![]),
            (
                json!(["aaaa", "bbbb", "cccc"]),
                18,
                json!(["aaaa", "bbbb"]),
                vec!["1 of 3 items"],
            ),
            (
                json!({ "n": 3, "items": ["aaaa", "bbbb", "cccc"] }),
                35,
                json!({ "n": 3, "items": ["aaaa", "bbbb"] }),
                vec!["1 of 3 items of \"items\""],
            ),
            (
                json!({ "n": 3, "text": "abcdefghijklmnopqrstuvwxyz" }),
                25,
                json!({ "n": 3, "text": "abcdefgh" }),
                vec!["18 of 26 characters of \"text\""],
            ),
            (
                json!({ "n": 3, "inner": { "a": "abcdefghijklmnopqrstuvwxyz" } }),
                25,
                json!({ "n": 3 }),
                vec!["\"inner\""],
            ),
            (json!("äöü"), 2, json!("äö"), vec!["1 of 3 characters"]),
        ] {
            let (shortened, missing) = shorten(value.clone(), max);
            assert_eq!(shortened, expected, "{value}");
            assert_eq!(missing, said, "{value}");
        }
    }
}
