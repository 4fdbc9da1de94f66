//! What the server keeps and decides about: plain data and its legal moves.

pub mod assertion_issuer;
pub mod audit_arguments;
pub mod authorization;
pub mod client;
pub mod client_document;
pub mod client_metadata;
pub mod grant;
pub mod kept_task;
pub mod mcp_session;
pub mod offered_tool;
pub mod plain_text;
pub mod provider;
pub mod redirect_uri;
pub mod resource;
pub mod scope;
pub mod session_stream;
pub mod user;

use std::time::Duration;

/// How coarse the record of a last use is. Between two records a use writes nothing.
pub(crate) const USE_RECORDED_EVERY: Duration = Duration::from_mins(1);
