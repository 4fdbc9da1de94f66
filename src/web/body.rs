//! Bodies: read whole, within a size, and those of requests within a time.

use std::{pin::pin, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
};
use futures_util::future::poll_immediate;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

/// The longest that a client may take to send a body.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More than the route allows.
    #[error("the body is larger than this endpoint allows")]
    TooLarge,
    /// Not there after [`TIMEOUT`].
    #[error("the body did not arrive within 30 seconds")]
    TooSlow,
    /// The connection broke, or the framing was wrong.
    #[error("the body could not be read to its end")]
    Broken,
}

/// Whether a body says of itself that it is longer than `limit` bytes.
pub fn is_declared_larger(headers: &HeaderMap, limit: usize) -> bool {
    headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        .is_some_and(|length| length > limit as u64)
}

/// Reads a body of at most `limit` bytes. One that came in one piece is not copied.
pub async fn read(body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let mut collecting = pin!(Limited::new(body, limit).collect());
    // Most are there already, and need no timer.
    let collected = match poll_immediate(&mut collecting).await {
        Some(collected) => collected,
        None => tokio::time::timeout(TIMEOUT, collecting)
            .await
            .map_err(|_| BodyError::TooSlow)?,
    };
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Err(_) => Err(BodyError::Broken),
    }
}

/// Why the body of an answer was not read.
#[derive(Debug)]
pub enum AnswerError {
    /// More than there is room for.
    TooLarge,
    /// The connection broke, or the framing was wrong.
    Broken(reqwest::Error),
}

/// Reads the body of an answer that somebody gave us, of at most `limit` bytes. One that says of itself
/// that it is longer is not read at all.
pub async fn read_answer(
    answer: &mut reqwest::Response,
    limit: usize,
) -> Result<Vec<u8>, AnswerError> {
    if is_declared_larger(answer.headers(), limit) {
        return Err(AnswerError::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(AnswerError::Broken)? {
        if body.len() + chunk.len() > limit {
            return Err(AnswerError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
