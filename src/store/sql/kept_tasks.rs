//! Tasks in a database.

use async_trait::async_trait;
use uuid::Uuid;

use super::{SqlStore, row::damaged, statement::sql};
use crate::{
    clock::Timestamp,
    model::kept_task::KeptTask,
    store::{KeptTasks, Result, SessionOwner},
};

#[async_trait]
impl KeptTasks for SqlStore {
    async fn keep_task(&self, owner: &SessionOwner, id: &str, task: KeptTask) -> Result<()> {
        let upsert = sql(
            "INSERT INTO tasks (id, user_id, client_id, described, version, finished, runner, \
                 alive_until, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (id) DO UPDATE SET described = excluded.described, \
                 version = excluded.version, finished = excluded.finished, runner = excluded.runner, \
                 alive_until = excluded.alive_until \
             WHERE tasks.finished = 0 AND tasks.version < excluded.version",
        )
        .bind(id)
        .bind(&owner.user)
        .bind(&owner.client)
        .bind(&*task.described)
        .bind(task.version)
        .bind(task.is_over)
        .bind(task.runner.to_string())
        .bind(task.alive_until)
        .bind(task.expires_at);
        self.db.run(upsert).await?;
        Ok(())
    }

    async fn kept_task(
        &self,
        owner: &SessionOwner,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<KeptTask>> {
        let select = sql(
            "SELECT described, version, finished, runner, alive_until, expires_at FROM tasks \
             WHERE id = $1 AND user_id = $2 AND client_id = $3 AND expires_at > $4",
        )
        .bind(id)
        .bind(&owner.user)
        .bind(&owner.client)
        .bind(now);
        let Some(row) = self.db.read(select).await? else {
            return Ok(None);
        };
        Ok(Some(KeptTask {
            described: row.text("described")?.into(),
            version: u64::try_from(row.int("version")?).map_err(|_| damaged("version"))?,
            is_over: row.is_set("finished")?,
            runner: Uuid::parse_str(&row.text("runner")?).map_err(|_| damaged("runner"))?,
            alive_until: row.time("alive_until")?,
            expires_at: row.time("expires_at")?,
        }))
    }

    async fn runner_lives(&self, runner: Uuid, alive_until: Timestamp) -> Result<()> {
        let update = sql("UPDATE tasks SET alive_until = $2 WHERE runner = $1 AND finished = 0")
            .bind(runner.to_string())
            .bind(alive_until);
        self.db.run(update).await?;
        Ok(())
    }
}
