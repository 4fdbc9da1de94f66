//! An OAuth 2.1 authorization server, the MCP endpoint it protects, and the tools behind it.

pub mod clock;
pub mod config;
mod server;

pub use server::{Server, ServerBuilder};
pub use tokio_util::sync::CancellationToken;
