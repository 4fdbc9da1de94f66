//! A statement with its values.

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use crate::{
    clock::Timestamp,
    model::{client::ClientId, grant::GrantId, scope::ScopeSet, user::UserId},
    secret::Digest,
};

/// What is said to the database. The text is ours; whatever comes from outside is a value.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) text: SqlStr,
    pub(super) values: Vec<Value>,
}

/// A value, of one of the three types that there are in our tables.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// A statement that has no values yet. The first one that is bound is `$1`.
pub(super) fn sql(text: &'static str) -> Statement {
    Statement {
        text: text.into_sql_str(),
        values: Vec::new(),
    }
}

/// The same with a text that is put together from the names of our own tables and columns.
pub(super) fn composed(text: String) -> Statement {
    Statement {
        text: AssertSqlSafe(text).into_sql_str(),
        values: Vec::new(),
    }
}

impl Statement {
    /// The same with one value more.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

/// Numbers of ours that have 63 bits at most.
impl From<u64> for Value {
    fn from(value: u64) -> Self {
        i64::try_from(value).unwrap_or(i64::MAX).into()
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        i64::from(value).into()
    }
}

/// Numbers of things, which are far from where this ends.
impl From<usize> for Value {
    fn from(value: usize) -> Self {
        i64::try_from(value).unwrap_or(i64::MAX).into()
    }
}

/// The databases' numbers end before ours do, at a moment that nobody will see.
impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        i64::try_from(value.as_millis()).unwrap_or(i64::MAX).into()
    }
}

impl From<Option<Timestamp>> for Value {
    fn from(value: Option<Timestamp>) -> Self {
        value.map_or(Self::Int(None), Self::from)
    }
}

impl From<&Digest> for Value {
    fn from(value: &Digest) -> Self {
        value.as_bytes().as_slice().into()
    }
}

impl From<Option<Digest>> for Value {
    fn from(value: Option<Digest>) -> Self {
        value.as_ref().map_or(Self::Bytes(None), Self::from)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        value.to_owned().into()
    }
}

impl From<&UserId> for Value {
    fn from(value: &UserId) -> Self {
        value.as_str().into()
    }
}

impl From<&ClientId> for Value {
    fn from(value: &ClientId) -> Self {
        value.as_str().into()
    }
}

impl From<GrantId> for Value {
    fn from(value: GrantId) -> Self {
        value.to_string().into()
    }
}

impl From<&ScopeSet> for Value {
    fn from(value: &ScopeSet) -> Self {
        value.to_string().into()
    }
}
