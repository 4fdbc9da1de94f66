//! Tasks in memory, for servers of one process that share this store.

use std::collections::HashMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::MemoryStore;
use crate::{
    clock::Timestamp,
    model::kept_task::KeptTask,
    store::{KeptTasks, Result, SessionOwner},
};

#[derive(Default)]
pub(super) struct TaskTable(HashMap<Box<str>, (SessionOwner, KeptTask)>);

impl TaskTable {
    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.0.retain(|_, (_, task)| task.expires_at > now);
    }
}

#[async_trait]
impl KeptTasks for MemoryStore {
    async fn keep_task(&self, owner: &SessionOwner, id: &str, task: KeptTask) -> Result<()> {
        let tasks = &mut self.write().tasks.0;
        let goes_on = |(_, kept): &(_, KeptTask)| !kept.is_over && kept.version < task.version;
        if tasks.get(id).is_none_or(goes_on) {
            tasks.insert(id.into(), (owner.clone(), task));
        }
        Ok(())
    }

    async fn kept_task(
        &self,
        owner: &SessionOwner,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<KeptTask>> {
        let state = self.read();
        let kept = state.tasks.0.get(id);
        let theirs = kept.filter(|(whose, task)| whose == owner && task.expires_at > now);
        Ok(theirs.map(|(_, task)| task.clone()))
    }

    async fn runner_lives(&self, runner: Uuid, alive_until: Timestamp) -> Result<()> {
        for (_, task) in self.write().tasks.0.values_mut() {
            if task.runner == runner && !task.is_over {
                task.alive_until = alive_until;
            }
        }
        Ok(())
    }
}
