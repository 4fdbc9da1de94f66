//! The envelope of 2026-07-28: what every request says of itself, in `_meta` and again in headers.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::mcp::{
    dispatch::read_params,
    era::MODERN,
    feature::{ClientCapabilities, LogLevel, header_value},
    jsonrpc::{self, INVALID_PARAMS, RpcError},
};

/// `HeaderMismatch`: a required header is missing, malformed or not what the body says.
const HEADER_MISMATCH: i32 = -32020;
/// `UnsupportedProtocolVersion`.
const UNSUPPORTED_VERSION: i32 = -32022;

pub(in crate::mcp) const VERSION_HEADER: HeaderName =
    HeaderName::from_static("mcp-protocol-version");
const METHOD_HEADER: HeaderName = HeaderName::from_static("mcp-method");
const NAME_HEADER: HeaderName = HeaderName::from_static("mcp-name");

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";

#[derive(Deserialize)]
struct WithMeta<'a> {
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<RawMeta<'a>>,
}

#[derive(Deserialize, Default)]
struct RawMeta<'a> {
    #[serde(borrow, default, rename = "io.modelcontextprotocol/protocolVersion")]
    protocol_version: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/clientCapabilities")]
    client_capabilities: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/logLevel")]
    log_level: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "progressToken")]
    progress_token: Option<&'a RawValue>,
    #[serde(borrow, default)]
    traceparent: Option<Cow<'a, str>>,
}

/// Whether parameters carry the version in their `_meta`, well-formed or not: such a request belongs
/// to this era, whatever else is wrong with it.
pub(in crate::mcp) fn is_enveloped(params: Option<&RawValue>) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        #[serde(default, rename = "_meta")]
        meta: Option<ProbeMeta>,
    }
    #[derive(Deserialize)]
    struct ProbeMeta {
        #[serde(default, rename = "io.modelcontextprotocol/protocolVersion")]
        version: Option<serde::de::IgnoredAny>,
    }
    let Some(params) = params.map(RawValue::get) else {
        return false;
    };
    // Most requests of the other era do not even mention it.
    params.contains(VERSION_KEY)
        && match serde_json::from_str::<Probe>(params) {
            Ok(probe) => probe.meta.is_some_and(|meta| meta.version.is_some()),
            // Something is there twice, or has the wrong type: the envelope is malformed.
            Err(_) => true,
        }
}

/// What a request says of itself.
pub(super) struct Envelope<'a> {
    pub(super) capabilities: ClientCapabilities,
    pub(super) log_level: Option<LogLevel>,
    pub(super) progress_token: Option<&'a RawValue>,
    pub(super) traceparent: Option<Cow<'a, str>>,
}

/// Reads and checks an envelope, in the specification's order: its own keys, then the headers, then
/// whether we speak the version.
pub(super) fn read<'a>(
    headers: &HeaderMap,
    method: &str,
    params: Option<&'a RawValue>,
) -> Result<Envelope<'a>, RpcError> {
    let WithMeta { meta } = read_params(params)?;
    let meta = meta.unwrap_or_default();
    let version = meta
        .protocol_version
        .and_then(|version| serde_json::from_str::<Cow<'_, str>>(version.get()).ok())
        .ok_or_else(|| missing(VERSION_KEY, "a string"))?;
    let capabilities = meta
        .client_capabilities
        .and_then(|declared| serde_json::from_str::<Value>(declared.get()).ok())
        .filter(Value::is_object)
        .ok_or_else(|| missing(CAPABILITIES_KEY, "an object"))?;
    if header_value(headers, &VERSION_HEADER) != Some(&version) {
        return Err(mismatch(&VERSION_HEADER, "the version in _meta"));
    }
    if version != MODERN {
        let supported = format!("protocol version {MODERN} is supported");
        return Err(RpcError {
            data: Some(json!({ "supported": [MODERN], "requested": version })),
            ..RpcError::new(UNSUPPORTED_VERSION, supported)
        });
    }
    if header_value(headers, &METHOD_HEADER) != Some(method) {
        return Err(mismatch(&METHOD_HEADER, "the method"));
    }
    check_name(headers, method, params)?;
    let log_level = match meta.log_level {
        Some(level) => Some(
            LogLevel::parse(&level)
                .ok_or_else(|| RpcError::new(INVALID_PARAMS, "unknown log level"))?,
        ),
        None => None,
    };
    Ok(Envelope {
        capabilities: ClientCapabilities::read(&capabilities),
        log_level,
        progress_token: meta.progress_token.filter(|token| jsonrpc::is_id(token)),
        traceparent: meta.traceparent.filter(|trace| is_traceparent(trace)),
    })
}

#[derive(Deserialize)]
struct Names<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uri: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "taskId")]
    task_id: Option<Cow<'a, str>>,
}

/// `Mcp-Name` repeats what the request is about.
fn check_name(
    headers: &HeaderMap,
    method: &str,
    params: Option<&RawValue>,
) -> Result<(), RpcError> {
    let is_about: fn(Names<'_>) -> Option<Cow<'_, str>> = match method {
        "tools/call" | "prompts/get" => |names| names.name,
        "resources/read" => |names| names.uri,
        "tasks/get" | "tasks/update" | "tasks/cancel" => |names| names.task_id,
        _ => return Ok(()),
    };
    let name = is_about(read_params(params)?);
    let header = header_value(headers, &NAME_HEADER);
    let header = header.and_then(crate::mcp::feature::decode_header);
    if name.is_some() && name == header {
        return Ok(());
    }
    Err(mismatch(&NAME_HEADER, "what the request is about"))
}

pub(super) fn mismatch(header: impl AsRef<str>, what: &str) -> RpcError {
    let header = header.as_ref();
    RpcError::new(
        HEADER_MISMATCH,
        format!("the header {header} must be there and repeat {what}"),
    )
}

fn missing(key: &str, kind: &str) -> RpcError {
    RpcError::new(INVALID_PARAMS, format!("_meta must have {key}, {kind}"))
}

/// W3C Trace Context §3.2.2: `version-traceid-parentid-flags`.
fn is_traceparent(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([2, 32, 16, 2])
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_recognised_even_if_it_is_malformed() {
        let enveloped = |json: &str| {
            let raw = RawValue::from_string(json.to_owned()).unwrap();
            is_enveloped(Some(&raw))
        };
        assert!(enveloped(
            r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#
        ));
        assert!(enveloped(
            r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":5}}"#
        ));
        assert!(!enveloped(r#"{"_meta":{"progressToken":1}}"#));
        assert!(!enveloped(
            r#"{"arguments":{"a":"io.modelcontextprotocol/protocolVersion"}}"#
        ));
        assert!(!is_enveloped(None));
    }

    #[test]
    fn trace_parents_keep_to_their_form() {
        assert!(is_traceparent(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        ));
        for bad in [
            "",
            "00-x",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
