//! The sweep in a database: in small batches, by one replica at a time.

use std::time::Duration;

use super::{
    SqlStore,
    statement::{Statement, sql},
};
use crate::{
    clock::Timestamp,
    store::{KEY_OPENS_FOR, LINK_KEYS, REPLAY_MEMORY, Result, STREAM_KEPT},
};

/// How many rows go at once: few enough that nobody waits for it.
const BATCH: usize = 500;

/// How long a replica that began to sweep keeps the others from it, if it does not say that it is done.
const LEASE: Duration = Duration::from_mins(5);

/// What goes when its time is over. `$1` is now, `$2` the size of a batch.
const EXPIRED: [&str; 11] = [
    "DELETE FROM requests WHERE seq IN \
         (SELECT seq FROM requests WHERE expires_at <= $1 LIMIT $2)",
    "DELETE FROM codes WHERE digest IN \
         (SELECT digest FROM codes WHERE redeemed IS NULL AND expires_at <= $1 LIMIT $2)",
    "DELETE FROM access_tokens WHERE digest IN \
         (SELECT digest FROM access_tokens WHERE expires_at <= $1 LIMIT $2)",
    "DELETE FROM refresh_tokens WHERE digest IN \
         (SELECT digest FROM refresh_tokens WHERE expires_at <= $1 LIMIT $2)",
    "DELETE FROM browser_sessions WHERE id IN \
         (SELECT id FROM browser_sessions WHERE expires_at <= $1 LIMIT $2)",
    "DELETE FROM departures WHERE state IN \
         (SELECT state FROM departures WHERE expires_at <= $1 LIMIT $2)",
    "DELETE FROM mcp_sessions WHERE id IN \
         (SELECT id FROM mcp_sessions WHERE expires_at <= $1 LIMIT $2)",
    "DELETE FROM replays WHERE key IN \
         (SELECT key FROM replays WHERE until <= $1 LIMIT $2)",
    "DELETE FROM tasks WHERE id IN \
         (SELECT id FROM tasks WHERE expires_at <= $1 LIMIT $2)",
    "DELETE FROM letters WHERE id IN \
         (SELECT id FROM letters WHERE until <= $1 LIMIT $2)",
    // The tokens have gone before. The condition stands outside as well, because it is looked at
    // again where the grant was used meanwhile.
    "DELETE FROM grants WHERE ends_at <= $1 AND id IN \
         (SELECT id FROM grants WHERE ends_at <= $1 LIMIT $2)",
];

/// That a code was redeemed is remembered for a while, to recognise it when it comes back.
const REDEEMED: &str = "DELETE FROM codes WHERE digest IN \
     (SELECT digest FROM codes WHERE redeemed IS NOT NULL AND expires_at <= $1 LIMIT $2)";

/// The token itself stays, so that its reuse is recognised; its answer need not.
const ANSWERED: &str = "UPDATE refresh_tokens SET answer = NULL WHERE digest IN \
     (SELECT digest FROM refresh_tokens \
         WHERE answer IS NOT NULL AND repeatable_until < $1 LIMIT $2)";

/// Streams have no key of one column.
const STREAMS: &str = "DELETE FROM mcp_streams WHERE (session_id, stream) IN \
     (SELECT session_id, stream FROM mcp_streams WHERE last_event_at <= $1 LIMIT $2)";

/// Keys that have been replaced for long enough, and seal no link any more.
const KEYS: &str = "DELETE FROM server_keys WHERE (name, generation) IN \
     (SELECT elder.name, elder.generation FROM server_keys elder JOIN server_keys newer \
         ON newer.name = elder.name AND newer.generation > elder.generation \
         WHERE newer.made_at <= $1 AND (elder.name <> $3 OR elder.generation NOT IN \
             (SELECT key_generation FROM links)) LIMIT $2)";

impl SqlStore {
    pub(super) async fn sweep_everything(&self, now: Timestamp) -> Result<()> {
        if !self.may_sweep(now).await? {
            return Ok(());
        }
        let expired = EXPIRED.map(|text| (text, now));
        let later = [
            (REDEEMED, now - REPLAY_MEMORY),
            (ANSWERED, now),
            (STREAMS, now - STREAM_KEPT),
        ];
        for (text, moment) in expired.into_iter().chain(later) {
            self.in_batches(&sql(text).bind(moment).bind(BATCH)).await?;
        }
        let keys = sql(KEYS).bind(now - KEY_OPENS_FOR).bind(BATCH);
        self.in_batches(&keys.bind(LINK_KEYS)).await?;
        self.shared.forget();
        let done = sql("DELETE FROM leases WHERE name = 'sweep' AND holder = $1");
        self.db.run(done.bind(self.holder())).await?;
        Ok(())
    }

    async fn may_sweep(&self, now: Timestamp) -> Result<bool> {
        let take = sql(
            "INSERT INTO leases (name, holder, until) VALUES ('sweep', $1, $2) \
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until \
             WHERE leases.until <= $3 OR leases.holder = excluded.holder",
        )
        .bind(self.holder())
        .bind(now + LEASE)
        .bind(now);
        Ok(self.db.run(take).await? > 0)
    }

    async fn in_batches(&self, statement: &Statement) -> Result<()> {
        loop {
            let swept = self.db.run(statement.clone()).await?;
            if swept < BATCH as u64 {
                return Ok(());
            }
        }
    }

    fn holder(&self) -> String {
        self.shared.replica().to_string()
    }
}
