//! People's own tokens at the identity providers that they signed in with, for APIs of these
//! providers.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    access::{ProvidedTokenError, ProvidedTokens},
    model::user::UserId,
    secret::ProvidedToken,
};

/// Whoever knows people's tokens. They come after the tools, and others take their place when the
/// configuration is read anew.
#[derive(Clone, Default)]
pub struct PeoplesTokens(Arc<RwLock<Option<Arc<dyn ProvidedTokens>>>>);

impl PeoplesTokens {
    /// From now on they are asked.
    pub fn are_known_to(&self, who: Arc<dyn ProvidedTokens>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(who);
    }

    /// The token of whoever calls; or what they can do about it, in words for a model. `refused`: one
    /// that the API does not take.
    pub(super) async fn of(
        &self,
        user: &UserId,
        provider: &str,
        refused: Option<&ProvidedToken>,
    ) -> Result<ProvidedToken, String> {
        let who = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(who) = who else {
            return Err("This server knows nobody's tokens yet. Try again.".to_owned());
        };
        let found = who.token(user, provider, refused).await;
        found.map_err(|error| match error {
            ProvidedTokenError::SignInAgain { sign_in } => format!(
                "This needs the person's own access, which they have not given or which has ended. \
                 Ask them to sign in at {sign_in}, and try again."
            ),
            ProvidedTokenError::Unavailable(error) => {
                tracing::warn!(provider, error = %error, "a person's own token cannot be had");
                "The person's own access cannot be looked up at the moment. Try again.".to_owned()
            }
        })
    }
}

impl fmt::Debug for PeoplesTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeoplesTokens").finish_non_exhaustive()
    }
}
