//! APIs with a description of their own (OpenAPI 3.0 and 3.1), in the TOML file:
//!
//! ```toml
//! [[apis]]
//! document = "openapi.yaml"            # or an https URL
//! base_url = "https://api.example.com" # else what the document says
//! prefix = "pets_"
//! include = ["tag:pets", "GET /stores/*"]
//! exclude = ["DELETE"]
//! rename = { listPets = "all" }
//! scopes = { "pets.write" = ["POST", "PUT"] }
//! ```

use std::{collections::BTreeMap, fs, path::Path};

use super::{
    ConfigError, Environment, manner,
    scopes::known_scope,
    table::{self, Table},
};
use crate::{
    api::{Api, ApiDocument, BaseUrl, MAX_DOCUMENT, Selector},
    model::scope::{Scope, ScopeCatalogue},
};

const KEYS: [&str; 8] = [
    "name", "document", "base_url", "prefix", "include", "exclude", "rename", "scopes",
];

/// Understands `[[apis]]`. Paths of documents count from `directory`.
pub(super) fn read(
    tables: &[Table],
    scopes: &ScopeCatalogue,
    environment: Environment<'_>,
    directory: &Path,
    errors: &mut Vec<ConfigError>,
) -> Vec<Api> {
    table::each(tables, errors, |table, _| {
        api(table, scopes, environment, directory)
    })
}

fn api(
    table: &Table,
    scopes: &ScopeCatalogue,
    environment: Environment<'_>,
    directory: &Path,
) -> Result<Api, String> {
    table.knows_only(&[&KEYS[..], &manner::KEYS].concat())?;
    let named = table.text("document")?;
    let base_url = table.optional_text("base_url")?;
    let base_url =
        base_url.map(|url| BaseUrl::parse(&url).map_err(|problem| format!("base_url {problem}")));
    Ok(Api {
        name: table
            .optional_text("name")?
            .unwrap_or_else(|| named.clone()),
        document: document(named, directory)?,
        base_url: base_url.transpose()?,
        prefix: prefix(table)?,
        include: selectors("include", &table.list("include")?)?,
        exclude: selectors("exclude", &table.list("exclude")?)?,
        rename: rename(table)?,
        scopes: operation_scopes(table, scopes)?,
        manner: manner::read(table, environment)?,
    })
}

fn document(named: String, directory: &Path) -> Result<ApiDocument, String> {
    if named.contains("://") {
        let url = BaseUrl::parse(&named).map_err(|problem| format!("document {problem}"))?;
        return Ok(ApiDocument::Url(url));
    }
    let path = directory.join(&named);
    let unreadable = |problem: &str| format!("document {named}: {problem}");
    let length = fs::metadata(&path).map_err(|error| unreadable(&error.to_string()))?;
    if length.len() > MAX_DOCUMENT as u64 {
        return Err(unreadable("it is larger than 32 MiB"));
    }
    let text = fs::read_to_string(&path).map_err(|error| unreadable(&error.to_string()))?;
    Ok(ApiDocument::File {
        path: named,
        text: text.into(),
    })
}

/// Names have 64 characters at most, and something has to follow.
fn prefix(table: &Table) -> Result<String, String> {
    let prefix = table.optional_text("prefix")?.unwrap_or_default();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if prefix.len() <= 32 && prefix.bytes().all(allowed) {
        Ok(prefix)
    } else {
        Err("prefix must be up to 32 of A-Z a-z 0-9 _ -".to_owned())
    }
}

fn selectors(key: &str, texts: &[String]) -> Result<Vec<Selector>, String> {
    let selectors = texts.iter().map(|text| Selector::parse(text));
    selectors
        .collect::<Result<_, _>>()
        .map_err(|problem| format!("{key}: {problem}"))
}

fn rename(table: &Table) -> Result<BTreeMap<String, String>, String> {
    const MUST: &str = "rename must be a table of names: operationId = \"name\"";
    let Some(members) = table.inner("rename", MUST)? else {
        return Ok(BTreeMap::new());
    };
    let renamed = members.iter().map(|(from, to)| {
        let to = to.as_str().filter(|name| !name.is_empty()).ok_or(MUST)?;
        Ok((from.clone(), to.to_owned()))
    });
    renamed.collect()
}

/// Scopes and the operations that they open, in the order of the table of scopes.
fn operation_scopes(
    table: &Table,
    scopes: &ScopeCatalogue,
) -> Result<Vec<(Scope, Vec<Selector>)>, String> {
    const MUST: &str = "scopes must be a table of lists: SCOPE = [\"POST\", …]";
    let Some(members) = table.inner("scopes", MUST)? else {
        return Ok(Vec::new());
    };
    for name in members.keys() {
        known_scope(name, scopes).map_err(|problem| format!("scopes: {problem}"))?;
    }
    let mut opened = Vec::new();
    for definition in scopes.resource_scopes() {
        let Some(operations) = members.get(definition.scope.as_str()) else {
            continue;
        };
        let operations = operations.as_array().ok_or(MUST)?.iter();
        let operations: Option<Vec<String>> = operations
            .map(|text| text.as_str().map(str::to_owned))
            .collect();
        let operations = selectors("scopes", &operations.ok_or(MUST)?)?;
        opened.push((definition.scope.clone(), operations));
    }
    Ok(opened)
}
