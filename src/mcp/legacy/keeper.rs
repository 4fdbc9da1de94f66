//! Keeps what a session's streams send, for clients that come back to another replica, or to this
//! one after a restart.

use std::{fmt, sync::Arc};

use serde_json::value::RawValue;

use crate::{
    clock::Clock,
    model::session_stream::{KeptEvent, KeptStream},
    secret::Digest,
    store::{SessionMail, StoreError},
};

/// Keeps the streams of one session.
#[derive(Clone)]
pub(in crate::mcp) struct Keeper {
    mail: Arc<dyn SessionMail>,
    clock: Arc<dyn Clock>,
    session: Digest,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl Keeper {
    /// `None` where nobody else could come to serve the session.
    pub(super) fn of(
        mail: &Arc<dyn SessionMail>,
        clock: &Arc<dyn Clock>,
        session: Digest,
    ) -> Option<Self> {
        mail.is_shared().then(|| Self {
            mail: Arc::clone(mail),
            clock: Arc::clone(clock),
            session,
        })
    }

    pub(super) async fn begin(&self, stream: u64, request: Option<&RawValue>) {
        let request = request.map(RawValue::get);
        let now = self.clock.now();
        let begun = self.mail.begin_stream(&self.session, stream, request, now);
        note(begun.await);
    }

    pub(super) async fn keep(&self, stream: u64, number: u64, message: &[u8]) {
        let event = KeptEvent {
            number,
            message: message.into(),
        };
        let now = self.clock.now();
        note(
            self.mail
                .keep_event(&self.session, stream, event, now)
                .await,
        );
    }

    pub(super) async fn finish(&self, stream: u64) {
        note(self.mail.finish_stream(&self.session, stream).await);
    }

    /// What is kept of a stream. A store that cannot tell is as good as one that does not know.
    pub(super) async fn find(&self, stream: u64, after: Option<u64>) -> Option<KeptStream> {
        let now = self.clock.now();
        let found = self.mail.kept_stream(&self.session, stream, after, now);
        match found.await {
            Ok(kept) => kept,
            Err(error) => {
                note(Err(error));
                None
            }
        }
    }
}

/// A client that stays connected gets its message all the same.
fn note(kept: Result<(), StoreError>) {
    if let Err(error) = kept {
        tracing::warn!(error = %error, "a client that loses its connection now cannot come back for what it missed");
    }
}
