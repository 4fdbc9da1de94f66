//! What stands behind the tools: APIs over HTTP, and other MCP servers ([`mcp`]).
//!
//! The arguments of an API's tool become one request to a host that the operator named, and the answer becomes
//! the tool's result. What goes out is made here from nothing: of what a client sent, only arguments
//! that fit the tool's schema get as far as this, and never its token.

mod answer;
mod assertion;
mod client;
mod declared;
mod identity;
pub mod mcp;
mod message;
mod offer;
mod openapi;
mod peoples_tokens;
mod signing_key;
mod site;
mod target;
mod tool;
mod trimming;

pub use assertion::{Assertions, routes};
pub use client::UpstreamClient;
pub use offer::{LeftOut, offer};
pub use openapi::{Described, DescriptionError, describe};
pub use peoples_tokens::PeoplesTokens;
pub use site::Surroundings;
