//! Tables of the TOML file that come in any number: `[[scopes]]`, `[[clients]]` …
//!
//! What is wrong with one is noted with file and line, and the others are read all the same.

use std::time::Duration;

use serde_json::{Map, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{ConfigError, Environment, sources::Source, values::lifetime};
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

/// What each of the tables says. `read` gets those before it too.
pub(super) fn each<'a, T>(
    tables: &'a [Table],
    errors: &mut Vec<ConfigError>,
    read: impl Fn(&'a Table, &[T]) -> Result<T, String>,
) -> Vec<T> {
    let mut all = Vec::new();
    for table in tables {
        match read(table, &all) {
            Ok(one) => all.push(one),
            Err(message) => errors.push(table.problem(message)),
        }
    }
    all
}

/// The same, where each has a name of its own.
pub(super) fn each_once<'a, T>(
    tables: &'a [Table],
    errors: &mut Vec<ConfigError>,
    name: impl Fn(&T) -> &str,
    read: impl Fn(&'a Table) -> Result<T, String>,
) -> Vec<T> {
    each(tables, errors, |table, before| {
        let one = read(table)?;
        let its_name = name(&one);
        if before.iter().any(|other| name(other) == its_name) {
            return Err(twice(its_name));
        }
        Ok(one)
    })
}

/// Says that a name is taken.
pub(super) fn twice(name: &str) -> String {
    format!("{name:?} stands there twice")
}

/// Refuses members that mean nothing: they are typing mistakes.
pub(super) fn knows_only(members: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(format!("unknown key {unknown:?}")),
        None => Ok(()),
    }
}

/// A text that need not be there.
pub(super) fn optional_text(
    members: &Map<String, Value>,
    key: &str,
) -> Result<Option<String>, String> {
    match members.get(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(format!("{key} must be a text")),
    }
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

    /// Refuses members that mean nothing.
    pub(super) fn knows_only(&self, known: &[&str]) -> Result<(), String> {
        knows_only(&self.members, known)
    }

    /// A text that must be there.
    pub(super) fn text(&self, key: &str) -> Result<String, String> {
        self.optional_text(key)?
            .ok_or_else(|| format!("{key} must be a text"))
    }

    /// A text that need not be there.
    pub(super) fn optional_text(&self, key: &str) -> Result<Option<String>, String> {
        optional_text(&self.members, key)
    }

    /// Absent is false.
    pub(super) fn flag(&self, key: &str) -> Result<bool, String> {
        match self.members.get(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(format!("{key} must be true or false")),
        }
    }

    /// A time of a second or more.
    pub(super) fn lifetime(&self, key: &str) -> Result<Option<Duration>, String> {
        let text = self.optional_text(key)?;
        let time = text.map(|text| lifetime(&text).map_err(|problem| format!("{key} {problem}")));
        time.transpose()
    }

    /// A table within it that need not be there. `must` says what it has to be.
    pub(super) fn inner(
        &self,
        key: &str,
        must: &str,
    ) -> Result<Option<&Map<String, Value>>, String> {
        match self.members.get(key) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(members)),
            Some(_) => Err(must.to_owned()),
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
        match scope
            .split_whitespace()
            .find(|name| scopes.find(name).is_none())
        {
            Some(unknown) => Err(format!("scope: {unknown:?} is not defined")),
            None => Ok(()),
        }
    }

    /// A secret, written here or in the environment variable that `{key}_env` names.
    pub(super) fn secret(
        &self,
        key: &str,
        environment: Environment<'_>,
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
