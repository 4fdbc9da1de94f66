//! What the operator says of MCP servers behind this one: how each is reached, and what of it is
//! offered under which name. It holds what is shown to them, so it is no part of the model, which is
//! what stores keep.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    api::{UpstreamIdentity, fits},
    secret::Credential,
};

/// One server behind this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpUpstream {
    /// What it is called, and what its tools and prompts are prefixed with; `None`: it is the only
    /// one, and its names are left as they are.
    pub name: Option<Arc<str>>,
    /// How it is reached.
    pub reach: Reach,
    /// Whether everybody shares one connection; else each person with each app has one of their own.
    pub shared: bool,
    /// Whether it is spoken to in sessions only, even if it would speak 2026-07-28.
    pub sessions_only: bool,
    /// What of it is offered.
    pub selection: Selection,
    /// How much of it there may be.
    pub limits: UpstreamLimits,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// By Streamable HTTP.
    Http {
        /// Where.
        url: Arc<str>,
        /// What it is told of who calls.
        identity: UpstreamIdentity,
    },
    /// By the standard streams of a child process.
    Command {
        /// The program and its arguments; never empty.
        command: Vec<String>,
        /// Its environment.
        environment: Vec<(String, Credential)>,
        /// Where it runs; `None`: where we do.
        directory: Option<PathBuf>,
    },
}

/// What of a server is offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Patterns of the tools and prompts that are offered; empty: all.
    pub allow: Vec<String>,
    /// Patterns of those that are not, whatever `allow` says.
    pub deny: Vec<String>,
    /// Other names for some, instead of those with the prefix.
    pub rename: BTreeMap<String, String>,
}

/// How much of a server there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// How long it may say nothing while a call runs.
    pub timeout: Duration,
    /// How long a connection is kept that nobody uses.
    pub idle: Duration,
    /// Calls at once.
    pub calls: usize,
    /// Connections at once.
    pub connections: usize,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(5),
            idle: Duration::from_mins(10),
            calls: 100,
            connections: 1000,
        }
    }
}

impl McpUpstream {
    /// A server that stands alone, with all that it offers.
    pub fn alone(reach: Reach) -> Self {
        Self {
            name: None,
            reach,
            shared: false,
            sessions_only: false,
            selection: Selection::default(),
            limits: UpstreamLimits::default(),
        }
    }

    /// What it is called in logs and errors.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or("upstream")
    }

    /// What its tool or prompt `name` is called here; `None`: it is not offered.
    pub fn offered_as(&self, name: &str) -> Option<String> {
        let Selection {
            allow,
            deny,
            rename,
        } = &self.selection;
        let any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, name));
        if any(deny) || !(allow.is_empty() || any(allow)) {
            return None;
        }
        if let Some(other) = rename.get(name) {
            return Some(other.clone());
        }
        Some(match &self.name {
            Some(prefix) => format!("{prefix}_{name}"),
            None => name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_prefixed_renamed_and_left_out() {
        let reach = Reach::Http {
            url: "http://localhost/mcp".into(),
            identity: UpstreamIdentity::None,
        };
        let mut upstream = McpUpstream::alone(reach);
        let offered = |upstream: &McpUpstream, name: &str| upstream.offered_as(name);
        assert_eq!(offered(&upstream, "read").as_deref(), Some("read"));
        upstream.name = Some("files".into());
        upstream.selection.allow = vec!["read*".to_owned()];
        upstream.selection.deny = vec!["*_all".to_owned()];
        upstream.selection.rename = BTreeMap::from([("readme".to_owned(), "help".to_owned())]);
        for (name, expected) in [
            ("read", Some("files_read")),
            ("readme", Some("help")),
            ("read_all", None),
            ("write", None),
        ] {
            assert_eq!(offered(&upstream, name).as_deref(), expected, "{name}");
        }
    }
}
