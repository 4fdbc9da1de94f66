//! What stands behind the tools: APIs over HTTP.
//!
//! A tool's arguments become one request to a host that the operator named, and the answer becomes
//! the tool's result. What goes out is made here from nothing: of what a client sent, only arguments
//! that fit the tool's schema get as far as this, and never its token.

mod answer;
mod assertion;
mod client;
mod declared;
mod message;
mod signing_key;
mod site;
mod target;
mod tool;
mod trimming;

use std::sync::Arc;

use crate::{mcp::feature::Tool, model::api::HttpTool};

pub use assertion::{Assertions, routes};
pub use client::{Answer, Call, UpstreamClient, UpstreamError};
pub use site::Surroundings;

/// The tools that the operator declared.
pub fn declared(tools: &[HttpTool], surroundings: &Surroundings) -> Vec<Arc<dyn Tool>> {
    tools
        .iter()
        .map(|tool| declared::tool(tool, surroundings))
        .collect()
}
