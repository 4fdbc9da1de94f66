//! The people on whose behalf clients act.

use std::{fmt, sync::Arc};

use unicode_normalization::UnicodeNormalization as _;

use super::{client::ClientId, plain_text::is_deceptive};
use crate::{clock::Timestamp, secret::PasswordHash};

/// Names a person, stable for as long as the person can sign in.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The built-in user, who signs in with the passcode.
    pub fn owner() -> Self {
        Self("owner".into())
    }

    /// A person by that name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The person who signs in with that name and a password.
    pub fn named(name: &UserName) -> Self {
        Self(Arc::clone(&name.0))
    }

    /// The name that this person signs in with, if they have one here: of all identifiers, only these
    /// are names.
    pub fn name(&self) -> Option<UserName> {
        UserName::parse(&self.0)
            .ok()
            .filter(|name| name.0 == self.0)
    }

    /// A client that acts for nobody but itself. No person has a colon in their name.
    pub fn of_client(client: &ClientId) -> Self {
        Self(format!("client:{client}").into())
    }

    /// A person whom an identity provider knows. Nobody else has such a name: no issuer has a `#`.
    pub fn of_issuer(issuer: &str, subject: &str) -> Self {
        Self(format!("{issuer}#{subject}").into())
    }

    /// Whether it is an identity provider that knows this person.
    pub fn is_provided(&self) -> bool {
        self.0.contains('#')
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({})", self.0)
    }
}

/// The longest name of a user, in characters.
const MAX_NAME: usize = 100;

/// The name that a person signs in with: in lower case and NFC, so that nobody is told apart from
/// somebody else by what cannot be seen (compare RFC 8265 §3.3).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(Arc<str>);

/// Why a text is no name of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserNameError {
    /// Nothing but blanks.
    #[error("a name must not be empty")]
    Empty,
    /// More than anybody is called.
    #[error("a name may have {MAX_NAME} characters at most")]
    TooLong,
    /// It would not look like what it is, or be taken for another kind of identifier.
    #[error(
        "a name must not contain blanks, colons, number signs, or control, bidirectional-override \
         or invisible characters"
    )]
    Character,
    /// The built-in user.
    #[error("“owner” is the built-in user, who signs in with the passcode")]
    Owner,
}

impl UserName {
    /// Reads a name as people type it.
    pub fn parse(text: &str) -> Result<Self, UserNameError> {
        let text = text.trim();
        // Before it is folded: that may take long, and three characters become one at most.
        if text.chars().count() > 3 * MAX_NAME {
            return Err(UserNameError::TooLong);
        }
        let name: String = text
            .nfc()
            .collect::<String>()
            .to_lowercase()
            .nfc()
            .collect();
        let is_unfit = |c: char| c.is_whitespace() || matches!(c, ':' | '#') || is_deceptive(c);
        match name.as_str() {
            "" => Err(UserNameError::Empty),
            "owner" => Err(UserNameError::Owner),
            name if name.chars().count() > MAX_NAME => Err(UserNameError::TooLong),
            name if name.contains(is_unfit) => Err(UserNameError::Character),
            name => Ok(Self(name.into())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserName({})", self.0)
    }
}

/// A person who signs in with a name and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedUser {
    /// What they are called.
    pub name: UserName,
    /// What their password is checked against.
    pub password: PasswordHash,
    /// When they were added.
    pub created_at: Timestamp,
}

/// What is known of a person beside who they are, for others to show. Providers said so when the person
/// last signed in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// What they are called.
    pub name: Option<String>,
    /// Their address, if the provider vouches for it.
    pub email: Option<String>,
}

/// A browser in which a person has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserSession {
    /// Who.
    pub user: UserId,
    /// When they last proved who they are.
    pub authenticated_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_to_what_people_mean() {
        for (typed, name) in [
            ("ada", "ada"),
            ("  Ada ", "ada"),
            ("ADA@Example.COM", "ada@example.com"),
            ("Rene\u{301}", "ren\u{e9}"),
            ("ΌΔΥΣΣΕΎΣ", "όδυσσεύς"),
        ] {
            assert_eq!(UserName::parse(typed).unwrap().as_str(), name, "{typed:?}");
        }
    }

    #[test]
    fn names_that_mislead_are_refused() {
        let (long, longest) = ("a".repeat(101), "a".repeat(100));
        assert!(UserName::parse(&longest).is_ok());
        for (typed, error) in [
            ("", UserNameError::Empty),
            (" \t", UserNameError::Empty),
            ("Owner", UserNameError::Owner),
            (&long, UserNameError::TooLong),
            ("ada lovelace", UserNameError::Character),
            ("client:ada", UserNameError::Character),
            ("https://idp.example#ada", UserNameError::Character),
            ("ada\0", UserNameError::Character),
            ("ada\u{202e}evol", UserNameError::Character),
            ("a\u{200b}da", UserNameError::Character),
        ] {
            assert_eq!(UserName::parse(typed), Err(error), "{typed:?}");
        }
    }

    #[test]
    fn only_people_with_a_name_here_have_one() {
        let ada = UserName::parse("Ada").unwrap();
        assert_eq!(UserId::named(&ada).name(), Some(ada));
        for other in [
            UserId::owner(),
            UserId::of_client(&ClientId::presented("app")),
            UserId::of_issuer("https://idp.example", "ada"),
        ] {
            assert_eq!(other.name(), None, "{other}");
        }
    }
}
