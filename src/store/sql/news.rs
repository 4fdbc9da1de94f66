//! What others have to hear of: whoever listens in this process, and the other replicas.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;
use uuid::Uuid;

use super::{
    database::{DbResult, Tx},
    recent::Recent,
    statement::sql,
};
use crate::{
    model::{
        grant::{GrantId, Revocation, StoredAccessToken},
        mcp_session::McpSession,
        session_stream::Mail,
    },
    secret::Digest,
    store::SessionOwner,
};

/// The channel on which replicas tell each other.
pub(super) const CHANNEL: &str = "remote_mcp_auth";

/// Revocations that a listener may fall behind by, before it is told to look for itself.
const BACKLOG: usize = 256;

/// The same for what replicas tell each other about sessions.
const MAIL_BACKLOG: usize = 1024;

/// The longest payload that is announced. Postgres takes 8000 bytes at most, all in all.
const LONGEST: usize = 7000;

/// What has been read lately, and who wants to know what of it is no longer true.
pub(super) struct Shared {
    /// Tells this process from the others: it has heard of its own news already.
    replica: Uuid,
    pub(super) tokens: Recent<Arc<StoredAccessToken>>,
    pub(super) sessions: Recent<(SessionOwner, McpSession)>,
    revocations: broadcast::Sender<Revocation>,
    mail: broadcast::Sender<Mail>,
}

/// Something that is no longer true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Revoked(Revocation),
    SessionChanged(Digest),
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            replica: Uuid::new_v4(),
            tokens: Recent::new(),
            sessions: Recent::new(),
            revocations: broadcast::Sender::new(BACKLOG),
            mail: broadcast::Sender::new(MAIL_BACKLOG),
        }
    }

    pub(super) fn replica(&self) -> Uuid {
        self.replica
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Revocation> {
        self.revocations.subscribe()
    }

    /// Forgets what is no longer true, and tells whoever listens.
    fn hear(&self, event: Event) {
        match event {
            Event::Revoked(Revocation::Grant(grant)) => self.tokens.end(grant),
            Event::Revoked(Revocation::AccessToken(token)) => self.tokens.remove(&token),
            Event::Revoked(Revocation::Missed) => self.forget(),
            Event::SessionChanged(session) => self.sessions.remove(&session),
        }
        if let Event::Revoked(revocation) = event {
            // Nobody need be listening.
            let _ = self.revocations.send(revocation);
        }
    }

    /// The same for what another replica has said. If it has written a letter, that is to be read.
    pub(super) fn hear_from_afar(&self, payload: &str) -> Option<i64> {
        let (replica, said) = payload.split_once(' ')?;
        if replica == self.replica.to_string() {
            return None;
        }
        match said.split_once(' ') {
            Some(("mail", content)) => self.read_mail(content),
            Some(("letter", id)) => return id.parse().ok(),
            _ => {
                if let Some(event) = Event::parse(said) {
                    self.hear(event);
                }
            }
        }
        None
    }

    /// Passes on what another replica has written. What only a newer version can read is for that.
    pub(super) fn read_mail(&self, content: &str) {
        if let Ok(mail) = serde_json::from_str(content) {
            self.pass_on(mail);
        }
    }

    pub(super) fn pass_on(&self, mail: Mail) {
        // Nobody need be listening.
        let _ = self.mail.send(mail);
    }

    pub(super) fn mail(&self) -> broadcast::Receiver<Mail> {
        self.mail.subscribe()
    }

    /// What announces this to the other replicas; `None` if it is too long for that.
    pub(super) fn announcement(&self, content: &str) -> Option<String> {
        (content.len() <= LONGEST).then(|| format!("{} mail {content}", self.replica))
    }

    /// What announces that there is a letter.
    pub(super) fn announcement_of_letter(&self, id: i64) -> String {
        format!("{} letter {id}", self.replica)
    }

    /// News may have been missed: nothing that was read can be relied on.
    pub(super) fn miss(&self) {
        self.hear(Event::Revoked(Revocation::Missed));
    }

    /// Forgets what was read.
    pub(super) fn forget(&self) {
        self.tokens.clear();
        self.sessions.clear();
    }

    /// News that a step is about to make.
    pub(super) fn news(&self) -> News<'_> {
        News {
            shared: self,
            events: Mutex::default(),
        }
    }
}

/// The news that a step makes. They are told when the step is over, however it came to that: who
/// gave up waiting may have done so while the database was doing what was asked of it.
pub(super) struct News<'a> {
    shared: &'a Shared,
    events: Mutex<Vec<Event>>,
}

impl News<'_> {
    /// The step begins, perhaps anew.
    pub(super) fn begin(&self) {
        self.events().clear();
    }

    /// The other replicas hear of it with the transaction's end, and this one with the step's.
    pub(super) async fn add(&self, tx: &mut Tx, event: Event) -> DbResult<()> {
        self.events().push(event);
        if tx.has_listeners() {
            let payload = format!("{} {}", self.shared.replica, event.to_text());
            let notify = sql("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload);
            tx.all(notify).await?;
        }
        Ok(())
    }

    fn events(&self) -> std::sync::MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for News<'_> {
    fn drop(&mut self) {
        for event in self.events().drain(..) {
            self.shared.hear(event);
        }
    }
}

impl Event {
    fn to_text(self) -> String {
        match self {
            Self::Revoked(Revocation::Grant(grant)) => format!("grant {grant}"),
            Self::Revoked(Revocation::AccessToken(token)) => {
                format!("token {}", token.to_base64url())
            }
            Self::Revoked(Revocation::Missed) => "missed".to_owned(),
            Self::SessionChanged(session) => format!("session {}", session.to_base64url()),
        }
    }

    /// What a newer version says and we do not understand may be anything.
    fn parse(text: &str) -> Option<Self> {
        let event = match text.split_once(' ') {
            Some(("grant", id)) => Self::Revoked(Revocation::Grant(GrantId::parse(id)?)),
            Some(("token", digest)) => {
                Self::Revoked(Revocation::AccessToken(Digest::from_base64url(digest)?))
            }
            Some(("session", digest)) => Self::SessionChanged(Digest::from_base64url(digest)?),
            _ => Self::Revoked(Revocation::Missed),
        };
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_understand_each_other() {
        for event in [
            Event::Revoked(Revocation::Grant(GrantId::mint())),
            Event::Revoked(Revocation::AccessToken(Digest::of("token"))),
            Event::Revoked(Revocation::Missed),
            Event::SessionChanged(Digest::of("session")),
        ] {
            assert_eq!(Event::parse(&event.to_text()), Some(event));
        }
        let news = Event::parse("of a newer version");
        assert_eq!(news, Some(Event::Revoked(Revocation::Missed)));
    }

    #[test]
    fn a_replica_does_not_hear_itself() {
        let (one, other) = (Shared::new(), Shared::new());
        let (mut here, mut there) = (one.subscribe(), other.subscribe());
        let payload = format!("{} missed", one.replica());
        for replica in [&one, &other] {
            replica.hear_from_afar(&payload);
            replica.hear_from_afar("nonsense");
        }
        assert!(here.try_recv().is_err());
        assert_eq!(there.try_recv(), Ok(Revocation::Missed));
        assert!(there.try_recv().is_err());
    }
}
