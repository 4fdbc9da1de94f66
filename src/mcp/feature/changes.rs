//! News for clients: lists that have changed, resources that have.

use std::sync::Arc;

use tokio::sync::broadcast;

/// News that a listener may fall behind by.
const BACKLOG: usize = 256;

/// Something that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The list of resources.
    Resources,
    /// The contents of the resource at this address.
    Resource(Arc<str>),
    /// The state of a task. Its owner's listeners are told.
    Task(Arc<str>),
}

impl Change {
    /// The notification that carries it.
    pub(in crate::mcp) fn method(&self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources => "notifications/resources/list_changed",
            Self::Resource(_) => "notifications/resources/updated",
            Self::Task(_) => "notifications/tasks",
        }
    }
}

/// Tells every client that listens, on whatever replica. Clones tell the same listeners.
#[derive(Debug, Clone, Default)]
pub struct Changes(Arc<Channels>);

/// Shared as one: every call has a clone.
#[derive(Debug)]
struct Channels {
    heard: broadcast::Sender<Change>,
    made_here: broadcast::Sender<Change>,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            heard: broadcast::Sender::new(BACKLOG),
            made_here: broadcast::Sender::new(BACKLOG),
        }
    }
}

impl Changes {
    /// Tells of a change. It is passed on while somebody listens and forgotten otherwise: clients
    /// that come later read the lists anew.
    pub fn tell(&self, change: Change) {
        // Nobody need be listening.
        let _ = self.0.made_here.send(change.clone());
        self.tell_here(change);
    }

    /// The same for a change that another replica has told of.
    pub(in crate::mcp) fn tell_here(&self, change: Change) {
        let _ = self.0.heard.send(change);
    }

    /// All changes.
    pub(in crate::mcp) fn listen(&self) -> broadcast::Receiver<Change> {
        self.0.heard.subscribe()
    }

    /// Those that the other replicas do not know of yet.
    pub(in crate::mcp) fn made_here(&self) -> broadcast::Receiver<Change> {
        self.0.made_here.subscribe()
    }
}
