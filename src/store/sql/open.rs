//! Opening a database: connections that wait for a bounded time, and the newest schema.

use std::{
    fs::OpenOptions, io, os::unix::fs::OpenOptionsExt as _, path::Path, str::FromStr as _,
    sync::Arc, time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    SqlStore,
    database::{Database, gave_way},
    listener::Listener,
    news::Shared,
};
use crate::store::Limits;

/// How long to wait for a connection, and how long a statement may take. Together they end before
/// the patience of a step does.
const ACQUIRE: Duration = Duration::from_secs(2);
const STATEMENT: Duration = Duration::from_millis(2_500);

/// How long a database may take to come up, where it is started together with us.
const START: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);

/// How long to wait for another replica that is changing the schema.
const MIGRATION: Duration = Duration::from_mins(2);

/// Whoever reads from the file. One more writes.
const READERS: u32 = 4;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be made or opened.
    #[error("cannot open the file of the database: {0}")]
    File(#[from] io::Error),
    /// The database refuses us, or does not answer.
    #[error("cannot use the database: {0}")]
    Database(#[from] sqlx::Error),
    /// Nobody answers in time.
    #[error("the database does not answer")]
    Silent,
    /// Going on would damage what the newer version has written.
    #[error(
        "the database was written by a newer version of this program (schema {0}): use that \
         version, or a backup from before it"
    )]
    Newer(i64),
    /// The schema cannot be brought to what this version needs.
    #[error("the schema of the database cannot be brought up to date: {0}")]
    Schema(#[source] MigrateError),
}

impl SqlStore {
    /// Opens a SQLite file, which is made if it is not there.
    pub async fn sqlite(path: &Path, limits: Limits) -> Result<Self, OpenError> {
        let deadline = Instant::now() + START;
        loop {
            match Self::open_sqlite(path, limits).await {
                // Another process opens it as well, and not every step of that waits for the other.
                Err(OpenError::Database(error))
                    if gave_way(&error) && Instant::now() < deadline =>
                {
                    sleep(PAUSE).await;
                }
                opened => return opened,
            }
        }
    }

    async fn open_sqlite(path: &Path, limits: Limits) -> Result<Self, OpenError> {
        // For nobody else to read: there are keys in it. The files beside it follow its example.
        let mut file = OpenOptions::new();
        file.read(true).write(true).create(true).mode(0o600);
        file.open(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(STATEMENT)
            .disable_statement_logging();
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        let writer = pool(1).connect_with(options.clone()).await?;
        // One transaction around it all: of several that start at once, one does it and the others
        // wait.
        let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
        migrator(SQLITE)
            .run_direct(None, &mut *tx, false)
            .await
            .map_err(schema)?;
        tx.commit().await?;
        let readers = pool(READERS).connect_with(options.read_only(true)).await?;
        let db = Database::Sqlite { writer, readers };
        Ok(Self::over(db, limits, Arc::new(Shared::new()), None))
    }

    /// Opens a Postgres database, which must be there.
    pub async fn postgres(url: &str, connections: u32, limits: Limits) -> Result<Self, OpenError> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("remote-mcp-auth")
            .disable_statement_logging();
        // A connection of its own: waiting for whoever changes the schema may take longer than any
        // statement of ours. It holds a lock that only one can have.
        let mut connection = connect(&options).await?;
        let migrator = migrator(POSTGRES);
        let migrated = migrator.run_direct(None, &mut connection, false);
        let migrated = timeout(MIGRATION, migrated).await;
        migrated.map_err(|_| OpenError::Silent)?.map_err(schema)?;
        connection.close().await?;

        let statement_timeout = STATEMENT.as_millis().to_string();
        let options = options.options([("statement_timeout", statement_timeout)]);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE)
            .connect_with(options)
            .await?;
        let shared = Arc::new(Shared::new());
        let listener = Listener::start(pool.clone(), Arc::clone(&shared)).await?;
        Ok(Self::over(
            Database::Postgres(pool),
            limits,
            shared,
            Some(listener),
        ))
    }
}

/// Connects, waiting for a database that is only just starting.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, OpenError> {
    let deadline = Instant::now() + START;
    loop {
        let error = match timeout(START, PgConnection::connect_with(options)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error,
            Err(_) => return Err(OpenError::Silent),
        };
        let starts = match &error {
            sqlx::Error::Io(_) => true,
            // cannot_connect_now
            sqlx::Error::Database(error) => error.code().as_deref() == Some("57P03"),
            _ => false,
        };
        if !starts || Instant::now() >= deadline {
            return Err(error.into());
        }
        sleep(PAUSE).await;
    }
}

/// One step of a schema's history. What has been released is never changed: databases that have it
/// would be refused.
struct Step {
    description: &'static str,
    text: &'static str,
}

/// The steps of a dialect, in the order in which they came to be.
macro_rules! steps {
    ($dialect:literal) => {
        steps!($dialect: "0001" "begin", "0002" "tasks", "0003" "people", "0004" "connections")
    };
    ($dialect:literal: $($number:literal $description:literal),*) => {
        &[$(Step {
            description: $description,
            text: include_str!(concat!(
                "migrations/", $dialect, "/", $number, "_", $description, ".sql"
            )),
        }),*]
    };
}

const SQLITE: &[Step] = steps!("sqlite");
const POSTGRES: &[Step] = steps!("postgres");

fn migrator(steps: &'static [Step]) -> Migrator {
    let migrations = (1..).zip(steps).map(|(version, step)| {
        let text = step.text.into_sql_str();
        Migration::new(
            version,
            step.description.into(),
            MigrationType::Simple,
            text,
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
}

fn schema(error: MigrateError) -> OpenError {
    match error {
        MigrateError::VersionMissing(version) => OpenError::Newer(version),
        MigrateError::Execute(error) => OpenError::Database(error),
        error => OpenError::Schema(error),
    }
}
