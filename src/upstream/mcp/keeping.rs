//! Keeps what is known of an upstream up to date for as long as the server runs: read at the start, at
//! every change that it tells of, and whenever it comes back.

use std::{sync::Arc, time::Duration};

use rmcp::model::SubscriptionFilter;
use serde_json::json;
use tokio::time::{Instant, interval_at, sleep, sleep_until};

use super::{
    call::failure,
    catalogue::Catalogue,
    connection::Lease,
    pool::{Failures, Key},
    upstream::{Known, Upstream},
};

/// How often it is looked whether an upstream is still there, which not all of them say.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// News come in swarms.
const SETTLE: Duration = Duration::from_millis(50);

/// Keeps one upstream. `changed` is called when something is to be offered anew.
pub(super) async fn keep(upstream: Arc<Upstream>, changed: Arc<dyn Fn() + Send + Sync>) {
    let mut failures = Failures::none();
    loop {
        let why = match upstream.pool.lease(Key::of_everybody(), None).await {
            Ok(lease) => {
                let attended = attend(&upstream, &lease, &changed).await;
                let Err(why) = attended else {
                    // It had answered: its end is no failure yet.
                    failures = Failures::none();
                    continue;
                };
                lease.close();
                why
            }
            Err(why) => why,
        };
        failures = failures.and_another();
        if upstream.known().down.is_none() {
            tracing::warn!(
                event = "upstream_down",
                upstream = &*upstream.label,
                why = &*why,
                "an upstream is down; its tools are not listed until it is back"
            );
        } else {
            tracing::debug!(
                upstream = &*upstream.label,
                why = &*why,
                "an upstream is still down"
            );
        }
        let known = Known {
            down: Some(why),
            ..upstream.known()
        };
        if upstream.learn(known) {
            changed();
        }
        sleep_until(failures.until()).await;
    }
}

/// Reads the lists, and again with every change, until the connection ends. An error: they could not be
/// read.
async fn attend(
    upstream: &Upstream,
    lease: &Lease,
    changed: &Arc<dyn Fn() + Send + Sync>,
) -> Result<(), Arc<str>> {
    let mut look = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    // Before the first reading, so that nothing is missed in between.
    let listening = listen(lease);
    tokio::pin!(listening);
    loop {
        let told = lease.routes.changed_lists();
        let catalogue = tokio::select! {
            read = Catalogue::read(lease) => read.map_err(|error| failure(error).words())?,
            () = lease.ended.cancelled() => return Ok(()),
        };
        let before = upstream.known();
        let catalogue = Arc::new(catalogue);
        let tools = catalogue.tools.len();
        let known = Known {
            catalogue: Arc::clone(&catalogue),
            down: None,
        };
        if upstream.learn(known) {
            changed();
        }
        for list in told {
            // Where it is not what it was, offering it anew has told of it.
            if catalogue.lists(&list) == before.catalogue.lists(&list) {
                upstream.connector.changes.tell(list);
            }
        }
        if before.down.is_some() {
            tracing::info!(
                event = "upstream_up",
                upstream = &*upstream.label,
                tools,
                "an upstream is there"
            );
        }
        tokio::select! {
            () = lease.ended.cancelled() => return Ok(()),
            () = lease.routes.lists_changed.notified() => sleep(SETTLE).await,
            () = upstream.connector.doubt.notified() => sleep(SETTLE).await,
            () = &mut listening => {}
            _ = look.tick() => {}
        }
    }
}

/// In the stateless revision, changes are told to whoever listens. It ends never: the caller goes on
/// with what it tells.
async fn listen(lease: &Lease) {
    if !lease.is_modern() {
        return std::future::pending().await;
    }
    let filter = json!({
        "toolsListChanged": true,
        "promptsListChanged": true,
        "resourcesListChanged": true,
    });
    let filter: SubscriptionFilter = serde_json::from_value(filter).unwrap_or_default();
    let mut failures = Failures::none();
    loop {
        if let Ok(mut stream) = lease.peer().listen(filter.clone()).await {
            failures = Failures::none();
            while let Ok(Some(notification)) = stream.next().await {
                lease.routes.hear(&notification);
            }
        }
        failures = failures.and_another();
        sleep_until(failures.until()).await;
        // What was missed in between.
        lease.routes.lists_changed.notify_one();
    }
}
