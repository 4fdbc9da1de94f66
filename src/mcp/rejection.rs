//! Why the transport turns a request away, before the protocol has a say.
//!
//! Every body is a JSON-RPC error, because clients of MCP can read those; it carries the id of the
//! request where that could be read.

use axum::{
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::value::RawValue;

use super::{
    era::LegacyVersion,
    jsonrpc::{self, INTERNAL_ERROR, INVALID_REQUEST, RpcError},
};
use crate::{
    store::StoreError,
    web::{body::BodyError, note},
};

/// What the endpoint understands.
const ALLOW: HeaderValue = HeaderValue::from_static("GET, POST, DELETE, OPTIONS");

/// What is said of what will pass.
pub(super) const UNAVAILABLE: &str = "the server cannot reach its data at the moment; try again";

/// Why a request is turned away.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejection<'a> {
    /// An origin or host that may not use the server.
    #[error("{0}")]
    Forbidden(String),
    #[error("{0} is not supported on this endpoint")]
    MethodNotAllowed(Method),
    #[error("accept both application/json and text/event-stream")]
    NotAcceptable,
    #[error("the body must be application/json")]
    UnsupportedMediaType,
    #[error(transparent)]
    Body(#[from] BodyError),
    /// No JSON, or no message.
    #[error("{}", .error.message)]
    Malformed {
        id: Option<&'a RawValue>,
        error: RpcError,
    },
    #[error("protocol version {} has no batches", .0.as_str())]
    NoBatches(LegacyVersion),
    /// Streamable HTTP from 2025-06-18 on: 400.
    #[error("MCP-Protocol-Version must be one of {}", supported_versions())]
    UnsupportedVersion { id: Option<&'a RawValue> },
    #[error("the Mcp-Session-Id header is missing; send initialize first")]
    SessionMissing { id: Option<&'a RawValue> },
    /// 404 makes clients begin a new session.
    #[error("this session has ended or is not yours; send initialize to begin a new one")]
    SessionUnknown { id: Option<&'a RawValue> },
    /// Our fault.
    #[error("{UNAVAILABLE}")]
    Unavailable(#[from] StoreError),
}

fn supported_versions() -> String {
    LegacyVersion::ALL.map(LegacyVersion::as_str).join(", ")
}

impl Rejection<'_> {
    fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(BodyError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::Broken)
            | Self::Malformed { .. }
            | Self::NoBatches(_)
            | Self::UnsupportedVersion { .. }
            | Self::SessionMissing { .. } => StatusCode::BAD_REQUEST,
            Self::SessionUnknown { .. } => StatusCode::NOT_FOUND,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn id(&self) -> Option<&RawValue> {
        match self {
            Self::Malformed { id, .. }
            | Self::UnsupportedVersion { id }
            | Self::SessionMissing { id }
            | Self::SessionUnknown { id } => *id,
            _ => None,
        }
    }

    fn code(&self) -> i32 {
        match self {
            Self::Malformed { error, .. } => error.code,
            Self::Unavailable(_) => INTERNAL_ERROR,
            _ => INVALID_REQUEST,
        }
    }
}

impl IntoResponse for Rejection<'_> {
    fn into_response(self) -> Response {
        let error = RpcError::new(self.code(), self.to_string());
        let body = jsonrpc::error(self.id(), &error);
        let mut response = jsonrpc::respond(self.status(), body);
        match self {
            Self::MethodNotAllowed(_) => {
                response.headers_mut().insert(header::ALLOW, ALLOW);
                response
            }
            Self::Unavailable(error) => note::unavailable(response, error),
            _ => response,
        }
    }
}
