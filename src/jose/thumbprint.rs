//! What a public key is known by, whoever names it and however (RFC 7638).

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::json;

/// The SHA-256 of a public key: what tokens are bound to (`jkt`, RFC 9449 §6.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// The thumbprint of a key that is written as RFC 7638 §3 says.
    pub(super) fn of(canonical: &str) -> Self {
        Self(Sha256::digest(canonical).into())
    }

    /// Reads one from base64url, as in a `dpop_jkt` parameter (RFC 9449 §10).
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = json::base64url(text)?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl TryFrom<String> for Thumbprint {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a thumbprint is the base64url of 32 bytes, without padding")
    }
}

impl From<Thumbprint> for String {
    fn from(thumbprint: Thumbprint) -> Self {
        thumbprint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{
        PublicKey,
        examples::{ed25519, p256, rsa},
    };

    #[test]
    fn thumbprints_are_those_of_the_specifications() {
        for (key, expected) in [
            // RFC 7638 §3.1, RFC 8037 §A.3, RFC 9449 §6.1.
            (rsa(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            (ed25519(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
            (p256(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
        ] {
            let thumbprint = PublicKey::from_json(&key).unwrap().thumbprint();
            assert_eq!(thumbprint.to_string(), expected);
            assert_eq!(Thumbprint::parse(expected), Some(thumbprint));
            let json = serde_json::to_value(thumbprint).unwrap();
            assert_eq!(json, expected);
            assert_eq!(
                serde_json::from_value::<Thumbprint>(json).unwrap(),
                thumbprint
            );
        }
        let last_bits_set = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xt";
        for other in ["", "NzbLsXh8", last_bits_set] {
            assert_eq!(Thumbprint::parse(other), None, "{other}");
            assert!(serde_json::from_value::<Thumbprint>(other.into()).is_err());
        }
    }
}
