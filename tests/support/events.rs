//! Reads a stream of events (the HTML standard, “server-sent events”) one at a time.

use serde_json::Value;
use tokio::time::timeout;

use super::PATIENCE;

/// An open stream. Dropping it closes the connection.
pub(crate) struct Events {
    response: reqwest::Response,
    unread: String,
}

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) retry: Option<String>,
    pub(crate) data: String,
}

impl Events {
    /// The stream that an answer is; anything else is a failure.
    #[track_caller]
    pub(crate) fn of(response: reqwest::Response) -> Self {
        let content_type = response.headers().get("content-type");
        let content_type = content_type.and_then(|value| value.to_str().ok());
        assert!(
            response.status() == 200 && content_type.is_some_and(|t| t == "text/event-stream"),
            "not a stream: {response:?}"
        );
        Self {
            response,
            unread: String::new(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let value = self.response.headers().get(name);
        value.and_then(|value| value.to_str().ok())
    }

    /// The next event; `None` at the end of the stream. Comments are passed over.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        timeout(PATIENCE, self.read())
            .await
            .expect("an event, or the end of the stream, in time")
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.unread.find("\n\n") {
                let event = parse(&self.unread.drain(..end + 2).collect::<String>());
                if event != Event::default() {
                    return Some(event);
                }
                continue;
            }
            // A connection that is cut ends the stream as well as its proper end does.
            let chunk = self.response.chunk().await.ok()??;
            self.unread.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// The next event that carries a message, with its id.
    pub(crate) async fn message_event(&mut self) -> (Event, Value) {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if !event.data.is_empty() {
                let message = serde_json::from_str(&event.data).expect("a JSON-RPC message");
                return (event, message);
            }
        }
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> Value {
        self.message_event().await.1
    }

    /// The messages up to the end of the stream.
    pub(crate) async fn rest(&mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        while let Some(event) = self.next().await {
            if !event.data.is_empty() {
                messages.push(serde_json::from_str(&event.data).expect("a JSON-RPC message"));
            }
        }
        messages
    }
}

fn parse(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "id" => event.id = Some(value),
            "retry" => event.retry = Some(value),
            "data" => event.data.push_str(&value),
            _ => {}
        }
    }
    event
}
