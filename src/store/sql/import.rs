//! The state of one database, brought into another of either kind.

use super::{
    SqlStore,
    database::{Database, DbResult, Tx},
    statement::{Statement, Value, composed, sql},
};
use crate::store::{self, StoreError};

/// What is brought over, in an order in which everything is there before it is referred to; and the
/// order of its rows. What replicas say to each other and who sweeps is of the moment, and stays.
pub(super) const TABLES: [(&str, &str); 20] = [
    ("users", "name"),
    ("clients", "seq"),
    ("requests", "seq"),
    ("codes", "digest"),
    ("consents", "digest"),
    ("grants", "id"),
    ("grant_tools", "grant_id, tool"),
    ("access_tokens", "digest"),
    ("refresh_tokens", "digest"),
    ("browser_sessions", "id"),
    ("visits", "user_id"),
    ("departures", "state"),
    ("profiles", "user_id"),
    ("links", "user_id, provider"),
    ("mcp_sessions", "id"),
    ("mcp_subscriptions", "session_id, digest"),
    ("mcp_streams", "session_id, stream"),
    ("mcp_events", "session_id, stream, number"),
    ("replays", "key"),
    ("tasks", "id"),
];

/// The keys of the server itself. Those of a server that has been started once give way.
const KEYS: (&str, &str) = ("server_keys", "name, generation");

/// Which of the rows came first; each database counts by itself.
const COUNTED: &str = "seq";

/// How many rows are read at once.
const BATCH: usize = 500;

/// Why nothing was brought over.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// What is there would be mixed with what comes.
    #[error("there is state in it already ({0}): bring it into an empty database")]
    NotEmpty(&'static str),
    /// One of the databases failed.
    #[error("nothing was brought over: {0}")]
    Failed(#[from] StoreError),
}

impl SqlStore {
    /// Takes over all that another database holds: wholly, or nothing. Neither must be in use.
    /// Returns how many rows there were.
    pub async fn import(&self, from: &Self) -> Result<u64, ImportError> {
        let failed = StoreError::from;
        let mut tx = self.db.begin().await.map_err(failed)?;
        for (table, _) in TABLES {
            let any = composed(format!("SELECT 1 AS found FROM {table} LIMIT 1"));
            if tx.one(any).await.map_err(failed)?.is_some() {
                return Err(ImportError::NotEmpty(table));
            }
        }
        let forget = sql("DELETE FROM server_keys");
        tx.run(forget).await.map_err(failed)?;
        let mut rows = 0;
        for (table, order) in TABLES.into_iter().chain([KEYS]) {
            rows += copy(&from.db, &mut tx, table, order).await?;
        }
        tx.commit().await.map_err(failed)?;
        Ok(rows)
    }
}

async fn copy(from: &Database, into: &mut Tx, table: &str, order: &str) -> store::Result<u64> {
    let mut copied = 0;
    loop {
        let page = composed(format!(
            "SELECT * FROM {table} ORDER BY {order} LIMIT {BATCH} OFFSET {copied}"
        ));
        let rows = from.read_all(page).await?;
        for row in &rows {
            insert(into, table, row.cells()?).await?;
        }
        copied += rows.len() as u64;
        if rows.len() < BATCH {
            return Ok(copied);
        }
    }
}

async fn insert(into: &mut Tx, table: &str, cells: Vec<(String, Value)>) -> DbResult<()> {
    let mut columns = Vec::new();
    let mut places = Vec::new();
    let mut values = Vec::new();
    for (column, value) in cells.into_iter().filter(|(column, _)| column != COUNTED) {
        values.push(value);
        places.push(format!("${}", values.len()));
        columns.push(column);
    }
    let (columns, places) = (columns.join(", "), places.join(", "));
    let insert = composed(format!("INSERT INTO {table} ({columns}) VALUES ({places})"));
    into.run(values.into_iter().fold(insert, Statement::bind))
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tempfile::TempDir;

    use super::*;
    use crate::store::Limits;

    #[tokio::test]
    async fn nothing_but_the_moment_is_left_behind() {
        let home = TempDir::new().unwrap();
        let path = home.path().join("state.db");
        let store = SqlStore::sqlite(&path, Limits::default()).await.unwrap();
        let tables = sql(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN \
             ('_sqlx_migrations', 'sqlite_sequence')",
        );
        let tables = store.db.read_all(tables).await.unwrap();
        let tables: BTreeSet<String> = tables
            .iter()
            .map(|table| table.text("name").unwrap())
            .collect();
        let known = TABLES.into_iter().chain([KEYS]).map(|(table, _)| table);
        let known = known.chain(["letters", "leases"]).map(str::to_owned);
        assert_eq!(tables, known.collect());
    }
}
