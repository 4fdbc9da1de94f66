//! Documents of others, fetched with manners. Strangers can make us fetch: so one document is
//! fetched by one request at a time, which the others wait for, and no host is asked more often
//! than it can bear.

use std::{fmt, time::Duration};

use fluent_uri::Uri;
use tokio::sync::OwnedMutexGuard;

use crate::{
    clock::Timestamp,
    web::{
        fetch::{FetchError, Fetched, Fetcher},
        throttle::Throttle,
        turns::Turns,
    },
};

/// Fetches from one host at once, and how long until there may be another one.
const FETCHES_AT_ONCE: u32 = 30;
const FETCH_EVERY: Duration = Duration::from_secs(2);

/// How long a copy is fresh if its server does not say, and at most.
const USUAL_LIFETIME: Duration = Duration::from_hours(1);
const LONGEST_LIFETIME: Duration = Duration::from_hours(24);

/// Why there is no document, for whoever waits for it.
#[derive(Debug, thiserror::Error)]
pub(super) enum RemoteError {
    #[error("{}", .0.in_plain_words())]
    Fetch(#[from] FetchError),
    #[error("it was asked for too often in a short time")]
    TooOften,
}

impl RemoteError {
    /// Whether trying again later makes sense.
    pub(super) const fn will_pass(&self) -> bool {
        match self {
            Self::Fetch(error) => !error.is_special_use(),
            Self::TooOften => true,
        }
    }

    /// Tells the operator what strangers are not told. `what` it was that could not be fetched.
    pub(super) fn log(&self, what: &'static str, url: &str) {
        let host = host_of(url).unwrap_or_default();
        match self {
            Self::Fetch(refused) if refused.is_special_use() => {
                tracing::warn!(event = "fetch_refused", client.host = host, error = %refused, "{what} is at an address that is not public");
            }
            Self::Fetch(error) => {
                tracing::warn!(event = "fetch_failed", client.host = host, error = %error, "{what} cannot be fetched");
            }
            Self::TooOften => {
                tracing::warn!(event = "fetch_failed", client.host = host, error = %self, "{what} cannot be fetched");
            }
        }
    }
}

/// Fetches for everybody.
pub struct RemoteDocuments {
    fetcher: Fetcher,
    by_host: Throttle<String>,
    /// Who fetches what, so that others wait for it instead of fetching too.
    fetching: Turns,
}

impl fmt::Debug for RemoteDocuments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteDocuments").finish_non_exhaustive()
    }
}

impl RemoteDocuments {
    /// What goes out goes through `fetcher`.
    pub fn new(fetcher: Fetcher) -> Self {
        Self {
            fetcher,
            by_host: Throttle::new(FETCHES_AT_ONCE, FETCH_EVERY),
            fetching: Turns::default(),
        }
    }

    /// Waits until nobody else is about to fetch the document. Whoever has the turn looks first
    /// whether it is still needed.
    pub(super) async fn turn(&self, url: &str) -> OwnedMutexGuard<()> {
        self.fetching.take(url).await
    }

    /// Fetches a document. The answer is also until when a copy of it is fresh.
    pub(super) async fn get(
        &self,
        url: &str,
        now: Timestamp,
    ) -> Result<(Fetched, Timestamp), RemoteError> {
        let host = host_of(url).ok_or(FetchError::Url)?;
        if self.by_host.take(&host, now).is_err() {
            return Err(RemoteError::TooOften);
        }
        let fetched = self.fetcher.get(url).await?;
        let lifetime = fetched.fresh_for.unwrap_or(USUAL_LIFETIME);
        let fresh_until = now + lifetime.min(LONGEST_LIFETIME);
        Ok((fetched, fresh_until))
    }
}

fn host_of(url: &str) -> Option<String> {
    let url = Uri::parse(url).ok()?;
    Some(url.authority()?.host().to_ascii_lowercase())
}
