//! Signed messages in the compact form (RFC 7515), taken apart and verified.

use std::fmt;

use serde_json::{Map, Value};

use super::{Algorithm, KeySet, PublicKey, json};

/// What an assertion or a proof may take: nothing honest comes near it.
const MAX_SIZE: usize = 16 * 1024;

/// A message that has been taken apart. Nothing in it is true before it has been verified, so
/// until then little but its header can be read.
pub struct Jws<'a> {
    header: Header,
    signing_input: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Debug)]
struct Header {
    alg: Algorithm,
    typ: Option<String>,
    kid: Option<String>,
    jwk: Option<Value>,
}

/// Why a message is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Not one to be read at all.
    #[error("it is larger than {MAX_SIZE} bytes")]
    TooLarge,
    /// An encrypted one, perhaps, or one in the JSON form.
    #[error("it must be three parts of base64url without padding, separated by dots")]
    NotCompact,
    /// The first part.
    #[error("its header must be a JSON object with no member twice")]
    Header,
    /// A header parameter of the wrong type.
    #[error("the header parameter {0} must be a string")]
    NotAString(&'static str),
    /// A header parameter that nobody may ignore, and that is not understood.
    #[error("the header parameter {0} is not supported")]
    Extension(&'static str),
    /// `none`, HMAC, or another that is not ours.
    #[error("its algorithm (alg) is missing or not supported")]
    Algorithm,
    /// A key of another type, or for another algorithm.
    #[error("the key cannot have made a signature of its algorithm")]
    WrongKey,
    /// A set of keys without the right one.
    #[error("no key of its issuer has its key ID (kid) and serves its algorithm")]
    NoKey,
    /// Not signed with the key, or changed since.
    #[error("its signature is not valid")]
    Signature,
    /// Signed, but by somebody who does not speak JWT.
    #[error("its claims must be a JSON object with no member twice")]
    Claims,
}

impl<'a> Jws<'a> {
    /// Takes a message apart (RFC 7515 §5.2, steps 1 to 7).
    pub fn parse(text: &'a str) -> Result<Self, JwsError> {
        if text.len() > MAX_SIZE {
            return Err(JwsError::TooLarge);
        }
        let (signing_input, signature) = text.rsplit_once('.').ok_or(JwsError::NotCompact)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::NotCompact)?;
        // A dot that is left over is no base64url.
        let parts = [header, payload, signature].map(json::base64url);
        let [Some(header), Some(payload), Some(signature)] = parts else {
            return Err(JwsError::NotCompact);
        };
        Ok(Self {
            header: Header::read(&header)?,
            signing_input,
            payload,
            signature,
        })
    }

    /// The algorithm that it claims to be signed with.
    pub fn alg(&self) -> Algorithm {
        self.header.alg
    }

    /// What it claims to be, as written.
    pub fn typ(&self) -> Option<&str> {
        self.header.typ.as_deref()
    }

    /// Whether it claims to be `expected`, a media type without `application/`.
    pub fn is_a(&self, expected: &str) -> bool {
        self.typ().is_some_and(|typ| names_type(typ, expected))
    }

    /// The name of the key that it claims to be signed with.
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The key that it brings along. Whose key it is, it does not say.
    pub fn jwk(&self) -> Option<&Value> {
        self.header.jwk.as_ref()
    }

    /// The claims, if `key` made the signature.
    pub fn verify(&self, key: &PublicKey) -> Result<Map<String, Value>, JwsError> {
        if !key.serves(self.alg()) {
            return Err(JwsError::WrongKey);
        }
        if !self.is_signed_with(key) {
            return Err(JwsError::Signature);
        }
        self.claims()
    }

    /// The claims, if a key of the set made the signature.
    pub fn verify_with(&self, keys: &KeySet) -> Result<Map<String, Value>, JwsError> {
        let mut candidates = keys.candidates(self.kid(), self.alg()).peekable();
        if candidates.peek().is_none() {
            return Err(JwsError::NoKey);
        }
        if !candidates.any(|key| self.is_signed_with(key)) {
            return Err(JwsError::Signature);
        }
        self.claims()
    }

    fn is_signed_with(&self, key: &PublicKey) -> bool {
        let message = self.signing_input.as_bytes();
        key.verifies(self.alg(), message, &self.signature)
    }

    /// The text of a claim that nobody has verified yet: to find out whose keys to verify it with,
    /// and for nothing else.
    pub fn unverified(&self, claim: &str) -> Option<String> {
        match self.claims().ok()?.remove(claim)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// For whoever has checked the signature.
    fn claims(&self) -> Result<Map<String, Value>, JwsError> {
        json::object(&self.payload).ok_or(JwsError::Claims)
    }
}

impl fmt::Debug for Jws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the rest: whoever has the whole of an assertion may be able to use it.
        write!(f, "Jws({:?})", self.header)
    }
}

impl Header {
    fn read(json: &[u8]) -> Result<Self, JwsError> {
        let mut header = json::object(json).ok_or(JwsError::Header)?;
        // RFC 7515 §4.1.11: what is critical must be understood, and no extension is. RFC 7797
        // §6 makes `b64` critical; a message that forgot to say so means something else as well.
        for extension in ["crit", "b64"] {
            if header.contains_key(extension) {
                return Err(JwsError::Extension(extension));
            }
        }
        let mut text = |name| match header.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(JwsError::NotAString(name)),
        };
        let alg = text("alg")?.and_then(|name| Algorithm::parse(&name));
        Ok(Self {
            alg: alg.ok_or(JwsError::Algorithm)?,
            typ: text("typ")?,
            kid: text("kid")?,
            jwk: header.remove("jwk"),
        })
    }
}

/// Whether a `typ` names a media type (RFC 7515 §4.1.9): in any case, and with or without the
/// `application/` that is left out where no other slash is.
fn names_type(typ: &str, expected: &str) -> bool {
    const PREFIX: &str = "application/";
    let short = match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => typ,
    };
    short.eq_ignore_ascii_case(expected)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::{collection::vec, prelude::*};
    use serde_json::json;

    use super::*;
    use crate::jose::signing::SigningKey;

    /// RFC 7515 §A.2.
    const RS256: &str = concat!(
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl",
        "LmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh",
        "7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyW",
        "zO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZE",
        "Sc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGl",
        "UPQGe77Rw",
    );
    const RS256_N: &str = concat!(
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0B",
        "m4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5",
        "z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7",
        "aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    );
    /// RFC 7515 §A.3.
    const ES256: &str = concat!(
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl",
        "LmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlS",
        "ApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    /// RFC 8037 §A.4.
    const EDDSA: &str = concat!(
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGc",
        "vMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );

    fn key(json: &Value) -> PublicKey {
        PublicKey::from_json(json).unwrap()
    }

    fn rs256_key() -> PublicKey {
        key(&json!({ "kty": "RSA", "n": RS256_N, "e": "AQAB" }))
    }

    fn es256_key() -> PublicKey {
        key(&json!({
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }))
    }

    fn eddsa_key() -> PublicKey {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        key(&json!({ "kty": "OKP", "crv": "Ed25519", "x": x }))
    }

    #[test]
    fn the_examples_of_the_specifications_verify() {
        let claims = json!({
            "iss": "joe", "exp": 1_300_819_380, "http://example.com/is_root": true,
        });
        for (text, alg, key) in [
            (RS256, Algorithm::Rs256, rs256_key()),
            (ES256, Algorithm::Es256, es256_key()),
        ] {
            let jws = Jws::parse(text).unwrap();
            assert_eq!((jws.alg(), jws.kid(), jws.typ()), (alg, None, None));
            assert_eq!(Value::from(jws.verify(&key).unwrap()), claims);
        }
        // What this one signs is good and no claims.
        let jws = Jws::parse(EDDSA).unwrap();
        assert_eq!(jws.verify(&eddsa_key()), Err(JwsError::Claims));
    }

    #[test]
    fn every_algorithm_verifies_what_it_signed_and_nothing_else() {
        for algorithm in Algorithm::ALL {
            let ours = SigningKey::generate(algorithm);
            let text = ours.sign(&json!({}), &json!({ "iss": "joe" }));
            let jws = Jws::parse(&text).unwrap();
            assert_eq!(jws.alg(), algorithm);
            assert_eq!(
                Value::from(jws.verify(&ours.public()).unwrap()),
                json!({ "iss": "joe" })
            );
            if algorithm != Algorithm::Rs256 {
                let other = SigningKey::generate(algorithm).public();
                assert_eq!(jws.verify(&other), Err(JwsError::Signature));
            }
        }
    }

    #[test]
    fn what_was_changed_after_signing_is_refused() {
        let (message, signature) = ES256.rsplit_once('.').unwrap();
        let other_claims = message.replace("eyJpc3MiOiJqb2Ui", "eyJpc3MiOiJKb2Ui");
        let other_header = message.replacen("eyJhbGciOiJFUzI1NiJ9", "eyAiYWxnIjoiRVMyNTYifQ", 1);
        let longer = URL_SAFE_NO_PAD.encode([1; 65]);
        for (message, signature) in [
            (other_claims.as_str(), signature),
            (&other_header, signature),
            (message, ""),
            (message, &signature.replace('D', "E")),
            (message, &longer),
            // Zero is no number of a signature, and implementations have forgotten to look.
            (message, &URL_SAFE_NO_PAD.encode([0; 64])),
        ] {
            let text = format!("{message}.{signature}");
            let jws = Jws::parse(&text).unwrap();
            assert_eq!(jws.verify(&es256_key()), Err(JwsError::Signature), "{text}");
        }
    }

    #[test]
    fn a_key_is_only_used_for_its_algorithm() {
        for (text, key) in [
            (RS256, es256_key()),
            (ES256, eddsa_key()),
            (EDDSA, rs256_key()),
        ] {
            let jws = Jws::parse(text).unwrap();
            assert_eq!(jws.verify(&key), Err(JwsError::WrongKey));
        }
        let mut for_pss = rs256_key().to_json();
        for_pss["alg"] = "PS256".into();
        let jws = Jws::parse(RS256).unwrap();
        assert_eq!(jws.verify(&key(&for_pss)), Err(JwsError::WrongKey));
    }

    #[test]
    fn the_right_key_of_a_set_is_found() {
        let [ours, other] = [(); 2].map(|()| SigningKey::generate(Algorithm::EdDsa));
        let named = |key: &SigningKey, kid: &str| {
            let mut key = key.jwk();
            key["kid"] = kid.into();
            key
        };
        let keys = json!({ "keys": [named(&other, "other"), named(&ours, "ours")] });
        let keys = KeySet::from_json(&keys).unwrap();
        for (header, expected) in [
            (json!({}), Ok(())),
            (json!({ "kid": "ours" }), Ok(())),
            (json!({ "kid": "other" }), Err(JwsError::Signature)),
            (json!({ "kid": "third" }), Err(JwsError::NoKey)),
        ] {
            let text = ours.sign(&header, &json!({}));
            let result = Jws::parse(&text).unwrap().verify_with(&keys);
            assert_eq!(result.map(|_| ()), expected, "{header}");
        }
        let unknown = SigningKey::generate(Algorithm::EdDsa).sign(&json!({}), &json!({}));
        let result = Jws::parse(&unknown).unwrap().verify_with(&keys);
        assert_eq!(result, Err(JwsError::Signature));
        let result = Jws::parse(ES256).unwrap().verify_with(&keys);
        assert_eq!(result, Err(JwsError::NoKey));
    }

    #[test]
    fn what_is_no_compact_message_is_refused() {
        let (message, signature) = ES256.rsplit_once('.').unwrap();
        let (header, payload) = message.split_once('.').unwrap();
        for text in [
            "",
            ".",
            "...",
            header,
            message,
            &format!("{ES256}."),
            &format!(".{ES256}"),
            &format!("{header}.{payload}.{payload}.{payload}.{signature}"),
            &format!("{header}.{payload}=.{signature}"),
            &format!("{header}.{payload}.{signature}=="),
            &format!("{header}.{payload}.{}", signature.replace('-', "+")),
            &format!("{header}. {payload}.{signature}"),
            &format!("{ES256}\n"),
            r#"{"protected":"","payload":"","signature":""}"#,
        ] {
            assert_eq!(
                Jws::parse(text).unwrap_err(),
                JwsError::NotCompact,
                "{text}"
            );
        }
        assert_eq!(Jws::parse("..").unwrap_err(), JwsError::Header);
        let large = format!("{header}.{}.{signature}", "A".repeat(MAX_SIZE));
        assert_eq!(Jws::parse(&large).unwrap_err(), JwsError::TooLarge);
    }

    #[test]
    fn headers_that_are_not_understood_are_refused() {
        use JwsError::{Algorithm, Extension, Header, NotAString};
        for (header, expected) in [
            ("", Header),
            ("[]", Header),
            (r#""ES256""#, Header),
            (r#"{"alg":"ES256","alg":"ES256"}"#, Header),
            (r#"{"alg":"ES256","jwk":{"x":1,"x":2}}"#, Header),
            (r#"{"alg":"ES256"} {}"#, Header),
            ("{}", Algorithm),
            (r#"{"alg":"none"}"#, Algorithm),
            (r#"{"alg":"NONE"}"#, Algorithm),
            (r#"{"alg":"HS256"}"#, Algorithm),
            (r#"{"alg":"es256"}"#, Algorithm),
            (r#"{"alg":"ES512"}"#, Algorithm),
            (r#"{"alg":["ES256"]}"#, NotAString("alg")),
            (r#"{"alg":"ES256","typ":1}"#, NotAString("typ")),
            (r#"{"alg":"ES256","kid":null}"#, NotAString("kid")),
            (
                r#"{"alg":"ES256","crit":["exp"],"exp":1}"#,
                Extension("crit"),
            ),
            (r#"{"alg":"ES256","crit":[]}"#, Extension("crit")),
            (r#"{"alg":"ES256","b64":false}"#, Extension("b64")),
            (r#"{"alg":"ES256","b64":true}"#, Extension("b64")),
        ] {
            let text = format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(header));
            assert_eq!(Jws::parse(&text).unwrap_err(), expected, "{header}");
        }
    }

    #[test]
    fn claims_that_are_not_claims_are_refused_though_signed() {
        let key = SigningKey::generate(Algorithm::EdDsa);
        for claims in [
            "",
            "[]",
            r#"{"iss":"a","iss":"b"}"#,
            r#"{"a":[{"b":1,"b":1}]}"#,
        ] {
            let text = key.sign_text(r#"{"alg":"EdDSA"}"#, claims);
            let jws = Jws::parse(&text).unwrap();
            assert_eq!(jws.verify(&key.public()), Err(JwsError::Claims), "{claims}");
        }
    }

    #[test]
    fn debug_output_cannot_be_used() {
        let debug = format!("{:?}", Jws::parse(ES256).unwrap());
        let header = "Header { alg: Es256, typ: None, kid: None, jwk: None }";
        assert_eq!(debug, format!("Jws({header})"));
    }

    #[test]
    fn types_are_compared_as_media_types() {
        for same in [
            "dpop+jwt",
            "DPoP+JWT",
            "application/dpop+jwt",
            "Application/DPOP+jwt",
        ] {
            assert!(names_type(same, "dpop+jwt"), "{same}");
        }
        for other in [
            "",
            "jwt",
            "dpop+jwt ",
            "dpop+jwt;a=b",
            "text/dpop+jwt",
            "application/",
            "application/application/dpop+jwt",
            "äpplication/dpop+jwt",
        ] {
            assert!(!names_type(other, "dpop+jwt"), "{other}");
        }
        let text =
            SigningKey::generate(Algorithm::EdDsa).sign(&json!({ "typ": "JWT" }), &json!({}));
        let jws = Jws::parse(&text).unwrap();
        assert!(jws.is_a("jwt") && !jws.is_a("dpop+jwt"));
        assert!(!Jws::parse(ES256).unwrap().is_a("jwt"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*", dotted in r"[A-Za-z0-9_.=-]{0,80}") {
            let _ = Jws::parse(&text);
            let _ = Jws::parse(&dotted);
        }

        #[test]
        fn no_header_and_no_claims_panic(
            header in "[{}\\[\\]\",:a-z0-9.-]{0,60}",
            claims in vec(any::<u8>(), 0..60),
            signature in vec(any::<u8>(), 0..100),
        ) {
            for header in [header, r#"{"alg":"ES256"}"#.to_owned()] {
                let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
                let parts = [header.as_bytes(), &claims, &signature].map(encode);
                let text = parts.join(".");
                if let Ok(jws) = Jws::parse(&text) {
                    prop_assert!(jws.verify(&es256_key()).is_err());
                }
            }
        }
    }
}
