//! How long stories wait, and how they wait for what nobody tells them of.

use std::{fmt::Debug, time::Duration};

use tokio::time::{Instant, sleep};

/// How long a story waits for something that has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Asks again and again until what is found is as it should be, and fails with what was found last.
pub(crate) async fn eventually<T: Debug>(
    mut ask: impl AsyncFnMut() -> T,
    is_right: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = ask().await;
        if is_right(&found) {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "never as it should be: {found:#?}"
        );
        sleep(Duration::from_millis(10)).await;
    }
}
