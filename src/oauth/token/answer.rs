//! The answer of the token endpoint (RFC 6749 §5.1), and how it is kept for a client that did not
//! receive it.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    jose::Thumbprint,
    model::grant::{Authorization, SealedAnswer},
    secret::{AccessToken, RefreshToken, Sealer},
    web::{Json, NoStore},
};

/// Tokens for a client that may get a refresh token.
pub(super) type TokenAnswer = Answer<Option<RefreshToken>>;

/// Tokens for a client that refreshes: there always is a next refresh token.
pub(super) type RefreshAnswer = Answer<RefreshToken>;

/// Tokens for a client.
#[derive(Debug)]
pub(super) struct Answer<R> {
    pub(super) access_token: AccessToken,
    pub(super) access_expires_at: Timestamp,
    /// The key that the access token is bound to.
    pub(super) jkt: Option<Thumbprint>,
    pub(super) refresh_token: R,
    /// What was granted, always said: it may be less than was asked for.
    pub(super) scope: String,
    pub(super) now: Timestamp,
}

#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    scope: &'a str,
}

impl<R> Answer<R> {
    /// An answer with an access token that has just been minted.
    pub(super) fn new(
        access_token: AccessToken,
        authorization: &Authorization,
        refresh_token: R,
        now: Timestamp,
    ) -> Self {
        Self {
            access_token,
            access_expires_at: authorization.expires_at,
            jkt: authorization.jkt,
            refresh_token,
            scope: authorization.scopes.to_string(),
            now,
        }
    }
}

impl From<RefreshAnswer> for TokenAnswer {
    fn from(answer: RefreshAnswer) -> Self {
        Self {
            access_token: answer.access_token,
            access_expires_at: answer.access_expires_at,
            jkt: answer.jkt,
            refresh_token: Some(answer.refresh_token),
            scope: answer.scope,
            now: answer.now,
        }
    }
}

impl IntoResponse for TokenAnswer {
    fn into_response(self) -> Response {
        let body = TokenResponse {
            access_token: self.access_token.expose(),
            token_type: token_type(self.jkt),
            expires_in: self.access_expires_at.since(self.now).as_secs(),
            refresh_token: self.refresh_token.as_ref().map(RefreshToken::expose),
            scope: &self.scope,
        };
        NoStore(Json(StatusCode::OK, body)).into_response()
    }
}

/// What kind of access token it is (RFC 6749 §7.1): one that is bound to a key cannot be used
/// without it (RFC 9449 §5).
pub(in crate::oauth) const fn token_type(jkt: Option<Thumbprint>) -> &'static str {
    match jkt {
        Some(_) => "DPoP",
        None => "Bearer",
    }
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    access_token: Box<str>,
    access_expires_at: u64,
    jkt: Option<Thumbprint>,
    refresh_token: Box<str>,
    scope: String,
}

/// Why a sealed answer could not be read. It means that somebody changed the store.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnsealError {
    #[error("the kept answer does not open with the token that it was kept for")]
    Seal,
    #[error("the kept answer cannot be read")]
    Content(#[from] serde_json::Error),
}

impl RefreshAnswer {
    /// Encrypts the answer under a key that only `used`, the refresh token that it answers,
    /// yields: the store alone cannot read it.
    pub(super) fn seal(&self, used: &RefreshToken) -> Result<SealedAnswer, UnsealError> {
        let kept = Kept {
            access_token: self.access_token.expose().into(),
            access_expires_at: self.access_expires_at.as_millis(),
            jkt: self.jkt,
            refresh_token: self.refresh_token.expose().into(),
            scope: self.scope.clone(),
        };
        let sealed = sealer(used).seal(&serde_json::to_vec(&kept)?);
        Ok(SealedAnswer(sealed.into()))
    }

    /// Reads the answer that was given to `used`.
    pub(super) fn unseal(
        answer: &SealedAnswer,
        used: &RefreshToken,
        now: Timestamp,
    ) -> Result<Self, UnsealError> {
        let opened = sealer(used).open(&answer.0).ok_or(UnsealError::Seal)?;
        let kept: Kept = serde_json::from_slice(&opened)?;
        Ok(Self {
            access_token: AccessToken::presented(kept.access_token),
            access_expires_at: Timestamp::from_millis(kept.access_expires_at),
            jkt: kept.jkt,
            refresh_token: RefreshToken::presented(kept.refresh_token),
            scope: kept.scope,
            now,
        })
    }
}

fn sealer(used: &RefreshToken) -> Sealer {
    let purpose = "remote-mcp-auth: answer to a refresh token";
    Sealer::derived(used.expose().as_bytes(), b"", purpose)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_opens_for_the_token_that_it_answered_and_no_other() {
        let now = Timestamp::from_millis(1_000);
        let used = RefreshToken::mint();
        let answer = RefreshAnswer {
            access_token: AccessToken::mint(),
            jkt: None,
            access_expires_at: now + std::time::Duration::from_mins(1),
            refresh_token: RefreshToken::mint(),
            scope: "mcp".to_owned(),
            now,
        };
        let sealed = answer.seal(&used).unwrap();
        let opened = RefreshAnswer::unseal(&sealed, &used, now).unwrap();
        assert_eq!(opened.access_token.expose(), answer.access_token.expose());
        assert_eq!(opened.refresh_token.expose(), answer.refresh_token.expose());
        assert!(RefreshAnswer::unseal(&sealed, &RefreshToken::mint(), now).is_err());
    }
}
