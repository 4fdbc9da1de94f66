//! Sessions of the MCP revisions that have them (2024-11-05 to 2025-11-25).

use crate::clock::Timestamp;

/// What one session remembers. There may be a million of them, so it is kept small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct McpSession {
    /// The protocol version that was negotiated, as it is spelled on the wire.
    pub protocol_version: &'static str,
    /// What the client said it can do; a set of bits that only the resource server reads.
    pub client_capabilities: u8,
    /// How grave a message must be for the client to want it, once it has said so; a rank that only
    /// the resource server reads.
    pub log_level: Option<u8>,
    /// When it ends unless the client uses it before. Moved on with every use, to the minute.
    pub expires_at: Timestamp,
}
