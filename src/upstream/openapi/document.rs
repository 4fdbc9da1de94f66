//! The description itself: read, and found one's way about in.

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// How many references are followed one after the other.
const MAX_STEPS: usize = 16;

/// A description of an API, OpenAPI 3.0 or later.
#[derive(Debug)]
pub(super) struct Document {
    root: Value,
    /// Schemas are those of 3.0: nearly JSON Schema, and not quite.
    pub(super) is_3_0: bool,
}

impl Document {
    /// Reads a text, JSON or YAML.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        let root: Value = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?
        } else {
            serde_saphyr::from_str_with_options(text, yaml_options())
                .map_err(|error| format!("it is not YAML: {error}"))?
        };
        let version = match root.get("openapi") {
            Some(Value::String(version)) => version.clone(),
            // `openapi: 3.1`, without quotes, is a number in YAML.
            Some(Value::Number(version)) => version.to_string(),
            _ if root.get("swagger").is_some() => {
                return Err("it is Swagger 2.0; convert it to OpenAPI 3 first".to_owned());
            }
            _ => return Err("it does not say which openapi it is".to_owned()),
        };
        let is_3_0 = version == "3.0" || version.starts_with("3.0.");
        if !is_3_0 && !version.starts_with("3.") {
            return Err(format!(
                "it is OpenAPI {version}; 3.0 and 3.1 are understood"
            ));
        }
        Ok(Self { root, is_3_0 })
    }

    /// A member of the document.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.root.get(name)
    }

    /// What a local reference points to (RFC 6901 §6).
    pub(super) fn find(&self, reference: &str) -> Option<&Value> {
        let pointer = reference.strip_prefix('#')?;
        let pointer = percent_decode_str(pointer).decode_utf8().ok()?;
        self.root.pointer(&pointer)
    }

    /// The thing itself, where there may be a reference to it; `None` if it leads nowhere, to another
    /// document, or round in circles.
    pub(super) fn resolve<'a>(&'a self, value: &'a Value) -> Option<&'a Value> {
        let mut value = value;
        for _ in 0..MAX_STEPS {
            match value.get("$ref") {
                None => return Some(value),
                Some(reference) => value = self.find(reference.as_str()?)?,
            }
        }
        None
    }
}

/// YAML 1.2, where `no` is a word; and room for large descriptions, which their size has bounded
/// already. What grows when it is read is bounded by the parser's own limits.
fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        budget: serde_saphyr::budget! {
            max_depth: 128,
            max_nodes: 4_000_000,
            max_events: 12_000_000,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(text: &str) -> String {
        Document::parse(text).unwrap_err()
    }

    #[test]
    fn json_and_yaml_are_read() {
        for text in [
            r#"{ "openapi": "3.0.3", "info": { "title": "a" } }"#,
            "\u{feff}openapi: 3.0.3\ninfo:\n  title: a\n",
            "# comment\nopenapi: \"3.0\"\ninfo: { title: a }\n",
        ] {
            let document = Document::parse(text).unwrap();
            assert!(document.is_3_0, "{text}");
            assert_eq!(
                document.find("#/info/title"),
                Some(&Value::from("a")),
                "{text}"
            );
        }
        for text in ["openapi: 3.1.1", "openapi: 3.1", "openapi: 3.2.0"] {
            assert!(!Document::parse(text).unwrap().is_3_0, "{text}");
        }
    }

    #[test]
    fn yaml_means_what_its_core_schema_says() {
        let text = "openapi: 3.0.3\nresponses: { 200: a, 4XX: b }\n\
                    words: [yes, no, on, NO, y, 2020-01-01, 1.0.0, ~x]\nothers: [true, null, ~, 7, 1.5]\n";
        let document = Document::parse(text).unwrap();
        let responses = document.get("responses").unwrap();
        assert_eq!(responses, &json!({ "200": "a", "4XX": "b" }));
        let words = json!(["yes", "no", "on", "NO", "y", "2020-01-01", "1.0.0", "~x"]);
        assert_eq!(document.get("words"), Some(&words));
        assert_eq!(
            document.get("others"),
            Some(&json!([true, null, null, 7, 1.5]))
        );
    }

    #[test]
    fn what_is_no_description_is_named() {
        assert!(problem("swagger: '2.0'").contains("Swagger 2.0"));
        assert!(problem("openapi: 4.0.0").contains("OpenAPI 4.0.0"));
        assert!(problem("{ \"openapi\": ").contains("not JSON"));
        assert!(problem("a: [").contains("not YAML"));
        assert!(problem("hello").contains("which openapi"));
        assert!(problem("").contains("which openapi"));
    }

    #[test]
    fn a_document_that_grows_when_it_is_read_is_refused() {
        let lines = (1..12).map(|n| {
            let earlier = vec![format!("*a{}", n - 1); 9].join(", ");
            format!("a{n}: &a{n} [{earlier}]\n")
        });
        let text: String = lines.collect();
        let text = format!("openapi: 3.0.0\na0: &a0 [x, x, x, x, x, x, x, x, x]\n{text}");
        assert!(problem(&text).contains("not YAML"));
    }

    #[test]
    fn references_are_followed_within_the_document() {
        let document = Document::parse(
            "openapi: 3.0.0\na: { $ref: '#/paths/~1pets~1%7Bid%7D' }\nb: { $ref: '#/b' }\n\
             c: { $ref: 'other.yaml#/x' }\npaths: { '/pets/{id}': { x: 1 } }",
        );
        let document = document.unwrap();
        let resolved = |name: &str| document.resolve(document.get(name).unwrap());
        assert_eq!(resolved("a").unwrap()["x"], 1);
        assert_eq!(resolved("b"), None);
        assert_eq!(resolved("c"), None);
    }
}
