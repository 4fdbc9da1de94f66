//! What an API says went wrong: the sentence in its answer that is meant to be read.

use serde_json::Value;

use super::client::Answer;

/// The longest that is passed on, in characters.
const MAX_MESSAGE: usize = 1000;

/// Members that hold the sentence, the best first. `detail` and `title` are those of RFC 9457,
/// `error_description` is OAuth's; `message`, `error`, `errors` and the rest are what people do.
const MEMBERS: [&str; 10] = [
    "detail",
    "message",
    "error_description",
    "error_message",
    "error",
    "errors",
    "msg",
    "reason",
    "description",
    "title",
];

/// The API's own words, as far as one can read them; empty where there are none.
pub(super) fn of(answer: &Answer) -> String {
    let media_type = answer.media_type().unwrap_or_default();
    // A web page is for people with a browser.
    let said = if media_type.contains("html") {
        String::new()
    } else {
        match serde_json::from_slice::<Value>(&answer.body) {
            Ok(value) => in_value(&value, 0).unwrap_or_else(|| match &value {
                Value::Object(members) if members.is_empty() => String::new(),
                Value::Null => String::new(),
                other => other.to_string(),
            }),
            Err(_) => String::from_utf8(answer.body.to_vec()).unwrap_or_default(),
        }
    };
    let said = said.trim();
    if said.chars().count() > MAX_MESSAGE {
        let beginning: String = said.chars().take(MAX_MESSAGE).collect();
        return format!("{beginning}…");
    }
    said.to_owned()
}

fn in_value(value: &Value, depth: usize) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ if depth > 3 => None,
        Value::Array(items) => {
            let said: Vec<String> = items
                .iter()
                .take(5)
                .filter_map(|item| in_value(item, depth + 1))
                .collect();
            (!said.is_empty()).then(|| said.join("; "))
        }
        Value::Object(members) => {
            let found = MEMBERS.iter().find_map(|name| {
                let said = in_value(members.get(*name)?, depth + 1)?;
                Some((*name, said))
            });
            let (name, said) = found?;
            // What is titled, and then explained, is both (RFC 9457 §3.1).
            let title = members.get("title").and_then(Value::as_str);
            let titled = match title.filter(|title| name != "title" && *title != said) {
                Some(title) => format!("{title}: {said}"),
                None => said,
            };
            Some(match members.get("loc").or_else(|| members.get("field")) {
                Some(place) => format!("{}: {titled}", place_of(place)),
                None => titled,
            })
        }
        _ => None,
    }
}

/// Where in the request something is wrong: `body.name`.
fn place_of(place: &Value) -> String {
    match place {
        Value::Array(names) => {
            let names: Vec<String> = names.iter().map(place_of).collect();
            names.join(".")
        }
        Value::String(name) => name.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

    use super::*;

    fn said(content_type: &'static str, body: &str) -> String {
        let content_type = HeaderValue::from_static(content_type);
        of(&Answer {
            status: StatusCode::BAD_REQUEST,
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]),
            body: body.to_owned().into(),
        })
    }

    #[test]
    fn the_sentence_is_found_wherever_apis_put_it() {
        for (body, expected) in [
            // RFC 9457 §3, the first example.
            (
                r#"{"type": "https://example.com/probs/out-of-credit",
                    "title": "You do not have enough credit.",
                    "detail": "Your current balance is 30, but that costs 50."}"#,
                "You do not have enough credit.: Your current balance is 30, but that costs 50.",
            ),
            (r#"{"title": "Not found"}"#, "Not found"),
            (
                r#"{"message": "Validation Failed", "documentation_url": "…"}"#,
                "Validation Failed",
            ),
            (r#"{"error": "no such pet"}"#, "no such pet"),
            (
                r#"{"error": {"code": 7, "message": "no such pet"}}"#,
                "no such pet",
            ),
            (
                r#"{"error": "invalid_request", "error_description": "too many pets"}"#,
                "too many pets",
            ),
            (
                r#"{"errors": [{"message": "a"}, {"message": "b"}]}"#,
                "a; b",
            ),
            (
                r#"{"detail": [{"loc": ["body", "name"], "msg": "Field required"}]}"#,
                "body.name: Field required",
            ),
            (r#""no""#, "no"),
            (r#"{"code": 17}"#, r#"{"code":17}"#),
            ("{}", ""),
            ("", ""),
        ] {
            assert_eq!(said("application/json", body), expected, "{body}");
        }
        assert_eq!(said("text/plain", " no such pet\n"), "no such pet");
        assert_eq!(said("text/html; charset=utf-8", "<h1>No</h1>"), "");
        assert_eq!(said("text/plain", &"x".repeat(5000)).chars().count(), 1001);
    }
}
