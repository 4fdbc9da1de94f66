//! Sessions of the MCP revisions that have them (2024-11-05 to 2025-11-25).

use std::fmt;

use crate::clock::Timestamp;

/// A version of the protocol as it is spelled on the wire: a date. What it allows is for the
/// resource server to know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ProtocolVersion([u8; 10]);

impl ProtocolVersion {
    /// Reads one; `None` if it is not as long as a date.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes().try_into().ok()?;
        text.is_ascii().then_some(Self(bytes))
    }

    /// The version as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProtocolVersion({})", self.as_str())
    }
}

/// What one session remembers. There may be a million of them, so it is kept small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct McpSession {
    /// The protocol version that was negotiated.
    pub protocol_version: ProtocolVersion,
    /// What the client said it can do; a set of bits that only the resource server reads.
    pub client_capabilities: u8,
    /// How grave a message must be for the client to want it, once it has said so; a rank that only
    /// the resource server reads.
    pub log_level: Option<u8>,
    /// When it ends unless the client uses it before. Moved on with every use, to the minute.
    pub expires_at: Timestamp,
}
