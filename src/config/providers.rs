//! Identity providers with which people may sign in, in the TOML file:
//!
//! ```toml
//! [[sign_in_providers]]
//! id = "google"           # in its redirect URI: PUBLIC_URL/sign-in/google/callback
//! preset = "google"       # google, entra, okta, keycloak or github; else issuer = "https://…"
//! client_id = "…"
//! client_secret_env = "GOOGLE_CLIENT_SECRET"
//! domains = ["example.com"]   # who may enter: emails, domains, groups, claims, or anyone = true
//! ```

use std::sync::Arc;

use serde_json::Value;

use super::{
    ConfigError, Environment,
    table::{self, Table},
};
use crate::{
    model::provider::{EntryRules, Provider, ProviderKind, Vendor},
    secret::ProviderSecret,
};

const KEYS: [&str; 16] = [
    "id",
    "name",
    "preset",
    "issuer",
    "tenant",
    "client_id",
    "client_secret",
    "client_secret_env",
    "scopes",
    "anyone",
    "emails",
    "domains",
    "groups",
    "groups_claim",
    "claims",
    "keep_tokens",
];

/// The longest identifier, which is part of a URL.
const LONGEST_ID: usize = 32;

/// Understands `[[sign_in_providers]]`.
pub(super) fn read(
    tables: &[Table],
    environment: Environment<'_>,
    errors: &mut Vec<ConfigError>,
) -> Vec<Arc<Provider>> {
    table::each_once(
        tables,
        errors,
        |provider: &Arc<Provider>| &provider.id,
        |table| provider(table, environment).map(Arc::new),
    )
}

/// What is known of a provider beforehand.
struct Preset {
    name: &'static str,
    kind: ProviderKind,
    scopes: Vec<String>,
}

fn provider(table: &Table, environment: Environment<'_>) -> Result<Provider, String> {
    table.knows_only(&KEYS)?;
    let entry = entry_rules(table)?;
    let preset = preset(table, &entry)?;
    let name = table.optional_text("name")?;
    let scopes = table.list("scopes")?;
    let keep_tokens = table.flag("keep_tokens")?;
    let mut usual = preset.scopes;
    // Google says it in another way, and GitHub gives such tokens anyhow.
    if keep_tokens
        && let ProviderKind::OpenId {
            vendor: Vendor::Entra | Vendor::Other,
            ..
        } = preset.kind
    {
        usual.push("offline_access".to_owned());
    }
    let secret = table.secret("client_secret", environment)?;
    Ok(Provider {
        id: id(table)?,
        name: name.map_or_else(|| preset.name.into(), Arc::from),
        kind: preset.kind,
        client_id: table.text("client_id")?.into(),
        client_secret: secret.map(|secret| Arc::new(ProviderSecret::received(secret))),
        scopes: if scopes.is_empty() { usual } else { scopes },
        entry,
        keep_tokens,
    })
}

fn id(table: &Table) -> Result<Arc<str>, String> {
    let id = table.text("id")?;
    let is_fit = id
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !is_fit || id.len() > LONGEST_ID {
        return Err(format!(
            "id must be made of a-z, 0-9 and -, {LONGEST_ID} characters at most"
        ));
    }
    Ok(id.into())
}

fn preset(table: &Table, entry: &EntryRules) -> Result<Preset, String> {
    let preset = table.optional_text("preset")?;
    let openid = |name, vendor, issuer: Arc<str>| Preset {
        name,
        kind: ProviderKind::OpenId { issuer, vendor },
        scopes: ["openid", "email", "profile"].map(str::to_owned).into(),
    };
    let preset = match preset.as_deref() {
        Some("google") => openid(
            "Google",
            Vendor::Google,
            issuer(table)?.unwrap_or_else(|| "https://accounts.google.com".into()),
        ),
        Some("entra") => openid("Microsoft", Vendor::Entra, entra_issuer(table)?),
        Some("okta") => {
            let mut okta = openid("Okta", Vendor::Other, own_issuer(table)?);
            if !entry.groups.is_empty() {
                okta.scopes.push("groups".to_owned());
            }
            okta
        }
        Some("keycloak") => openid("Keycloak", Vendor::Other, own_issuer(table)?),
        Some("github") => github(table, entry)?,
        Some(other) => {
            return Err(format!(
                "there is no preset {other:?}; there are google, entra, okta, keycloak and github"
            ));
        }
        None => openid("single sign-on", Vendor::Other, own_issuer(table)?),
    };
    let is_entra = matches!(
        preset.kind,
        ProviderKind::OpenId {
            vendor: Vendor::Entra,
            ..
        }
    );
    if !is_entra && table.optional_text("tenant")?.is_some() {
        return Err("tenant is of use only with the preset entra".to_owned());
    }
    Ok(preset)
}

/// Each tenant has an issuer of its own. Those for many have none: their documents hold a placeholder, so
/// that anybody's tenant would do.
fn entra_issuer(table: &Table) -> Result<Arc<str>, String> {
    if let Some(issuer) = issuer(table)? {
        return Ok(issuer);
    }
    let tenant = table
        .optional_text("tenant")?
        .ok_or("tenant must be the directory's id")?;
    let is_fit = tenant
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    if !is_fit || matches!(&*tenant, "common" | "organizations" | "consumers") {
        return Err(
            "tenant must be one directory's id: with common, organizations or consumers, anybody's \
             directory could say who somebody is"
                .to_owned(),
        );
    }
    Ok(format!("https://login.microsoftonline.com/{tenant}/v2.0").into())
}

fn github(table: &Table, entry: &EntryRules) -> Result<Preset, String> {
    let base = issuer(table)?.unwrap_or_else(|| "https://github.com".into());
    let mut scopes = vec!["read:user".to_owned(), "user:email".to_owned()];
    if !entry.groups.is_empty() {
        // The organisations that somebody is in.
        scopes.push("read:org".to_owned());
    }
    Ok(Preset {
        name: "GitHub",
        kind: ProviderKind::GitHub {
            base: base.trim_end_matches('/').into(),
        },
        scopes,
    })
}

fn own_issuer(table: &Table) -> Result<Arc<str>, String> {
    issuer(table)?.ok_or_else(|| "issuer must be the provider's https URL".to_owned())
}

/// An issuer identifier (OpenID Connect Core §2).
fn issuer(table: &Table) -> Result<Option<Arc<str>>, String> {
    let Some(issuer) = table.optional_text("issuer")? else {
        return Ok(None);
    };
    match fluent_uri::Uri::parse(issuer.as_str()) {
        Ok(url)
            if url.scheme().as_str() == "https"
                && url.authority().is_some_and(|a| !a.has_userinfo())
                && !url.has_query()
                && !url.has_fragment() =>
        {
            Ok(Some(issuer.into()))
        }
        _ => Err("issuer must be an https URL without query and fragment".to_owned()),
    }
}

fn entry_rules(table: &Table) -> Result<EntryRules, String> {
    let lower = |texts: Vec<String>| texts.iter().map(|text| text.to_lowercase()).collect();
    let emails: Vec<String> = lower(table.list("emails")?);
    let domains: Vec<String> = lower(table.list("domains")?);
    if let Some(email) = emails.iter().find(|email| !email.contains('@')) {
        return Err(format!("emails: {email:?} is not an address"));
    }
    if let Some(domain) = domains.iter().find(|domain| domain.contains(['@', '*'])) {
        return Err(format!(
            "domains: {domain:?} is not a domain such as example.com; each is meant exactly"
        ));
    }
    let rules = EntryRules {
        anyone: table.flag("anyone")?,
        emails,
        domains,
        groups: table.list("groups")?,
        groups_claim: table
            .optional_text("groups_claim")?
            .unwrap_or_else(|| "groups".to_owned()),
        claims: claims(table)?,
    };
    if rules.let_nobody_in() {
        return Err(
            "say who may enter: emails, domains, groups or claims; or anyone = true, for whoever the \
             provider lets sign in"
                .to_owned(),
        );
    }
    Ok(rules)
}

/// `claims = { department = "research", level = [3, 4] }`
fn claims(table: &Table) -> Result<Vec<(String, Vec<Value>)>, String> {
    let Some(claims) = table.members().get("claims") else {
        return Ok(Vec::new());
    };
    let claims = claims
        .as_object()
        .filter(|claims| !claims.is_empty())
        .ok_or("claims must be a table of names and values")?;
    let claims = claims.iter().map(|(name, value)| {
        let values = match value {
            Value::Array(values) => values.clone(),
            one => vec![one.clone()],
        };
        let are_plain = values
            .iter()
            .all(|value| value.is_string() || value.is_boolean() || value.is_number());
        if values.is_empty() || !are_plain {
            return Err(format!(
                "claims.{name} must be a text, a number, true or false, or a list of them"
            ));
        }
        Ok((name.clone(), values))
    });
    claims.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::clients::tests::{check, load};

    fn one(lines: &str) -> Arc<Provider> {
        let lines = format!("[[sign_in_providers]]\nclient_id = \"us\"\n{lines}");
        let providers = load(&lines).unwrap().providers;
        let [provider] = &providers[..] else {
            panic!("not one: {providers:?}");
        };
        Arc::clone(provider)
    }

    #[test]
    fn presets_know_what_is_the_same_for_everybody() {
        for (lines, name, issuer) in [
            (
                "id = \"g\"\npreset = \"google\"\ndomains = [\"example.com\"]",
                "Google",
                "https://accounts.google.com",
            ),
            (
                "id = \"e\"\npreset = \"entra\"\ntenant = \"8f1e-4a\"\nanyone = true",
                "Microsoft",
                "https://login.microsoftonline.com/8f1e-4a/v2.0",
            ),
            (
                "id = \"o\"\npreset = \"okta\"\nissuer = \"https://example.okta.com\"\ngroups = [\"mcp\"]",
                "Okta",
                "https://example.okta.com",
            ),
            (
                "id = \"k\"\npreset = \"keycloak\"\nissuer = \"https://sso.example.com/realms/main\"\nanyone = true",
                "Keycloak",
                "https://sso.example.com/realms/main",
            ),
            (
                "id = \"h\"\npreset = \"github\"\ngroups = [\"example-org\"]",
                "GitHub",
                "https://github.com",
            ),
            (
                "id = \"s\"\nname = \"Example SSO\"\nissuer = \"https://sso.example.com\"\nemails = [\"Ada@Example.com\"]",
                "Example SSO",
                "https://sso.example.com",
            ),
        ] {
            let provider = one(lines);
            assert_eq!((&*provider.name, provider.issuer()), (name, issuer));
            assert!(!provider.keep_tokens);
        }
        let okta = one(
            "id = \"o\"\npreset = \"okta\"\nissuer = \"https://example.okta.com\"\ngroups = [\"mcp\"]",
        );
        assert_eq!(okta.scopes, ["openid", "email", "profile", "groups"]);
    }

    #[test]
    fn nobody_is_let_in_by_mistake() {
        let id = "id = \"idp\"\nclient_id = \"us\"";
        let issuer = "issuer = \"https://idp.example.com\"";
        for (lines, said) in [
            (format!("{id}\n{issuer}"), "say who may enter"),
            (
                format!("{id}\n{issuer}\nanyone = false"),
                "say who may enter",
            ),
            (format!("{id}\n{issuer}\ndomains = []"), "say who may enter"),
            (format!("{id}\nanyone = true"), "issuer must be"),
            (
                format!("{id}\nissuer = \"http://idp.example.com\"\nanyone = true"),
                "issuer must be an https URL",
            ),
            (
                format!("{id}\npreset = \"entra\"\ntenant = \"common\"\nanyone = true"),
                "one directory's id",
            ),
            (
                format!("{id}\npreset = \"entra\"\nanyone = true"),
                "tenant must be",
            ),
            (
                format!("{id}\npreset = \"aol\"\nanyone = true"),
                "there is no preset",
            ),
            (
                format!("{id}\n{issuer}\ndomains = [\"*.example.com\"]"),
                "each is meant exactly",
            ),
            (
                format!("{id}\n{issuer}\nemails = [\"ada\"]"),
                "is not an address",
            ),
            (
                format!("{id}\n{issuer}\nanyone = \"yes\""),
                "anyone must be true or false",
            ),
            (
                format!("{id}\n{issuer}\nclaims = {{}}"),
                "claims must be a table",
            ),
            (
                format!("{id}\n{issuer}\nclaims = {{ a = [] }}"),
                "claims.a must be",
            ),
            (
                format!("{issuer}\nclient_id = \"us\"\nanyone = true"),
                "id must be a text",
            ),
            (
                format!("id = \"../x\"\nclient_id = \"us\"\n{issuer}\nanyone = true"),
                "id must be made of",
            ),
            (
                format!("id = \"idp\"\n{issuer}\nanyone = true"),
                "client_id must be a text",
            ),
            (
                format!("{id}\n{issuer}\nanyone = true\nclient_secret_env = \"NOT_SET\""),
                "NOT_SET is not set",
            ),
            (
                format!("{id}\n{issuer}\nanyone = true\nwho = 1"),
                "unknown key \"who\"",
            ),
        ] {
            check("sign_in_providers", &lines, said);
        }
    }
}
