//! Scopes: what a token is good for (RFC 6749 §3.3).

use std::{collections::BTreeSet, fmt, sync::Arc};

/// One scope: `scope-token` of RFC 6749 §3.3, printable ASCII without blank, `"` and `\`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// Reads one scope; `None` if a character is not allowed in it.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        (!text.is_empty() && text.bytes().all(allowed)).then(|| Self(text.into()))
    }

    /// The scope as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({})", self.0)
    }
}

/// A set of scopes. Order and repetition carry no meaning (RFC 6749 §3.3), so it has neither.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeSet(BTreeSet<Scope>);

impl ScopeSet {
    /// Reads a space-delimited list. What is not a scope is left out: whoever asks for it cannot
    /// be granted it.
    pub fn parse(text: &str) -> Self {
        text.split(' ').filter_map(Scope::parse).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `scope` is among them.
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }

    /// Those that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// In alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopeSet({self})")
    }
}

/// A scope that this server knows: what it means to a person, and what it opens.
#[derive(Debug, Clone)]
pub struct ScopeDefinition {
    /// The scope.
    pub scope: Scope,
    /// What whoever holds it can do, in words for the consent page.
    pub description: String,
    /// Names of the tools that it opens; `*` at the end of one stands for anything.
    pub tools: Vec<String>,
    /// Names of the prompts that it opens, likewise.
    pub prompts: Vec<String>,
    /// Scopes that it covers as well.
    pub implies: Vec<Scope>,
}

/// What a token must hold to use something.
#[derive(Debug, Clone)]
pub struct Requirement {
    /// The scope to ask for.
    pub scope: Scope,
    /// Scopes that cover it, itself among them.
    covered_by: ScopeSet,
}

impl Requirement {
    /// Whether one of the scopes granted covers it.
    pub fn is_met_by(&self, granted: &ScopeSet) -> bool {
        granted.iter().any(|scope| self.covered_by.contains(scope))
    }
}

/// The scope that asks for a refresh token (OpenID Connect Core §11). It is about the client's
/// own comfort and opens nothing, so resource metadata and challenges do not name it.
pub const OFFLINE_ACCESS: &str = "offline_access";

/// The table of scopes that metadata, challenges, consent and enforcement all read.
#[derive(Debug, Clone)]
pub struct ScopeCatalogue {
    resource: Vec<ScopeDefinition>,
    offline_access: ScopeDefinition,
    default: ScopeSet,
}

impl ScopeCatalogue {
    /// A catalogue of what the resource offers. The first scope is the default one.
    pub fn new(resource: Vec<ScopeDefinition>) -> Self {
        let default = resource.iter().take(1).map(|d| d.scope.clone()).collect();
        Self {
            resource,
            offline_access: ScopeDefinition {
                scope: Scope(OFFLINE_ACCESS.into()),
                description: "Stay connected while you are away, until you end it".to_owned(),
                tools: Vec::new(),
                prompts: Vec::new(),
                implies: Vec::new(),
            },
            default,
        }
    }

    /// The catalogue of a server whose operator has not written one.
    pub fn built_in() -> Self {
        Self::new(vec![ScopeDefinition {
            scope: Scope("mcp".into()),
            description: "Use the tools of this server on your behalf".to_owned(),
            tools: vec!["*".to_owned()],
            prompts: vec!["*".to_owned()],
            implies: Vec::new(),
        }])
    }

    /// Scopes that open something on the resource.
    pub fn resource_scopes(&self) -> impl Iterator<Item = &ScopeDefinition> {
        self.resource.iter()
    }

    /// The one of them that is called `name`.
    pub fn find(&self, name: &str) -> Option<&Scope> {
        let mut scopes = self.resource.iter().map(|definition| &definition.scope);
        scopes.find(|scope| scope.as_str() == name)
    }

    /// Every scope that can be asked for.
    pub fn all(&self) -> impl Iterator<Item = &ScopeDefinition> {
        self.resource.iter().chain([&self.offline_access])
    }

    /// What scopes mean to a person. One that is not defined any more stands for itself.
    pub fn in_words(&self, scopes: &ScopeSet) -> Vec<String> {
        let defined = self.all().filter(|d| scopes.contains(&d.scope));
        let defined = defined.map(|d| d.description.clone());
        let is_unknown = |scope: &&Scope| self.all().all(|d| d.scope != **scope);
        let unknown = scopes.iter().filter(is_unknown);
        defined
            .chain(unknown.map(|scope| scope.as_str().to_owned()))
            .collect()
    }

    /// What is granted when nothing that we know was asked for.
    pub fn default_scopes(&self) -> &ScopeSet {
        &self.default
    }

    /// What it takes to call a tool: the first scope that names it, else the default one.
    pub fn requirement_of_tool(&self, name: &str) -> Requirement {
        self.requirement(|definition| &definition.tools, name)
    }

    /// What it takes to use a prompt, likewise.
    pub fn requirement_of_prompt(&self, name: &str) -> Requirement {
        self.requirement(|definition| &definition.prompts, name)
    }

    fn requirement(
        &self,
        opens: impl Fn(&ScopeDefinition) -> &Vec<String>,
        name: &str,
    ) -> Requirement {
        let names = |d: &&ScopeDefinition| opens(d).iter().any(|pattern| fits(pattern, name));
        let definition = self.resource.iter().find(names).or(self.resource.first());
        self.requirement_of_scope(
            definition.map_or_else(|| self.offline_access.scope.clone(), |d| d.scope.clone()),
        )
    }

    /// What it takes to use what that scope opens.
    pub fn requirement_of_scope(&self, scope: Scope) -> Requirement {
        Requirement {
            covered_by: self.covering(&scope),
            scope,
        }
    }

    /// A scope and those that imply it, directly or through others.
    fn covering(&self, scope: &Scope) -> ScopeSet {
        let mut covering = BTreeSet::from([scope.clone()]);
        loop {
            let more: Vec<Scope> = self
                .resource
                .iter()
                .filter(|d| !covering.contains(&d.scope))
                .filter(|d| d.implies.iter().any(|implied| covering.contains(implied)))
                .map(|d| d.scope.clone())
                .collect();
            if more.is_empty() {
                return ScopeSet(covering);
            }
            covering.extend(more);
        }
    }

    /// Of scopes that were asked for, those that go without saying: the first that opens something,
    /// whatever that covers anyway, and to stay connected, which opens nothing more.
    pub fn required(&self, asked: &ScopeSet) -> ScopeSet {
        let asked_for = |d: &&ScopeDefinition| asked.contains(&d.scope);
        let first = self.resource.iter().find(asked_for);
        let covered = |d: &&ScopeDefinition| {
            first.is_some_and(|first| self.covering(&d.scope).contains(&first.scope))
        };
        let covered = self.resource.iter().filter(asked_for).filter(covered);
        let comfort = Some(&self.offline_access).filter(asked_for);
        covered.chain(comfort).map(|d| d.scope.clone()).collect()
    }

    /// Narrows what a client asks for to what exists. Unknown scopes are dropped, not refused
    /// (Claude asks for `claudeai`), and if none that opens something is left, the default is
    /// added.
    pub fn narrow(&self, requested: &ScopeSet) -> ScopeSet {
        let known: ScopeSet = self
            .all()
            .map(|definition| &definition.scope)
            .filter(|scope| requested.contains(scope))
            .cloned()
            .collect();
        if self.resource.iter().any(|d| known.contains(&d.scope)) {
            return known;
        }
        known.iter().chain(self.default.iter()).cloned().collect()
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(name: &str, tools: &[&str], implies: &[&str]) -> ScopeDefinition {
        ScopeDefinition {
            scope: Scope::parse(name).unwrap(),
            description: String::new(),
            tools: tools.iter().map(|&tool| tool.to_owned()).collect(),
            prompts: Vec::new(),
            implies: implies
                .iter()
                .filter_map(|name| Scope::parse(name))
                .collect(),
        }
    }

    #[test]
    fn a_broad_scope_covers_what_it_implies_however_indirectly() {
        let catalogue = ScopeCatalogue::new(vec![
            definition("read", &["get_*"], &[]),
            definition("write", &["put_thing"], &["read"]),
            definition("admin", &[], &["write"]),
        ]);
        let met = |tool: &str, granted: &str| {
            let requirement = catalogue.requirement_of_tool(tool);
            requirement.is_met_by(&ScopeSet::parse(granted))
        };
        for (tool, granted, expected) in [
            ("get_thing", "read", true),
            ("get_thing", "write", true),
            ("get_thing", "admin", true),
            ("put_thing", "read", false),
            ("put_thing", "admin", true),
            // Nobody names it: the default scope, which is the first, opens it.
            ("other", "read", true),
            ("other", "offline_access", false),
        ] {
            assert_eq!(met(tool, granted), expected, "{tool} {granted}");
        }
    }

    #[test]
    fn what_is_asked_for_first_goes_without_saying_and_so_does_what_it_covers() {
        let catalogue = ScopeCatalogue::new(vec![
            definition("read", &[], &[]),
            definition("write", &[], &["read"]),
            definition("audit", &[], &[]),
        ]);
        let required = |asked: &str| catalogue.required(&ScopeSet::parse(asked)).to_string();
        for (asked, expected) in [
            ("read", "read"),
            ("audit write read offline_access", "offline_access read"),
            ("audit write", "write"),
            ("audit", "audit"),
        ] {
            assert_eq!(required(asked), expected, "{asked}");
        }
        let broad = ScopeCatalogue::new(vec![
            definition("write", &[], &["read"]),
            definition("read", &[], &[]),
        ]);
        let asked = ScopeSet::parse("read write");
        assert_eq!(
            broad.required(&asked),
            asked,
            "who may write may read anyway"
        );
    }

    fn narrowed(requested: &str) -> String {
        ScopeCatalogue::built_in()
            .narrow(&ScopeSet::parse(requested))
            .to_string()
    }

    #[test]
    fn unknown_scopes_are_dropped_and_nothing_left_means_the_default() {
        assert_eq!(narrowed(""), "mcp");
        assert_eq!(narrowed("claudeai"), "mcp");
        assert_eq!(narrowed("openid mcp"), "mcp");
        assert_eq!(narrowed("offline_access"), "mcp offline_access");
        assert_eq!(narrowed("mcp  offline_access mcp"), "mcp offline_access");
    }

    #[test]
    fn scopes_keep_to_the_grammar() {
        for bad in ["", "a b", "a\"b", "a\\b", "ä", "a\u{7f}", "a\n"] {
            assert_eq!(Scope::parse(bad), None, "{bad:?}");
        }
        assert!(Scope::parse("files:read/all!").is_some());
    }
}
