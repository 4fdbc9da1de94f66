//! Messages that belong to no request: one task for each session passes changes on to whichever of
//! its streams listens, in the order in which they were made.

use std::sync::Arc;

use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    mpsc::{UnboundedReceiver, UnboundedSender},
    oneshot,
};

use super::{EventLog, SessionRuntime};
use crate::mcp::feature::Change;

/// Asks the task to let go of a stream, which somebody else has taken over, once everything that was
/// told before is on it.
pub(super) struct LetGo {
    pub(super) stream: u64,
    pub(super) done: oneshot::Sender<()>,
}

/// Where a session's task is asked.
pub(super) type Forwarder = UnboundedSender<LetGo>;

/// Passes changes on for as long as somebody reads the stream, or may come back for what was missed.
pub(super) fn forward(
    changes: Receiver<Change>,
    runtime: &Arc<SessionRuntime>,
    log: &Arc<EventLog>,
) {
    if let Some(asked) = runtime.begin_forwarding() {
        tokio::spawn(pass_on(changes, asked, Arc::clone(runtime)));
    }
    let (runtime, log) = (Arc::clone(runtime), Arc::clone(log));
    tokio::spawn(async move {
        tokio::select! {
            () = runtime.ended.cancelled() => {}
            () = log.abandoned() => {
                log.finish().await;
                runtime.stop_listening(log.number());
            }
        }
    });
}

async fn pass_on(
    mut changes: Receiver<Change>,
    mut asked: UnboundedReceiver<LetGo>,
    runtime: Arc<SessionRuntime>,
) {
    loop {
        tokio::select! {
            () = runtime.ended.cancelled() => return,
            change = changes.recv() => match change {
                Ok(change) => runtime.tell(&change).await,
                // Some were missed; the client reads lists anew at the next one.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            let_go = asked.recv() => {
                // Nobody listens any more.
                let Some(LetGo { stream, done }) = let_go else {
                    return;
                };
                while let Ok(change) = changes.try_recv() {
                    runtime.tell(&change).await;
                }
                runtime.release(stream);
                // They may not have waited.
                let _ = done.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::StreamExt as _;

    use super::*;
    use crate::mcp::{
        era::LegacyVersion, feature::Changes, legacy::event_log::EventId, sse::Events,
    };

    async fn next(events: &mut Events) -> String {
        String::from_utf8(events.next().await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_comes_back_gets_what_it_missed_and_what_follows() {
        let version = LegacyVersion::parse("2025-11-25").unwrap();
        let changes = Changes::default();
        let runtime = Arc::new(SessionRuntime::default());
        let log = runtime.listen(version, None).await;
        let mut events = log.read(None);
        forward(changes.listen(), &runtime, &log);
        let primed = next(&mut events).await;
        let id = primed.lines().find_map(|line| line.strip_prefix("id: "));
        let last = EventId::parse(id.unwrap()).unwrap();
        drop(events);

        changes.tell(Change::Tools);
        tokio::time::sleep(Duration::from_mins(1)).await;
        let log = runtime.resume(last).unwrap();
        let mut events = log.read(Some(last.event));
        changes.tell(Change::Prompts);
        for list in ["tools", "prompts"] {
            let event = next(&mut events).await;
            assert!(event.contains(&format!("{list}/list_changed")), "{event}");
        }
        drop(events);

        // Hours later there is nothing to come back for: a new stream begins.
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert!(log.is_finished());
        assert!(runtime.resume(last).is_none());
    }

    #[tokio::test]
    async fn what_was_told_before_is_on_the_stream_when_it_is_let_go() {
        let version = LegacyVersion::parse("2025-06-18").unwrap();
        let changes = Changes::default();
        let runtime = Arc::new(SessionRuntime::default());
        let log = runtime.listen(version, None).await;
        let events = log.read(None);
        forward(changes.listen(), &runtime, &log);
        let told = [Change::Tools, Change::Prompts, Change::Resources];
        for change in told.clone() {
            changes.tell(change);
        }
        runtime.let_go(log.number()).await;
        changes.tell(Change::Tools);
        // The reader comes to the end of it.
        let events: Vec<_> = events.collect().await;
        assert_eq!(events.len(), told.len());
        assert!(
            runtime
                .resume(EventId {
                    stream: log.number(),
                    event: 0
                })
                .is_none()
        );
    }
}
