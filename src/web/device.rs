//! What kind of program and system somebody says they have (RFC 9110 §10.1.5). It is a hint for
//! people: coarse, so that it tells nobody apart, and bounded, because anybody may write anything.

use axum::http::{HeaderMap, header};

/// The longest name of a program.
const LONGEST: usize = 30;

/// Browsers, by what only they say. Each says what those after it say as well.
const BROWSERS: [(&str, &str); 5] = [
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

/// Systems, likewise.
const SYSTEMS: [(&str, &str); 10] = [
    ("iphone", "iPhone"),
    ("ipad", "iPad"),
    ("android", "Android"),
    ("cros ", "ChromeOS"),
    ("windows", "Windows"),
    ("mac os", "macOS"),
    ("macos", "macOS"),
    ("macintosh", "macOS"),
    ("darwin", "macOS"),
    ("linux", "Linux"),
];

/// What the sender of `headers` says: `Firefox on Windows`, `node`.
pub fn of(headers: &HeaderMap) -> Option<Box<str>> {
    let said = headers.get(header::USER_AGENT)?.to_str().ok()?;
    described(said)
}

fn described(said: &str) -> Option<Box<str>> {
    let product = said.split(['/', ' ', '(']).next().unwrap_or_default();
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let product: String = product.chars().filter(is_plain).take(LONGEST).collect();
    let program = match product.as_str() {
        "Mozilla" => {
            let mut browsers = BROWSERS.iter();
            browsers
                .find(|(mark, _)| said.contains(mark))
                .map(|(_, name)| *name)
        }
        "" => None,
        name => Some(name),
    };
    let lower = said.to_ascii_lowercase();
    let mut systems = SYSTEMS.iter();
    let system = systems
        .find(|(mark, _)| lower.contains(mark))
        .map(|(_, name)| *name);
    match (program, system) {
        (Some(program), Some(system)) => Some(format!("{program} on {system}").into()),
        (Some(only), None) | (None, Some(only)) => Some(only.into()),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_and_its_system_are_told_and_nothing_else() {
        let long = "x".repeat(4096);
        for (said, shown) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
                Some("Edge on Windows"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                Some("Safari on iPhone"),
            ),
            ("Cursor/1.7 (darwin arm64)", Some("Cursor on macOS")),
            ("python-httpx/0.28.1", Some("python-httpx")),
            ("node", Some("node")),
            ("<script>alert(1)</script>", Some("scriptalert")),
            ("/", None),
            ("", None),
            (&long, Some(&long[..LONGEST])),
        ] {
            assert_eq!(described(said).as_deref(), shown, "{said}");
        }
    }
}
