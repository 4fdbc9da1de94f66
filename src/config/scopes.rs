//! The table of scopes in the TOML file:
//!
//! ```toml
//! [[scopes]]
//! name = "files.read"
//! description = "Read your files"
//! tools = ["get_*"]       # a * at the end stands for anything
//! prompts = []
//! implies = []            # scopes that this one covers as well
//! ```
//!
//! The first scope is the default: what a client gets that asks for nothing we know, and what
//! opens the tools and prompts that no scope names.

use std::collections::BTreeMap;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{ConfigError, sources::Source};
use crate::model::scope::{OFFLINE_ACCESS, Scope, ScopeDefinition};

/// Reads the table. `place` tells where an offset of the file is.
pub(super) fn read(
    value: &Spanned<DeValue<'_>>,
    place: &dyn Fn(usize) -> Source,
    errors: &mut Vec<ConfigError>,
) -> Vec<ScopeDefinition> {
    let Some(tables) = value.get_ref().as_array() else {
        let source = place(value.span().start);
        errors.push(ConfigError::new(format!(
            "scopes ({source}): write each as a table, [[scopes]]"
        )));
        return Vec::new();
    };
    let mut found: BTreeMap<Scope, Source> = BTreeMap::new();
    let mut scopes = Vec::new();
    for table in tables {
        let source = place(table.span().start);
        match definition(table.get_ref()) {
            Ok(scope) if found.contains_key(&scope.scope) => errors.push(problem(
                &source,
                &format!("{:?} stands there twice", scope.scope.as_str()),
            )),
            Ok(scope) => {
                found.insert(scope.scope.clone(), source);
                scopes.push(scope);
            }
            Err(message) => errors.push(problem(&source, &message)),
        }
    }
    for scope in &scopes {
        for implied in scope.implies.iter().filter(|s| !found.contains_key(s)) {
            let message = format!("implies {:?}, which is not defined", implied.as_str());
            if let Some(source) = found.get(&scope.scope) {
                errors.push(problem(source, &message));
            }
        }
    }
    scopes
}

fn problem(source: &Source, message: &str) -> ConfigError {
    ConfigError::new(format!("scopes ({source}): {message}"))
}

fn definition(value: &DeValue<'_>) -> Result<ScopeDefinition, String> {
    let table = value
        .as_table()
        .ok_or("write each as a table, [[scopes]]")?;
    let known = ["name", "description", "tools", "prompts", "implies"];
    if let Some(unknown) = table
        .keys()
        .find(|key| !known.contains(&key.get_ref().as_ref()))
    {
        return Err(format!("unknown key {:?}", unknown.get_ref()));
    }
    let name = text(table, "name")?;
    let scope = Scope::parse(&name)
        .filter(|scope| scope.as_str() != OFFLINE_ACCESS)
        .ok_or_else(|| format!("{name:?} cannot be the name of a scope (RFC 6749 §3.3)"))?;
    let implies = list(table, "implies")?;
    Ok(ScopeDefinition {
        scope,
        description: text(table, "description")?,
        tools: list(table, "tools")?,
        prompts: list(table, "prompts")?,
        implies: implies
            .iter()
            .filter_map(|name| Scope::parse(name))
            .collect(),
    })
}

fn text(table: &DeTable<'_>, key: &str) -> Result<String, String> {
    table
        .get(key)
        .and_then(|value| value.get_ref().as_str())
        .filter(|text| !text.trim().is_empty())
        .map(str::to_owned)
        .ok_or_else(|| format!("{key} must be a text"))
}

fn list(table: &DeTable<'_>, key: &str) -> Result<Vec<String>, String> {
    let Some(value) = table.get(key) else {
        return Ok(Vec::new());
    };
    let items = value.get_ref().as_array();
    let texts = items.map(|items| {
        items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned))
    });
    texts
        .and_then(Iterator::collect::<Option<Vec<String>>>)
        .ok_or_else(|| format!("{key} must be a list of texts"))
}
