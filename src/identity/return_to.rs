//! Where to go on after signing in: a path on this server, never anywhere else.

/// A path with its query, on this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTo(String);

impl ReturnTo {
    /// Reads a path from outside. Whatever a browser could take for another server (`//host`,
    /// `/\host`, controls that it strips) is refused.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| matches!(byte, b'!'..=b'~')) && !text.contains('\\');
        let local = text.starts_with('/') && !text.starts_with("//");
        (plain && local && text.len() <= 500).then(|| Self(text.to_owned()))
    }

    /// The page at `/`.
    pub fn home() -> Self {
        Self("/".to_owned())
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours() {
        assert!(ReturnTo::parse("/consent?request=ar_x").is_some());
        for elsewhere in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/a\r\nSet-Cookie: x",
            "consent",
        ] {
            assert_eq!(ReturnTo::parse(elsewhere), None, "{elsewhere:?}");
        }
    }
}
