//! What an upstream is told of who calls: one place, for every kind of upstream.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::{assertion::Assertions, site::Surroundings};
use crate::{
    api::UpstreamIdentity,
    mcp::feature::Context,
    model::{client::ClientId, scope::ScopeSet, user::UserId},
    secret::ProvidedToken,
};

/// There is no key to sign with. It cannot be met with while the store has its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no key to sign assertions with")]
pub(super) struct NoKey;

/// On whose behalf an upstream is called.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) user: UserId,
    pub(super) client: ClientId,
    pub(super) scopes: ScopeSet,
}

impl Caller {
    pub(super) fn of(context: &Context) -> Self {
        Self {
            user: context.user().clone(),
            client: context.client().clone(),
            scopes: context.scopes().clone(),
        }
    }
}

/// What else is known of them, as far as the upstream is told.
#[derive(Default)]
pub(super) struct Person {
    /// Their own token.
    pub(super) own: Option<ProvidedToken>,
    /// Their e-mail, where an identity provider has said it.
    pub(super) email: Option<String>,
}

impl Person {
    /// Looks up what an upstream with such an identity is told; or why that cannot be had, in words
    /// for a model. `refused`: a token of theirs that the upstream does not take.
    pub(super) async fn of(
        user: &UserId,
        identity: &UpstreamIdentity,
        surroundings: &Surroundings,
        refused: Option<&ProvidedToken>,
    ) -> Result<Self, String> {
        let mut person = Self::default();
        match identity {
            UpstreamIdentity::None | UpstreamIdentity::Header { .. } => {}
            UpstreamIdentity::Assertion { .. } => {
                person.email = surroundings.assertions.email_of(user).await;
            }
            UpstreamIdentity::Provided { provider, .. } => {
                let own = surroundings.tokens.of(user, provider, refused);
                person.own = Some(own.await?);
            }
        }
        Ok(person)
    }
}

/// Adds what the upstream at `origin` is told, whatever stood there before. Nothing of it comes from
/// the client. Without a caller it is this server that calls, for itself.
pub(super) fn tell(
    headers: &mut HeaderMap,
    identity: &UpstreamIdentity,
    assertions: &Assertions,
    origin: &str,
    person: &Person,
    caller: Option<&Caller>,
) -> Result<(), NoKey> {
    match identity {
        UpstreamIdentity::None => {}
        UpstreamIdentity::Header { name, value } => set(headers, name, value.expose()),
        UpstreamIdentity::Assertion { header, audience } => {
            let audience = audience.as_deref().unwrap_or(origin);
            let assertion = assertions
                .about(caller, person.email.as_deref(), audience)
                .ok_or(NoKey)?;
            set(headers, header, &format!("Bearer {assertion}"));
        }
        UpstreamIdentity::Provided { header, .. } => {
            if let Some(own) = &person.own {
                set(headers, header, &format!("Bearer {}", own.expose()));
            }
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
