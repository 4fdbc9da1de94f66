//! The tokens that providers gave, for tools to call the person's own APIs with.
//!
//! They are kept sealed, under one of the server's own keys and the secret that we have with the
//! provider: whoever has the database alone, keys and all, cannot read them. One refresh is in flight for each
//! person and provider, across all replicas, since providers take the second one for a theft.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use openidconnect::{OAuth2TokenResponse as _, core::CoreTokenResponse};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{Upstream, UpstreamError};
use crate::{
    access::{ProvidedTokenError, ProvidedTokens},
    clock::Timestamp,
    identity::{IdentityState, ReturnTo, sign_in},
    model::{
        provider::{Link, Provider, SealedTokens},
        user::UserId,
    },
    secret::{ProvidedToken, Sealer, ServerKey},
    store::StoreError,
    web::turns::Turns,
};

/// How long before its end a token is no longer given: the call that it is for takes time too.
const MARGIN: Duration = Duration::from_mins(1);

/// How long a replica may take to refresh a link before another one tries.
const CLAIM: Duration = Duration::from_secs(30);

/// How long to wait for another replica that does, and how often to look.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a provider gave.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Tokens {
    access: String,
    refresh: Option<String>,
    /// In milliseconds; `None`: it does not say.
    expires_at: Option<u64>,
}

impl Tokens {
    pub(super) fn of(response: &CoreTokenResponse, now: Timestamp) -> Self {
        let refresh = response.refresh_token();
        Self {
            access: response.access_token().secret().clone(),
            refresh: refresh.map(|token| token.secret().clone()),
            expires_at: response.expires_in().map(|t| (now + t).as_millis()),
        }
    }

    /// With the refresh token of those before, if there is no other: then that one goes on.
    fn after(self, before: Option<Self>) -> Self {
        Self {
            refresh: self.refresh.or_else(|| before?.refresh),
            ..self
        }
    }

    fn is_good(&self, refused: Option<&ProvidedToken>, now: Timestamp) -> bool {
        let is_fresh = self
            .expires_at
            .is_none_or(|end| now + MARGIN < Timestamp::from_millis(end));
        is_fresh && refused.is_none_or(|refused| refused.expose() != self.access)
    }

    fn seal(
        &self,
        link: LinkName<'_>,
        (generation, key): (u64, &ServerKey),
    ) -> Option<SealedTokens> {
        let text = serde_json::to_vec(self).ok()?;
        Some(SealedTokens {
            key: generation,
            bytes: link.sealer(key).seal(&text).into(),
        })
    }

    fn open(sealed: &SealedTokens, link: LinkName<'_>, key: &ServerKey) -> Option<Self> {
        let opened = link.sealer(key).open(&sealed.bytes)?;
        serde_json::from_slice(&opened).ok()
    }
}

/// Whose tokens of which provider.
#[derive(Clone, Copy)]
struct LinkName<'a> {
    user: &'a UserId,
    provider: &'a Provider,
}

impl LinkName<'_> {
    /// What is sealed for one person and provider opens for no other.
    fn sealer(&self, key: &ServerKey) -> Sealer {
        let secret = self.provider.client_secret.as_ref();
        let salt = secret.map_or("", |secret| secret.expose());
        let purpose = format!("tokens of {} for {}", self.provider.id, self.user);
        Sealer::derived(key.expose(), salt.as_bytes(), &purpose)
    }
}

impl IdentityState {
    /// Keeps what a provider gave at sign-in, where the operator wants that.
    pub(super) async fn keep_tokens(
        &self,
        user: &UserId,
        provider: &Provider,
        tokens: Tokens,
    ) -> Result<(), StoreError> {
        if !provider.keep_tokens {
            return Ok(());
        }
        // Some give a refresh token the first time only.
        let before = match self.store.link(user, &provider.id).await? {
            Some(link) => self.unseal(&link, LinkName { user, provider }),
            None => None,
        };
        let tokens = tokens.after(before);
        match self.seal(&tokens, LinkName { user, provider }) {
            Some(sealed) => self.store.keep_link(user, &provider.id, sealed).await,
            None => Ok(()),
        }
    }

    fn seal(&self, tokens: &Tokens, link: LinkName<'_>) -> Option<SealedTokens> {
        let keys = self.link_keys.dated_keys(self.clock.now());
        let newest = keys.first()?;
        tokens.seal(link, (newest.generation, &newest.key))
    }

    fn unseal(&self, kept: &Link, link: LinkName<'_>) -> Option<Tokens> {
        let keys = self.link_keys.dated_keys(self.clock.now());
        let key = keys.iter().find(|key| key.generation == kept.sealed.key)?;
        Tokens::open(&kept.sealed, link, &key.key)
    }
}

/// Hands out tokens, and refreshes them.
#[derive(Clone)]
pub struct KeptTokens {
    identity: IdentityState,
    /// Who refreshes what in this process, so that others wait for it.
    turns: Arc<Turns>,
}

/// What a look at a link comes to.
enum Look {
    /// It can be given.
    Good(Tokens),
    /// It has to be refreshed first.
    Stale(Link, Tokens),
    /// There is none, or none that can be refreshed.
    None,
}

impl KeptTokens {
    /// Those of the people whom that room knows.
    pub fn new(identity: IdentityState) -> Self {
        Self {
            identity,
            turns: Arc::default(),
        }
    }

    async fn look(
        &self,
        link: LinkName<'_>,
        refused: Option<&ProvidedToken>,
    ) -> Result<Look, StoreError> {
        let LinkName { user, provider } = link;
        let store = &self.identity.store;
        let Some(kept) = store.link(user, &provider.id).await? else {
            return Ok(Look::None);
        };
        let Some(tokens) = self.identity.unseal(&kept, link) else {
            // Our secret with the provider is another one now.
            end(&self.identity, link, &kept, "it cannot be opened any more").await?;
            return Ok(Look::None);
        };
        let now = self.identity.clock.now();
        if tokens.is_good(refused, now) {
            return Ok(Look::Good(tokens));
        }
        if tokens.refresh.is_none() {
            end(&self.identity, link, &kept, "it has ended").await?;
            return Ok(Look::None);
        }
        Ok(Look::Stale(kept, tokens))
    }

    /// A token that can be given; `None`: the person has to sign in again.
    async fn find(
        &self,
        user: &UserId,
        upstream: &Upstream,
        refused: Option<&ProvidedToken>,
    ) -> Result<Option<Tokens>, Unrefreshed> {
        let provider = &*upstream.provider;
        let link = LinkName { user, provider };
        let deadline = Instant::now() + PATIENCE;
        if let Look::Good(tokens) = self.look(link, refused).await? {
            return Ok(Some(tokens));
        }
        let name = format!("{} {user}", provider.id);
        let _turn = self.turns.take(&name).await;
        loop {
            let (kept, tokens) = match self.look(link, refused).await? {
                Look::Good(tokens) => return Ok(Some(tokens)),
                Look::None => return Ok(None),
                Look::Stale(kept, tokens) => (kept, tokens),
            };
            let store = &self.identity.store;
            let now = self.identity.clock.now();
            let until = now + CLAIM;
            let claimed = store.claim_link(user, &provider.id, kept.version, until, now);
            if claimed.await? {
                return self.refresh(link, upstream, &kept, tokens).await;
            }
            if Instant::now() >= deadline {
                return Err(Unrefreshed::Elsewhere);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn refresh(
        &self,
        link: LinkName<'_>,
        upstream: &Upstream,
        kept: &Link,
        before: Tokens,
    ) -> Result<Option<Tokens>, Unrefreshed> {
        let identity = &self.identity;
        let (id, store) = (&*upstream.provider.id, &identity.store);
        let refresh_token = before.refresh.clone().unwrap_or_default();
        let refreshed = upstream.refresh(identity, refresh_token).await;
        match refreshed {
            Ok(tokens) => {
                let tokens = tokens.after(Some(before));
                let sealed = identity.seal(&tokens, link);
                let replace = store.replace_link(link.user, id, kept.version, sealed);
                replace.await?;
                Ok(Some(tokens))
            }
            // RFC 6749 §5.2: the grant is over.
            Err(UpstreamError::Refused(code)) if code == "invalid_grant" => {
                end(identity, link, kept, "the provider has ended it").await?;
                Ok(None)
            }
            Err(error) => {
                let give_back = store.replace_link(link.user, id, kept.version, None);
                give_back.await?;
                tracing::warn!(event = "provider_unreachable", provider = id, error = %error, "a person's token cannot be refreshed");
                Err(error.into())
            }
        }
    }
}

/// Ends a link, and nothing else of its person's.
async fn end(
    identity: &IdentityState,
    link: LinkName<'_>,
    kept: &Link,
    why: &str,
) -> Result<(), StoreError> {
    let LinkName { user, provider } = link;
    let store = &identity.store;
    if store.end_link(user, &provider.id, kept.version).await? {
        tracing::info!(event = "link_ended", provider = %provider.id, user = %user, "a person's link with their provider is over: {why}");
    }
    Ok(())
}

/// Why it is not known at the moment.
#[derive(Debug, thiserror::Error)]
enum Unrefreshed {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error("another replica refreshes it, and takes long")]
    Elsewhere,
    #[error("the refresh has failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

#[async_trait]
impl ProvidedTokens for KeptTokens {
    async fn token(
        &self,
        user: &UserId,
        provider: &str,
        refused: Option<&ProvidedToken>,
    ) -> Result<ProvidedToken, ProvidedTokenError> {
        let upstream = self.identity.providers.find(provider);
        let found = match upstream.filter(|upstream| upstream.provider.keep_tokens) {
            Some(upstream) => {
                // In a task of its own: whoever asked may go away, and what a provider gave instead of
                // what it took must not be lost then.
                let (tokens, user, upstream) = (self.clone(), user.clone(), Arc::clone(upstream));
                let refused = refused.cloned();
                let finding =
                    tokio::spawn(
                        async move { tokens.find(&user, &upstream, refused.as_ref()).await },
                    );
                let found = finding.await.map_err(Unrefreshed::from);
                found.and_then(|found| found)
            }
            None => Ok(None),
        };
        match found {
            Ok(Some(tokens)) => Ok(ProvidedToken::received(tokens.access)),
            Ok(None) => Err(ProvidedTokenError::SignInAgain {
                sign_in: self.identity.public_url.origin().to_owned()
                    + &sign_in::url(&ReturnTo::home(), true),
            }),
            Err(error) => Err(ProvidedTokenError::Unavailable(error.into())),
        }
    }
}

impl fmt::Debug for KeptTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptTokens").finish_non_exhaustive()
    }
}
