//! JSON in which no object has a member twice.
//!
//! Two readers who disagree about which of two members counts can be played off against each
//! other, so a header or a claim that comes twice is refused (RFC 7515 §4, RFC 7519 §4), at every
//! depth. `serde_json` alone would take the last.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// Reads a value; `None` if it is not JSON, nested too deep, or has a member twice.
pub(super) fn value(bytes: &[u8]) -> Option<Value> {
    let Unambiguous(value) = serde_json::from_slice(bytes).ok()?;
    Some(value)
}

/// Reads an object.
pub(super) fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match value(bytes)? {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// Reads base64url. Padding, and bits beyond the last byte, are refused: one value has one text.
pub(super) fn base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unambiguous(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unambiguous(value))) = members.next_entry::<String, _>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member comes twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_serde_json_reads() {
        let text = r#"{"a":[null,true,1,-2,0.5,1e9],"b":{"c":"\u00e9"},"":[]}"#;
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value(text.as_bytes()), Some(expected));
    }

    #[test]
    fn ambiguous_and_broken_texts_are_refused() {
        let too_deep = "[".repeat(10_000);
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"[{"a":1,"a":2}]"#,
            r#"{"a":1}{"#,
            r#"{"a":1e999}"#,
            "",
            "\u{feff}{}",
            &too_deep,
        ] {
            assert_eq!(value(text.as_bytes()), None, "{text}");
        }
        assert_eq!(value(b"\"\xff\""), None);
        assert_eq!(object(b"[]"), None);
    }
}
