//! How APIs are called, which every table of an upstream in the TOML file may say:
//!
//! ```toml
//! identity = { header = "Authorization", prefix = "Bearer ", value_env = "API_TOKEN" }
//! headers = { Accept-Language = "en", X-Key = { env = "API_KEY" } }
//! timeout = "30s"
//! fields = ["total", "items.name"]
//! max_chars = 50000
//! ```

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};

use super::{
    ConfigError, Environment,
    table::{Table, knows_only, optional_text},
    values::header_name,
};
use crate::{
    api::{FieldPath, Manner, UpstreamIdentity},
    model::provider::Provider,
    secret::Credential,
};

/// The keys that this is about.
pub(super) const KEYS: [&str; 5] = ["identity", "headers", "timeout", "fields", "max_chars"];

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const LONGEST_TIMEOUT: Duration = Duration::from_mins(10);
const DEFAULT_MAX_CHARS: usize = 50_000;
const FEWEST_CHARS: u64 = 100;
const MOST_CHARS: u64 = 5_000_000;

/// Headers that belong to the connection and the message, or that this server never sends.
const NOT_TO_SET: [&str; 9] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// Understands those keys of a table.
pub(super) fn read(table: &Table, environment: Environment<'_>) -> Result<Manner, String> {
    let fields = table.list("fields")?;
    let fields = fields.iter().map(|text| {
        FieldPath::parse(text)
            .ok_or_else(|| format!("fields: {text:?} is not a name such as total or owner.login"))
    });
    let identity = identity(table, environment)?;
    let headers = headers(table, environment)?;
    if let UpstreamIdentity::Header { name, .. } = &identity
        && headers
            .iter()
            .any(|(other, _)| other.eq_ignore_ascii_case(name))
    {
        return Err(format!("{name} is in headers and in identity"));
    }
    Ok(Manner {
        identity,
        headers,
        timeout: timeout(table)?,
        fields: fields.collect::<Result<_, _>>()?,
        max_chars: max_chars(table)?,
    })
}

fn timeout(table: &Table) -> Result<Duration, String> {
    match table.lifetime("timeout")? {
        Some(limit) if limit > LONGEST_TIMEOUT => Err("timeout must be at most 10m".to_owned()),
        limit => Ok(limit.unwrap_or(DEFAULT_TIMEOUT)),
    }
}

fn max_chars(table: &Table) -> Result<usize, String> {
    match table.members().get("max_chars") {
        None => Ok(DEFAULT_MAX_CHARS),
        Some(value) => value
            .as_u64()
            .filter(|number| (FEWEST_CHARS..=MOST_CHARS).contains(number))
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| {
                format!("max_chars must be a whole number from {FEWEST_CHARS} to {MOST_CHARS}")
            }),
    }
}

/// What an upstream is told of who calls.
pub(super) fn identity(
    table: &Table,
    environment: Environment<'_>,
) -> Result<UpstreamIdentity, String> {
    const MUST: &str = "identity must be \"none\", \"assertion\" or a table: \
                        { header = …, value_env = … }, { assertion = true, audience = … } or \
                        { provider = … }";
    match table.members().get("identity") {
        None => Ok(UpstreamIdentity::None),
        Some(Value::String(word)) => match word.as_str() {
            "none" => Ok(UpstreamIdentity::None),
            "assertion" => assertion(&Map::new()),
            _ => Err(MUST.to_owned()),
        },
        Some(Value::Object(members)) if members.contains_key("assertion") => {
            knows_only(members, &["assertion", "audience", "header"])?;
            match members.get("assertion") {
                Some(Value::Bool(true)) => assertion(members),
                _ => Err(MUST.to_owned()),
            }
        }
        Some(Value::Object(members)) if members.contains_key("provider") => {
            knows_only(members, &["provider", "header"])?;
            Ok(UpstreamIdentity::Provided {
                provider: optional_text(members, "provider")?.unwrap_or_default(),
                header: header(members)?,
            })
        }
        Some(Value::Object(members)) => {
            knows_only(members, &["header", "value_env", "prefix"])?;
            let variable = optional_text(members, "value_env")?
                .ok_or("identity: value_env must name an environment variable")?;
            let value = from_environment(&variable, environment, "identity.value_env")?;
            // Blanks count here: `Bearer ` ends in one.
            let prefix = members.get("prefix").and_then(Value::as_str);
            Ok(UpstreamIdentity::Header {
                name: header(members)?,
                value: credential(
                    &format!("{}{value}", prefix.unwrap_or_default()),
                    "identity",
                )?,
            })
        }
        Some(_) => Err(MUST.to_owned()),
    }
}

/// Identities at providers that there are not, or that keep no tokens.
pub(super) fn strangers<'a>(
    told: impl Iterator<Item = (&'a str, &'a UpstreamIdentity)>,
    providers: &[Arc<Provider>],
) -> Vec<ConfigError> {
    let is_kept = |id: &str| {
        let mut known = providers.iter();
        known.any(|provider| *provider.id == *id && provider.keep_tokens)
    };
    told.filter_map(|(name, identity)| match identity {
        UpstreamIdentity::Provided { provider, .. } if !is_kept(provider) => {
            Some(ConfigError::new(format!(
                "{name}: identity: there is no sign_in_providers with id = {provider:?} and \
                 keep_tokens = true"
            )))
        }
        _ => None,
    })
    .collect()
}

fn assertion(members: &Map<String, Value>) -> Result<UpstreamIdentity, String> {
    Ok(UpstreamIdentity::Assertion {
        header: header(members)?,
        audience: optional_text(members, "audience")?,
    })
}

/// The header of an identity: the usual one, if none is named.
fn header(members: &Map<String, Value>) -> Result<String, String> {
    let named = optional_text(members, "header")?;
    settable(named.as_deref().unwrap_or("Authorization")).map_err(|p| format!("identity: {p}"))
}

fn headers(
    table: &Table,
    environment: Environment<'_>,
) -> Result<Vec<(String, Credential)>, String> {
    const MUST: &str = "headers must be a table of texts, or of { env = NAME }";
    let Some(members) = table.inner("headers", MUST)? else {
        return Ok(Vec::new());
    };
    let headers = members.iter().map(|(name, value)| {
        let place = format!("headers.{name}");
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Object(members) => {
                knows_only(members, &["env"])?;
                let variable = optional_text(members, "env")?.ok_or(MUST)?;
                from_environment(&variable, environment, &place)?
            }
            _ => return Err(MUST.to_owned()),
        };
        let name = settable(name).map_err(|problem| format!("headers: {problem}"))?;
        Ok((name, credential(&value, &place)?))
    });
    headers.collect()
}

/// A header that the operator may set.
fn settable(name: &str) -> Result<String, String> {
    let parsed = header_name(name).map_err(|problem| format!("{name:?} {problem}"))?;
    if NOT_TO_SET.contains(&parsed.as_str()) {
        return Err(format!("{name} is set by the server itself"));
    }
    Ok(parsed.as_str().to_owned())
}

fn credential(value: &str, place: &str) -> Result<Credential, String> {
    // What it is, is not repeated: it may be a secret.
    axum::http::HeaderValue::from_str(value)
        .map(|_| Credential::given(value))
        .map_err(|_| format!("{place}: the value cannot stand in a header"))
}

fn from_environment(
    variable: &str,
    environment: Environment<'_>,
    place: &str,
) -> Result<String, String> {
    environment(variable)
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
        .ok_or_else(|| format!("{place}: the variable {variable} is not set"))
}
