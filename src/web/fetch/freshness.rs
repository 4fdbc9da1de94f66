//! How long an answer may be used (RFC 9111).

use std::time::Duration;

use axum::http::{HeaderMap, header};

/// What `Cache-Control` says, less the `Age` that the answer has already; `None`: nothing. An
/// `Expires` alone counts as nothing.
pub(super) fn of(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(header::CACHE_CONTROL).iter();
    let directives: Vec<(String, &str)> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|directive| {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let value = value.trim();
            let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            (name.trim().to_ascii_lowercase(), quoted.unwrap_or(value))
        })
        .collect();
    let said = |name: &str| directives.iter().find(|(other, _)| other == name);
    // RFC 9111 §5.2.2: neither to be kept nor to be used without asking. What we keep serves
    // everyone, so `private` is not meant for us, and `s-maxage` is.
    if ["no-store", "no-cache", "private"]
        .iter()
        .any(|name| said(name).is_some())
    {
        return Some(Duration::ZERO);
    }
    let (_, lifetime) = said("s-maxage").or_else(|| said("max-age"))?;
    // RFC 9111 §4.2.1: what cannot be understood is stale.
    let lifetime = delta_seconds(lifetime).unwrap_or_default();
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok());
    let age = age.and_then(delta_seconds).unwrap_or_default();
    Some(Duration::from_secs(lifetime.saturating_sub(age)))
}

/// RFC 9111 §1.2.2: what is too large to count counts as 2³¹.
fn delta_seconds(text: &str) -> Option<u64> {
    const MOST: u64 = 1 << 31;
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(MOST).min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&'static str], age: Option<&'static str>, expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::CACHE_CONTROL, line.parse().unwrap());
        }
        if let Some(age) = age {
            headers.insert(header::AGE, age.parse().unwrap());
        }
        let expected = expected.map(Duration::from_secs);
        assert_eq!(of(&headers), expected, "{lines:?} {age:?}");
    }

    #[test]
    fn an_answer_says_how_long_it_may_be_used() {
        check(&[], None, None);
        check(&[], Some("5"), None);
        check(&["public"], None, None);
        check(&["max-age=300"], None, Some(300));
        check(&["public, Max-Age = 300"], None, Some(300));
        check(&["max-age=\"300\""], None, Some(300));
        check(&["public", "max-age=300"], None, Some(300));
        check(&["max-age=300"], Some("100"), Some(200));
        check(&["max-age=300"], Some("400"), Some(0));
        check(&["max-age=300"], Some("old"), Some(300));
        check(&["max-age=300, max-age=9"], None, Some(300));
        check(&["max-age=300, s-maxage=60"], None, Some(60));
        check(&["max-age=0, must-revalidate"], None, Some(0));
        check(&["max-age=soon"], None, Some(0));
        check(&["max-age=-5"], None, Some(0));
        check(&["max-age"], None, Some(0));
        check(&["max-age=99999999999999999999999"], None, Some(1 << 31));
        check(&["max-age=300, no-store"], None, Some(0));
        check(&["No-Cache", "max-age=300"], None, Some(0));
        check(&["no-cache=\"set-cookie\", max-age=300"], None, Some(0));
        check(&["private, max-age=300"], None, Some(0));
    }
}
