//! Completion: what could stand in a gap, while a person types.

use std::collections::BTreeMap;

/// What is being filled in.
#[derive(Debug, Clone, Copy)]
pub struct Completing<'a> {
    /// The argument of a prompt, or the variable of a pattern.
    pub name: &'a str,
    /// What has been typed of it.
    pub value: &'a str,
    /// The others that have been filled in.
    pub others: &'a BTreeMap<String, String>,
}

/// What it could become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// The best first.
    pub values: Vec<String>,
    /// How many there are in all; `None`: as many as `values`.
    pub total: Option<u64>,
    /// Whether there are more than `values`.
    pub has_more: bool,
}

impl From<Vec<String>> for Completion {
    fn from(values: Vec<String>) -> Self {
        Self {
            values,
            ..Self::default()
        }
    }
}
