//! One way to speak to both databases: statements with their values, rows, transactions.
//!
//! The dialects agree on everything that is said here, down to `$1`. What is one statement is one
//! atomic step. What is more goes through `atomically!`, which runs it as a transaction and
//! again where the database gave up on it in favour of somebody else's.

use std::time::Duration;

use sqlx::{
    Executor, PgPool, Postgres, Sqlite, SqlitePool, Transaction, error::DatabaseError,
    postgres::PgArguments, query::Query, sqlite::SqliteArguments,
};

use super::{
    row::Row,
    statement::{Statement, Value},
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::store::{self, StoreError};

/// How long a step may take in all, whatever the database does.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a step is tried that gave way to another one.
const ATTEMPTS: u32 = 20;

/// What went wrong between us and the database.
pub(super) type DbResult<T> = Result<T, sqlx::Error>;

/// Tries until it works out, fails for good, or has taken too long. The expression is evaluated
/// for each attempt.
///
/// A macro, because it cannot be said of a closure yet that its futures may change threads.
macro_rules! patiently {
    ($attempt:expr) => {{
        let mut attempts = $crate::store::sql::database::Attempts::begin();
        loop {
            if let Some(outcome) = attempts.make($attempt).await {
                break outcome;
            }
        }
    }};
}

/// Does a step wholly or not at all, as a transaction. It has been written durably when this comes
/// back. The step may be begun several times, and only one of them counts.
macro_rules! atomically {
    ($db:expr, |$tx:ident| $step:expr) => {{
        $crate::store::sql::database::patiently!(async {
            let mut transaction = $db.begin().await?;
            let $tx = &mut transaction;
            let result = $step.await?;
            transaction.commit().await?;
            sqlx::Result::Ok(result)
        })
    }};
}

pub(super) use {atomically, patiently};

/// A database, by its connections.
#[derive(Debug, Clone)]
pub(super) enum Database {
    /// Whoever writes takes turns: there is one connection for it. Readers wait for nobody.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

/// A transaction.
pub(super) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Database {
    /// The row that a statement reads, if there is one.
    pub(super) async fn read(&self, statement: Statement) -> store::Result<Option<Row>> {
        Ok(self.read_all(statement).await?.into_iter().next())
    }

    /// All rows that a statement reads.
    pub(super) async fn read_all(&self, statement: Statement) -> store::Result<Vec<Row>> {
        match self {
            Self::Sqlite { readers, .. } => {
                patiently!(sqlite_rows(readers, &statement))
            }
            Self::Postgres(pool) => patiently!(postgres_rows(pool, &statement)),
        }
    }

    /// Runs a statement that changes something. Returns the number of rows that it changed.
    pub(super) async fn run(&self, statement: Statement) -> store::Result<u64> {
        match self {
            Self::Sqlite { writer, .. } => patiently!(sqlite_run(writer, &statement)),
            Self::Postgres(pool) => patiently!(postgres_run(pool, &statement)),
        }
    }

    /// Runs a statement that changes something and returns rows.
    pub(super) async fn run_all(&self, statement: Statement) -> store::Result<Vec<Row>> {
        // All rows are taken although one may be enough: what has been changed is written once the
        // statement has come to its end.
        match self {
            Self::Sqlite { writer, .. } => patiently!(sqlite_rows(writer, &statement)),
            Self::Postgres(pool) => patiently!(postgres_rows(pool, &statement)),
        }
    }

    /// The same for one row at most.
    pub(super) async fn run_one(&self, statement: Statement) -> store::Result<Option<Row>> {
        Ok(self.run_all(statement).await?.into_iter().next())
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> DbResult<Tx> {
        match self.begin_once().await {
            // The connection was dead, and nothing has begun.
            Err(sqlx::Error::Io(_)) => self.begin_once().await,
            begun => begun,
        }
    }

    async fn begin_once(&self) -> DbResult<Tx> {
        Ok(match self {
            // The lock is taken at once: a transaction that began to read and then wants to write
            // would have to be given up where another process wrote in between.
            Self::Sqlite { writer, .. } => Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => {
                // In a task of its own, which nobody cuts short. Clients go away at any moment, and
                // of a transaction that is given up while it begins, sqlx knows nothing: the
                // connection would go back with it, and what others then write there would be
                // neither seen nor kept.
                let pool = pool.clone();
                let begun = tokio::spawn(async move { pool.begin().await });
                Tx::Postgres(begun.await.map_err(|_| sqlx::Error::WorkerCrashed)??)
            }
        })
    }
}

/// The attempts at one step.
pub(super) struct Attempts {
    deadline: Instant,
    failed: u32,
}

impl Attempts {
    pub(super) fn begin() -> Self {
        Self {
            deadline: Instant::now() + PATIENCE,
            failed: 0,
        }
    }

    /// What an attempt comes to; `None` if there should be another one.
    pub(super) async fn make<T>(
        &mut self,
        attempt: impl Future<Output = DbResult<T>>,
    ) -> Option<store::Result<T>> {
        match timeout_at(self.deadline, attempt).await {
            Ok(Err(error)) if gave_way(&error) && self.failed < ATTEMPTS => {
                self.failed += 1;
                // Those who met do not meet again at once.
                sleep(Duration::from_millis(u64::from(self.failed) * 2)).await;
                None
            }
            Ok(outcome) => Some(outcome.map_err(failure)),
            Err(elapsed) => Some(Err(failure(elapsed))),
        }
    }
}

impl Tx {
    /// Runs a statement. Returns the number of rows that it changed.
    pub(super) async fn run(&mut self, statement: Statement) -> DbResult<u64> {
        match self {
            Self::Sqlite(tx) => sqlite_run(&mut **tx, &statement).await,
            Self::Postgres(tx) => postgres_run(&mut **tx, &statement).await,
        }
    }

    /// All rows of a statement.
    pub(super) async fn all(&mut self, statement: Statement) -> DbResult<Vec<Row>> {
        match self {
            Self::Sqlite(tx) => sqlite_rows(&mut **tx, &statement).await,
            Self::Postgres(tx) => postgres_rows(&mut **tx, &statement).await,
        }
    }

    /// The row of a statement, if there is one.
    pub(super) async fn one(&mut self, statement: Statement) -> DbResult<Option<Row>> {
        Ok(self.all(statement).await?.into_iter().next())
    }

    /// Whether others listen to what is done here.
    pub(super) const fn has_listeners(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    pub(super) async fn commit(self) -> DbResult<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }
}

async fn sqlite_run<'e>(
    to: impl Executor<'e, Database = Sqlite>,
    statement: &Statement,
) -> DbResult<u64> {
    Ok(to.execute(sqlite_query(statement)).await?.rows_affected())
}

async fn postgres_run<'e>(
    to: impl Executor<'e, Database = Postgres>,
    statement: &Statement,
) -> DbResult<u64> {
    Ok(to.execute(postgres_query(statement)).await?.rows_affected())
}

async fn sqlite_rows<'e>(
    from: impl Executor<'e, Database = Sqlite>,
    statement: &Statement,
) -> DbResult<Vec<Row>> {
    let rows = from.fetch_all(sqlite_query(statement)).await?;
    Ok(rows.into_iter().map(Row::Sqlite).collect())
}

async fn postgres_rows<'e>(
    from: impl Executor<'e, Database = Postgres>,
    statement: &Statement,
) -> DbResult<Vec<Row>> {
    let rows = from.fetch_all(postgres_query(statement)).await?;
    Ok(rows.into_iter().map(Row::Postgres).collect())
}

fn sqlite_query(statement: &Statement) -> Query<'_, Sqlite, SqliteArguments> {
    let query = sqlx::query(statement.text.clone());
    statement
        .values
        .iter()
        .fold(query, |query, value| match value {
            Value::Int(value) => query.bind(*value),
            Value::Text(value) => query.bind(value.as_deref()),
            Value::Bytes(value) => query.bind(value.as_deref()),
        })
}

fn postgres_query(statement: &Statement) -> Query<'_, Postgres, PgArguments> {
    let query = sqlx::query(statement.text.clone());
    statement
        .values
        .iter()
        .fold(query, |query, value| match value {
            Value::Int(value) => query.bind(*value),
            Value::Text(value) => query.bind(value.as_deref()),
            Value::Bytes(value) => query.bind(value.as_deref()),
        })
}

/// Whether a step was given up in favour of another one: it has not happened, and may be tried
/// again.
pub(super) fn gave_way(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    let Some(code) = error.and_then(DatabaseError::code) else {
        return false;
    };
    // SQLite's codes are numbers, of which the low byte says what the rest is about.
    let sqlite = code.parse::<i32>().map(|code| code & 0xff);
    match &*code {
        // serialization_failure, deadlock_detected; foreign_key_violation: what was just there to
        // refer to has been removed meanwhile, and whoever looks again sees that.
        "40001" | "40P01" | "23503" => true,
        // SQLITE_BUSY, SQLITE_LOCKED; Postgres has five characters.
        short => short.len() < 5 && matches!(sqlite, Ok(5 | 6)),
    }
}

fn failure(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError(Box::new(error))
}
