//! Turns: of all who want to do the same thing at once, one does it, and the others wait and find it
//! done.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Who is at what, by its name. Names that nobody waits for take no room.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<String, Weak<AsyncMutex<()>>>>);

impl Turns {
    /// Waits until nobody else is at what has that name. Whoever has the turn looks first whether
    /// there is still something to do.
    pub async fn take(&self, name: &str) -> OwnedMutexGuard<()> {
        self.of(name).lock_owned().await
    }

    fn of(&self, name: &str) -> Arc<AsyncMutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(name).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(name.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_is_at_it_and_others_wait() {
        let turns = Turns::default();
        let turn = turns.take("a").await;
        assert!(turns.take("a").now_or_never().is_none());
        assert!(turns.take("b").now_or_never().is_some());
        drop(turn);
        assert!(turns.take("a").now_or_never().is_some());
        assert_eq!(turns.0.lock().unwrap().len(), 1, "names that are kept");
    }
}
