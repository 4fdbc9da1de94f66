//! Sessions that other replicas serve as well: what happens in one here and matters there, and the
//! other way round.
//!
//! A request of a session may land anywhere. What a session is stands in the store. What it has going
//! on is in the process that began it, and is reached by mail: answers, cancellations, the end.
//! Streams are kept, so that a client may come back to any replica for the rest.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, interval, sleep_until, timeout},
};

use super::{EventId, EventLog, Session, SessionRuntime, keeper::Keeper};
use crate::{
    mcp::{
        McpState,
        feature::Change,
        jsonrpc::{self, INTERNAL_ERROR, RpcError},
        mail,
    },
    model::session_stream::{Mail, News},
    secret::Digest,
};

/// How often it is seen whether a stream that is written elsewhere has gone on.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// How long whoever has a call may take to say so.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a replica may take to let go of a stream. One that is gone says nothing.
const LETS_GO_WITHIN: Duration = Duration::from_millis(500);

/// How often they are asked.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Does what another replica says about a session.
pub(in crate::mcp) async fn hear(mcp: &Arc<McpState>, news: News) {
    let runtimes = &mcp.internal.runtimes;
    match news {
        News::Answered {
            session,
            request,
            result,
        } => {
            if let Some(runtime) = runtimes.existing(&session) {
                runtime.answer(request, result.as_deref());
            }
        }
        News::Cancelled { session, request } => {
            if let Some(runtime) = runtimes.existing(&session) {
                runtime.cancel(&request);
            }
        }
        News::Ended(session) => runtimes.end(&session),
        News::SubscriptionsChanged(session) => {
            if let Some(runtime) = runtimes.existing(&session) {
                reload_subscriptions(mcp, session, &runtime).await;
            }
        }
        News::TakenOver { session, stream } => {
            if let Some(runtime) = runtimes.existing(&session) {
                // Other mail need not wait for it.
                let mcp = Arc::clone(mcp);
                tokio::spawn(async move {
                    runtime.let_go(stream).await;
                    mail::tell(&mcp, News::LetGo { session, stream }).await;
                });
            }
        }
        News::WhoRuns { session, stream } => {
            let runtime = runtimes.existing(&session);
            if runtime.is_some_and(|runtime| runtime.runs(stream)) {
                mail::tell(mcp, News::Runs { session, stream }).await;
            }
        }
        // For whoever asked; they listen themselves. The others are about no session.
        _ => {}
    }
}

/// Reads anew what the session's listener wants to know of, if there is one here.
pub(super) async fn reload_subscriptions(
    mcp: &McpState,
    session: Digest,
    runtime: &SessionRuntime,
) {
    let Some(owner) = runtime.owner() else {
        return;
    };
    match mcp.sessions.subscriptions(&owner, &session).await {
        Ok(uris) => runtime.set_subscriptions(owner, uris),
        Err(error) => {
            tracing::warn!(error = %error, "what a session subscribes to could not be read");
        }
    }
}

/// A stream that a client comes back to and that is not of this process.
pub(super) struct Resumed {
    pub(super) log: Arc<EventLog>,
    /// If it is the one for messages that belong to no request: what has changed since it was taken
    /// over.
    pub(super) changes: Option<Receiver<Change>>,
}

/// Goes on with a stream that another process began, if there is such a one.
pub(super) async fn resume(
    mcp: &Arc<McpState>,
    session: Session,
    runtime: &Arc<SessionRuntime>,
    last: EventId,
) -> Option<Resumed> {
    let keeper = Keeper::of(&mcp.mail, &mcp.clock, session.id)?;
    let mut kept = keeper.find(last.stream, Some(last.event)).await?;
    let is_listening = kept.request.is_none();
    if is_listening && kept.is_finished {
        return None;
    }
    let mut changes = None;
    if is_listening {
        // In this order: what is told from here on is heard here, and what was told before is kept
        // when the other lets go. Something may come twice, and nothing is missed.
        changes = Some(mcp.offered.changes().listen());
        take_over(mcp, session.id, last.stream).await;
        kept = keeper.find(last.stream, Some(last.event)).await?;
    }
    // Who reads along keeps nothing: whoever writes does.
    let keeps = is_listening.then(|| keeper.clone());
    let primed = session.version.has_priming_events();
    let log = EventLog::resumed(last.stream, primed, keeps, last.event);
    for event in &kept.events {
        log.append(event.number, &event.message);
    }
    let log = Arc::new(log);
    runtime.adopt(&log);
    if is_listening {
        runtime.listen_to(&log);
    } else if kept.is_finished {
        log.close();
    } else {
        let following = Following {
            mcp: Arc::clone(mcp),
            session: session.id,
            keeper,
            log: Arc::clone(&log),
            request: kept.request,
        };
        tokio::spawn(following.follow());
    }
    Some(Resumed { log, changes })
}

/// Has whoever has the stream let it go. They may be gone themselves.
async fn take_over(mcp: &McpState, session: Digest, stream: u64) {
    let mut mail = mcp.mail.mail();
    mail::tell(mcp, News::TakenOver { session, stream }).await;
    let let_go = heard_of(&mut mail, News::LetGo { session, stream });
    let _ = timeout(LETS_GO_WITHIN, let_go).await;
}

/// Comes back when some replica has said that.
async fn heard_of(mail: &mut Receiver<Mail>, news: News) {
    loop {
        match mail.recv().await {
            Ok(mail) if mail.news == news => return,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

/// Reads along a stream that is written elsewhere.
struct Following {
    mcp: Arc<McpState>,
    session: Digest,
    keeper: Keeper,
    log: Arc<EventLog>,
    request: Option<Box<str>>,
}

impl Following {
    async fn follow(self) {
        let (session, stream) = (self.session, self.log.number());
        let somebody = News::Runs { session, stream };
        let mut mail = self.mcp.mail.mail();
        let mut look = interval(FOLLOW_EVERY);
        let mut ask = interval(ASK_EVERY);
        // Whether anybody answers is known some time after asking.
        let mut verdict: Option<Instant> = None;
        let abandoned = self.log.abandoned();
        tokio::pin!(abandoned);
        loop {
            let judged_at = verdict.unwrap_or_else(|| Instant::now() + ASK_EVERY);
            tokio::select! {
                () = &mut abandoned => return self.log.close(),
                () = self.mcp.shutdown.cancelled() => return self.log.close(),
                _ = look.tick() => {
                    if self.look().await {
                        return self.log.close();
                    }
                }
                _ = ask.tick() => {
                    mail::tell(&self.mcp, News::WhoRuns { session, stream }).await;
                    verdict = Some(Instant::now() + PATIENCE);
                }
                () = heard_of(&mut mail, somebody.clone()) => verdict = None,
                () = sleep_until(judged_at), if verdict.is_some() => {
                    // It may have ended well in the last moment.
                    if !self.look().await {
                        self.give_up().await;
                    }
                    return self.log.close();
                }
            }
        }
    }

    /// Takes over what was sent since. Whether that was all.
    async fn look(&self) -> bool {
        let after = self.log.next().checked_sub(1);
        let Some(kept) = self.keeper.find(self.log.number(), after).await else {
            return false;
        };
        for event in &kept.events {
            self.log.append(event.number, &event.message);
        }
        kept.is_finished
    }

    /// The call went down with its process: the client is told, wherever it comes back to.
    async fn give_up(&self) {
        let why = "the server was restarted while it worked on this; ask again";
        let error = RpcError::new(INTERNAL_ERROR, why);
        let id: Option<&RawValue> = self
            .request
            .as_deref()
            .and_then(|id| serde_json::from_str(id).ok());
        let (number, message) = (self.log.next(), jsonrpc::error(id, &error));
        let stream = self.log.number();
        self.keeper.keep(stream, number, &message).await;
        self.keeper.finish(stream).await;
        self.log.append(number, &message);
    }
}
