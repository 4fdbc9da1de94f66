//! What may be used once.

use std::sync::Arc;

use remote_mcp_auth::{clock::Timestamp, store::Store};

use super::{
    REPLAYS,
    given::{HOUR, INSTANT, NOW, at_once, before, digest},
};

async fn is_first(store: &dyn Store, key: &str, until: Timestamp, now: Timestamp) -> bool {
    store.first_use(digest(key), until, now).await.unwrap()
}

pub(super) async fn a_second_use_is_recognised_until_the_exact_moment(store: Arc<dyn Store>) {
    let until = NOW + HOUR;
    assert!(is_first(&*store, "proof", until, NOW).await);
    assert!(is_first(&*store, "another", until, NOW).await);
    assert!(!is_first(&*store, "proof", until, NOW).await);
    assert!(!is_first(&*store, "proof", until, before(until)).await);
    // Used anew after that, it is remembered anew, whatever becomes of the old entry.
    let again = until + HOUR;
    assert!(is_first(&*store, "proof", again, until).await);
    store.sweep(until + INSTANT).await.unwrap();
    assert!(!is_first(&*store, "proof", again, before(again)).await);
}

pub(super) async fn something_is_used_first_by_exactly_one_of_many(store: Arc<dyn Store>) {
    let until = NOW + HOUR;
    let answers = at_once(|_| {
        let store = Arc::clone(&store);
        async move { is_first(&*store, "proof", until, NOW).await }
    });
    let answers = answers.await;
    let firsts = answers.iter().filter(|(_, is_first)| *is_first);
    assert_eq!(firsts.count(), 1);
}

pub(super) async fn at_the_cap_nothing_new_is_let_in_before_something_expires(
    store: Arc<dyn Store>,
) {
    let until = NOW + HOUR;
    for number in 0..REPLAYS {
        assert!(is_first(&*store, &number.to_string(), until, NOW).await);
    }
    assert!(!is_first(&*store, "one more", until, NOW).await);
    assert!(!is_first(&*store, "0", until, NOW).await);
    let later = until + HOUR;
    assert!(is_first(&*store, "one more", later + HOUR, later).await);
    assert!(!is_first(&*store, "one more", later + HOUR, later).await);
}

pub(super) async fn the_ends_of_time_do_no_harm(store: Arc<dyn Store>) {
    let (first, last) = (Timestamp::default(), Timestamp::from_millis(u64::MAX));
    assert!(is_first(&*store, "for ever", last, first).await);
    assert!(!is_first(&*store, "for ever", last, NOW).await);
    // What has expired already cannot come back, so nothing is said about it.
    assert!(is_first(&*store, "long ago", first, NOW).await);
    assert!(is_first(&*store, "at the end", last, last).await);
}
