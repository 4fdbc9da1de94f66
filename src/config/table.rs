//! Tables of the TOML file that come in any number: `[[scopes]]`, `[[clients]]` …
//!
//! What is wrong with one is noted with file and line, and the others are read all the same.

use serde_json::{Map, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{ConfigError, sources::Source};
use crate::model::scope::ScopeCatalogue;

/// One table, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// What it is called: `scopes`.
    name: String,
    pub(super) source: Source,
    members: Map<String, Value>,
}

/// Reads every table of that name. `place` tells where an offset of the file is.
pub(super) fn read_all(
    name: &str,
    value: &Spanned<DeValue<'_>>,
    place: &dyn Fn(usize) -> Source,
    errors: &mut Vec<ConfigError>,
) -> Vec<Table> {
    let items: Option<Vec<(Source, &DeTable<'_>)>> = value.get_ref().as_array().and_then(|items| {
        let tables = items.iter().map(|item| {
            let table = item.get_ref().as_table()?;
            Some((place(item.span().start), table))
        });
        tables.collect()
    });
    let Some(items) = items else {
        let source = place(value.span().start);
        errors.push(ConfigError::new(format!(
            "{name} ({source}): write each as a table, [[{name}]]"
        )));
        return Vec::new();
    };
    let tables = items.into_iter().map(|(source, table)| Table {
        name: name.to_owned(),
        source,
        members: as_json(table),
    });
    tables.collect()
}

impl Table {
    /// What is wrong with it.
    pub(super) fn problem(&self, message: impl AsRef<str>) -> ConfigError {
        let (name, source, message) = (&self.name, &self.source, message.as_ref());
        ConfigError::new(format!("{name} ({source}): {message}"))
    }

    /// Its members.
    pub(super) fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// Refuses members that mean nothing: they are typing mistakes.
    pub(super) fn knows_only(&self, known: &[&str]) -> Result<(), String> {
        let mut names = self.members.keys();
        match names.find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => Err(format!("unknown key {unknown:?}")),
            None => Ok(()),
        }
    }

    /// A text that must be there.
    pub(super) fn text(&self, key: &str) -> Result<String, String> {
        self.optional_text(key)?
            .ok_or_else(|| format!("{key} must be a text"))
    }

    /// A text that need not be there.
    pub(super) fn optional_text(&self, key: &str) -> Result<Option<String>, String> {
        match self.members.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text.clone())),
            Some(_) => Err(format!("{key} must be a text")),
        }
    }

    /// A list of texts; absent is empty.
    pub(super) fn list(&self, key: &str) -> Result<Vec<String>, String> {
        let Some(value) = self.members.get(key) else {
            return Ok(Vec::new());
        };
        let texts = value.as_array().map(|items| {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<String>>>()
        });
        texts
            .flatten()
            .ok_or_else(|| format!("{key} must be a list of texts"))
    }

    /// The scopes that somebody may have must exist: of what does not, nothing is left, and that would
    /// mean the default.
    pub(super) fn check_scope(&self, scopes: &ScopeCatalogue) -> Result<(), String> {
        let Some(scope) = self.optional_text("scope")? else {
            return Ok(());
        };
        let is_known = |name: &&str| scopes.resource_scopes().any(|d| d.scope.as_str() == *name);
        match scope.split_whitespace().find(|name| !is_known(name)) {
            Some(unknown) => Err(format!("scope: {unknown:?} is not defined")),
            None => Ok(()),
        }
    }

    /// A secret, written here or in the environment variable that `{key}_env` names.
    pub(super) fn secret(
        &self,
        key: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<String>, String> {
        let named = format!("{key}_env");
        match (self.optional_text(key)?, self.optional_text(&named)?) {
            (Some(_), Some(_)) => Err(format!("set {key} or {named}, not both")),
            (None, Some(variable)) => environment(&variable)
                .filter(|secret| !secret.trim().is_empty())
                .map(Some)
                .ok_or_else(|| format!("{named}: the variable {variable} is not set")),
            (secret, None) => Ok(secret),
        }
    }
}

fn as_json(table: &DeTable<'_>) -> Map<String, Value> {
    let members = table.iter();
    members
        .map(|(name, value)| (name.get_ref().to_string(), value_as_json(value.get_ref())))
        .collect()
}

fn value_as_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => number.as_str().parse().map_or(Value::Null, Value::Number),
        DeValue::Float(number) => number.as_str().parse().map_or(Value::Null, Value::Number),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(moment) => Value::String(moment.to_string()),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| value_as_json(item.get_ref()));
            Value::Array(items.collect())
        }
        DeValue::Table(table) => Value::Object(as_json(table)),
    }
}
