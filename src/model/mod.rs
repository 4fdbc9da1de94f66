//! What the server keeps and decides about: plain data and its legal moves.

pub mod authorization;
pub mod client;
pub mod grant;
pub mod mcp_session;
pub mod redirect_uri;
pub mod resource;
pub mod scope;
pub mod user;
