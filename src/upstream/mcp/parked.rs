//! Calls that wait for their client to come back with an answer.
//!
//! A client of the stateless revision is asked by ending its call; it calls again with the answer. The
//! call to the upstream is kept meanwhile, since the upstream would take a second one for another.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::time::Instant;
use uuid::Uuid;

use super::call::Running;
use crate::model::grant::GrantId;

/// How long a person may take, as long as the state that the client carries is good.
const LIFETIME: Duration = Duration::from_mins(30);

/// How many calls may wait in all, and under one grant.
const MOST: usize = 1000;
const MOST_OF_GRANT: usize = 20;

/// The calls of one upstream that wait.
#[derive(Default)]
pub(super) struct Parked(Mutex<HashMap<Uuid, Entry>>);

struct Entry {
    owner: Owner,
    running: Box<Running>,
    until: Instant,
}

/// Whose call it is, and which.
#[derive(Clone, PartialEq)]
pub(super) struct Owner {
    pub(super) grant: GrantId,
    pub(super) method: &'static str,
    pub(super) params: Map<String, Value>,
}

impl Parked {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a call; `false`: there is no room, and it has been given up.
    pub(super) fn keep(&self, id: Uuid, owner: Owner, running: Box<Running>) -> bool {
        self.sweep();
        let mut calls = self.lock();
        let of_grant = calls
            .values()
            .filter(|call| call.owner.grant == owner.grant);
        if calls.len() >= MOST || of_grant.count() >= MOST_OF_GRANT {
            return false;
        }
        let until = Instant::now() + LIFETIME;
        calls.insert(
            id,
            Entry {
                owner,
                running,
                until,
            },
        );
        true
    }

    /// The call of that name, if it is this owner's.
    pub(super) fn take(&self, id: Uuid, owner: &Owner) -> Option<Box<Running>> {
        let mut calls = self.lock();
        if calls.get(&id)?.owner != *owner {
            return None;
        }
        calls.remove(&id).map(|call| call.running)
    }

    /// Gives up those that nobody has come back to.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let expired: Vec<Entry> = {
            let mut calls = self.lock();
            calls
                .extract_if(|_, call| call.until <= now)
                .map(|(_, call)| call)
                .collect()
        };
        drop(expired);
    }
}
