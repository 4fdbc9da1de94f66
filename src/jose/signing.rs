//! Key pairs, for tests to sign with: those of this room, and those in `tests`.

use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaPublicKeyComponents,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, crypto::sign};
use serde_json::{Value, json};

use super::{Algorithm, PublicKey};

/// A key pair and the algorithm that it signs with.
pub(crate) struct SigningKey {
    algorithm: Algorithm,
    private: EncodingKey,
    jwk: Value,
}

impl SigningKey {
    /// A new one.
    pub(crate) fn generate(algorithm: Algorithm) -> Self {
        let (private, jwk) = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => rsa(),
            Algorithm::Es256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            Algorithm::Es384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            Algorithm::EdDsa => ed25519(),
        };
        Self {
            algorithm,
            private,
            jwk,
        }
    }

    /// The public key, as a JSON Web Key without `kid` and `alg`.
    pub(crate) fn jwk(&self) -> Value {
        self.jwk.clone()
    }

    /// The public key.
    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::from_json(&self.jwk).unwrap()
    }

    /// A message with the `alg` of the key and these members in its header.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let mut header = header.as_object().unwrap().clone();
        header.insert("alg".to_owned(), self.algorithm.as_str().into());
        self.sign_text(&Value::Object(header).to_string(), &claims.to_string())
    }

    /// A message of exactly this header and these claims, whatever they are.
    pub(crate) fn sign_text(&self, header: &str, claims: &str) -> String {
        let encode = |text| URL_SAFE_NO_PAD.encode(text);
        let message = format!("{}.{}", encode(header), encode(claims));
        let algorithm = self.algorithm.as_str().parse().unwrap();
        let signature = sign(message.as_bytes(), &self.private, algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

fn number(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa() -> (EncodingKey, Value) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    let jwk = json!({ "kty": "RSA", "n": number(&public.n), "e": number(&public.e) });
    let wrapped = pair.as_der().unwrap();
    // What the signer takes (RFC 8017 §A.1.2) lies in what there is (RFC 5208 §5), behind 26 bytes
    // that are the same for all keys of this size.
    (EncodingKey::from_rsa_der(&wrapped.as_ref()[26..]), jwk)
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm, crv: &str) -> (EncodingKey, Value) {
    let private = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref()).unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = json!({ "kty": "EC", "crv": crv, "x": number(x), "y": number(y) });
    (EncodingKey::from_ec_der(private.as_ref()), jwk)
}

fn ed25519() -> (EncodingKey, Value) {
    let private = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(private.as_ref()).unwrap();
    let x = number(pair.public_key().as_ref());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
    (EncodingKey::from_ed_der(private.as_ref()), jwk)
}
