//! Which part of an answer is meant: names, one within the other.

use std::fmt;

/// `total`, `owner.login`. What is a list on the way is meant item by item.
#[derive(Clone, PartialEq, Eq)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let names: Vec<String> = text.split('.').map(str::to_owned).collect();
        let is_whole = names.iter().all(|name| !name.trim().is_empty());
        is_whole.then_some(Self(names))
    }

    /// The names, the outermost first.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldPath({})", self.0.join("."))
    }
}
