//! What an upstream is told of who calls: one place, for every kind of upstream.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::assertion::Assertions;
use crate::{api::UpstreamIdentity, mcp::feature::Context};

/// There is no key to sign with. It cannot be met with while the store has its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoKey;

/// Adds what the upstream at `origin` is told, whatever stood there before. Nothing of it comes from
/// the client: a token of its own, should a person have one for the upstream, would be added here.
pub(super) fn tell(
    headers: &mut HeaderMap,
    identity: &UpstreamIdentity,
    assertions: &Assertions,
    origin: &str,
    context: &Context,
) -> Result<(), NoKey> {
    match identity {
        UpstreamIdentity::None => {}
        UpstreamIdentity::Header { name, value } => set(headers, name, value.expose()),
        UpstreamIdentity::Assertion { header, audience } => {
            let audience = audience.as_deref().unwrap_or(origin);
            let assertion = assertions.about(context, audience).ok_or(NoKey)?;
            set(headers, header, &format!("Bearer {assertion}"));
        }
    }
    Ok(())
}

/// Sets a header that the configuration has been checked for.
pub(super) fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        // Whoever logs headers shows that it is there, and not what it is.
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no key to sign assertions with")
    }
}
