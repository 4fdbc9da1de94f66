//! What the endpoints for programs answer when they refuse (RFC 6749 §5.2, RFC 7591 §3.2.2).

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{authorize::ErrorReply, client_document::DocumentError, keys::VerifyError};
use crate::{
    model::client_metadata::MetadataError,
    store::StoreError,
    web::{Json, NoStore, body::BodyError, note, params::ParamError, throttle::RetryAfter},
};

/// Why an OAuth request was refused. Each text is for the developer of the client.
#[derive(Debug, thiserror::Error)]
pub(super) enum OAuthError {
    /// Something is missing, repeated or malformed.
    #[error("{0}")]
    InvalidRequest(String),
    /// Nobody we know, or not who they say (RFC 6749 §5.2: 401). Makes clients register again.
    #[error("{description}")]
    InvalidClient {
        description: Cow<'static, str>,
        /// Whether the client used the `Authorization` header: then the answer must challenge it.
        challenge: bool,
    },
    /// A code, refresh token or assertion that is not good, or not this client's.
    #[error("{0}")]
    InvalidGrant(Cow<'static, str>),
    /// A DPoP proof that is not good, or none where one is needed (RFC 9449 §5).
    #[error("{0}")]
    InvalidProof(String),
    /// A DPoP proof without this nonce (RFC 9449 §8).
    #[error("the DPoP proof must contain the nonce of the DPoP-Nonce header")]
    UseNonce(String),
    /// A grant type that does not exist here.
    #[error("grant_type must be one of {0}")]
    UnsupportedGrantType(String),
    /// A grant type that this client may not use.
    #[error("{0}")]
    UnauthorizedClient(&'static str),
    /// A scope that cannot be granted.
    #[error("{0}")]
    InvalidScope(String),
    /// What an authorization request would have been answered, for one that was pushed.
    #[error("{}", .0.description)]
    Authorization(ErrorReply),
    /// A resource that is not ours (RFC 8707 §2).
    #[error("resource must be {0}")]
    InvalidTarget(String),
    /// RFC 7591 §3.2.2.
    #[error("{0}")]
    InvalidRedirectUri(String),
    /// RFC 7591 §3.2.2.
    #[error("{0}")]
    InvalidClientMetadata(String),
    /// A registration access token or initial access token that is not good (RFC 6750 §3.1).
    #[error("{0}")]
    InvalidToken(&'static str),
    /// No such token was sent. Nothing was wrong with it, so the challenge names no error.
    #[error("{0}")]
    MissingToken(&'static str),
    /// The operator lets nobody register.
    #[error("registration is closed here; ask the operator of the server for a client_id")]
    RegistrationClosed,
    /// The body was not read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Too many from this address.
    #[error("too many requests from this address; try again in {} seconds", .0.seconds())]
    TooManyRequests(RetryAfter),
    /// Our fault.
    #[error("the server cannot reach its data at the moment; try again")]
    Unavailable(#[from] StoreError),
    /// A client's metadata document that is out of reach.
    #[error("this client cannot be identified at the moment; try again: {0}")]
    DocumentUnavailable(DocumentError),
    /// Somebody's keys that are out of reach. The signature may be good.
    #[error("the signature cannot be checked at the moment; try again: {0}")]
    KeysUnavailable(VerifyError),
    /// Our fault.
    #[error("the server failed to answer")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl OAuthError {
    /// Of a client that did not use the `Authorization` header.
    pub(super) fn invalid_client(description: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidClient {
            description: description.into(),
            challenge: false,
        }
    }

    /// Status and error code.
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidRequest(_) | Self::Body(BodyError::Broken) => {
                (StatusCode::BAD_REQUEST, "invalid_request")
            }
            Self::InvalidClient { .. } => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::InvalidGrant(_) => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::InvalidProof(_) => (StatusCode::BAD_REQUEST, "invalid_dpop_proof"),
            Self::UseNonce(_) => (StatusCode::BAD_REQUEST, "use_dpop_nonce"),
            Self::UnsupportedGrantType(_) => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::UnauthorizedClient(_) => (StatusCode::BAD_REQUEST, "unauthorized_client"),
            Self::InvalidScope(_) => (StatusCode::BAD_REQUEST, "invalid_scope"),
            Self::Authorization(reply) => (StatusCode::BAD_REQUEST, reply.error),
            Self::InvalidTarget(_) => (StatusCode::BAD_REQUEST, "invalid_target"),
            Self::InvalidRedirectUri(_) => (StatusCode::BAD_REQUEST, "invalid_redirect_uri"),
            Self::InvalidClientMetadata(_) => (StatusCode::BAD_REQUEST, "invalid_client_metadata"),
            Self::InvalidToken(_) | Self::MissingToken(_) => {
                (StatusCode::UNAUTHORIZED, "invalid_token")
            }
            Self::RegistrationClosed => (StatusCode::FORBIDDEN, "access_denied"),
            Self::Body(BodyError::TooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request"),
            Self::Body(BodyError::TooSlow) => (StatusCode::REQUEST_TIMEOUT, "invalid_request"),
            Self::TooManyRequests(_) => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
            Self::Unavailable(_) | Self::DocumentUnavailable(_) | Self::KeysUnavailable(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
            }
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        }
    }
}

impl From<MetadataError> for OAuthError {
    fn from(error: MetadataError) -> Self {
        match error {
            MetadataError::RedirectUri(problem) => Self::InvalidRedirectUri(problem),
            MetadataError::Other(problem) => Self::InvalidClientMetadata(problem),
        }
    }
}

impl From<ParamError> for OAuthError {
    fn from(error: ParamError) -> Self {
        Self::InvalidRequest(error.to_string())
    }
}

/// A text as an `error_description` may hold it: printable ASCII without `"` and `\` (RFC 6749 §4.1.2.1,
/// §5.2). What was sent is quoted in some of them.
pub(super) fn describing(text: &str) -> String {
    let spelled = text.chars().map(|c| match c {
        '"' => '\'',
        ' '..='[' | ']'..='~' => c,
        _ => '?',
    });
    spelled.collect()
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    error_description: &'a str,
}

fn answer(status: StatusCode, error: &str, error_description: &str) -> Response {
    let body = ErrorBody {
        error,
        error_description: &describing(error_description),
    };
    NoStore(Json(status, body)).into_response()
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        let mut response = answer(status, code, &self.to_string());
        let headers = response.headers_mut();
        match self {
            Self::InvalidClient {
                challenge: true, ..
            } => {
                // RFC 6749 §5.2: the challenge must match the scheme that the client used.
                let basic = HeaderValue::from_static("Basic realm=\"token endpoint\"");
                headers.insert(header::WWW_AUTHENTICATE, basic);
            }
            Self::InvalidToken(_) => {
                let bearer = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                headers.insert(header::WWW_AUTHENTICATE, bearer);
            }
            Self::MissingToken(_) => {
                let bearer = HeaderValue::from_static("Bearer");
                headers.insert(header::WWW_AUTHENTICATE, bearer);
            }
            Self::UseNonce(nonce) => match HeaderValue::try_from(nonce) {
                Ok(nonce) => {
                    headers.insert("dpop-nonce", nonce);
                }
                Err(error) => return note::failed(response, error),
            },
            Self::TooManyRequests(retry_after) => {
                headers.insert(header::RETRY_AFTER, retry_after.seconds().into());
            }
            Self::Unavailable(error) => return note::unavailable(response, error),
            Self::DocumentUnavailable(error) => return note::unavailable(response, error),
            Self::KeysUnavailable(error) => return note::unavailable(response, error),
            Self::Internal(error) => return note::failed(response, error),
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::note::FailureNote;

    #[test]
    fn descriptions_keep_to_their_alphabet() {
        for (text, expected) in [
            ("scope is missing", "scope is missing"),
            ("the scheme \"data\"", "the scheme 'data'"),
            ("a\\b\n\u{e9}\u{1f980}", "a?b???"),
        ] {
            assert_eq!(describing(text), expected);
        }
    }

    #[test]
    fn our_own_faults_are_told_to_the_log_and_not_to_the_client() {
        let response = OAuthError::Internal("the seal is broken".into()).into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let FailureNote(cause) = response.extensions().get().unwrap();
        assert_eq!(cause.to_string(), "the seal is broken");
        let told = OAuthError::Internal("the seal is broken".into()).to_string();
        assert!(!told.contains("seal"), "{told}");
    }
}
