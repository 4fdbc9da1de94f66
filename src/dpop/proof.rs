//! One proof, held against the request that it came with (RFC 9449 §4.3).

use std::time::Duration;

use fluent_uri::Uri;
use serde_json::{Map, Value};

use super::Nonces;
use crate::{
    clock::Timestamp,
    jose::{JwkError, Jws, JwsError, LEEWAY, PublicKey, Thumbprint, numeric_date},
    secret::Digest,
};

/// How old a proof may be. Clocks of browsers and laptops are minutes off.
const MAX_AGE: Duration = Duration::from_mins(5);

/// A `jti` that nobody needs would still have to be hashed.
const MAX_JTI: usize = 256;

/// The request that a proof came with. There must have been one proof (RFC 9449 §4.3, check 1).
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// Its URL as clients know it. The query does not matter.
    pub htu: &'a str,
    /// The access token that was presented with it, if one was.
    pub access_token: Option<&'a str>,
    /// The present moment.
    pub now: Timestamp,
    /// Which nonces are ours.
    pub nonces: &'a Nonces,
}

/// A proof that is good for the request, if it is new: see
/// `first_use` of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The key that the sender holds.
    pub key: Thumbprint,
    /// What the proof is called. Different keys never have the same, so nobody can use up the
    /// proofs of somebody else.
    pub jti: Digest,
    /// From when on it is too old.
    pub until: Timestamp,
    /// Whether a nonce was in it, which then was a good one.
    pub nonce_was_sent: bool,
}

/// Why a proof is refused. All but [`UseNonce`](Self::UseNonce) are `invalid_dpop_proof`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a message of the right form, or not signed with its key.
    #[error("the DPoP proof is not accepted: {0}")]
    Message(#[from] JwsError),
    /// A message of another kind.
    #[error("the type (typ) of the DPoP proof must be dpop+jwt")]
    Type,
    /// No key came with it.
    #[error("the DPoP proof must bring its public key along (jwk)")]
    NoKey,
    /// The key cannot be used.
    #[error("the DPoP proof is not accepted: {0}")]
    Key(#[from] JwkError),
    /// A claim is not there, or of the wrong type.
    #[error("the claim {0} of the DPoP proof is missing or malformed")]
    Claim(&'static str),
    /// Made for another method.
    #[error("the DPoP proof was made for another method (htm)")]
    Method,
    /// Made for another URL.
    #[error("the DPoP proof was made for another URL (htu)")]
    Url,
    /// Made too long ago.
    #[error("the DPoP proof is too old (iat)")]
    TooOld,
    /// Made by somebody whose clock is fast.
    #[error("the DPoP proof was made in the future (iat)")]
    FromTheFuture,
    /// Made for another access token.
    #[error("the DPoP proof was made for another access token (ath)")]
    AccessToken,
    /// Made with a nonce that is not ours or too old, or without one where one is needed:
    /// `use_dpop_nonce` (RFC 9449 §8, §9).
    #[error("the DPoP proof must contain the nonce of the DPoP-Nonce header")]
    UseNonce,
    /// Used before. For callers: one proof alone does not show it.
    #[error("the DPoP proof has been used before")]
    Replayed,
}

impl Proof {
    /// Holds a proof against its request. The numbers are those of the checks in RFC 9449 §4.3.
    pub fn check(text: &str, expected: &Expected<'_>) -> Result<Self, ProofError> {
        // 2 and 5: one signed message, of an asymmetric algorithm of ours.
        let jws = Jws::parse(text)?;
        // 4.
        if !jws.is_a("dpop+jwt") {
            return Err(ProofError::Type);
        }
        // 6 and 7: the key is public, and it made the signature.
        let key = PublicKey::from_json(jws.jwk().ok_or(ProofError::NoKey)?)?;
        let claims = jws.verify(&key)?;
        // 3: every claim that is needed is there, which shows as it is read.
        let key = key.thumbprint();
        let jti = text_of(&claims, "jti")?;
        if !(1..=MAX_JTI).contains(&jti.chars().count()) {
            return Err(ProofError::Claim("jti"));
        }
        check_request(&claims, expected)?;
        Ok(Self {
            key,
            jti: Digest::derive(&key.to_string(), jti),
            until: check_age(&claims, expected.now)?,
            nonce_was_sent: check_nonce(&claims, expected)?,
        })
    }
}

/// Checks 8, 9 and 12: method, URL and access token are those of the request.
fn check_request(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), ProofError> {
    if text_of(claims, "htm")? != expected.method {
        return Err(ProofError::Method);
    }
    let htu = normalized(text_of(claims, "htu")?).ok_or(ProofError::Claim("htu"))?;
    if normalized(expected.htu).is_none_or(|ours| ours != htu) {
        return Err(ProofError::Url);
    }
    if let Some(token) = expected.access_token
        && text_of(claims, "ath")? != Digest::of(token).to_base64url()
    {
        return Err(ProofError::AccessToken);
    }
    Ok(())
}

/// Check 11. The answer is from when on the proof fails it.
fn check_age(claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, ProofError> {
    let issued = claims.get("iat").and_then(numeric_date);
    let issued = issued.ok_or(ProofError::Claim("iat"))?;
    let until = issued + MAX_AGE;
    if now >= until {
        return Err(ProofError::TooOld);
    }
    if issued > now + LEEWAY {
        return Err(ProofError::FromTheFuture);
    }
    Ok(until)
}

/// Check 10, and whether there was anything to check: only the caller knows where a nonce is
/// needed.
fn check_nonce(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<bool, ProofError> {
    match claims.get("nonce") {
        None => Ok(false),
        Some(Value::String(nonce)) if expected.nonces.is_good(nonce, expected.now) => Ok(true),
        Some(_) => Err(ProofError::UseNonce),
    }
}

/// A URL in the one spelling that is compared (RFC 3986 §6.2.2, §6.2.3), without its query and
/// fragment.
fn normalized(url: &str) -> Option<String> {
    let url = Uri::parse(url).ok().filter(Uri::has_authority)?.normalize();
    let mut compared = url.as_str().split(['?', '#']).next()?.to_owned();
    // A URL without a path means the root.
    if url.path().is_empty() {
        compared.push('/');
    }
    Some(compared)
}

fn text_of<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, ProofError> {
    let text = claims.get(name).and_then(Value::as_str);
    text.ok_or(ProofError::Claim(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::jose::{Algorithm, signing::SigningKey};
    use crate::secret::ServerKey;

    /// RFC 9449 §4.1.
    const FOR_A_TOKEN: &str = concat!(
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0",
        "VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10",
        "NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjo",
        "iUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.",
        "2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg",
    );
    /// RFC 9449 §7.1.
    const FOR_A_RESOURCE: &str = concat!(
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0",
        "VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10",
        "NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjo",
        "iR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI",
        "6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2o",
        "W9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA",
    );
    const THEIR_KEY: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    const THEIR_TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    /// Checks a proof against a request to `/mcp` with a token.
    fn check(text: &str) -> Result<Proof, ProofError> {
        let nonces = nonces();
        let expected = Expected {
            method: "POST",
            htu: "https://mcp.example.com/mcp",
            access_token: Some("at_1"),
            now: NOW,
            nonces: &nonces,
        };
        Proof::check(text, &expected)
    }

    fn nonces() -> Nonces {
        Nonces::new(&[ServerKey::from_bytes([7; 32])])
    }

    fn good_header(key: &SigningKey) -> Value {
        json!({ "typ": "dpop+jwt", "jwk": key.jwk() })
    }

    fn good_claims() -> Value {
        json!({
            "jti": "one",
            "htm": "POST",
            "htu": "https://mcp.example.com/mcp",
            "iat": NOW.as_secs(),
            "ath": Digest::of("at_1").to_base64url(),
        })
    }

    /// Checks a proof that is good but for one claim, which is left out if it is null.
    fn check_with(name: &str, value: Value) -> Result<Proof, ProofError> {
        let key = SigningKey::generate(Algorithm::Es256);
        let mut claims = good_claims();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        check(&key.sign(&good_header(&key), &claims))
    }

    #[test]
    fn the_examples_of_the_specification_are_good_at_their_time() {
        let nonces = nonces();
        let for_a_token = Expected {
            method: "POST",
            htu: "https://server.example.com/token",
            access_token: None,
            now: Timestamp::from_millis(1_562_262_616_000),
            nonces: &nonces,
        };
        let for_a_resource = Expected {
            method: "GET",
            htu: "https://resource.example.org/protectedresource",
            access_token: Some(THEIR_TOKEN),
            now: Timestamp::from_millis(1_562_262_618_000),
            nonces: &nonces,
        };
        for (text, expected, jti) in [
            (FOR_A_TOKEN, for_a_token, "-BwC3ESc6acc2lTc"),
            (FOR_A_RESOURCE, for_a_resource, "e1j3V_bKic8-LAEB"),
        ] {
            let proof = Proof {
                key: Thumbprint::parse(THEIR_KEY).unwrap(),
                jti: Digest::derive(THEIR_KEY, jti),
                until: expected.now + MAX_AGE,
                nonce_was_sent: false,
            };
            assert_eq!(Proof::check(text, &expected), Ok(proof));
            let later = Expected {
                now: expected.now + MAX_AGE,
                ..expected
            };
            assert_eq!(Proof::check(text, &later), Err(ProofError::TooOld));
        }
        let other_token = Expected {
            access_token: Some("Kz~8"),
            ..for_a_resource
        };
        let result = Proof::check(FOR_A_RESOURCE, &other_token);
        assert_eq!(result, Err(ProofError::AccessToken));
        let with_token = Expected {
            access_token: Some(THEIR_TOKEN),
            ..for_a_token
        };
        let result = Proof::check(FOR_A_TOKEN, &with_token);
        assert_eq!(result, Err(ProofError::Claim("ath")));
    }

    #[test]
    fn every_algorithm_will_do() {
        for algorithm in Algorithm::ALL {
            let key = SigningKey::generate(algorithm);
            let proof = check(&key.sign(&good_header(&key), &good_claims())).unwrap();
            assert_eq!(proof.key, key.public().thumbprint());
        }
    }

    #[test]
    fn a_message_of_another_kind_is_no_proof() {
        let key = SigningKey::generate(Algorithm::Es256);
        let other = SigningKey::generate(Algorithm::Es256);
        let mut private = key.jwk();
        private["d"] = "AAAA".into();
        let secret = json!({ "kty": "oct", "k": "AAAA" });
        for (header, expected) in [
            (json!({ "jwk": key.jwk() }), ProofError::Type),
            (json!({ "typ": "JWT", "jwk": key.jwk() }), ProofError::Type),
            (json!({ "typ": "dpop+jwt" }), ProofError::NoKey),
            (
                json!({ "typ": "dpop+jwt", "jwk": private }),
                JwkError::Private("d").into(),
            ),
            (
                json!({ "typ": "dpop+jwt", "jwk": secret }),
                JwkError::Symmetric.into(),
            ),
            (
                json!({ "typ": "dpop+jwt", "jwk": "key" }),
                JwkError::NotAnObject.into(),
            ),
            (good_header(&other), JwsError::Signature.into()),
            (
                good_header(&SigningKey::generate(Algorithm::EdDsa)),
                JwsError::WrongKey.into(),
            ),
        ] {
            let text = key.sign(&header, &good_claims());
            assert_eq!(check(&text), Err(expected), "{header}");
        }
        let good = key.sign(&good_header(&key), &good_claims());
        let twice = format!("{good},{good}");
        let unsigned = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6Im5vbmUifQ.e30.";
        let shared = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkhTMjU2In0.e30.AAAA";
        for (text, expected) in [
            ("", JwsError::NotCompact),
            (&twice, JwsError::NotCompact),
            (unsigned, JwsError::Algorithm),
            (shared, JwsError::Algorithm),
        ] {
            assert_eq!(check(text), Err(expected.into()), "{text}");
        }
    }

    #[test]
    fn every_claim_is_needed_and_must_be_that_of_the_request() {
        use ProofError::{AccessToken, Claim, Method, Url};
        let (longest, too_long) = ("é".repeat(256), "é".repeat(257));
        for (name, value, expected) in [
            ("jti", json!(longest), None),
            ("jti", json!(null), Some(Claim("jti"))),
            ("jti", json!(1), Some(Claim("jti"))),
            ("jti", json!(""), Some(Claim("jti"))),
            ("jti", json!(too_long), Some(Claim("jti"))),
            ("htm", json!(null), Some(Claim("htm"))),
            ("htm", json!("GET"), Some(Method)),
            ("htm", json!("post"), Some(Method)),
            ("htu", json!(null), Some(Claim("htu"))),
            ("htu", json!("/mcp"), Some(Claim("htu"))),
            (
                "htu",
                json!("https://mcp.example.com/mc p"),
                Some(Claim("htu")),
            ),
            ("htu", json!("https://mcp.example.com/token"), Some(Url)),
            ("iat", json!(null), Some(Claim("iat"))),
            ("iat", json!("1000000"), Some(Claim("iat"))),
            ("ath", json!(null), Some(Claim("ath"))),
            (
                "ath",
                json!(Digest::of("at_2").to_base64url()),
                Some(AccessToken),
            ),
            ("ath", json!("at_1"), Some(AccessToken)),
            ("exp", json!(0), None),
        ] {
            let result = check_with(name, value.clone());
            assert_eq!(result.err(), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_proof_is_good_for_five_minutes() {
        use ProofError::{FromTheFuture, TooOld};
        for (iat, expected) in [
            (json!(999_700), Some(TooOld)),
            (json!(999_700.001), None),
            (json!(1_000_030), None),
            (json!(1_000_030.001), Some(FromTheFuture)),
            (json!(0), Some(TooOld)),
            (json!(-1), Some(TooOld)),
            (json!(1e300), Some(FromTheFuture)),
            // Milliseconds.
            (json!(1_000_000_000), Some(FromTheFuture)),
        ] {
            let result = check_with("iat", iat.clone());
            assert_eq!(result.err(), expected, "{iat}");
        }
    }

    #[test]
    fn a_nonce_must_be_ours_and_fresh_if_it_is_there() {
        let ago = |minutes: u64| Timestamp::from_millis(NOW.as_millis() - minutes * 60_000);
        for (nonce, expected) in [
            (json!(null), Ok(false)),
            (json!(nonces().current(NOW)), Ok(true)),
            (json!(nonces().current(ago(5))), Ok(true)),
            (json!(nonces().current(ago(10))), Err(ProofError::UseNonce)),
            (
                json!(Nonces::new(&[ServerKey::from_bytes([8; 32])]).current(NOW)),
                Err(ProofError::UseNonce),
            ),
            (json!(""), Err(ProofError::UseNonce)),
            (json!(1), Err(ProofError::UseNonce)),
        ] {
            let result = check_with("nonce", nonce.clone());
            assert_eq!(
                result.map(|proof| proof.nonce_was_sent),
                expected,
                "{nonce}"
            );
        }
    }

    #[test]
    fn urls_are_compared_in_one_spelling() {
        let ours = normalized("https://mcp.example.com/mcp").unwrap();
        for same in [
            "https://mcp.example.com/mcp",
            "HTTPS://MCP.Example.COM/mcp",
            "https://mcp.example.com:443/mcp",
            "https://mcp.example.com:/mcp",
            "https://mcp.example.com/%6Dcp",
            "https://mcp.example.com/./mcp",
            "https://mcp.example.com/mcp?a=b",
            "https://mcp.example.com/mcp#a",
            "https://mcp.example.com/mcp?a#b?c",
        ] {
            assert_eq!(normalized(same).as_ref(), Some(&ours), "{same}");
        }
        for other in [
            "http://mcp.example.com/mcp",
            "https://mcp.example.com:8443/mcp",
            "https://mcp.example.com/MCP",
            "https://mcp.example.com/mcp/",
            "https://mcp.example.com//mcp",
            "https://mcp.example.com/mcp%2F",
            "https://me@mcp.example.com/mcp",
            "https://mcp.example.com.evil.example/mcp",
            "https://evil.example/?https://mcp.example.com/mcp",
        ] {
            assert!(
                normalized(other).is_some_and(|other| other != ours),
                "{other}"
            );
        }
        for none in [
            "",
            "mcp",
            "//mcp.example.com/mcp",
            "urn:mcp",
            "https://[/mcp",
            "https://é/",
        ] {
            assert_eq!(normalized(none), None, "{none}");
        }
        let root = Some("https://a.example/".to_owned());
        assert_eq!(normalized("https://a.example?b"), root);
    }

    #[test]
    fn proofs_of_different_keys_have_different_names() {
        let (one, other) = (check_with("jti", json!("a")), check_with("jti", json!("a")));
        assert_ne!(one.unwrap().jti, other.unwrap().jti);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*", htu in ".*") {
            let nonces = nonces();
            let expected = Expected {
                method: "GET",
                htu: &htu,
                access_token: Some(&text),
                now: NOW,
                nonces: &nonces,
            };
            prop_assert!(Proof::check(&text, &expected).is_err());
            let _ = normalized(&text);
            let _ = normalized(&format!("https://a.example/{text}"));
        }

        #[test]
        fn no_claim_panics(text in ".*", number in any::<f64>(), name in "jti|htm|htu|iat|ath|nonce") {
            let _ = check_with(&name, text.into());
            let _ = check_with(&name, number.into());
        }
    }
}
