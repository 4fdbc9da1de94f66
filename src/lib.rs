//! An OAuth 2.1 authorization server, the MCP endpoint it protects, and the tools behind it.

pub mod access;
pub mod clock;
pub mod config;
pub mod identity;
pub mod mcp;
pub mod model;
pub mod oauth;
pub mod secret;
mod server;
pub mod store;
pub mod web;

pub use server::{Server, ServerBuilder};
pub use tokio_util::sync::CancellationToken;
