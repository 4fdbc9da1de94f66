//! Secrets: minting, digests, redaction.
//!
//! Whoever holds one of these values may do something. So each has a type of its own, which neither
//! prints, serializes nor compares itself; stores keep its [`Digest`] and nothing else.

mod sealer;

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hash, Hasher},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{TryRng as _, rngs::SysRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

pub(crate) use sealer::Sealer;

/// Bytes of randomness in every minted secret.
const ENTROPY: usize = 32;

/// The SHA-256 of a secret: what stores are given to find it by.
///
/// No salt and no slow hash: the secrets are 256 bits of randomness, so nobody can guess their way
/// from a digest to a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// A map by digests.
pub type DigestMap<V> = HashMap<Digest, V, BuildHasherDefault<DigestHasher>>;

/// The hash of a digest: as good as random already, whatever was presented.
#[derive(Debug, Default)]
pub struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64url())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::from_base64url(&text)
            .ok_or_else(|| D::Error::custom("a digest is the base64url of 32 bytes"))
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl Digest {
    /// The digest of a text that somebody presented as a secret.
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented.as_bytes()).into())
    }

    /// A digest that depends on what it is for, so that one secret can yield several values of
    /// which none leads to another.
    pub fn derive(purpose: &str, secret: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(purpose.as_bytes());
        hash.update([0]);
        hash.update(secret.as_bytes());
        Self(hash.finalize().into())
    }

    /// The digest as a store writes it down.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A digest that a store has written down.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A digest that was written with [`to_base64url`](Self::to_base64url).
    pub(crate) fn from_base64url(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Compares in a time that does not depend on where the two differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// A name made from the digest's beginning, in the form for such (RFC 9562 §5.8).
    pub fn to_uuid(self) -> Uuid {
        let beginning = self.0.first_chunk().copied().unwrap_or_default();
        uuid::Builder::from_custom_bytes(beginning).into_uuid()
    }

    /// The digest in base64url, 43 characters.
    pub fn to_base64url(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to tell two apart in a test's output.
        write!(f, "Digest({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// Fills an array from the operating system's generator.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SysRng
        .try_fill_bytes(&mut bytes)
        .expect("the operating system's random generator works once it has been seeded at boot");
    bytes
}

macro_rules! secret {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        pub struct $name(Box<str>);

        impl $name {
            /// A new one, of 256 random bits. The prefix lets leak scanners recognise it.
            pub fn mint() -> Self {
                let random = URL_SAFE_NO_PAD.encode(random_bytes::<ENTROPY>());
                Self(format!(concat!($prefix, "{}"), random).into())
            }

            /// What a caller claims to be one.
            pub fn presented(text: impl Into<Box<str>>) -> Self {
                Self(text.into())
            }

            /// The secret itself, for the one message that delivers it.
            pub fn expose(&self) -> &str {
                &self.0
            }

            /// What a store knows it by.
            pub fn digest(&self) -> Digest {
                Digest::of(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    )+};
}

secret! {
    /// Opens `/mcp` (RFC 6750).
    AccessToken = "at_";
    /// Yields new access tokens (RFC 6749 §1.5).
    RefreshToken = "rt_";
    /// What a client exchanges for its first tokens (RFC 6749 §4.1.2).
    AuthorizationCode = "ac_";
    /// Authenticates a confidential client (RFC 6749 §2.3.1).
    ClientSecret = "cs_";
    /// Lets a client register where registration is not open (RFC 7591 §3).
    InitialAccessToken = "ia_";
    /// Manages a client's registration (RFC 7592 §3).
    RegistrationToken = "ra_";
    /// The cookie of a person who has signed in.
    BrowserSessionId = "bs_";
    /// The cookie of a browser that nobody has signed in with yet.
    BrowserId = "br_";
    /// Names an authorization request that waits for a person. Worth nothing without the cookie
    /// of the browser that brought it.
    PendingId = "ar_";
    /// The `state` of a browser that has gone to an identity provider. Worth nothing without its
    /// cookie.
    DepartureId = "us_";
    /// The `Mcp-Session-Id` of a client of the session-based protocol.
    McpSessionId = "ms_";
}

/// A key of the server's own: 256 random bits that seal or sign what others carry for it. Every
/// replica has the same, so a store keeps it as it is.
#[derive(Clone)]
pub struct ServerKey([u8; 32]);

impl ServerKey {
    /// A new one.
    pub fn mint() -> Self {
        Self(random_bytes())
    }

    /// One that a store has written down.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key itself, for the algorithm that uses it.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerKey([redacted])")
    }
}

/// What this server shows to another one, or hands to a program, because the operator said so: a key, a
/// token, a password. It is kept as it is, because it has to be said.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Arc<str>);

impl Credential {
    /// One that the operator was given.
    pub fn given(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The credential itself, for the header that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential([redacted])")
    }
}

/// What the built-in user signs in with.
pub struct Passcode(Box<str>);

impl Passcode {
    /// One chosen by the operator.
    pub fn chosen(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// One of 130 random bits, in groups that can be read from a terminal and typed.
    pub fn generate() -> Self {
        // Digits and letters that are not taken for one another; 32 of them, five bits each.
        const ALPHABET: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
        let letters: Vec<char> = random_bytes::<26>()
            .iter()
            .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)))
            .map(|letter| char::from(*letter))
            .collect();
        let groups: Vec<String> = letters
            .chunks(7)
            .map(|group| group.iter().collect())
            .collect();
        Self(groups.join("-").into())
    }

    /// The passcode itself, to be shown to the operator once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `presented` is it. Takes the same time whatever was presented: both sides are
    /// hashed, and the hashes are compared without leaving early.
    pub fn matches(&self, presented: &str) -> bool {
        Digest::of(&self.0).matches(&Digest::of(presented))
    }
}

impl fmt::Debug for Passcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passcode([redacted])")
    }
}

macro_rules! foreign_secret {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Box<str>);

        impl $name {
            /// What somebody else made.
            pub fn received(text: impl Into<Box<str>>) -> Self {
                Self(text.into())
            }

            /// The secret itself, for whom it is meant.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    )+};
}

foreign_secret! {
    /// What a person's identity provider gave us to call its APIs with.
    ProvidedToken;
    /// What shows an identity provider that we are its client. The operator sets it; it is never kept.
    ProviderSecret;
}

/// What a person signs in with. It is typed, so it is normalised: “é” is one character or two
/// (RFC 8265 §4.2.2).
pub struct Password(Box<str>);

impl Password {
    /// What somebody typed.
    pub fn typed(text: &str) -> Self {
        Self(text.nfc().collect::<String>().into())
    }

    /// The password itself, to be hashed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([redacted])")
    }
}

/// What a password is checked against: a slow hash, with its salt and its parameters. No password
/// follows from it, but whoever has it can try out many, so it is not shown either.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

impl PasswordHash {
    /// A hash in the PHC string format.
    pub fn phc(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The hash as a store writes it down.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_gives_nothing_away() {
        let token = AccessToken::mint();
        assert_eq!(format!("{token:?}"), "AccessToken([redacted])");
        assert_eq!(
            format!("{:?}", Passcode::generate()),
            "Passcode([redacted])"
        );
        let credential = Credential::given("k-1");
        assert_eq!(format!("{credential:?}"), "Credential([redacted])");
    }

    #[test]
    fn minted_secrets_carry_their_prefix_and_256_bits() {
        let token = AccessToken::mint();
        let random = token.expose().strip_prefix("at_").unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(random).unwrap().len(), 32);
    }

    #[test]
    fn a_generated_passcode_has_26_letters_of_five_bits() {
        let passcode = Passcode::generate();
        let letters = passcode.expose().chars().filter(|c| *c != '-').count();
        assert_eq!(letters, 26);
        assert!(passcode.matches(passcode.expose()));
        assert!(!passcode.matches("guess"));
    }

    #[test]
    fn what_is_derived_for_one_purpose_is_no_use_for_another() {
        let here = Digest::derive("csrf", "secret");
        assert!(!here.matches(&Digest::derive("other", "secret")));
        assert!(!here.matches(&Digest::of("secret")));
    }
}
