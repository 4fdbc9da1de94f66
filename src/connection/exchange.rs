//! The bodies of a request and of its answer, watched for their ends.
//!
//! Whoever is refused early is often still sending. To close on such a client resets the
//! connection, and what it then reports is a broken network instead of our 401. So what nobody has
//! read is read and thrown away, by a task that only such a request has.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Error,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::header,
    response::Response,
};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use super::progress::Progress;
use crate::web::body::TIMEOUT;

/// How much of a body nobody wants is read, in bytes: twice the largest that any route takes, so
/// that a client with a little too much is told so.
const MAX_UNWANTED: usize = 32 * 1024 * 1024;

/// A request begins.
pub(super) fn question(request: hyper::Request<Incoming>, progress: &Arc<Progress>) -> Request {
    let has_body = !request.body().is_end_stream();
    let number = progress.request_begins(has_body);
    if !has_body {
        return request.map(|_| Body::empty());
    }
    let waits = request.headers().contains_key(header::EXPECT);
    request.map(|body| {
        Body::new(Question {
            body: Some(body),
            waits,
            number,
            progress: Arc::clone(progress),
        })
    })
}

/// Its answer begins.
pub(super) fn answer(response: Response, progress: Arc<Progress>) -> hyper::Response<Answer> {
    progress.answer_begins();
    response.map(|body| Answer { body, progress })
}

/// A request's body.
struct Question {
    /// `None` once it has been read to its end.
    body: Option<Incoming>,
    /// Whether the client sends it only when it is asked to, which reading does (RFC 9110 §10.1.1).
    waits: bool,
    number: u64,
    progress: Arc<Progress>,
}

impl HttpBody for Question {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        self.waits = false;
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let unread = self.body.take();
        if let Some(body) = unread.filter(|body| !self.waits && !body.is_end_stream())
            && let Ok(runtime) = Handle::try_current()
        {
            // A handler that waited for the body has used up some of its time.
            let deadline = self.progress.phase_began() + TIMEOUT;
            let (number, progress) = (self.number, Arc::clone(&self.progress));
            runtime.spawn(async move {
                discard(body, deadline).await;
                progress.body_ended(number);
            });
        } else {
            self.progress.body_ended(self.number);
        }
    }
}

/// Reads what nobody wants, within a size and a time. Beyond them hyper closes the connection.
async fn discard(mut body: Incoming, deadline: Instant) {
    let mut left = MAX_UNWANTED;
    let rest = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(fewer) => left = fewer,
                None => break,
            }
        }
    };
    // What is too slow ends as what is too much.
    let _ = timeout_at(deadline, rest).await;
}

/// An answer's body.
pub(super) struct Answer {
    body: Body,
    progress: Arc<Progress>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.progress.answer_ended();
    }
}
