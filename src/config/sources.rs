//! Where settings come from: flags, then environment, then `.env`, then the TOML file. The first
//! that sets one wins.

use std::{collections::HashMap, ffi::OsString, fmt, io, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ConfigError, dot_env,
    settings::{self, CONFIG_FILE, SETTINGS, Setting},
    table::{self, Table},
};

/// Where a value was found, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Flag,
    Environment,
    DotEnv,
    File { path: String, line: usize },
    Given,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("on the command line"),
            Self::Environment => f.write_str("in the environment"),
            Self::DotEnv => f.write_str("in .env"),
            Self::File { path, line } => write!(f, "in {path}, line {line}"),
            Self::Given => f.write_str("in the given settings"),
        }
    }
}

/// What somebody set.
#[derive(Debug, Clone)]
pub(super) struct RawValue {
    pub(super) text: String,
    pub(super) source: Source,
}

/// What was set, whoever set it, by key. Nothing has been understood yet.
#[derive(Debug, Default)]
pub(super) struct RawSettings {
    values: HashMap<&'static str, RawValue>,
    tables: HashMap<&'static str, Vec<Table>>,
    /// All of `.env`: secrets that tables name are there too.
    dot_env: HashMap<String, String>,
}

/// Tables of the file that come in any number.
const TABLES: [&str; 9] = [
    "scopes",
    "clients",
    "resource_servers",
    "pinned_documents",
    "assertion_issuers",
    "upstreams",
    "http_tools",
    "apis",
    "sign_in_providers",
];

impl RawSettings {
    pub(super) fn get(&self, key: &str) -> Option<&RawValue> {
        self.values.get(key)
    }

    /// The tables of one of the names in [`TABLES`].
    pub(super) fn tables(&self, name: &str) -> &[Table] {
        self.tables.get(name).map_or(&[], Vec::as_slice)
    }

    /// What `.env` says of a variable.
    pub(super) fn in_dot_env(&self, name: &str) -> Option<String> {
        self.dot_env.get(name).cloned()
    }

    /// From pairs of key and value; a program's own way to configure a server.
    pub(super) fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        errors: &mut Vec<ConfigError>,
    ) -> Self {
        let mut raw = Self::default();
        for (key, text) in pairs {
            match Setting::of(key) {
                Some(setting) => raw.set(setting, text.to_owned(), Source::Given),
                None => errors.push(ConfigError::unknown_key(key, &Source::Given)),
            }
        }
        raw
    }

    /// From all four sources. `flags` holds what was typed, by key.
    pub(super) fn gather(
        flags: &HashMap<&'static str, String>,
        environment: &dyn Fn(&str) -> Option<OsString>,
        directory: &Path,
        errors: &mut Vec<ConfigError>,
    ) -> Self {
        let dot_env = read_dot_env(&directory.join(".env"), errors);
        let mut raw = Self::default();
        for setting in settings::all() {
            let typed = flags.get(setting.key).cloned();
            let from_env = match setting.env.and_then(environment).map(OsString::into_string) {
                Some(Err(_)) => {
                    let name = setting.name();
                    let problem = format!("{name} ({}): is not UTF-8", Source::Environment);
                    errors.push(ConfigError::new(problem));
                    continue;
                }
                Some(Ok(text)) => Some(text),
                None => None,
            };
            let from_dot_env = setting.env.and_then(|env| dot_env.get(env).cloned());
            let first = typed
                .map(|text| (text, Source::Flag))
                .or_else(|| from_env.map(|text| (text, Source::Environment)))
                .or_else(|| from_dot_env.map(|text| (text, Source::DotEnv)));
            if let Some((text, source)) = first {
                raw.set(setting, text, source);
            }
        }
        raw.dot_env = dot_env;
        if let Some(file) = raw.get(CONFIG_FILE.key).cloned() {
            raw.read_file(directory, &file, errors);
        }
        raw
    }

    /// An empty value is no value: `.env` files list what they leave alone.
    fn set(&mut self, setting: &'static Setting, text: String, source: Source) {
        if !text.trim().is_empty() {
            self.values
                .entry(setting.key)
                .or_insert(RawValue { text, source });
        }
    }

    fn read_file(&mut self, directory: &Path, file: &RawValue, errors: &mut Vec<ConfigError>) {
        let path = &file.text;
        let text = match std::fs::read_to_string(directory.join(path)) {
            Ok(text) => text,
            Err(error) => {
                errors.push(ConfigError::new(format!(
                    "{}: cannot read {path}: {error}",
                    CONFIG_FILE.name()
                )));
                return;
            }
        };
        let line_of = |offset: usize| {
            let before = text.get(..offset).unwrap_or(&text);
            before.matches('\n').count() + 1
        };
        match DeTable::parse(&text) {
            Ok(table) => self.read_table("", table.get_ref(), path, &line_of, errors),
            Err(error) => errors.push(ConfigError::new(format!(
                "{path}, line {}: {}",
                line_of(error.span().map_or(0, |span| span.start)),
                error.message()
            ))),
        }
    }

    fn read_table(
        &mut self,
        prefix: &str,
        table: &DeTable<'_>,
        path: &str,
        line_of: &dyn Fn(usize) -> usize,
        errors: &mut Vec<ConfigError>,
    ) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let source = Source::File {
                path: path.to_owned(),
                line: line_of(name.span().start),
            };
            if let Some(name) = TABLES.into_iter().find(|name| *name == key) {
                let place = |offset| Source::File {
                    path: path.to_owned(),
                    line: line_of(offset),
                };
                let tables = table::read_all(name, value, &place, errors);
                self.tables.insert(name, tables);
                continue;
            }
            let table_prefix = format!("{key}.");
            if let Some(inner) = value.get_ref().as_table()
                && SETTINGS.iter().any(|s| s.key.starts_with(&table_prefix))
            {
                self.read_table(&table_prefix, inner, path, line_of, errors);
                continue;
            }
            match (Setting::of(&key), as_text(value)) {
                (Some(setting), Some(text)) => self.set(setting, text, source),
                (Some(_), None) => errors.push(ConfigError::new(format!(
                    "{key} ({source}): expected a string, a number, true or false, or a list of \
                     strings"
                ))),
                (None, _) => errors.push(ConfigError::unknown_key(&key, &source)),
            }
        }
    }
}

/// A TOML value as it would be written in the environment.
fn as_text(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(if *flag { "on" } else { "off" }.to_owned()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(as_text).collect();
            Some(items?.join(","))
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

fn read_dot_env(path: &Path, errors: &mut Vec<ConfigError>) -> HashMap<String, String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return HashMap::new(),
        Err(error) => {
            errors.push(ConfigError::new(format!(".env cannot be read: {error}")));
            return HashMap::new();
        }
    };
    dot_env::read(&text).unwrap_or_else(|lines| {
        // What stands in the line is not repeated: it may be a secret.
        let problems = lines.iter().map(|line| {
            ConfigError::new(format!(
                ".env, line {line}: cannot be read; write NAME=VALUE"
            ))
        });
        errors.extend(problems);
        HashMap::new()
    })
}
