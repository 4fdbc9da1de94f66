//! The registered claims of an assertion, and what must hold of them (RFC 7519 §4.1).

use std::time::Duration;

use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// How far the clocks of two servers may be apart.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// For how long an assertion may be good that is good once: so long its use has to be remembered.
const LONGEST_LIFETIME: Duration = Duration::from_hours(1);

/// The claims that RFC 7519 registers. A claim that is there has the right type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Who made the assertion.
    pub iss: Option<String>,
    /// Whom it is about.
    pub sub: Option<String>,
    /// Whom it was made for; empty if it does not say.
    pub aud: Vec<String>,
    /// When it ceases to be good.
    pub exp: Option<Timestamp>,
    /// When it was made.
    pub iat: Option<Timestamp>,
    /// When it begins to be good.
    pub nbf: Option<Timestamp>,
    /// Its own name.
    pub jti: Option<String>,
}

/// What is wrong with the claims of an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// A claim of the wrong type.
    #[error("the claim {0} of the assertion is malformed")]
    Malformed(&'static str),
    /// A claim that is needed.
    #[error("the assertion lacks the claim {0}")]
    Missing(&'static str),
    /// `exp` has passed.
    #[error("the assertion has expired")]
    Expired,
    /// `nbf` is still to come.
    #[error("the assertion is not valid yet (nbf)")]
    NotYetValid,
    /// `iat` is still to come.
    #[error("the assertion was issued in the future (iat)")]
    IssuedInTheFuture,
    /// `exp` is too far ahead for an assertion that is good once.
    #[error("the assertion lasts for more than an hour (exp)")]
    TooLong,
    /// Not made by whom it should be.
    #[error("the issuer (iss) of the assertion is not the expected one")]
    Issuer,
    /// Not about whom it should be.
    #[error("the subject (sub) of the assertion is not the expected one")]
    Subject,
    /// Made for somebody else.
    #[error("the audience (aud) of the assertion is not this server")]
    Audience,
}

impl Claims {
    /// Reads what a verified message claims. Other claims are nobody's business here.
    pub fn read(claims: &Map<String, Value>) -> Result<Self, ClaimsError> {
        Ok(Self {
            iss: text(claims, "iss")?,
            sub: text(claims, "sub")?,
            aud: texts(claims, "aud")?,
            exp: date(claims, "exp")?,
            iat: date(claims, "iat")?,
            nbf: date(claims, "nbf")?,
            jti: text(claims, "jti")?,
        })
    }

    /// Whether the assertion is good at this moment. One that never expires is refused
    /// (RFC 7523 §3).
    pub fn check_times(&self, now: Timestamp) -> Result<(), ClaimsError> {
        // RFC 7519 §4.1.4: the current time must be before the expiration.
        if now >= self.good_until()? {
            return Err(ClaimsError::Expired);
        }
        if self.nbf.is_some_and(|nbf| nbf > now + LEEWAY) {
            return Err(ClaimsError::NotYetValid);
        }
        if self.iat.is_some_and(|iat| iat > now + LEEWAY) {
            return Err(ClaimsError::IssuedInTheFuture);
        }
        Ok(())
    }

    /// From when on [`check_times`](Self::check_times) refuses it for good: how long its `jti`
    /// must be remembered.
    pub fn good_until(&self) -> Result<Timestamp, ClaimsError> {
        let exp = self.exp.ok_or(ClaimsError::Missing("exp"))?;
        Ok(exp + LEEWAY)
    }

    /// What an assertion that is good once is to be remembered by, and until when.
    pub fn single_use(&self, now: Timestamp) -> Result<(&str, Timestamp), ClaimsError> {
        let until = self.good_until()?;
        if until > now + LONGEST_LIFETIME + LEEWAY {
            return Err(ClaimsError::TooLong);
        }
        let jti = self.jti.as_deref().ok_or(ClaimsError::Missing("jti"))?;
        Ok((jti, until))
    }

    /// Whether the assertion was made by `expected`.
    pub fn check_issuer(&self, expected: &str) -> Result<(), ClaimsError> {
        check_same(self.iss.as_deref(), expected, "iss", ClaimsError::Issuer)
    }

    /// Whether the assertion is about `expected`.
    pub fn check_subject(&self, expected: &str) -> Result<(), ClaimsError> {
        check_same(self.sub.as_deref(), expected, "sub", ClaimsError::Subject)
    }

    /// Whether the assertion was made for somebody of whom `is_us` says that it is us.
    pub fn check_audience(&self, is_us: impl Fn(&str) -> bool) -> Result<(), ClaimsError> {
        match self.aud.as_slice() {
            [] => Err(ClaimsError::Missing("aud")),
            audience if audience.iter().any(|one| is_us(one)) => Ok(()),
            _ => Err(ClaimsError::Audience),
        }
    }
}

/// Compared character by character (RFC 7519 §2, `StringOrURI`).
fn check_same(
    claim: Option<&str>,
    expected: &str,
    name: &'static str,
    otherwise: ClaimsError,
) -> Result<(), ClaimsError> {
    match claim {
        None => Err(ClaimsError::Missing(name)),
        Some(claim) if claim == expected => Ok(()),
        Some(_) => Err(otherwise),
    }
}

fn text(claims: &Map<String, Value>, name: &'static str) -> Result<Option<String>, ClaimsError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ClaimsError::Malformed(name)),
    }
}

/// One text or several (RFC 7519 §4.1.3).
fn texts(claims: &Map<String, Value>, name: &'static str) -> Result<Vec<String>, ClaimsError> {
    let one = |value: &Value| value.as_str().map(str::to_owned);
    let texts = match claims.get(name) {
        None => Some(Vec::new()),
        Some(Value::Array(several)) => several.iter().map(one).collect(),
        Some(value) => one(value).map(|text| vec![text]),
    };
    texts.ok_or(ClaimsError::Malformed(name))
}

fn date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, ClaimsError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => numeric_date(value)
            .map(Some)
            .ok_or(ClaimsError::Malformed(name)),
    }
}

/// Seconds since the Unix epoch, of which there may be fractions (RFC 7519 §2, `NumericDate`);
/// `None` if the value is no number.
///
/// What lies before the epoch becomes its beginning and what no clock will show the end of time:
/// both are as long ago, or as far ahead, as anybody could mean.
pub fn numeric_date(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = value.as_u64() {
        return Some(Timestamp::from_millis(seconds.saturating_mul(1000)));
    }
    let seconds = value.as_f64()?.max(0.0);
    let age = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    Some(Timestamp::default() + age)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn read(claims: &Value) -> Result<Claims, ClaimsError> {
        Claims::read(claims.as_object().unwrap())
    }

    #[test]
    fn claims_have_the_types_that_they_are_registered_with() {
        let claims = read(&json!({
            "iss": "a", "sub": "b", "aud": ["c", "d"], "exp": 2, "iat": 1.5, "nbf": 0,
            "jti": "e", "client_id": 7,
        }));
        let expected = Claims {
            iss: Some("a".to_owned()),
            sub: Some("b".to_owned()),
            aud: vec!["c".to_owned(), "d".to_owned()],
            exp: Some(Timestamp::from_millis(2000)),
            iat: Some(Timestamp::from_millis(1500)),
            nbf: Some(Timestamp::from_millis(0)),
            jti: Some("e".to_owned()),
        };
        assert_eq!(claims, Ok(expected));
        assert_eq!(read(&json!({})), Ok(Claims::default()));
        assert_eq!(read(&json!({ "aud": "c" })).unwrap().aud, ["c"]);
        for (name, value) in [
            ("iss", json!(1)),
            ("sub", json!(null)),
            ("aud", json!(1)),
            ("aud", json!(["c", 1])),
            ("exp", json!("1300819380")),
            ("exp", json!(null)),
            ("iat", json!([1])),
            ("nbf", json!(true)),
            ("jti", json!({})),
        ] {
            let result = read(&json!({ name: value }));
            assert_eq!(result, Err(ClaimsError::Malformed(name)), "{name}: {value}");
        }
    }

    #[test]
    fn an_assertion_is_good_from_nbf_to_exp_and_half_a_minute_on_either_side() {
        use ClaimsError::{Expired, IssuedInTheFuture, Missing, NotYetValid};
        for (claims, expected) in [
            (json!({}), Err(Missing("exp"))),
            (json!({ "exp": 1_000_001 }), Ok(())),
            (json!({ "exp": 999_970.001 }), Ok(())),
            (json!({ "exp": 999_970 }), Err(Expired)),
            (json!({ "exp": 0 }), Err(Expired)),
            (json!({ "exp": -1 }), Err(Expired)),
            (json!({ "exp": -1e300 }), Err(Expired)),
            (json!({ "exp": 1e300 }), Ok(())),
            (json!({ "exp": u64::MAX }), Ok(())),
            (json!({ "exp": 2e6, "nbf": 1_000_030 }), Ok(())),
            (
                json!({ "exp": 2e6, "nbf": 1_000_030.001 }),
                Err(NotYetValid),
            ),
            (json!({ "exp": 2e6, "nbf": u64::MAX }), Err(NotYetValid)),
            (json!({ "exp": 2e6, "iat": 1_000_030 }), Ok(())),
            (
                json!({ "exp": 2e6, "iat": 1_000_031 }),
                Err(IssuedInTheFuture),
            ),
            (json!({ "exp": 2e6, "iat": 1e308 }), Err(IssuedInTheFuture)),
            (json!({ "exp": 2e6, "iat": 0, "nbf": 0 }), Ok(())),
        ] {
            assert_eq!(
                read(&claims).unwrap().check_times(NOW),
                expected,
                "{claims}"
            );
        }
        let claims = read(&json!({ "exp": 1_000_000 })).unwrap();
        assert_eq!(claims.good_until(), Ok(NOW + LEEWAY));
    }

    #[test]
    fn issuer_subject_and_audience_must_be_the_expected_ones() {
        use ClaimsError::{Audience, Issuer, Missing, Subject};
        let check = |claims: &Value| {
            let claims = read(claims)?;
            claims.check_issuer("a")?;
            claims.check_subject("b")?;
            claims.check_audience(|one| one == "c")
        };
        for (claims, expected) in [
            (json!({ "iss": "a", "sub": "b", "aud": "c" }), Ok(())),
            (json!({ "iss": "a", "sub": "b", "aud": ["d", "c"] }), Ok(())),
            (json!({ "sub": "b", "aud": "c" }), Err(Missing("iss"))),
            (json!({ "iss": "A", "sub": "b", "aud": "c" }), Err(Issuer)),
            (json!({ "iss": "a", "aud": "c" }), Err(Missing("sub"))),
            (json!({ "iss": "a", "sub": "", "aud": "c" }), Err(Subject)),
            (json!({ "iss": "a", "sub": "b" }), Err(Missing("aud"))),
            (
                json!({ "iss": "a", "sub": "b", "aud": [] }),
                Err(Missing("aud")),
            ),
            (
                json!({ "iss": "a", "sub": "b", "aud": "c/" }),
                Err(Audience),
            ),
        ] {
            assert_eq!(check(&claims), expected, "{claims}");
        }
    }

    proptest! {
        #[test]
        fn no_number_panics(float in any::<f64>(), int in any::<i64>(), now in any::<u64>()) {
            for number in [json!(float), json!(int)] {
                if let Ok(claims) = read(&json!({ "exp": number, "nbf": number, "iat": number })) {
                    let _ = claims.check_times(Timestamp::from_millis(now));
                }
            }
        }
    }
}
