//! Sessions of the protocol revisions that have them: begun by `initialize`, named in
//! `Mcp-Session-Id`, ended by `DELETE` or by idleness.
//!
//! A session is never a credential: it is found only for the person and client whose token comes
//! with it.

use axum::http::{HeaderMap, HeaderName};

use crate::{
    access::Authorization,
    mcp::{
        McpState,
        era::LegacyVersion,
        feature::{ClientCapabilities, LogLevel},
        mail,
    },
    model::{
        mcp_session::{McpSession, ProtocolVersion},
        session_stream::News,
    },
    secret::{Digest, McpSessionId},
    store::Result,
    web::sole_header,
};

/// The header that names a session.
pub(super) const HEADER: HeaderName = HeaderName::from_static("mcp-session-id");

/// A session that a request belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session {
    pub(super) id: Digest,
    pub(super) version: LegacyVersion,
    /// What the client said it can do.
    pub(super) client: ClientCapabilities,
    /// How grave a message must be, once the client has said so.
    pub(super) log_level: Option<LogLevel>,
}

/// What the header of a request leads to.
#[derive(Debug)]
pub(super) enum Lookup {
    Found(Session),
    /// There is no header, or several.
    Missing,
    /// Ended, forgotten, somebody else's, or invented.
    Unknown,
}

/// Begins a session.
pub(super) async fn begin(
    mcp: &McpState,
    authorization: &Authorization,
    version: LegacyVersion,
    client: ClientCapabilities,
) -> Result<McpSessionId> {
    let id = McpSessionId::mint();
    let session = McpSession {
        protocol_version: ProtocolVersion::parse(version.as_str())
            .expect("every version is spelled as a date"),
        client_capabilities: client.bits(),
        log_level: None,
        expires_at: mcp.clock.now() + mcp.session_ttl,
    };
    mcp.sessions
        .insert_mcp_session(&authorization.owner, id.digest(), session)
        .await?;
    Ok(id)
}

/// Finds the session that a request names.
pub(super) async fn find(
    mcp: &McpState,
    authorization: &Authorization,
    headers: &HeaderMap,
) -> Result<Lookup> {
    let Ok(Some(presented)) = sole_header(headers, HEADER) else {
        return Ok(Lookup::Missing);
    };
    let Ok(presented) = presented.to_str() else {
        return Ok(Lookup::Unknown);
    };
    let id = Digest::of(presented);
    let now = mcp.clock.now();
    let found = mcp
        .sessions
        .mcp_session(&authorization.owner, &id, now, mcp.session_ttl)
        .await?;
    let session = found.and_then(|found| {
        Some(Session {
            id,
            version: LegacyVersion::parse(found.protocol_version.as_str())?,
            client: ClientCapabilities::from_bits(found.client_capabilities),
            log_level: found.log_level.and_then(LogLevel::of_rank),
        })
    });
    Ok(session.map_or(Lookup::Unknown, Lookup::Found))
}

/// Ends a session and its streams.
pub(super) async fn end(
    mcp: &McpState,
    authorization: &Authorization,
    session: Session,
) -> Result<()> {
    mcp.sessions
        .end_mcp_session(&authorization.owner, &session.id)
        .await?;
    mcp.internal.runtimes.end(&session.id);
    mail::tell(mcp, News::Ended(session.id)).await;
    Ok(())
}
