//! What the replicas of this server tell each other: what has changed, and what happens in sessions
//! and tasks that somebody else has going on.

use std::sync::Arc;

use tokio::{sync::broadcast::error::RecvError, time::interval};

use super::{McpState, feature::Change, legacy, tasks};
use crate::model::session_stream::{Mail, News};

/// Tells the other replicas, if there can be any.
pub(super) async fn tell(mcp: &McpState, news: News) {
    if !mcp.mail.is_shared() {
        return;
    }
    let mail = Mail {
        from: mcp.internal.replica,
        news,
    };
    if let Err(error) = mcp.mail.send_mail(mail, mcp.clock.now()).await {
        tracing::warn!(error = %error, "the other replicas could not be told what happened in a session");
    }
}

/// Does what the other replicas say, and tells them of changes, until the server shuts down.
pub async fn exchange_mail(mcp: Arc<McpState>) {
    if !mcp.mail.is_shared() {
        return;
    }
    let mut mail = mcp.mail.mail();
    let mut changes = mcp.offered.changes().made_here();
    let mut sign = interval(tasks::SIGN_OF_LIFE_EVERY);
    loop {
        tokio::select! {
            () = mcp.shutdown.cancelled() => return,
            _ = sign.tick() => tasks::give_sign_of_life(&mcp).await,
            change = changes.recv() => match change {
                Ok(change) => tell(&mcp, news_of(&change)).await,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            heard = mail.recv() => match heard {
                Ok(mail) if mail.from == mcp.internal.replica => {}
                Ok(mail) => hear(&mcp, mail.news).await,
                // What was missed is made up for by time: callers time out, clients come back.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}

async fn hear(mcp: &Arc<McpState>, news: News) {
    match news {
        News::Changed { what, which } => {
            if let Some(change) = change_of(&what, which) {
                mcp.offered.changes().tell_here(change);
            }
        }
        News::TaskAnswered { task, answers } => tasks::answered(mcp, &task, &answers),
        News::TaskCancelled(task) => tasks::cancelled(mcp, &task),
        news => legacy::hear(mcp, news).await,
    }
}

fn news_of(change: &Change) -> News {
    let which = match change {
        Change::Tools | Change::Prompts | Change::Resources => None,
        Change::Resource(which) | Change::Task(which) => Some(Box::from(&**which)),
    };
    News::Changed {
        what: change.method().into(),
        which,
    }
}

/// `None` for what only a newer version knows.
fn change_of(what: &str, which: Option<Box<str>>) -> Option<Change> {
    let changes = [
        Some(Change::Tools),
        Some(Change::Prompts),
        Some(Change::Resources),
        which.clone().map(|uri| Change::Resource(uri.into())),
        which.map(|id| Change::Task(id.into())),
    ];
    let mut changes = changes.into_iter().flatten();
    changes.find(|change| change.method() == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_understand_which_change_is_meant() {
        for change in [
            Change::Tools,
            Change::Prompts,
            Change::Resources,
            Change::Resource("file:///a".into()),
            Change::Task("task_a".into()),
        ] {
            let News::Changed { what, which } = news_of(&change) else {
                panic!("{change:?} is not told");
            };
            assert_eq!(change_of(&what, which), Some(change));
        }
        assert_eq!(change_of("notifications/of/a/newer/version", None), None);
    }
}
