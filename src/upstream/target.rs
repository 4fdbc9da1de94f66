//! Paths and queries made of arguments: whatever an argument says, it stays where it was put.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use reqwest::Url;

use crate::{api::BaseUrl, web::params::encode};

/// What cannot stand in a path as a description writes it (RFC 3986 §3.3). What is encoded already
/// stays so.
const NOT_IN_A_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The same in a query, with what would end a pair or the query. The rest of `reserved` may stand
/// there where a description allows it (OpenAPI, `allowReserved`).
const NOT_IN_A_PAIR: &AsciiSet = &NOT_IN_A_PATH
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'=');

/// A text of which every character means itself.
pub(super) fn encoded(text: &str) -> String {
    encode(text.as_bytes())
}

/// The same for a query, with the reserved characters that end nothing left as they are.
pub(super) fn encoded_but_reserved(text: &str) -> String {
    utf8_percent_encode(text, NOT_IN_A_PAIR).to_string()
}

/// A piece of a path as a description writes it.
pub(super) fn literal(text: &str) -> String {
    utf8_percent_encode(text, NOT_IN_A_PATH).to_string()
}

/// The URL of a target at an origin; `None` if it would be read as something else than it says.
pub(super) fn url(origin: &BaseUrl, target: &str) -> Option<Url> {
    let path = target.split('?').next().unwrap_or_default();
    let is_plain = target.starts_with('/')
        && target
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\\#".contains(&byte));
    if !is_plain || leads_elsewhere(path) {
        return None;
    }
    let url = Url::parse(&format!("{}{target}", origin.origin())).ok()?;
    // The parser repairs what it finds. What it left alone is what was meant.
    let same_path = url.path() == path;
    let same_origin = Url::parse(origin.origin()).is_ok_and(|o| o.origin() == url.origin());
    (same_path && same_origin).then_some(url)
}

/// Where a redirect leads, if it is to the same origin.
pub(super) fn redirected(from: &Url, location: &str) -> Option<Url> {
    let mut next = from.join(location).ok()?;
    next.set_fragment(None);
    let has_user = !next.username().is_empty() || next.password().is_some();
    (next.origin() == from.origin() && !has_user).then_some(next)
}

/// Whether a segment of the path is, or decodes to, a step to elsewhere. Servers decode before they
/// look, and some of them twice.
fn leads_elsewhere(path: &str) -> bool {
    let mut text = path.to_owned();
    for _ in 0..3 {
        if text
            .split(['/', '\\'])
            .any(|segment| matches!(segment, "." | ".."))
        {
            return true;
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return false;
        }
        text = decoded;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_stays_at_its_origin() {
        let origin = BaseUrl::parse("https://api.example").unwrap();
        for (target, expected) in [
            ("/", true),
            ("/pets/7?limit=1&q=a%20b", true),
            ("//evil.example/", true),
            ("/pets/a%2Fb", true),
            ("/@evil.example/", true),
            ("", false),
            ("pets", false),
            ("@evil.example/", false),
            (":8080/", false),
            (".evil.example/", false),
            ("/pets/../admin", false),
            ("/pets/./7", false),
            ("/pets/%2e%2E/admin", false),
            ("/pets/%252e%252e/admin", false),
            ("/pets/..%2fadmin", false),
            ("/pets/..%5Cadmin", false),
            ("/pets\\..\\admin", false),
            ("/pets#fragment", false),
            ("/pets 7", false),
            ("/pets\r\nX: y", false),
            ("/pet\u{e9}", false),
        ] {
            let made = url(&origin, target);
            assert_eq!(made.is_some(), expected, "{target}");
            if let Some(url) = made {
                assert_eq!(url.as_str(), format!("https://api.example{target}"));
            }
        }
    }

    #[test]
    fn a_redirect_is_followed_to_the_same_origin() {
        let from = Url::parse("http://api.example:8000/pets?a=b").unwrap();
        for (location, expected) in [
            ("/cats", Some("http://api.example:8000/cats")),
            ("cats#tail", Some("http://api.example:8000/cats")),
            (
                "http://api.example:8000/x",
                Some("http://api.example:8000/x"),
            ),
            ("https://api.example:8000/x", None),
            ("http://api.example/x", None),
            ("//evil.example/x", None),
            ("http://user@api.example:8000/x", None),
            ("file:///etc/passwd", None),
            ("//", None),
        ] {
            let next = redirected(&from, location);
            assert_eq!(next.as_ref().map(Url::as_str), expected, "{location}");
        }
    }

    #[test]
    fn every_character_of_an_argument_means_itself() {
        assert_eq!(
            encoded("a b/c?d#é&=+%~-._"),
            "a%20b%2Fc%3Fd%23%C3%A9%26%3D%2B%25~-._"
        );
        assert_eq!(
            encoded_but_reserved("a b/c:d@e?&=#+"),
            "a%20b/c:d@e?%26%3D%23%2B"
        );
    }
}
