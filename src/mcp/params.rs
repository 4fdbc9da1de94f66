//! The parameters of a request, told apart once: what they say of the request itself (`_meta`) and
//! the members that the methods on the hot path have.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::jsonrpc::{INVALID_PARAMS, RpcError, string};

/// The version of the protocol that a request of the stateless era speaks.
pub(super) const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
/// What its client can do.
pub(super) const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";

/// The parameters of one request or notification.
pub(super) struct Params<'a> {
    text: &'a str,
    /// An error where they are no object, have a member twice, or a `_meta` that is none.
    members: Result<Members<'a>, RpcError>,
}

/// Members that have been found. What is in them has not been read.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Members<'a> {
    #[serde(borrow, rename = "_meta")]
    pub(super) meta: Option<Meta<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) uri: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) cursor: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) task_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) input_responses: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) request_state: Option<&'a RawValue>,
}

/// What a request says of itself.
#[derive(Deserialize, Default)]
pub(super) struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    pub(super) protocol_version: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    pub(super) client_capabilities: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/logLevel")]
    pub(super) log_level: Option<&'a RawValue>,
    #[serde(borrow, rename = "progressToken")]
    pub(super) progress_token: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) traceparent: Option<&'a RawValue>,
}

impl<'a> Params<'a> {
    /// Tells the members of parameters apart. None at all are an empty object.
    pub(super) fn of(params: Option<&'a RawValue>) -> Self {
        let Some(params) = params else {
            return Self {
                text: "{}",
                members: Ok(Members::default()),
            };
        };
        let text = params.get();
        Self {
            text,
            members: read(text),
        }
    }

    /// Their text.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Their members.
    pub(super) fn members(&self) -> Result<&Members<'a>, RpcError> {
        self.members.as_ref().map_err(Clone::clone)
    }

    /// Reads them as what a method wants.
    pub(super) fn read<T: Deserialize<'a>>(&self) -> Result<T, RpcError> {
        read(self.text)
    }

    /// Whether they carry the version in their `_meta`, well-formed or not: such a request belongs
    /// to the stateless era, whatever else is wrong with it.
    pub(super) fn is_enveloped(&self) -> bool {
        match &self.members {
            Ok(members) => {
                let meta = members.meta.as_ref();
                meta.is_some_and(|meta| meta.protocol_version.is_some())
            }
            Err(_) => self.text.contains(VERSION_KEY),
        }
    }

    /// The `name` that a method is about.
    pub(super) fn name(&self) -> Result<Cow<'a, str>, RpcError> {
        required_text(self.members()?.name, "name")
    }

    /// The `uri` that a method is about.
    pub(super) fn uri(&self) -> Result<Cow<'a, str>, RpcError> {
        required_text(self.members()?.uri, "uri")
    }

    /// The `arguments` of a tool.
    pub(super) fn arguments(&self) -> Result<Map<String, Value>, RpcError> {
        let Some(arguments) = self.members()?.arguments else {
            return Ok(Map::new());
        };
        serde_json::from_str(arguments.get())
            .map_err(|error| invalid(format!("arguments: {error}")))
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, RpcError> {
    // An array would be read as a struct by position.
    if !text.starts_with('{') {
        return Err(invalid("must be an object"));
    }
    serde_json::from_str(text).map_err(|error| invalid(error.to_string()))
}

fn invalid(problem: impl AsRef<str>) -> RpcError {
    RpcError::new(INVALID_PARAMS, format!("params: {}", problem.as_ref()))
}

fn required_text<'a>(value: Option<&'a RawValue>, name: &str) -> Result<Cow<'a, str>, RpcError> {
    value
        .and_then(string)
        .ok_or_else(|| invalid(format!("{name} must be a string")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn an_envelope_is_recognised_even_if_it_is_malformed() {
        let enveloped = |json: &str| Params::of(Some(&raw(json))).is_enveloped();
        for json in [
            r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#,
            r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":5}}"#,
            r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":1,"io.modelcontextprotocol/protocolVersion":2}}"#,
        ] {
            assert!(enveloped(json), "{json}");
        }
        for json in [
            r#"{"_meta":{"progressToken":1}}"#,
            r#"{"arguments":{"a":"io.modelcontextprotocol/protocolVersion"}}"#,
            "[]",
            "5",
        ] {
            assert!(!enveloped(json), "{json}");
        }
        assert!(!Params::of(None).is_enveloped());
    }
}
