//! Signed JSON: the part of JOSE that proofs and assertions need (RFC 7515, RFC 7517, RFC 7519).
//!
//! Signatures are checked by the crate `jsonwebtoken`. Its checks of claims are not used, because
//! they ask the system for the time. Nothing is signed here and nothing encrypted: what this
//! server issues can be looked up.

mod claims;
mod json;
mod jwk;
mod jws;
mod key_set;
mod thumbprint;

use serde::{Deserialize, Serialize};

pub use claims::{Claims, ClaimsError, LEEWAY, numeric_date};
pub use jwk::{JwkError, PublicKey};
pub use jws::{Jws, JwsError};
pub use key_set::{KeySet, KeySetError};
pub use thumbprint::Thumbprint;

const ED25519: &str = "Ed25519";

/// The signature algorithms that are accepted (RFC 7518 §3.1, RFC 8037 §3.1).
///
/// All are asymmetric. `none` and HMAC have no variant, so no mistake can let them in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// EdDSA, with Ed25519 alone.
    EdDsa,
}

impl Algorithm {
    /// All that this server supports, in the order in which it advertises them.
    pub const ALL: [Self; 5] = [
        Self::Es256,
        Self::EdDsa,
        Self::Es384,
        Self::Ps256,
        Self::Rs256,
    ];

    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Reads a name; `None` if it is not one of ours. Names are case-sensitive (RFC 7515 §4.1.1).
    pub fn parse(name: &str) -> Option<Self> {
        // The one EdDSA that we have got a name of its own (RFC 9864 §2.2).
        if name == ED25519 {
            return Some(Self::EdDsa);
        }
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }

    /// Every name that is understood, as metadata advertises them.
    pub fn names() -> Vec<&'static str> {
        let mut names = Self::ALL.map(Self::as_str).to_vec();
        names.push(ED25519);
        names
    }

    /// What `jsonwebtoken` calls it.
    const fn implementation(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// A name that is not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the algorithm is not supported")]
pub struct UnknownAlgorithm;

impl TryFrom<String> for Algorithm {
    type Error = UnknownAlgorithm;

    fn try_from(name: String) -> Result<Self, UnknownAlgorithm> {
        Self::parse(&name).ok_or(UnknownAlgorithm)
    }
}

impl From<Algorithm> for &'static str {
    fn from(algorithm: Algorithm) -> Self {
        algorithm.as_str()
    }
}

#[cfg(test)]
mod examples;
#[cfg(test)]
pub(crate) mod signing;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_are_algorithms() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
        }
        assert_eq!(Algorithm::parse("Ed25519"), Some(Algorithm::EdDsa));
        for name in Algorithm::names() {
            assert!(Algorithm::parse(name).is_some(), "{name}");
        }
        for other in [
            "none", "None", "HS256", "es256", "ES512", "RS1", "Ed448", "",
        ] {
            assert_eq!(Algorithm::parse(other), None, "{other}");
        }
    }
}
