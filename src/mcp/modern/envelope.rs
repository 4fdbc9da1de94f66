//! The envelope of 2026-07-28: what every request says of itself, in `_meta` and again in headers.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName};
use serde_json::{Value, json, value::RawValue};

use super::Request;
use crate::mcp::{
    era::MODERN,
    feature::{ClientCapabilities, LogLevel, decode_header, header_value},
    jsonrpc::{self, INVALID_PARAMS, RpcError, string},
    params::{CAPABILITIES_KEY, Members, VERSION_KEY},
};

/// `HeaderMismatch`: a required header is missing, malformed or not what the body says.
const HEADER_MISMATCH: i32 = -32020;
/// `UnsupportedProtocolVersion`.
const UNSUPPORTED_VERSION: i32 = -32022;

pub(in crate::mcp) const VERSION_HEADER: HeaderName =
    HeaderName::from_static("mcp-protocol-version");
const METHOD_HEADER: HeaderName = HeaderName::from_static("mcp-method");
const NAME_HEADER: HeaderName = HeaderName::from_static("mcp-name");

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
    request: &Request<'a>,
) -> Result<Envelope<'a>, RpcError> {
    let members = request.params.members()?;
    let meta = members.meta.as_ref();
    let version = meta
        .and_then(|meta| string(meta.protocol_version?))
        .ok_or_else(|| missing(VERSION_KEY, "a string"))?;
    let capabilities = meta
        .and_then(|meta| serde_json::from_str(meta.client_capabilities?.get()).ok())
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
    if header_value(headers, &METHOD_HEADER) != Some(request.method) {
        return Err(mismatch(&METHOD_HEADER, "the method"));
    }
    check_name(headers, request.method, members)?;
    let log_level = match meta.and_then(|meta| meta.log_level) {
        Some(level) => Some(
            string(level)
                .and_then(|level| LogLevel::parse(&level))
                .ok_or_else(|| RpcError::new(INVALID_PARAMS, "unknown log level"))?,
        ),
        None => None,
    };
    let progress_token = meta.and_then(|meta| meta.progress_token);
    let traceparent = meta.and_then(|meta| string(meta.traceparent?));
    Ok(Envelope {
        capabilities: ClientCapabilities::read(&capabilities),
        log_level,
        progress_token: progress_token.filter(|token| jsonrpc::is_id(token)),
        traceparent: traceparent.filter(|trace| is_traceparent(trace)),
    })
}

/// `Mcp-Name` repeats what the request is about.
fn check_name(headers: &HeaderMap, method: &str, members: &Members<'_>) -> Result<(), RpcError> {
    let is_about = match method {
        "tools/call" | "prompts/get" => members.name,
        "resources/read" => members.uri,
        "tasks/get" | "tasks/update" | "tasks/cancel" => members.task_id,
        _ => return Ok(()),
    };
    let name = is_about.and_then(string);
    let header = header_value(headers, &NAME_HEADER).and_then(decode_header);
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
