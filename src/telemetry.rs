//! Logs: on standard error, written off the request path, one line a request.
//!
//! No line holds a query, a header, a body, a cookie or a token, at any level.

use std::{
    error::Error,
    io::{self, IsTerminal as _},
    panic,
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method},
    response::Response,
};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, filter_fn},
    fmt,
    prelude::*,
};
use uuid::Uuid;

use crate::{
    config::{Config, LogFormat},
    web::note::{ClientNote, FailureNote, REQUEST_LOG},
};

/// Names a request in our log, in the caller's and in what a person reports.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID: usize = 128;

/// Log lines that may wait to be written.
const QUEUED_LINES: usize = 4096;
const MAX_METHOD: usize = 20;

/// Begins to log as configured. Lines are written as long as the guard is held.
///
/// # Errors
///
/// If the process logs already.
pub(crate) fn init(config: &Config) -> Result<WorkerGuard, Box<dyn Error + Send + Sync>> {
    // The default queue of 128,000 lines takes 4 MB from the start. Lines that do not fit are
    // dropped rather than waited for.
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUED_LINES)
        .finish(io::stderr());
    let is_terminal = io::stderr().is_terminal();
    let format = config.log_format.unwrap_or(if is_terminal {
        LogFormat::Pretty
    } else {
        LogFormat::Json
    });
    let lines = match format {
        LogFormat::Pretty => fmt::layer()
            .with_writer(writer)
            .with_ansi(is_terminal)
            .with_target(false)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .with_writer(writer)
            .json()
            .flatten_event(true)
            .boxed(),
    };
    // It logs whole messages, some of them at `info`.
    let no_messages = filter_fn(|line| !line.target().starts_with("rmcp"));
    let filter = EnvFilter::try_new(&config.log_filter)?.and(no_messages);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()?;
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let cause = panic.payload_as_str();
        tracing::error!(event = "panic", place, cause, "a task panicked");
    }));
    Ok(guard)
}

/// A request that is being answered, for the log.
pub(crate) struct RequestLog {
    /// It is measured, not decided upon, so it needs no clock that can be turned.
    began: Instant,
    id: HeaderValue,
    method: Method,
    route: Option<MatchedPath>,
}

impl RequestLog {
    /// A request begins, and gets an id.
    pub(crate) fn begin(request: &Request) -> Self {
        Self {
            began: Instant::now(),
            id: request_id(request),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
        }
    }

    /// Logs what came of it, and tells the caller its id.
    pub(crate) fn end(self, response: &mut Response) {
        self.log(response);
        response.headers_mut().insert(REQUEST_ID, self.id);
    }

    fn log(&self, response: &Response) {
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        // Any token is a method, as long as the sender likes.
        let method = Some(self.method.as_str()).filter(|name| name.len() <= MAX_METHOD);
        let method = method.unwrap_or("other");
        let status = response.status().as_u16();
        let notes = response.extensions();
        let client = notes.get::<ClientNote>().map(|ClientNote(id)| &**id);
        let request_id = self.id.to_str().unwrap_or_default();
        // Not asked before it is known that somebody wants to read it.
        let duration_ms = || self.began.elapsed().as_secs_f64() * 1000.0;
        if let Some(FailureNote(cause)) = notes.get::<FailureNote>() {
            let cause = chain(cause.as_ref());
            tracing::error!(
                target: REQUEST_LOG,
                {
                    http.method = method,
                    http.route = route,
                    http.status = status,
                    duration_ms = duration_ms(),
                    client.id = client,
                    request.id = request_id,
                    cause,
                },
                "request failed"
            );
        } else {
            tracing::info!(
                target: REQUEST_LOG,
                {
                    http.method = method,
                    http.route = route,
                    http.status = status,
                    duration_ms = duration_ms(),
                    client.id = client,
                    request.id = request_id,
                },
                "request"
            );
        }
    }
}

/// The caller's own id, if it is one that can be printed, else a new one.
fn request_id(request: &Request) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID).filter(|value| {
        let bytes = value.as_bytes();
        (1..=MAX_REQUEST_ID).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(|| {
        let mut buffer = Uuid::encode_buffer();
        let id = Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
        HeaderValue::from_str(id).expect("a UUID is printable ASCII")
    })
}

/// An error and what caused it.
fn chain(error: &(dyn Error + Send + Sync)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
