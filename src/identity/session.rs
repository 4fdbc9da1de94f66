//! Browser sessions: how they begin, whose they are, and how they end.

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

use super::{IdentityState, SignedIn, cookies};
use crate::{
    model::user::{BrowserSession, UserId},
    secret::BrowserSessionId,
    store::Result,
    web::see_other,
};

impl IdentityState {
    /// Who has signed in with the browser that sent `headers`.
    pub async fn signed_in(&self, headers: &HeaderMap) -> Result<Option<SignedIn>> {
        let Some(id) = cookies::browser_session(headers, &self.public_url) else {
            return Ok(None);
        };
        let session = self
            .store
            .browser_session(&id.digest(), self.clock.now())
            .await?;
        let Some(session) = session else {
            return Ok(None);
        };
        let profile = if session.user.is_provided() {
            self.store.profile(&session.user).await?
        } else {
            None
        };
        Ok(Some(SignedIn {
            user: session.user,
            profile: profile.unwrap_or_default(),
            authenticated_at: session.authenticated_at,
            session: id,
        }))
    }

    /// Goes on with somebody who has just proved who they are. Where to, may depend on their session.
    pub(super) async fn admit(
        &self,
        headers: &HeaderMap,
        user: UserId,
        go_on: impl FnOnce(&BrowserSessionId) -> String,
    ) -> Result<Response> {
        // Somebody who has signed in already, in another tab, keeps that session: the forms that are
        // open there are bound to it.
        let id = match self.signed_in(headers).await? {
            Some(person) if person.user == user => person.session,
            _ => BrowserSessionId::mint(),
        };
        tracing::info!(event = "signed_in", user = %user, "a person has signed in");
        let location = go_on(&id);
        let cookie = self.keep_session(id, user).await?;
        let mut response = see_other(&location);
        response.headers_mut().append(header::SET_COOKIE, cookie);
        Ok(response)
    }

    /// Keeps a session from now on. One that nobody had signed in with has a new name: what was planted
    /// before signing in is worth nothing.
    async fn keep_session(&self, id: BrowserSessionId, user: UserId) -> Result<HeaderValue> {
        let now = self.clock.now();
        let session = BrowserSession {
            user,
            authenticated_at: now,
            expires_at: now + self.sign_in_ttl,
        };
        let kept = self.store.insert_browser_session(id.digest(), session);
        kept.await?;
        Ok(cookies::set_browser_session(
            &id,
            self.sign_in_ttl,
            &self.public_url,
        ))
    }

    /// Signs a person out, of this browser.
    pub async fn sign_out(&self, person: &SignedIn) -> Result<()> {
        let session = person.session.digest();
        self.store.end_browser_session(&session).await
    }

    /// Signs a person out, of every browser.
    pub async fn sign_out_everywhere(&self, person: &SignedIn) -> Result<()> {
        self.store.end_browser_sessions(&person.user).await
    }
}
