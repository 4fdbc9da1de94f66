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

use super::{
    ConfigError,
    table::{self, Table},
};
use crate::model::scope::{OFFLINE_ACCESS, Scope, ScopeCatalogue, ScopeDefinition};

/// Understands the tables.
pub(super) fn read(tables: &[Table], errors: &mut Vec<ConfigError>) -> Vec<ScopeDefinition> {
    let found = table::each_once(
        tables,
        errors,
        |(scope, _): &(ScopeDefinition, &Table)| scope.scope.as_str(),
        |table| Ok((definition(table)?, table)),
    );
    for (scope, table) in &found {
        let is_known = |implied: &&Scope| found.iter().any(|(known, _)| known.scope == **implied);
        for implied in scope.implies.iter().filter(|implied| !is_known(implied)) {
            let message = format!("implies {:?}, which is not defined", implied.as_str());
            errors.push(table.problem(message));
        }
    }
    found.into_iter().map(|(scope, _)| scope).collect()
}

/// The scope of that name, which must be in the table.
pub(super) fn known_scope(name: &str, scopes: &ScopeCatalogue) -> Result<Scope, String> {
    let known = scopes.find(name).cloned();
    known.ok_or_else(|| format!("scope {name:?} is not defined"))
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
