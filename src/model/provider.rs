//! Identity providers with which people may sign in, and who of their people may enter.

use std::{fmt, sync::Arc};

use serde_json::{Map, Value};

use super::plain_text::is_deceptive;
use crate::{
    clock::Timestamp,
    secret::{Digest, ProviderSecret},
};

/// A provider, as the operator describes it.
#[derive(Clone)]
pub struct Provider {
    /// Names it in URLs: `google`.
    pub id: Arc<str>,
    /// What people know it as: “Google”.
    pub name: Arc<str>,
    /// What it speaks.
    pub kind: ProviderKind,
    /// Who we are there.
    pub client_id: Arc<str>,
    /// What shows that we are; `None`: PKCE has to do.
    pub client_secret: Option<Arc<ProviderSecret>>,
    /// What is asked of it.
    pub scopes: Vec<String>,
    /// Who may enter.
    pub entry: EntryRules,
    /// Whether the tokens that it gives are kept, so that tools can call its APIs for the person.
    pub keep_tokens: bool,
}

/// What a provider speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenID Connect.
    OpenId {
        /// Its issuer identifier, byte for byte.
        issuer: Arc<str>,
        /// Which of them it is, as far as they are not all alike.
        vendor: Vendor,
    },
    /// OAuth without an identity layer: who somebody is, its API says.
    GitHub {
        /// `https://github.com`, or where else it runs.
        base: Arc<str>,
    },
}

/// Providers that have ways of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// Vouches for addresses of its own domains, and of those in `hd`, and for no others.
    Google,
    /// Says in `xms_edov` whether an address belongs to a domain that its owner has verified.
    Entra,
    /// As in the standard.
    Other,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("client_id", &self.client_id)
            .field("entry", &self.entry)
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// The issuer of the people's identifiers.
    pub fn issuer(&self) -> &str {
        match &self.kind {
            ProviderKind::OpenId { issuer, .. } => issuer,
            ProviderKind::GitHub { base } => base,
        }
    }

    /// Whether an e-mail address counts as the person's own.
    fn vouches_for(&self, email: &str, claims: &Map<String, Value>) -> bool {
        let vendor = match &self.kind {
            ProviderKind::OpenId { vendor, .. } => *vendor,
            ProviderKind::GitHub { .. } => Vendor::Other,
        };
        let verified = claims.get("email_verified").is_some_and(is_true);
        match vendor {
            // An account of Google's may have had any address once; for those that are not its own it
            // only knows what was true at the time.
            Vendor::Google => {
                let hosted = claims.get("hd").and_then(Value::as_str);
                let domain = domain_of(email).unwrap_or_default();
                let is_its_own = matches!(domain.as_str(), "gmail.com" | "googlemail.com");
                verified
                    && (is_its_own || hosted.is_some_and(|hd| hd.eq_ignore_ascii_case(&domain)))
            }
            // Whoever runs a tenant writes what they like into `email`.
            Vendor::Entra => verified || claims.get("xms_edov").is_some_and(is_true),
            Vendor::Other => verified,
        }
    }

    /// Whom the claims are about, as far as they may be relied on.
    pub fn person(&self, subject: &str, claims: Map<String, Value>) -> ProvidedPerson {
        // It is shown to others.
        let text = |name: &str| {
            let text = claims.get(name).and_then(Value::as_str)?;
            let shown: String = text
                .chars()
                .filter(|c| !is_deceptive(*c))
                .take(200)
                .collect();
            Some(shown.trim().to_owned()).filter(|shown| !shown.is_empty())
        };
        let email = claims.get("email").and_then(Value::as_str);
        let email = email.filter(|email| is_email(email)).map(str::to_owned);
        let is_verified = email
            .as_ref()
            .is_some_and(|email| self.vouches_for(email, &claims));
        ProvidedPerson {
            subject: subject.to_owned(),
            name: text("name").or_else(|| text("preferred_username")),
            email,
            email_verified: is_verified,
            claims,
        }
    }
}

/// Somebody whom a provider has named.
#[derive(Debug, Clone)]
pub struct ProvidedPerson {
    /// Names them there, for good.
    pub subject: String,
    /// What they are called.
    pub name: Option<String>,
    /// Their address, whether or not it is theirs.
    pub email: Option<String>,
    /// Whether it is.
    pub email_verified: bool,
    /// All that the provider said.
    pub claims: Map<String, Value>,
}

/// Who of a provider's people may enter: whoever fulfils one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryRules {
    /// Everybody.
    pub anyone: bool,
    /// Verified addresses, in lower case.
    pub emails: Vec<String>,
    /// Domains of verified addresses, in lower case.
    pub domains: Vec<String>,
    /// Members of one of these groups.
    pub groups: Vec<String>,
    /// Where the groups are: the name of a claim, or a path to it with dots.
    pub groups_claim: String,
    /// All of these claims with one of these values.
    pub claims: Vec<(String, Vec<Value>)>,
}

impl EntryRules {
    /// Whether nobody may enter.
    pub fn let_nobody_in(&self) -> bool {
        !self.anyone
            && self.emails.is_empty()
            && self.domains.is_empty()
            && self.groups.is_empty()
            && self.claims.is_empty()
    }

    /// Whether this person may enter.
    pub fn admit(&self, person: &ProvidedPerson) -> bool {
        self.anyone || self.by_email(person) || self.by_group(person) || self.by_claims(person)
    }

    fn by_email(&self, person: &ProvidedPerson) -> bool {
        let email = person.email.as_ref().filter(|_| person.email_verified);
        let Some(email) = email.map(|email| email.to_lowercase()) else {
            return false;
        };
        let domain = domain_of(&email);
        self.emails.contains(&email) || domain.is_some_and(|domain| self.domains.contains(&domain))
    }

    fn by_group(&self, person: &ProvidedPerson) -> bool {
        let Some(theirs) = find(&person.claims, &self.groups_claim) else {
            return false;
        };
        values(theirs).any(|theirs| {
            self.groups
                .iter()
                .any(|group| theirs.as_str() == Some(group))
        })
    }

    fn by_claims(&self, person: &ProvidedPerson) -> bool {
        !self.claims.is_empty()
            && self.claims.iter().all(|(name, wanted)| {
                let found = find(&person.claims, name);
                found.is_some_and(|found| values(found).any(|value| wanted.contains(value)))
            })
    }

    /// The claims that the rules look at.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        let email = !self.emails.is_empty() || !self.domains.is_empty();
        let groups = !self.groups.is_empty();
        let claims = self.claims.iter().map(|(name, _)| name.as_str());
        email
            .then_some("email")
            .into_iter()
            .chain(groups.then_some(self.groups_claim.as_str()))
            .chain(claims)
    }
}

/// A browser on its way to a provider and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// Where to.
    pub provider: String,
    /// The browser that left, which alone may come back.
    pub browser: Digest,
    /// Where on this server it goes on.
    pub return_to: String,
    /// What the person allowed before they left, in the words of whoever asked.
    pub allowed: Option<String>,
    /// When it is given up.
    pub expires_at: Timestamp,
}

/// What a provider gave for a person, as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Counts what was there.
    pub version: u64,
    /// The sealed tokens.
    pub sealed: SealedTokens,
    /// Until when somebody is about to replace them.
    pub claimed_until: Option<Timestamp>,
}

/// Tokens of a provider. Whoever has the store has not got them.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedTokens {
    /// Which of the server's keys sealed them.
    pub key: u64,
    /// What it made of them.
    pub bytes: Box<[u8]>,
}

impl fmt::Debug for SealedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedTokens([sealed])")
    }
}

/// A claim by its name, or by the path that leads to it: `realm_access.roles`.
pub fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    let (first, rest) = path.split_once('.')?;
    find(claims.get(first)?.as_object()?, rest)
}

/// The one value of a claim, or its many.
fn values(claim: &Value) -> impl Iterator<Item = &Value> {
    match claim {
        Value::Array(items) => items.iter(),
        one => std::slice::from_ref(one).iter(),
    }
}

/// Some say `"true"`.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_u64() == Some(1),
        Value::String(text) => matches!(text.as_str(), "true" | "1"),
        _ => false,
    }
}

fn domain_of(email: &str) -> Option<String> {
    let (_, domain) = email.rsplit_once('@')?;
    Some(domain.to_ascii_lowercase())
}

/// Whether a text has the shape of an address. What has two halves in more than one way is none.
fn is_email(text: &str) -> bool {
    let mut halves = text.split('@');
    let (name, domain, more) = (halves.next(), halves.next(), halves.next());
    let plain = |half: &str| {
        !half.is_empty() && !half.contains(|c: char| c.is_whitespace() || is_deceptive(c))
    };
    name.is_some_and(plain) && domain.is_some_and(plain) && more.is_none() && text.len() <= 254
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        Vendor::{Entra, Google, Other},
        *,
    };

    fn provider(vendor: Vendor) -> Provider {
        Provider {
            id: "idp".into(),
            name: "IdP".into(),
            kind: ProviderKind::OpenId {
                issuer: "https://idp.example".into(),
                vendor,
            },
            client_id: "us".into(),
            client_secret: None,
            scopes: Vec::new(),
            entry: EntryRules::default(),
            keep_tokens: false,
        }
    }

    fn person(vendor: Vendor, claims: Value) -> ProvidedPerson {
        let Value::Object(claims) = claims else {
            panic!("no object");
        };
        provider(vendor).person("subject", claims)
    }

    fn verified(email: &str) -> ProvidedPerson {
        let claims = json!({ "email": email, "email_verified": true });
        person(Vendor::Other, claims)
    }

    #[test]
    fn domains_are_whole_and_addresses_exact() {
        let rules = EntryRules {
            emails: vec!["ada@mail.example".to_owned()],
            domains: vec!["example.com".to_owned()],
            ..EntryRules::default()
        };
        for email in ["ada@mail.example", "Ada@Mail.Example", "bob@EXAMPLE.com"] {
            assert!(rules.admit(&verified(email)), "{email}");
        }
        for email in [
            "bob@mail.example",
            "bob@sub.example.com",
            "bob@notexample.com",
            "bob@example.com.evil.example",
            "example.com",
            "@example.com",
            "evil@evil.example@example.com",
            "bob@example.com\n",
            "ada@mail.example ",
        ] {
            assert!(!rules.admit(&verified(email)), "{email:?}");
        }
    }

    #[test]
    fn addresses_that_nobody_vouches_for_open_nothing() {
        let rules = EntryRules {
            domains: vec!["example.com".to_owned(), "gmail.com".to_owned()],
            ..EntryRules::default()
        };
        let check = |vendor, claims: Value, expected| {
            let admitted = rules.admit(&person(vendor, claims.clone()));
            assert_eq!(admitted, expected, "{vendor:?} {claims}");
        };
        let ada = |more: Value| {
            let mut claims = json!({ "email": "ada@example.com" });
            let more = more.as_object().unwrap().clone();
            claims.as_object_mut().unwrap().extend(more);
            claims
        };
        check(Other, ada(json!({})), false);
        check(Other, ada(json!({ "email_verified": false })), false);
        check(Other, ada(json!({ "email_verified": "false" })), false);
        check(Other, ada(json!({ "email_verified": true })), true);
        check(Other, ada(json!({ "email_verified": "true" })), true);
        check(Other, ada(json!({ "xms_edov": true })), false);
        check(Entra, ada(json!({})), false);
        check(Entra, ada(json!({ "xms_edov": false })), false);
        check(Entra, ada(json!({ "xms_edov": true })), true);
        check(Entra, ada(json!({ "xms_edov": "1" })), true);
        // An account that somebody made with an address of a company, years ago.
        check(Google, ada(json!({ "email_verified": true })), false);
        let other = json!({ "email_verified": true, "hd": "other.example" });
        check(Google, ada(other), false);
        let hosted = json!({ "email_verified": true, "hd": "example.com" });
        check(Google, ada(hosted), true);
        let own = json!({ "email": "ada@gmail.com", "email_verified": true });
        check(Google, own, true);
    }

    #[test]
    fn groups_and_claims_are_found_where_they_are() {
        let by_group = EntryRules {
            groups: vec!["mcp".to_owned(), "admins".to_owned()],
            groups_claim: "groups".to_owned(),
            ..EntryRules::default()
        };
        let by_role = EntryRules {
            groups_claim: "realm_access.roles".to_owned(),
            ..by_group.clone()
        };
        let by_claims = EntryRules {
            claims: vec![
                ("department".to_owned(), vec![json!("r"), json!("d")]),
                ("level".to_owned(), vec![json!(3)]),
            ],
            ..EntryRules::default()
        };
        for (rules, claims, expected) in [
            (&by_group, json!({ "groups": ["staff", "mcp"] }), true),
            (&by_group, json!({ "groups": "admins" }), true),
            (&by_group, json!({ "groups": ["mc", "mcp2"] }), false),
            (&by_group, json!({ "groups": [["mcp"]] }), false),
            (&by_group, json!({ "roles": ["mcp"] }), false),
            (
                &by_role,
                json!({ "realm_access": { "roles": ["mcp"] } }),
                true,
            ),
            (&by_role, json!({ "realm_access.roles": ["mcp"] }), true),
            (&by_role, json!({ "realm_access": ["mcp"] }), false),
            (&by_claims, json!({ "department": "d", "level": 3 }), true),
            (
                &by_claims,
                json!({ "department": ["x", "r"], "level": [3] }),
                true,
            ),
            (&by_claims, json!({ "department": "d" }), false),
            (
                &by_claims,
                json!({ "department": "d", "level": "3" }),
                false,
            ),
            (&EntryRules::default(), json!({ "groups": ["mcp"] }), false),
        ] {
            let admitted = rules.admit(&person(Vendor::Other, claims.clone()));
            assert_eq!(admitted, expected, "{claims}");
        }
    }
}
