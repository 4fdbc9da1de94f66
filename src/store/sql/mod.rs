//! The engines that last: SQLite on one machine, Postgres for many replicas.
//!
//! A step is one statement or one transaction, and is written durably before anybody hears of it.
//! No lock is held between statements of different steps, and none in this process, so it does not
//! matter who else works on the same database. What was read a moment ago answers for a few seconds
//! (`recent.rs`); what is no longer true is told at once (`news.rs`).

mod authorizations;
mod browser_sessions;
mod clients;
mod connections;
mod database;
mod grants;
mod import;
mod kept;
mod kept_tasks;
mod keys;
mod links;
mod listener;
mod mcp_sessions;
mod news;
mod open;
mod people;
mod quota;
mod recent;
mod replays;
mod rotation;
mod row;
mod session_mail;
mod statement;
mod sweep;
mod users;

use std::{fmt, sync::Arc};

use async_trait::async_trait;

pub use import::ImportError;
pub use open::OpenError;

use self::{
    database::Database,
    listener::Listener,
    mcp_sessions::OwnerQuotas,
    news::Shared,
    quota::Quota,
    replays::FullUntil,
    statement::{Statement, sql},
};
use super::{Limits, Result, Store, StoreError};
use crate::clock::Timestamp;

/// State in a database.
pub struct SqlStore {
    db: Database,
    quotas: Quotas,
    shared: Arc<Shared>,
    /// Hears what other replicas say, where they can.
    _listener: Option<Listener>,
}

/// What keeps the caps.
#[derive(Debug)]
struct Quotas {
    clients: Quota,
    pending: Quota,
    pushed: Quota,
    departures: Quota,
    mcp_sessions: Quota,
    mcp_sessions_of_owner: OwnerQuotas,
    replays: Quota,
    replays_full: FullUntil,
}

impl SqlStore {
    fn over(db: Database, limits: Limits, shared: Arc<Shared>, listener: Option<Listener>) -> Self {
        Self {
            db,
            quotas: Quotas {
                clients: Quota::new(limits.clients),
                pending: Quota::new(limits.pending_authorizations),
                pushed: Quota::new(limits.pending_authorizations),
                departures: Quota::new(limits.pending_authorizations),
                mcp_sessions: Quota::new(limits.mcp_sessions),
                mcp_sessions_of_owner: OwnerQuotas::new(limits.mcp_sessions_per_grant),
                replays: Quota::new(limits.replays),
                replays_full: FullUntil::default(),
            },
            shared,
            _listener: listener,
        }
    }

    async fn count(&self, statement: Statement) -> Result<usize> {
        let row = self.db.read(statement).await?;
        Ok(row.map_or(Ok(0), |row| row.count("count"))?)
    }
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn sweep(&self, now: Timestamp) -> Result<()> {
        self.sweep_everything(now).await
    }

    fn look_again(&self) {
        self.shared.miss();
    }

    async fn is_ready(&self) -> Result<()> {
        let look = sql("SELECT COUNT(*) AS count FROM leases");
        self.count(look).await.map(|_| ())
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self(Box::new(error))
    }
}
