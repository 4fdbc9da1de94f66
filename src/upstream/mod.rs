//! What stands behind the tools: other servers, to which calls are passed on.

pub mod mcp;
