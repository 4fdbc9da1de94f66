//! Hears what other replicas say (`LISTEN`), and notices when it may have missed something.

use std::{sync::Arc, time::Duration};

use sqlx::{Executor, PgPool, postgres::PgListener};
use tokio::{task::JoinHandle, time::timeout};

use super::news::{CHANNEL, Shared};

/// How long to wait before trying again to hear anything.
const PAUSE: Duration = Duration::from_millis(500);

/// After so long a silence it is seen whether there is still somebody at the other end.
const SILENCE: Duration = Duration::from_secs(1);

/// How long they may take to answer. A connection that has died without a word is noticed within both
/// together, so that open streams too end before what was read is relied on no longer.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// A task that listens until this is dropped.
pub(super) struct Listener(JoinHandle<()>);

impl Listener {
    /// Nothing that is said after this is missed without notice.
    pub(super) async fn start(pool: PgPool, shared: Arc<Shared>) -> Result<Self, sqlx::Error> {
        let first = connect(&pool).await?;
        Ok(Self(tokio::spawn(listen(pool, shared, first))))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn connect(pool: &PgPool) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

async fn listen(pool: PgPool, shared: Arc<Shared>, mut listener: PgListener) {
    loop {
        hear(&pool, &mut listener, &shared).await;
        drop(listener);
        tracing::warn!(
            "the database does not tell what other replicas revoke; \
             until it does, that counts here within seconds"
        );
        listener = loop {
            match timeout(PATIENCE, connect(&pool)).await {
                Ok(Ok(listener)) => break listener,
                _ => tokio::time::sleep(PAUSE).await,
            }
        };
        // From here on everything is heard; what was said before may not have been.
        shared.miss();
        tracing::info!("the database tells again what other replicas revoke");
    }
}

/// Listens for as long as the connection lasts.
async fn hear(pool: &PgPool, listener: &mut PgListener, shared: &Arc<Shared>) {
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(notification))) => {
                if let Some(letter) = shared.hear_from_afar(notification.payload()) {
                    // Nothing else has to wait for it.
                    tokio::spawn(read(pool.clone(), letter, Arc::clone(shared)));
                }
            }
            Ok(Ok(None) | Err(_)) => return,
            Err(_) => match timeout(PATIENCE, listener.execute("SELECT 1")).await {
                Ok(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

async fn read(pool: PgPool, letter: i64, shared: Arc<Shared>) {
    let select = sqlx::query_scalar("SELECT content FROM letters WHERE id = $1").bind(letter);
    let found: Result<Option<String>, sqlx::Error> = select.fetch_optional(&pool).await;
    match found {
        Ok(Some(content)) => shared.read_mail(&content),
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(error = %error, "what another replica has written could not be read");
        }
    }
}
