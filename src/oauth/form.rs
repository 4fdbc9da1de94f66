//! Requests to the endpoints that clients authenticate at: forms as the RFCs say, and JSON as some clients send
//! (Claude's connector did). Either way a parameter may stand there once.

use axum::{extract::Request, http::header};
use serde::{Deserialize, Deserializer, de};

use super::error::OAuthError;
use crate::web::{
    body,
    params::{MAX_FORM, ParamError, Params},
};

/// The parameters that this server reads, at any endpoint.
const PARAMETERS: [&str; 25] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "redirect_uri",
    "scope",
    "state",
    "prompt",
    "max_age",
    "login_hint",
    "request",
    "request_uri",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "resource",
    "grant_type",
    "code",
    "code_verifier",
    "refresh_token",
    "assertion",
    "token",
    "token_type_hint",
];

/// RFC 6749 §3.1 and §3.2: parameters must not be sent more than once, known or not; `resource` is
/// the exception (RFC 8707 §2).
pub(super) fn each_once(params: &Params) -> Result<(), ParamError> {
    params.each_once("resource", &PARAMETERS)
}

/// Reads the parameters of a request's body.
pub(super) async fn read(request: Request) -> Result<Params, OAuthError> {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let body = body::read(request.into_body(), MAX_FORM).await?;
    let params = match content_type.as_str() {
        "" | "application/x-www-form-urlencoded" => Params::parse(&body),
        "application/json" => serde_json::from_slice::<JsonParams>(&body)
            .map(|JsonParams(pairs)| Params::from_pairs(pairs))
            .map_err(|error| {
                OAuthError::InvalidRequest(format!(
                    "the body must be a JSON object of strings: {error}"
                ))
            })?,
        _ => {
            return Err(OAuthError::InvalidRequest(
                "the body must be application/x-www-form-urlencoded".to_owned(),
            ));
        }
    };
    each_once(&params)?;
    Ok(params)
}

/// The one value of a parameter that must be there.
pub(super) fn required<'a>(params: &'a Params, name: &'static str) -> Result<&'a str, OAuthError> {
    params
        .text(name)?
        .ok_or_else(|| OAuthError::InvalidRequest(format!("{name} is missing")))
}

/// A JSON object whose members are strings, or lists of them; repeated members are kept.
struct JsonParams(Vec<(String, String)>);

impl<'de> Deserialize<'de> for JsonParams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = JsonParams;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<JsonParams, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, JsonValue>()? {
                    match value {
                        JsonValue::Text(value) => pairs.push((name, value)),
                        JsonValue::Texts(values) => {
                            pairs.extend(values.into_iter().map(|v| (name.clone(), v)));
                        }
                        JsonValue::Other(_) => {}
                    }
                }
                Ok(JsonParams(pairs))
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

/// Nulls and numbers are no OAuth parameters: they count as not sent.
#[derive(Deserialize)]
#[serde(untagged)]
enum JsonValue {
    Text(String),
    Texts(Vec<String>),
    Other(de::IgnoredAny),
}
