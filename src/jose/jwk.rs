//! Public keys that others publish or bring along (RFC 7517).

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, crypto::aws_lc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Algorithm, Thumbprint, json};

/// Fewer are too weak (RFC 7518 §3.3), more are beyond what the implementation checks.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

const ED25519_SIZE: usize = 32;

/// Members that only a private or a symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key that signatures can be checked with.
///
/// What a key says beyond its numbers, `kid` and `alg` is read and not kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct PublicKey {
    numbers: Numbers,
    kid: Option<Box<str>>,
    alg: Option<Algorithm>,
}

#[derive(Clone, PartialEq, Eq)]
enum Numbers {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    Ec {
        curve: Curve,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    Ed25519 {
        x: Vec<u8>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// No JSON object.
    #[error("a key must be a JSON object")]
    NotAnObject,
    /// Somebody gave their private key away.
    #[error("the key must be public, and it has the private member {0}")]
    Private(&'static str),
    /// A shared secret.
    #[error("the key must be public, and it is symmetric")]
    Symmetric,
    /// A member that the key needs.
    #[error("the member {0} of the key is missing or malformed")]
    Member(&'static str),
    /// A `kty` of another kind.
    #[error("the type (kty) of the key must be EC, OKP or RSA")]
    Type,
    /// A `crv` of another kind.
    #[error("the curve (crv) of the key must be P-256, P-384 or Ed25519")]
    Curve,
    /// Too weak, or absurd.
    #[error("an RSA key must have {} to {} bits", RSA_BITS.start(), RSA_BITS.end())]
    RsaSize,
    /// A key for something else.
    #[error("the key must be meant for the verification of signatures (use, key_ops)")]
    Purpose,
    /// An `alg` that is not supported, or not with a key of this type.
    #[error("the algorithm (alg) of the key is not supported, or not one for its type")]
    Algorithm,
}

impl PublicKey {
    /// Reads a JSON Web Key.
    pub fn from_json(json: &Value) -> Result<Self, JwkError> {
        let jwk = json.as_object().ok_or(JwkError::NotAnObject)?;
        let kty = text(jwk, "kty")?;
        if kty == "oct" {
            return Err(JwkError::Symmetric);
        }
        if let Some(name) = PRIVATE_MEMBERS.iter().find(|name| jwk.contains_key(**name)) {
            return Err(JwkError::Private(name));
        }
        check_purpose(jwk)?;
        let numbers = Numbers::read(kty, jwk)?;
        let alg = match optional_text(jwk, "alg")? {
            Some(name) => Some(numbers.algorithm(name)?),
            None => None,
        };
        Ok(Self {
            numbers,
            kid: optional_text(jwk, "kid")?.map(Into::into),
            alg,
        })
    }

    /// The key in JSON: its numbers, `kid` and `alg`, in the order of their names.
    pub fn to_json(&self) -> Value {
        let mut members = self.numbers.members();
        members.extend(self.alg.map(|alg| ("alg", alg.as_str().to_owned())));
        members.extend(self.kid.as_ref().map(|kid| ("kid", kid.to_string())));
        members.sort_unstable();
        object(members)
    }

    /// What its owner calls it.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The only algorithm that it may be used with, if its owner chose one.
    pub fn alg(&self) -> Option<Algorithm> {
        self.alg
    }

    /// What the key is known by, whoever names it and however.
    pub fn thumbprint(&self) -> Thumbprint {
        // RFC 7638 §3: the required members alone, in the order of their names, without blanks.
        let canonical = object(self.numbers.members()).to_string();
        Thumbprint::of(&canonical)
    }

    /// Whether signatures of `algorithm` can be checked with it.
    pub fn serves(&self, algorithm: Algorithm) -> bool {
        self.numbers.serve(algorithm) && self.alg.is_none_or(|only| only == algorithm)
    }

    /// Whether its owner signed `message`. A point that is not on its curve verifies nothing.
    pub(super) fn verifies(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> bool {
        // Asked for by name. The crate would find its implementation by itself, but it panics in
        // a program in which somebody else has compiled the other one in.
        let implementation = &aws_lc::DEFAULT_PROVIDER;
        let key = self.numbers.decoding_key();
        self.serves(algorithm)
            && (implementation.verifier_factory)(&algorithm.implementation(), &key)
                .is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
    }
}

impl Numbers {
    fn read(kty: &str, jwk: &Map<String, Value>) -> Result<Self, JwkError> {
        match kty {
            "RSA" => Self::rsa(jwk),
            "EC" => {
                let curve = match text(jwk, "crv")? {
                    "P-256" => Curve::P256,
                    "P-384" => Curve::P384,
                    _ => return Err(JwkError::Curve),
                };
                let x = bytes_of_size(jwk, "x", curve.size())?;
                let y = bytes_of_size(jwk, "y", curve.size())?;
                Ok(Self::Ec { curve, x, y })
            }
            "OKP" if text(jwk, "crv")? == "Ed25519" => {
                let x = bytes_of_size(jwk, "x", ED25519_SIZE)?;
                Ok(Self::Ed25519 { x })
            }
            "OKP" => Err(JwkError::Curve),
            _ => Err(JwkError::Type),
        }
    }

    fn rsa(jwk: &Map<String, Value>) -> Result<Self, JwkError> {
        let (n, e) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
        // RFC 7518 §6.3.1: no zeros in front, so that one key has one thumbprint.
        let bits = |number: &[u8]| match number.first() {
            None | Some(0) => None,
            Some(first) => Some(number.len() * 8 - first.leading_zeros() as usize),
        };
        let size = bits(&n).ok_or(JwkError::Member("n"))?;
        if !RSA_BITS.contains(&size) {
            return Err(JwkError::RsaSize);
        }
        // 1 would leave a message as it is; no even number is an exponent; and the implementation
        // takes 33 bits at most, so that nobody can make a check expensive.
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        if !bits(&e).is_some_and(|bits| (2..=33).contains(&bits)) || !is_odd(&e) {
            return Err(JwkError::Member("e"));
        }
        Ok(Self::Rsa { n, e })
    }

    /// The members that make the key, in the order of their names.
    fn members(&self) -> Vec<(&'static str, String)> {
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa { n, e } => vec![
                ("e", number(e)),
                ("kty", "RSA".to_owned()),
                ("n", number(n)),
            ],
            Self::Ec { curve, x, y } => vec![
                ("crv", curve.as_str().to_owned()),
                ("kty", "EC".to_owned()),
                ("x", number(x)),
                ("y", number(y)),
            ],
            Self::Ed25519 { x } => vec![
                ("crv", "Ed25519".to_owned()),
                ("kty", "OKP".to_owned()),
                ("x", number(x)),
            ],
        }
    }

    fn serve(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => matches!(self, Self::Rsa { .. }),
            Algorithm::Es256 => matches!(self, Self::Ec { curve, .. } if *curve == Curve::P256),
            Algorithm::Es384 => matches!(self, Self::Ec { curve, .. } if *curve == Curve::P384),
            Algorithm::EdDsa => matches!(self, Self::Ed25519 { .. }),
        }
    }

    fn algorithm(&self, name: &str) -> Result<Algorithm, JwkError> {
        Algorithm::parse(name)
            .filter(|algorithm| self.serve(*algorithm))
            .ok_or(JwkError::Algorithm)
    }

    fn decoding_key(&self) -> DecodingKey {
        match self {
            Self::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
            // Despite the names of these two, what they take is the point itself: 4 is the mark
            // of one that is not compressed (SEC 1 §2.3.3).
            Self::Ec { x, y, .. } => DecodingKey::from_ec_der(&[&[4], &x[..], &y[..]].concat()),
            Self::Ed25519 { x } => DecodingKey::from_ed_der(x),
        }
    }
}

impl Curve {
    const fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }

    /// Bytes of a coordinate. Leading zeros are kept (RFC 7518 §6.2.1.2).
    const fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

impl TryFrom<Value> for PublicKey {
    type Error = JwkError;

    fn try_from(json: Value) -> Result<Self, JwkError> {
        Self::from_json(&json)
    }
}

impl From<PublicKey> for Value {
    fn from(key: PublicKey) -> Self {
        key.to_json()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.to_json())
    }
}

/// Whether the key says that it is for the verification of signatures, or says nothing
/// (RFC 7517 §4.2, §4.3).
fn check_purpose(jwk: &Map<String, Value>) -> Result<(), JwkError> {
    if optional_text(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(JwkError::Purpose);
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|it| it == "verify") => Ok(()),
        Some(_) => Err(JwkError::Purpose),
    }
}

fn optional_text<'a>(
    jwk: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, JwkError> {
    match jwk.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(JwkError::Member(name)),
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, JwkError> {
    optional_text(jwk, name)?.ok_or(JwkError::Member(name))
}

fn bytes(jwk: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, JwkError> {
    json::base64url(text(jwk, name)?).ok_or(JwkError::Member(name))
}

fn bytes_of_size(
    jwk: &Map<String, Value>,
    name: &'static str,
    size: usize,
) -> Result<Vec<u8>, JwkError> {
    let bytes = bytes(jwk, name)?;
    if bytes.len() != size {
        return Err(JwkError::Member(name));
    }
    Ok(bytes)
}

fn object(members: Vec<(&'static str, String)>) -> Value {
    let members = members.into_iter();
    members
        .map(|(name, value)| (name.to_owned(), Value::String(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::json;

    use super::*;
    use crate::jose::{
        examples::{ed25519, p256, rsa, with, without},
        signing::SigningKey,
    };

    #[test]
    fn keys_that_cannot_be_used_are_refused() {
        use JwkError::{
            Algorithm, Curve, Member, NotAnObject, Private, Purpose, RsaSize, Symmetric, Type,
        };
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        for (key, expected) in [
            (json!(null), NotAnObject),
            (json!([rsa()]), NotAnObject),
            (json!({}), Member("kty")),
            (json!({ "kty": 1 }), Member("kty")),
            (json!({ "kty": "AKP" }), Type),
            (json!({ "kty": "rsa" }), Type),
            (json!({ "kty": "oct", "k": "AAAA" }), Symmetric),
            (with(p256(), "d", "AAAA"), Private("d")),
            (with(ed25519(), "d", json!(null)), Private("d")),
            (with(rsa(), "p", "AAAA"), Private("p")),
            (with(rsa(), "q", "AAAA"), Private("q")),
            (with(rsa(), "dp", "AAAA"), Private("dp")),
            (with(rsa(), "dq", "AAAA"), Private("dq")),
            (with(rsa(), "qi", "AAAA"), Private("qi")),
            (with(rsa(), "oth", json!([])), Private("oth")),
            (with(p256(), "k", "AAAA"), Private("k")),
            (with(p256(), "use", "enc"), Purpose),
            (with(p256(), "use", json!(null)), Member("use")),
            (with(p256(), "key_ops", json!(["sign"])), Purpose),
            (with(p256(), "key_ops", json!([])), Purpose),
            (with(p256(), "key_ops", "verify"), Purpose),
            (with(p256(), "kid", 1), Member("kid")),
            (with(p256(), "alg", 1), Member("alg")),
            (with(p256(), "alg", "ES384"), Algorithm),
            (with(p256(), "alg", "ECDH-ES"), Algorithm),
            (with(rsa(), "alg", "RS512"), Algorithm),
            (with(rsa(), "alg", "HS256"), Algorithm),
            (with(p256(), "crv", "P-521"), Curve),
            (with(p256(), "crv", "secp256k1"), Curve),
            (with(ed25519(), "crv", "X25519"), Curve),
            (with(ed25519(), "crv", "Ed448"), Curve),
            (without(p256(), "crv"), Member("crv")),
            (without(p256(), "y"), Member("y")),
            (with(p256(), "x", number(&[1; 31])), Member("x")),
            (with(p256(), "y", number(&[1; 33])), Member("y")),
            (with(p256(), "crv", "P-384"), Member("x")),
            (with(ed25519(), "x", number(&[1; 33])), Member("x")),
            (
                with(
                    ed25519(),
                    "x",
                    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
                ),
                Member("x"),
            ),
            (
                with(
                    ed25519(),
                    "x",
                    "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                ),
                Member("x"),
            ),
            (with(rsa(), "n", ""), Member("n")),
            (
                with(rsa(), "n", number(&[&[0], &[255; 256][..]].concat())),
                Member("n"),
            ),
            (with(rsa(), "n", number(&[127; 256])), RsaSize),
            (with(rsa(), "n", number(&[255; 128])), RsaSize),
            (with(rsa(), "n", number(&[255; 1025])), RsaSize),
            (with(rsa(), "e", ""), Member("e")),
            (with(rsa(), "e", "AQ"), Member("e")),
            (with(rsa(), "e", "AAEAAQ"), Member("e")),
            (with(rsa(), "e", "AQAA"), Member("e")),
            (with(rsa(), "e", number(&[255; 9])), Member("e")),
        ] {
            assert_eq!(PublicKey::from_json(&key), Err(expected), "{key}");
        }
    }

    #[test]
    fn what_a_key_says_about_itself_is_read() {
        let from_a_browser = json!({ "use": "sig", "key_ops": ["verify"], "ext": true, "x5c": [] });
        let mut key = p256();
        for (name, value) in from_a_browser.as_object().unwrap() {
            key[name] = value.clone();
        }
        let key = PublicKey::from_json(&with(key, "kid", "one")).unwrap();
        assert_eq!(key.kid(), Some("one"));
        assert_eq!(key.alg(), None);
        // What was not understood is not kept.
        assert_eq!(key.to_json(), with(p256(), "kid", "one"));
    }

    #[test]
    fn a_key_comes_back_from_its_json() {
        let text = serde_json::to_string(&PublicKey::from_json(&rsa()).unwrap()).unwrap();
        let order = ["\"alg\"", "\"e\"", "\"kid\"", "\"kty\"", "\"n\""];
        assert!(
            order.iter().map(|name| text.find(name)).is_sorted(),
            "{text}"
        );
        for key in [rsa(), p256(), ed25519()] {
            let key = PublicKey::from_json(&key).unwrap();
            let text = serde_json::to_string(&key).unwrap();
            assert_eq!(serde_json::from_str::<PublicKey>(&text).unwrap(), key);
        }
        assert!(serde_json::from_value::<PublicKey>(with(rsa(), "d", "AAAA")).is_err());
    }

    #[test]
    fn a_key_serves_the_algorithms_of_its_type_or_the_one_that_it_names() {
        let p384 = SigningKey::generate(Algorithm::Es384).jwk();
        for (key, expected) in [
            (
                without(rsa(), "alg"),
                &[Algorithm::Ps256, Algorithm::Rs256][..],
            ),
            (rsa(), &[Algorithm::Rs256]),
            (with(rsa(), "alg", "PS256"), &[Algorithm::Ps256]),
            (p256(), &[Algorithm::Es256]),
            (p384, &[Algorithm::Es384]),
            (ed25519(), &[Algorithm::EdDsa]),
        ] {
            let public = PublicKey::from_json(&key).unwrap();
            let served = Algorithm::ALL.into_iter().filter(|it| public.serves(*it));
            assert!(served.eq(expected.iter().copied()), "{key}");
        }
    }

    proptest! {
        #[test]
        fn no_numbers_make_a_verification_panic(
            n in vec(any::<u8>(), 256), x in vec(any::<u8>(), 32), y in vec(any::<u8>(), 32),
            message in vec(any::<u8>(), 0..40), signature in vec(any::<u8>(), 0..300),
        ) {
            let e = vec![1, 0, 1];
            let point = Numbers::Ec { curve: Curve::P256, x: x.clone(), y };
            for numbers in [Numbers::Rsa { n, e }, Numbers::Ed25519 { x }, point] {
                let key = PublicKey { numbers, kid: None, alg: None };
                for algorithm in Algorithm::ALL {
                    prop_assert!(!key.verifies(algorithm, &message, &signature));
                }
            }
        }
    }
}
