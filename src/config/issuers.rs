//! Identity providers whose word is taken for who a person is, in the TOML file:
//!
//! ```toml
//! [[assertion_issuers]]
//! issuer = "https://idp.example.com"
//! jwks_uri = "https://idp.example.com/keys"
//! clients = ["my-app"]   # who may bring their assertions
//! scope = "files.read"   # the most that they can get; else what the assertion says
//! ```

use std::sync::Arc;

use super::{
    ConfigError,
    table::{self, Table},
};
use crate::model::{
    assertion_issuer::AssertionIssuer,
    client::ClientId,
    scope::{ScopeCatalogue, ScopeSet},
};

/// Understands `[[assertion_issuers]]`.
pub(super) fn read(
    tables: &[Table],
    scopes: &ScopeCatalogue,
    errors: &mut Vec<ConfigError>,
) -> Vec<AssertionIssuer> {
    table::each_once(
        tables,
        errors,
        |issuer: &AssertionIssuer| &issuer.issuer,
        |table| issuer(table, scopes),
    )
}

fn issuer(table: &Table, scopes: &ScopeCatalogue) -> Result<AssertionIssuer, String> {
    table.knows_only(&["issuer", "jwks_uri", "clients", "scope"])?;
    let clients = table.list("clients")?;
    if clients.is_empty() {
        return Err("clients must name those that may bring its assertions".to_owned());
    }
    table.check_scope(scopes)?;
    let scope = table.optional_text("scope")?;
    Ok(AssertionIssuer {
        issuer: https(table, "issuer")?,
        jwks_uri: https(table, "jwks_uri")?,
        clients: clients.iter().map(|id| ClientId::presented(id)).collect(),
        scopes: scope.as_deref().map(ScopeSet::parse),
    })
}

/// Whom to trust must not be for somebody on the way to say.
fn https(table: &Table, key: &str) -> Result<Arc<str>, String> {
    let url = table.text(key)?;
    match fluent_uri::Uri::parse(url.as_str()) {
        Ok(parsed) if parsed.scheme().as_str() == "https" && parsed.has_authority() => {
            Ok(url.into())
        }
        _ => Err(format!("{key} must be an https URL")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::clients::tests::{check, load};

    const TABLE: [&str; 3] = [
        "issuer = \"https://idp.example.com\"",
        "jwks_uri = \"https://idp.example.com/keys\"",
        "clients = [\"my-app\", \"https://app.example.com/client.json\"]",
    ];

    #[test]
    fn an_issuer_is_what_its_table_says() {
        let config = load(&format!(
            "[[assertion_issuers]]\n{}\nscope = \"mcp\"",
            TABLE.join("\n")
        ));
        let issuers = config.unwrap().assertion_issuers;
        let [issuer] = &issuers[..] else {
            panic!("not one: {issuers:?}");
        };
        assert_eq!(&*issuer.issuer, "https://idp.example.com");
        assert_eq!(&*issuer.jwks_uri, "https://idp.example.com/keys");
        assert!(issuer.clients.contains(&ClientId::presented("my-app")));
        assert_eq!(issuer.scopes, Some(ScopeSet::parse("mcp")));
        assert!(load("").unwrap().assertion_issuers.is_empty());
    }

    #[test]
    fn nobody_is_trusted_by_mistake() {
        let [issuer, keys, clients] = TABLE;
        for (lines, said) in [
            (vec![keys, clients], "issuer must be a text"),
            (vec![issuer, clients], "jwks_uri must be a text"),
            (vec![issuer, keys], "clients must name"),
            (vec![issuer, keys, "clients = []"], "clients must name"),
            (
                vec!["issuer = \"http://idp.example.com\"", keys, clients],
                "issuer must be an https URL",
            ),
            (
                vec![issuer, "jwks_uri = \"file:///keys\"", clients],
                "jwks_uri must be an https URL",
            ),
            (
                vec![issuer, keys, clients, "scope = \"all\""],
                "\"all\" is not defined",
            ),
            (
                vec![issuer, keys, clients, "jwks = 1"],
                "unknown key \"jwks\"",
            ),
        ] {
            check("assertion_issuers", &lines.join("\n"), said);
        }
    }
}
