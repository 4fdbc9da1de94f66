//! Subscriptions to resources: one with the upstream for however many there are here, on the
//! connection of whoever was the first.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use rmcp::{
    model::{ServerNotification, SubscriptionFilter},
    service::Subscription,
};
use serde_json::{Map, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    call::{Failure, failure},
    connection::Lease,
    pool::{Failures, Key},
    upstream::Upstream,
};
use crate::{
    mcp::feature::{CallError, Change, Context, Watch},
    upstream::identity::Caller,
};

/// How long an upstream may take to subscribe.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The subscriptions of one upstream that somebody still keeps.
#[derive(Default)]
pub(super) struct Watching(Mutex<HashMap<String, Weak<Guard>>>);

/// Kept by everybody who is subscribed. When nobody is any more, the upstream is told.
struct Guard {
    _stop: DropGuard,
}

/// How a connection was subscribed.
enum Subscribed {
    /// By a request; news come with everything else.
    Session,
    /// On a stream of its own.
    Stream(Box<Subscription>),
}

impl Watching {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<Guard>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn existing(&self, uri: &str) -> Option<Arc<Guard>> {
        self.lock().get(uri)?.upgrade()
    }
}

impl Upstream {
    /// Subscribes to a resource for whoever is in `context`, for as long as what comes back is kept.
    pub(super) async fn watch(
        self: &Arc<Self>,
        uri: &str,
        context: &Context,
    ) -> Result<Watch, CallError> {
        if !self.known().catalogue.has_subscriptions() {
            // It never tells, so there is nothing to wait for.
            return Ok(Watch::new(()));
        }
        if let Some(guard) = self.watching.existing(uri) {
            return Ok(Watch::new(guard));
        }
        let in_words = |failure: Failure| failure.into_call_error(&self.label);
        let lease = self.lease(context).await.map_err(in_words)?;
        let subscribed = subscribe(&lease, uri).await.map_err(in_words)?;
        let stop = CancellationToken::new();
        let guard = Arc::new(Guard {
            _stop: stop.clone().drop_guard(),
        });
        {
            let mut watching = self.watching.lock();
            watching.retain(|_, guard| guard.strong_count() > 0);
            watching.insert(uri.to_owned(), Arc::downgrade(&guard));
        }
        let whose = (
            Key::of(context, self.settings().shared),
            self.caller(context),
        );
        let watched = (whose, uri.to_owned());
        let keeping = keep(Arc::clone(self), watched, lease, subscribed, stop);
        self.connector.tasks.spawn(keeping);
        Ok(Watch::new(guard))
    }
}

async fn subscribe(lease: &Lease, uri: &str) -> Result<Subscribed, Failure> {
    if lease.is_modern() {
        let filter = json!({ "resourceSubscriptions": [uri] });
        let filter: SubscriptionFilter = serde_json::from_value(filter).unwrap_or_default();
        let listening = tokio::time::timeout(TIMEOUT, lease.peer().listen(filter));
        let stream = match listening.await {
            Ok(stream) => stream.map_err(failure)?,
            Err(_) => return Err(Failure::unavailable("it does not answer")),
        };
        return Ok(Subscribed::Stream(Box::new(stream)));
    }
    let params = Map::from_iter([("uri".to_owned(), json!(uri))]);
    let subscribed = lease.request("resources/subscribe", params, TIMEOUT).await;
    subscribed.map_err(failure)?;
    Ok(Subscribed::Session)
}

/// Keeps a subscription until nobody wants it any more, over as many connections as it takes.
async fn keep(
    upstream: Arc<Upstream>,
    ((key, caller), uri): ((Key, Option<Caller>), String),
    mut lease: Lease,
    mut subscribed: Subscribed,
    stop: CancellationToken,
) {
    let shutdown = upstream.connector.shutdown.clone();
    loop {
        let lost = tokio::select! {
            () = stop.cancelled() => false,
            () = shutdown.cancelled() => return,
            () = hear(&upstream, &lease, &mut subscribed) => true,
        };
        if !lost {
            let is_wanted_again = upstream.watching.existing(&uri).is_some();
            if matches!(subscribed, Subscribed::Session) && !is_wanted_again {
                let params = Map::from_iter([("uri".to_owned(), json!(uri))]);
                let _ = lease
                    .request("resources/unsubscribe", params, TIMEOUT)
                    .await;
            }
            return;
        }
        let mut failures = Failures::none();
        (lease, subscribed) = loop {
            failures = failures.and_another();
            tokio::select! {
                () = stop.cancelled() => return,
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep_until(failures.until()) => {}
            }
            let Ok(lease) = upstream.pool.lease(key, caller.clone()).await else {
                continue;
            };
            if let Ok(subscribed) = subscribe(&lease, &uri).await {
                break (lease, subscribed);
            }
        };
    }
}

/// Listens until the subscription is lost.
async fn hear(upstream: &Upstream, lease: &Lease, subscribed: &mut Subscribed) {
    let Subscribed::Stream(stream) = subscribed else {
        return lease.ended.cancelled().await;
    };
    while let Ok(Some(notification)) = stream.next().await {
        if let ServerNotification::ResourceUpdatedNotification(updated) = notification {
            let uri = updated.params.uri.as_str().into();
            upstream.connector.changes.tell(Change::Resource(uri));
        }
    }
}
