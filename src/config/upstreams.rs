//! MCP servers behind this one, in the TOML file:
//!
//! ```toml
//! [[upstreams]]
//! name = "files"                      # its tools are called files_…
//! url = "https://files.example.com/mcp"
//! authorization_env = "FILES_TOKEN"   # the variable that holds the Authorization header for it
//!
//! [[upstreams]]
//! name = "time"
//! command = ["uvx", "mcp-server-time"]
//! deny = ["convert_*"]                # a * stands for anything
//! ```

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{
    ConfigError, Environment, manner,
    table::{self, Table},
    values::count,
};
use crate::{
    api::UpstreamIdentity,
    mcp_upstream::{McpUpstream, Reach, Selection, UpstreamLimits},
    secret::Credential,
};

const KEYS: [&str; 18] = [
    "name",
    "url",
    "authorization",
    "authorization_env",
    "identity",
    "command",
    "environment",
    "pass_environment",
    "directory",
    "shared",
    "sessions_only",
    "allow",
    "deny",
    "rename",
    "timeout",
    "idle_timeout",
    "max_calls",
    "max_connections",
];

/// The longest name that an upstream may have: tools have 128 characters in all.
const MAX_NAME: usize = 32;

/// Understands `[[upstreams]]`.
pub(super) fn read(
    tables: &[Table],
    environment: Environment<'_>,
    errors: &mut Vec<ConfigError>,
) -> Vec<McpUpstream> {
    table::each_once(tables, errors, McpUpstream::label, |table| {
        let upstream = upstream(table, environment)?;
        if upstream.name.is_none() && tables.len() > 1 {
            return Err("name must be there where there are several".to_owned());
        }
        Ok(upstream)
    })
}

fn upstream(table: &Table, environment: Environment<'_>) -> Result<McpUpstream, String> {
    table.knows_only(&KEYS)?;
    let defaults = UpstreamLimits::default();
    Ok(McpUpstream {
        name: table.optional_text("name")?.map(name).transpose()?,
        reach: reach(table, environment)?,
        shared: table.flag("shared")?,
        sessions_only: table.flag("sessions_only")?,
        selection: Selection {
            allow: table.list("allow")?,
            deny: table.list("deny")?,
            rename: texts(table, "rename")?,
        },
        limits: UpstreamLimits {
            timeout: table.lifetime("timeout")?.unwrap_or(defaults.timeout),
            idle: table.lifetime("idle_timeout")?.unwrap_or(defaults.idle),
            calls: number(table, "max_calls", defaults.calls)?,
            connections: number(table, "max_connections", defaults.connections)?,
        },
    })
}

fn name(name: String) -> Result<Arc<str>, String> {
    let mut bytes = name.bytes();
    let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if name.len() <= MAX_NAME && bytes.all(is_good) {
        Ok(name.into())
    } else {
        Err(format!(
            "name must be 1 to {MAX_NAME} of A-Z a-z 0-9 _ -: {name:?}"
        ))
    }
}

fn reach(table: &Table, environment: Environment<'_>) -> Result<Reach, String> {
    let command = table.list("command")?;
    let of_commands = ["environment", "pass_environment", "directory"];
    let of_urls = ["authorization", "authorization_env", "identity"];
    let stray = |keys: &[&'static str]| {
        let mut keys = keys.iter();
        keys.find(|key| table.members().contains_key(**key))
            .copied()
    };
    match table.optional_text("url")? {
        Some(_) if !command.is_empty() => Err("set url or command, not both".to_owned()),
        None if command.is_empty() => Err("url or command must be there".to_owned()),
        Some(text) => match stray(&of_commands) {
            Some(key) => Err(format!("{key} is for those that have a command")),
            None if table.members().contains_key("identity") && has_authorization(table) => {
                Err("set identity or authorization, not both".to_owned())
            }
            None => Ok(Reach::Http {
                url: url(&text)?,
                identity: match table.secret("authorization", environment)? {
                    Some(text) => authorization(&text)?,
                    None => manner::identity(table, environment)?,
                },
            }),
        },
        None => match stray(&of_urls) {
            Some(key) => Err(format!("{key} is for those that have a url")),
            None => Ok(Reach::Command {
                command,
                environment: child_environment(table, environment)?,
                directory: table.optional_text("directory")?.map(PathBuf::from),
            }),
        },
    }
}

fn has_authorization(table: &Table) -> bool {
    ["authorization", "authorization_env"]
        .iter()
        .any(|key| table.members().contains_key(*key))
}

/// An address of an MCP server: http or https, with nothing that does not belong there.
pub(super) fn url(text: &str) -> Result<Arc<str>, String> {
    let refused = || "is not an http or https URL such as https://tools.example.com/mcp".to_owned();
    let parsed = fluent_uri::Uri::parse(text).map_err(|_| refused())?;
    let is_http = matches!(parsed.scheme().as_str(), "http" | "https");
    let authority = parsed.authority().filter(|a| !a.host().is_empty());
    match authority {
        Some(authority) if is_http && parsed.fragment().is_none() => {
            if authority.has_userinfo() {
                return Err("must hold no user or password; say what to send in the \
                            Authorization header"
                    .to_owned());
            }
            Ok(text.into())
        }
        _ => Err(refused()),
    }
}

/// An identity that is an `Authorization` header and nothing more.
pub(super) fn authorization(text: &str) -> Result<UpstreamIdentity, String> {
    let is_good = |b: u8| (0x20..0x7f).contains(&b);
    if text.bytes().all(is_good) {
        Ok(UpstreamIdentity::Header {
            name: "Authorization".to_owned(),
            value: Credential::given(text),
        })
    } else {
        Err("authorization must be the value of a header, such as Bearer TOKEN".to_owned())
    }
}

fn child_environment(
    table: &Table,
    environment: Environment<'_>,
) -> Result<Vec<(String, Credential)>, String> {
    let written = texts(table, "environment")?;
    let written = written.into_iter();
    let mut variables: Vec<_> = written
        .map(|(name, value)| (name, Credential::given(value)))
        .collect();
    for name in table.list("pass_environment")? {
        variables.push(passed(&name, environment)?);
    }
    Ok(variables)
}

/// A variable of ours that a child gets.
pub(super) fn passed(
    name: &str,
    environment: Environment<'_>,
) -> Result<(String, Credential), String> {
    let value = environment(name).ok_or_else(|| format!("the variable {name} is not set"))?;
    Ok((name.to_owned(), Credential::given(value)))
}

fn texts(table: &Table, key: &str) -> Result<BTreeMap<String, String>, String> {
    let must = format!("{key} must be a table of texts");
    let members = table.inner(key, &must)?.into_iter().flatten();
    let texts = members.map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())));
    texts.collect::<Option<_>>().ok_or(must)
}

fn number(table: &Table, key: &str, default: usize) -> Result<usize, String> {
    match table.members().get(key) {
        Some(value) => count(&value.to_string()).map_err(|problem| format!("{key} {problem}")),
        None => Ok(default),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::clients::tests::{check, load};

    #[test]
    fn upstreams_are_what_their_tables_say() {
        let config = load(
            "[[upstreams]]\nname = \"files\"\nurl = \"https://files.example.com/mcp\"\n\
             authorization = \"Bearer x\"\nallow = [\"read_*\"]\ntimeout = \"30s\"\n\
             rename = { read_me = \"help\" }\n\
             [[upstreams]]\nname = \"time\"\ncommand = [\"time\", \"--utc\"]\nshared = true\n\
             environment = { TZ = \"UTC\" }\nmax_calls = 3",
        );
        let upstreams = config.unwrap().upstreams;
        let [files, time] = &upstreams[..] else {
            panic!("not two: {upstreams:?}");
        };
        assert_eq!(files.offered_as("read_me").as_deref(), Some("help"));
        assert_eq!(files.offered_as("write"), None);
        assert_eq!(files.limits.timeout, Duration::from_secs(30));
        assert!(time.shared && !files.shared);
        assert_eq!(time.limits.calls, 3);
        let said = format!("{upstreams:?}");
        assert!(!said.contains("Bearer x"), "{said}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (lines, said) in [
            ("name = \"a\"", "url or command must be there"),
            ("url = \"ftp://a.example\"", "is not an http or https URL"),
            ("url = \"https://u:p@a.example/\"", "no user or password"),
            ("url = \"https://a.example\"\ncommand = [\"a\"]", "not both"),
            (
                "url = \"https://a.example\"\ndirectory = \"/tmp\"",
                "directory is for those that have a command",
            ),
            (
                "url = \"https://a.example\"\nauthorization = \"x\"\nidentity = \"assertion\"",
                "identity or authorization",
            ),
            (
                "command = [\"a\"]\nauthorization = \"x\"",
                "authorization is for those that have a url",
            ),
            ("name = \"a b\"\ncommand = [\"a\"]", "name must be 1 to 32"),
            (
                "command = [\"a\"]\npass_environment = [\"NOT_SET\"]",
                "the variable NOT_SET is not set",
            ),
            (
                "command = [\"a\"]\ntimeout = \"0s\"",
                "timeout must be at least",
            ),
            (
                "command = [\"a\"]\nmax_calls = 0",
                "max_calls must be a whole number",
            ),
            (
                "command = [\"a\"]\nshared = \"yes\"",
                "shared must be true or false",
            ),
            (
                "command = [\"a\"]\nrename = [\"x\"]",
                "rename must be a table",
            ),
            (
                "command = [\"a\"]\ncolour = \"red\"",
                "unknown key \"colour\"",
            ),
            (
                "command = [\"a\"]\n[[upstreams]]\nname = \"b\"\ncommand = [\"b\"]",
                "name must be there where there are several",
            ),
        ] {
            check("upstreams", lines, said);
        }
    }
}
