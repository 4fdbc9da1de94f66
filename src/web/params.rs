//! Parameters of a query or a form, with their repetitions and their bytes.
//!
//! The usual extractors keep the last of two and replace what is not UTF-8; OAuth refuses the one
//! and returns the other untouched.

use std::collections::HashSet;

use axum::extract::Request;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use super::body::{self, BodyError};

/// The most that a form may hold.
pub const MAX_FORM: usize = 64 * 1024;

/// The most parameters that a query or a form may hold. Real ones have about ten.
const MAX_PARAMS: usize = 100;

/// What may stand in a query as it is: the unreserved characters of RFC 3986 §2.3.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Parameters in the order in which they came.
#[derive(Default)]
pub struct Params(Vec<(String, Vec<u8>)>);

/// Why a parameter cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// RFC 6749 §3.1: parameters must not be included more than once.
    #[error("{0} was sent more than once")]
    Repeated(&'static str),
    /// Its value is no text.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
    /// Nobody means so many, so none of them counts.
    #[error("there are more than {MAX_PARAMS} parameters")]
    TooMany,
}

impl Params {
    /// Reads `application/x-www-form-urlencoded`. A parameter without a value counts as not sent
    /// (RFC 6749 §3.1).
    pub fn parse(encoded: &[u8]) -> Self {
        let pairs = encoded.split(|byte| *byte == b'&').filter_map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next()?);
            let value = decode(halves.next()?);
            let name = String::from_utf8_lossy(&name).into_owned();
            (!value.is_empty()).then_some((name, value))
        });
        Self::bounded(pairs)
    }

    /// Of too many, one more than may be is kept: enough to see that they are too many.
    fn bounded(pairs: impl Iterator<Item = (String, Vec<u8>)>) -> Self {
        Self(pairs.take(MAX_PARAMS + 1).collect())
    }

    /// Reads the query of a URL.
    pub fn of_query(request: &Request) -> Self {
        Self::parse(request.uri().query().unwrap_or_default().as_bytes())
    }

    /// Reads a form of at most [`MAX_FORM`] bytes.
    pub async fn of_form(request: Request) -> Result<Self, BodyError> {
        let body = body::read(request.into_body(), MAX_FORM).await?;
        Ok(Self::parse(&body))
    }

    /// From pairs that were read in another way.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        Self::bounded(pairs.map(|(name, value)| (name, value.into_bytes())))
    }

    /// The one value of a parameter, as bytes.
    pub fn bytes(&self, name: &'static str) -> Result<Option<&[u8]>, ParamError> {
        self.are_few()?;
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(ParamError::Repeated(name)),
            (value, None) => Ok(value),
        }
    }

    /// The one value of a parameter.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, ParamError> {
        let value = self.bytes(name)?.map(std::str::from_utf8);
        value.transpose().map_err(|_| ParamError::NotText(name))
    }

    /// The one value of a parameter of our own forms and links: what is repeated or no text was not
    /// sent by them, and is none.
    pub fn only(&self, name: &'static str) -> Option<&str> {
        self.text(name).ok().flatten()
    }

    /// Every value of a parameter that may repeat. What is not UTF-8 reads as U+FFFD.
    pub fn all(&self, name: &str) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
        self.values(name).map(String::from_utf8_lossy)
    }

    /// Checks that nothing but `may_repeat` was sent more than once. Of names that are not among
    /// `ours` the error says none: they may be any text of a stranger's.
    pub fn each_once(&self, may_repeat: &str, ours: &[&'static str]) -> Result<(), ParamError> {
        self.are_few()?;
        let mut seen = HashSet::new();
        let names = self.0.iter().map(|(name, _)| name.as_str());
        let mut repeated = names.filter(|name| *name != may_repeat && !seen.insert(*name));
        match repeated.next() {
            None => Ok(()),
            Some(name) => {
                let known = ours.iter().find(|known| **known == name);
                Err(ParamError::Repeated(known.unwrap_or(&"a parameter")))
            }
        }
    }

    fn are_few(&self) -> Result<(), ParamError> {
        if self.0.len() > MAX_PARAMS {
            return Err(ParamError::TooMany);
        }
        Ok(())
    }

    /// Whether a parameter was sent, whatever its value is.
    pub fn contains(&self, name: &str) -> bool {
        self.are_few().is_ok() && self.values(name).next().is_some()
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let named = self.0.iter().filter(move |(found, _)| found == name);
        named.map(|(_, value)| value.as_slice())
    }
}

/// Writes a value into a query. Blanks become `%20`, which every reader of URLs understands.
pub fn encode(value: &[u8]) -> String {
    percent_encode(value, ENCODED).to_string()
}

fn decode(encoded: &[u8]) -> Vec<u8> {
    let blanks: Vec<u8> = encoded
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&blanks).collect()
}

impl std::fmt::Debug for Params {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values are codes, secrets and passwords.
        let names = self.0.iter().map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_a_round_trip() {
        let params = Params::parse(b"state=a+b%20%FF%00%26&x=");
        let state = params.bytes("state").unwrap().unwrap();
        assert_eq!(state, b"a b \xff\0&");
        assert_eq!(encode(state), "a%20b%20%FF%00%26");
        assert_eq!(params.text("state"), Err(ParamError::NotText("state")));
        assert_eq!(params.text("x"), Ok(None));
    }

    #[test]
    fn repetition_is_noticed() {
        let params = Params::parse(b"a=1&resource=x&resource=y&b=2&a=3");
        assert_eq!(params.text("a"), Err(ParamError::Repeated("a")));
        let each_once = |ours| params.each_once("resource", ours);
        assert_eq!(each_once(&["a"]), Err(ParamError::Repeated("a")));
        assert_eq!(each_once(&["b"]), Err(ParamError::Repeated("a parameter")));
        assert_eq!(params.all("resource").count(), 2);
        let params = Params::parse(b"a=1&b=2");
        assert_eq!(params.each_once("resource", &[]), Ok(()));
    }

    #[test]
    fn of_too_many_none_counts() {
        let many = |count: usize| {
            let pairs: Vec<String> = (0..count).map(|number| format!("x{number}=1")).collect();
            Params::parse(format!("a=1&{}", pairs.join("&")).as_bytes())
        };
        assert_eq!(many(99).text("a"), Ok(Some("1")));
        for params in [many(100), many(13_000)] {
            assert_eq!(params.text("a"), Err(ParamError::TooMany));
            assert_eq!(params.each_once("", &[]), Err(ParamError::TooMany));
            assert_eq!(params.0.len(), MAX_PARAMS + 1);
        }
    }
}
