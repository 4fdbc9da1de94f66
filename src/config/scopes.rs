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

use super::{ConfigError, table::Table};
use crate::model::scope::{OFFLINE_ACCESS, Scope, ScopeDefinition};

/// Understands the tables.
pub(super) fn read(tables: &[Table], errors: &mut Vec<ConfigError>) -> Vec<ScopeDefinition> {
    let mut found: BTreeMap<Scope, &Table> = BTreeMap::new();
    let mut scopes = Vec::new();
    for table in tables {
        match definition(table) {
            Ok(scope) if found.contains_key(&scope.scope) => {
                let name = scope.scope.as_str();
                errors.push(table.problem(format!("{name:?} stands there twice")));
            }
            Ok(scope) => {
                found.insert(scope.scope.clone(), table);
                scopes.push(scope);
            }
            Err(message) => errors.push(table.problem(message)),
        }
    }
    for scope in &scopes {
        for implied in scope.implies.iter().filter(|s| !found.contains_key(s)) {
            let message = format!("implies {:?}, which is not defined", implied.as_str());
            if let Some(table) = found.get(&scope.scope) {
                errors.push(table.problem(message));
            }
        }
    }
    scopes
}

fn definition(table: &Table) -> Result<ScopeDefinition, String> {
    table.knows_only(&["name", "description", "tools", "prompts", "implies"])?;
    let name = table.text("name")?;
    let scope = Scope::parse(&name)
        .filter(|scope| scope.as_str() != OFFLINE_ACCESS)
        .ok_or_else(|| format!("{name:?} cannot be the name of a scope (RFC 6749 §3.3)"))?;
    let implies = table.list("implies")?;
    Ok(ScopeDefinition {
        scope,
        description: table.text("description")?,
        tools: table.list("tools")?,
        prompts: table.list("prompts")?,
        implies: implies
            .iter()
            .filter_map(|name| Scope::parse(name))
            .collect(),
    })
}
