//! The keys of assertions: P-256, made from the server's own keys, so that every replica has the
//! same ones and nothing else need be stored.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::secret::ServerKey;

/// `ECPrivateKey` of RFC 5915 §3 up to the number itself: version 1, 32 bytes.
const BEFORE: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];

/// What follows the number: `[0]` and the name of P-256 (RFC 5480 §2.1.1.1).
const AFTER: [u8; 12] = [
    0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
];

/// Signs with ES256 (RFC 7518 §3.4).
pub(super) struct SigningKey {
    pair: EcdsaKeyPair,
    x: String,
    y: String,
}

impl SigningKey {
    /// The key pair that a server key yields. `None` cannot be met with: of 2³² numbers, one is not
    /// below the order of the curve, and then the next one is taken.
    pub(super) fn of(key: &ServerKey) -> Option<Self> {
        (0..8).find_map(|attempt| Self::attempt(key, attempt))
    }

    fn attempt(key: &ServerKey, attempt: u8) -> Option<Self> {
        let mut number = [0; 32];
        Hkdf::<Sha256>::new(None, key.expose())
            .expand_multi_info(
                &[b"remote-mcp-auth: ES256 key of assertions", &[attempt]],
                &mut number,
            )
            .ok()?;
        let der = [&BEFORE[..], &number, &AFTER].concat();
        let pair =
            EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).ok()?;
        // SEC 1 §2.3.3: 4 for “not compressed”, and the two coordinates.
        let (4, point) = pair.public_key().as_ref().split_first()? else {
            return None;
        };
        let (x, y) = point.split_at_checked(32)?;
        let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        Some(Self { pair, x, y })
    }

    /// What the key is known by (RFC 7638 §3).
    pub(super) fn kid(&self) -> String {
        let (x, y) = (&self.x, &self.y);
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        URL_SAFE_NO_PAD.encode(Sha256::digest(canonical))
    }

    /// The public key (RFC 7517 §4).
    pub(super) fn jwk(&self) -> Value {
        json!({
            "kty": "EC",
            "crv": "P-256",
            "x": self.x,
            "y": self.y,
            "kid": self.kid(),
            "alg": "ES256",
            "use": "sig",
        })
    }

    /// A signed message in compact form (RFC 7515 §7.1).
    pub(super) fn sign(&self, header: &Value, claims: &Value) -> Option<String> {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message.as_bytes())
            .ok()?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Some(format!("{message}.{signature}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::PublicKey;

    #[test]
    fn a_server_key_yields_the_same_pair_everywhere_and_others_yield_others() {
        let [one, other] = [1, 2].map(|byte| ServerKey::from_bytes([byte; 32]));
        let key = SigningKey::of(&one).unwrap();
        assert_eq!(SigningKey::of(&one).unwrap().jwk(), key.jwk());
        assert_ne!(SigningKey::of(&other).unwrap().kid(), key.kid());
        let public = PublicKey::from_json(&key.jwk()).unwrap();
        assert_eq!(public.thumbprint().to_string(), key.kid());
        // The secret itself is in nothing that is shown.
        assert!(
            !key.jwk()
                .to_string()
                .contains(&URL_SAFE_NO_PAD.encode([1; 32]))
        );
    }
}
