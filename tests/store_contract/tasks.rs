//! Tasks, as every replica can tell how they are.

use std::sync::Arc;

use remote_mcp_auth::{
    clock::Timestamp,
    model::{kept_task::KeptTask, user::UserId},
    store::{SessionOwner, Store},
};
use uuid::Uuid;

use super::given::{HOUR, INSTANT, NOW, client_id};

fn owner(user: &str, client: &str) -> SessionOwner {
    SessionOwner {
        user: UserId::new(user.to_owned()),
        client: client_id(client),
    }
}

fn task(version: u64) -> KeptTask {
    KeptTask {
        described: format!("{{\"version\":{version}}}").into(),
        version,
        is_over: false,
        runner: Uuid::from_u128(1),
        alive_until: NOW + INSTANT,
        expires_at: NOW + HOUR,
    }
}

async fn keep(store: &dyn Store, task: KeptTask) {
    let owner = owner("ada", "app");
    store.keep_task(&owner, "task", task).await.unwrap();
}

async fn kept(store: &dyn Store, now: Timestamp) -> Option<KeptTask> {
    let owner = owner("ada", "app");
    store.kept_task(&owner, "task", now).await.unwrap()
}

pub(super) async fn a_task_is_its_owners_alone(store: Arc<dyn Store>) {
    assert_eq!(kept(&*store, NOW).await, None);
    keep(&*store, task(0)).await;
    assert_eq!(kept(&*store, NOW).await, Some(task(0)));
    for stranger in [owner("ada", "other"), owner("grace", "app")] {
        let found = store.kept_task(&stranger, "task", NOW).await;
        assert_eq!(found.unwrap(), None, "{stranger:?}");
    }
}

pub(super) async fn a_task_never_goes_back(store: Arc<dyn Store>) {
    for version in [0, 3, 2, 3] {
        keep(&*store, task(version)).await;
    }
    assert_eq!(kept(&*store, NOW).await, Some(task(3)));
    let over = KeptTask {
        is_over: true,
        ..task(4)
    };
    keep(&*store, over.clone()).await;
    keep(&*store, task(5)).await;
    assert_eq!(kept(&*store, NOW).await, Some(over));
}

pub(super) async fn a_task_is_lost_with_its_process(store: Arc<dyn Store>) {
    keep(&*store, task(0)).await;
    let lives = async |runner, until| store.runner_lives(Uuid::from_u128(runner), until).await;
    lives(2, NOW + HOUR).await.unwrap();
    assert!(!kept(&*store, NOW).await.unwrap().is_lost(NOW));
    let later = NOW + INSTANT;
    assert!(kept(&*store, later).await.unwrap().is_lost(later));
    lives(1, later + INSTANT).await.unwrap();
    assert!(!kept(&*store, later).await.unwrap().is_lost(later));

    let over = KeptTask {
        is_over: true,
        ..task(1)
    };
    keep(&*store, over).await;
    let much_later = NOW + HOUR - INSTANT;
    assert!(!kept(&*store, much_later).await.unwrap().is_lost(much_later));
}

pub(super) async fn a_task_is_forgotten_when_its_time_is_over(store: Arc<dyn Store>) {
    keep(&*store, task(0)).await;
    assert!(kept(&*store, NOW + HOUR - INSTANT).await.is_some());
    assert!(kept(&*store, NOW + HOUR).await.is_none());
    store.sweep(NOW + HOUR - INSTANT).await.unwrap();
    assert!(kept(&*store, NOW).await.is_some());
    store.sweep(NOW + HOUR).await.unwrap();
    assert!(kept(&*store, NOW).await.is_none());
}
