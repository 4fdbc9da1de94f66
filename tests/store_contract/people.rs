//! People whom identity providers know.

use std::sync::Arc;

use remote_mcp_auth::{
    model::{
        provider::Departure,
        user::{Profile, UserId},
    },
    store::Store,
};

use super::{
    PENDING,
    given::{HOUR, INSTANT, MINUTE, NOW, at_once, before, digest},
};

fn departure(browser: &str) -> Departure {
    Departure {
        provider: "idp".to_owned(),
        browser: digest(browser),
        return_to: "/consent?request=ar_x".to_owned(),
        allowed: Some("what was asked".to_owned()),
        expires_at: NOW + HOUR,
    }
}

async fn leave(store: &dyn Store, state: &str, departure: Departure) {
    let kept = store.insert_departure(digest(state), departure);
    kept.await.unwrap();
}

pub(super) async fn a_departure_is_taken_once_by_the_browser_that_left(store: Arc<dyn Store>) {
    leave(&*store, "state", departure("browser")).await;
    let take = async |state, browser| {
        let (state, browser) = (digest(state), digest(browser));
        store.take_departure(&state, &browser, NOW).await.unwrap()
    };
    assert_eq!(take("state", "other").await, None);
    assert_eq!(take("other", "browser").await, None);
    let told = at_once(|_| {
        let store = Arc::clone(&store);
        async move {
            let (state, browser) = (digest("state"), digest("browser"));
            store.take_departure(&state, &browser, NOW).await.unwrap()
        }
    })
    .await;
    let taken: Vec<Departure> = told.into_iter().filter_map(|(_, taken)| taken).collect();
    assert_eq!(taken, [departure("browser")]);
}

pub(super) async fn a_departure_lasts_until_the_exact_moment_of_its_end(store: Arc<dyn Store>) {
    for (now, is_there) in [(before(NOW + HOUR), true), (NOW + HOUR, false)] {
        leave(&*store, "state", departure("browser")).await;
        let (state, browser) = (digest("state"), digest("browser"));
        let taken = store.take_departure(&state, &browser, now);
        assert_eq!(taken.await.unwrap().is_some(), is_there);
    }
    store.sweep(NOW + HOUR + INSTANT).await.unwrap();
    leave(&*store, "state", departure("browser")).await;
}

pub(super) async fn the_oldest_departure_gives_way_at_the_cap(store: Arc<dyn Store>) {
    for number in 0..=PENDING {
        let departure = Departure {
            expires_at: NOW + HOUR + MINUTE * u32::try_from(number).unwrap(),
            ..departure("browser")
        };
        leave(&*store, &number.to_string(), departure).await;
    }
    for number in 0..=PENDING {
        let state = digest(&number.to_string());
        let taken = store.take_departure(&state, &digest("browser"), NOW).await;
        assert_eq!(taken.unwrap().is_some(), number > 0, "{number}");
    }
}

pub(super) async fn the_newest_profile_of_a_person_counts(store: Arc<dyn Store>) {
    let (ada, other) = (
        UserId::of_issuer("https://idp.example", "ada"),
        UserId::of_issuer("https://idp.example", "other"),
    );
    for email in ["ada@example.com", "lovelace@example.com"] {
        let profile = Profile {
            name: Some("Ada".to_owned()),
            email: Some(email.to_owned()),
        };
        store.keep_profile(&ada, profile.clone()).await.unwrap();
        assert_eq!(store.profile(&ada).await.unwrap(), Some(profile));
        assert_eq!(store.profile(&other).await.unwrap(), None);
    }
}
