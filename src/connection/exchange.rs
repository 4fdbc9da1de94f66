//! The bodies of a request and of its answer, watched for their ends.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Error,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    response::Response,
};
use hyper::body::{Frame, Incoming, SizeHint};

use super::progress::Progress;

/// A request begins.
pub(super) fn question(request: hyper::Request<Incoming>, progress: &Arc<Progress>) -> Request {
    let has_body = !request.body().is_end_stream();
    let number = progress.request_begins(has_body);
    if !has_body {
        return request.map(|_| Body::empty());
    }
    request.map(|body| {
        Body::new(Question {
            body,
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
    body: Incoming,
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
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.progress.body_ended(self.number);
    }
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
