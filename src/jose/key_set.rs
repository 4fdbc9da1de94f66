//! The public keys of one owner (RFC 7517 §5).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Algorithm, JwkError, PublicKey, json};

/// How many keys a set may hold: each can cost the check of a signature.
const MAX_KEYS: usize = 100;

/// The keys of one owner, of which there is at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct KeySet(Vec<PublicKey>);

/// Why a set of keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not what RFC 7517 §5 describes.
    #[error("a set of keys must be a JSON object with an array of keys, and no member twice")]
    Malformed,
    /// More than anybody needs.
    #[error("a set may hold {MAX_KEYS} keys at most")]
    TooMany,
    /// There is no key.
    #[error("the set holds no key")]
    Empty,
    /// There are keys, but none for us.
    #[error("the set holds no key that can be used; of the first: {0}")]
    NoneUsable(#[source] JwkError),
}

impl KeySet {
    /// Reads a document.
    pub fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        Self::from_json(&json::value(document).ok_or(KeySetError::Malformed)?)
    }

    /// Reads a JSON Web Key Set.
    pub fn from_json(json: &Value) -> Result<Self, KeySetError> {
        let keys = json.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or(KeySetError::Malformed)?;
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        // RFC 7517 §5: keys that cannot be used are ignored; some may be for encryption.
        let (mut usable, mut first_error) = (Vec::new(), None);
        for key in keys {
            match PublicKey::from_json(key) {
                Ok(key) => usable.push(key),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match first_error {
            _ if !usable.is_empty() => {
                // Strangers register keys: what is kept of them takes no more than it needs.
                usable.shrink_to_fit();
                Ok(Self(usable))
            }
            Some(error) => Err(KeySetError::NoneUsable(error)),
            None => Err(KeySetError::Empty),
        }
    }

    /// The set in JSON.
    pub fn to_json(&self) -> Value {
        let keys = self.0.iter().map(PublicKey::to_json).collect();
        [("keys".to_owned(), Value::Array(keys))]
            .into_iter()
            .collect()
    }

    /// All keys.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.iter()
    }

    /// The keys that may have made a signature: of those that serve the algorithm, those that are
    /// not called otherwise than `kid`. Names need neither be there nor be unique (RFC 7517 §4.5).
    pub fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &PublicKey> {
        let called_otherwise =
            move |key: &PublicKey| key.kid().zip(kid).is_some_and(|(name, kid)| name != kid);
        self.iter()
            .filter(move |key| key.serves(algorithm) && !called_otherwise(key))
    }
}

impl TryFrom<Value> for KeySet {
    type Error = KeySetError;

    fn try_from(json: Value) -> Result<Self, KeySetError> {
        Self::from_json(&json)
    }
}

impl From<KeySet> for Value {
    fn from(keys: KeySet) -> Self {
        keys.to_json()
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::{collection::vec, prelude::*, sample::select};
    use serde_json::json;

    use super::*;
    use crate::jose::examples::{ed25519, p256, rsa, with, without};

    #[test]
    fn sets_keep_the_keys_that_can_be_used() {
        let encryption = with(p256(), "use", "enc");
        let document = json!({ "keys": [encryption, 1, rsa(), { "kty": "?" }, ed25519()] });
        let keys = KeySet::parse(document.to_string().as_bytes()).unwrap();
        assert_eq!(keys.to_json(), json!({ "keys": [rsa(), ed25519()] }));
        let text = serde_json::to_string(&keys).unwrap();
        assert_eq!(serde_json::from_str::<KeySet>(&text).unwrap(), keys);
    }

    #[test]
    fn sets_that_cannot_be_used_are_refused() {
        for (document, expected) in [
            (json!([p256()]), KeySetError::Malformed),
            (json!({}), KeySetError::Malformed),
            (json!({ "keys": p256() }), KeySetError::Malformed),
            (json!({ "keys": [] }), KeySetError::Empty),
            (
                json!({ "keys": [{}, 1] }),
                KeySetError::NoneUsable(JwkError::Member("kty")),
            ),
            (
                json!({ "keys": vec![p256(); MAX_KEYS + 1] }),
                KeySetError::TooMany,
            ),
        ] {
            let text = document.to_string();
            assert_eq!(KeySet::parse(text.as_bytes()), Err(expected), "{text}");
        }
        let twice = format!(r#"{{"keys":[],"keys":[{}]}}"#, p256());
        for text in [twice.as_str(), "", "{"] {
            assert_eq!(KeySet::parse(text.as_bytes()), Err(KeySetError::Malformed));
        }
        let most = json!({ "keys": vec![p256(); MAX_KEYS] });
        assert_eq!(KeySet::from_json(&most).unwrap().iter().count(), MAX_KEYS);
    }

    #[test]
    fn candidates_are_found_by_name_and_algorithm() {
        let named = |key, kid: &str| with(without(key, "kid"), "kid", kid);
        let keys =
            json!({ "keys": [named(p256(), "a"), named(rsa(), "a"), named(p256(), "b"), p256()] });
        let keys = KeySet::from_json(&keys).unwrap();
        for (kid, algorithm, expected) in [
            (Some("a"), Algorithm::Es256, &[Some("a"), None][..]),
            (Some("a"), Algorithm::Rs256, &[Some("a")]),
            (Some("c"), Algorithm::Rs256, &[]),
            (Some("a"), Algorithm::Ps256, &[]),
            (Some("c"), Algorithm::Es256, &[None]),
            (Some(""), Algorithm::Es256, &[None]),
            (None, Algorithm::Es256, &[Some("a"), Some("b"), None]),
            (None, Algorithm::EdDsa, &[]),
        ] {
            let found = keys.candidates(kid, algorithm).map(PublicKey::kid);
            assert!(found.eq(expected.iter().copied()), "{kid:?} {algorithm:?}");
        }
    }

    /// JSON that resembles keys and sets of them.
    fn json() -> impl Strategy<Value = Value> {
        let words = select(vec![
            "RSA", "EC", "OKP", "oct", "P-256", "P-384", "Ed25519", "sig", "verify", "RS256",
            "ES256", "AQAB", "",
        ]);
        let names = select(vec![
            "kty", "crv", "x", "y", "n", "e", "d", "kid", "alg", "use", "key_ops", "keys",
        ]);
        let number = vec(any::<u8>(), 0..300).prop_map(|it| URL_SAFE_NO_PAD.encode(it).into());
        let leaf = prop_oneof![
            words.prop_map(Value::from),
            number,
            any::<String>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 40, 12, move |inner| {
            let member = (names.clone().prop_map(str::to_owned), inner.clone());
            prop_oneof![
                vec(inner, 0..4).prop_map(Value::from),
                vec(member, 0..12).prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_makes_a_key_panic(json in json()) {
            if let Ok(key) = PublicKey::from_json(&json) {
                prop_assert_eq!(PublicKey::from_json(&key.to_json()), Ok(key));
            }
            let _ = KeySet::from_json(&json);
            let _ = KeySet::from_json(&json!({ "keys": [json] }));
        }

        #[test]
        fn no_text_makes_a_set_panic(bytes in vec(any::<u8>(), 0..200), text in ".*") {
            let _ = KeySet::parse(&bytes);
            let _ = KeySet::parse(text.as_bytes());
        }
    }
}
