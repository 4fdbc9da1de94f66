//! What a stream of an MCP session has sent, and what the replicas that serve a session tell each
//! other.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::secret::Digest;

/// A stream as it is kept for a client that comes back, on whatever replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptStream {
    /// The request whose answer ends it, as its id is spelled; `None`: the stream for messages that
    /// belong to no request.
    pub request: Option<Box<str>>,
    /// What it has sent, in order.
    pub events: Vec<KeptEvent>,
    /// Whether nothing will follow.
    pub is_finished: bool,
}

/// Something that a stream has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEvent {
    /// Its number within the stream, from zero.
    pub number: u64,
    /// The message; empty in the event that begins a stream and carries nothing.
    pub message: Arc<[u8]>,
}

/// What one replica tells the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Which of them says it. It hears itself too, and need not listen.
    pub from: Uuid,
    /// What it says.
    pub news: News,
}

/// What replicas tell each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// A client has answered a request of ours that nobody waits for here.
    Answered {
        /// In which session.
        session: Digest,
        /// Which request.
        request: u64,
        /// The answer; `None`: an error.
        result: Option<Box<str>>,
    },
    /// A client has cancelled a call that does not run here.
    Cancelled {
        /// In which session.
        session: Digest,
        /// The call, as its id is spelled.
        request: Box<str>,
    },
    /// A client has ended a session.
    Ended(Digest),
    /// What a session subscribes to has changed.
    SubscriptionsChanged(Digest),
    /// A client has come back for a stream, and will read it at the sender's: whoever has it lets it
    /// go.
    TakenOver {
        /// In which session.
        session: Digest,
        /// Which stream.
        stream: u64,
    },
    /// The sender has let it go: all that it knew is kept.
    LetGo {
        /// In which session.
        session: Digest,
        /// Which stream.
        stream: u64,
    },
    /// Who has the call that this stream belongs to?
    WhoRuns {
        /// In which session.
        session: Digest,
        /// Which stream.
        stream: u64,
    },
    /// The sender has.
    Runs {
        /// In which session.
        session: Digest,
        /// Which stream.
        stream: u64,
    },
    /// A client has answered what a task asks that does not run here.
    TaskAnswered {
        /// Which task.
        task: Box<str>,
        /// The answers by their keys, in JSON.
        answers: Box<str>,
    },
    /// A client has cancelled a task that does not run here.
    TaskCancelled(Box<str>),
    /// Something that clients are told of has changed. What that can be is the resource server's
    /// business.
    Changed {
        /// What kind of thing.
        what: Box<str>,
        /// Which one, where there are many.
        which: Option<Box<str>>,
    },
}
