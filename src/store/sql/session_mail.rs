//! What sessions' streams have sent, and what replicas tell each other, in a database.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::{
    SqlStore,
    database::{Database, DbResult, Tx, atomically},
    news::CHANNEL,
    row::{Row, damaged},
    statement::sql,
};
use crate::{
    clock::Timestamp,
    model::session_stream::{KeptEvent, KeptStream, Mail},
    secret::Digest,
    store::{MAX_EVENTS, MAX_STREAMS, Result, STREAM_KEPT, SessionMail, StoreError},
};

/// How long a letter lies there to be read.
const LETTER_KEPT: Duration = Duration::from_mins(1);

#[async_trait]
impl SessionMail for SqlStore {
    fn is_shared(&self) -> bool {
        true
    }

    async fn begin_stream(
        &self,
        session: &Digest,
        stream: u64,
        request: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        // A session that has ended meanwhile begins nothing.
        let insert = sql(
            "INSERT INTO mcp_streams (session_id, stream, request, finished, last_event_at) \
             SELECT id, $2, $3, 0, $4 FROM mcp_sessions WHERE id = $1 \
             ON CONFLICT (session_id, stream) DO NOTHING",
        )
        .bind(session)
        .bind(stream)
        .bind(request.map(ToOwned::to_owned))
        .bind(now);
        self.db.run(insert).await?;
        let evict = sql(
            "DELETE FROM mcp_streams WHERE session_id = $1 AND stream IN \
             (SELECT stream FROM mcp_streams WHERE session_id = $1 \
                 ORDER BY last_event_at DESC, stream DESC LIMIT 1000 OFFSET $2)",
        )
        .bind(session)
        .bind(MAX_STREAMS);
        self.db.run(evict).await?;
        Ok(())
    }

    async fn keep_event(
        &self,
        session: &Digest,
        stream: u64,
        event: KeptEvent,
        now: Timestamp,
    ) -> Result<()> {
        atomically!(self.db, |tx| keep(tx, session, stream, &event, now))
    }

    async fn finish_stream(&self, session: &Digest, stream: u64) -> Result<()> {
        let update = sql("UPDATE mcp_streams SET finished = 1 \
             WHERE session_id = $1 AND stream = $2")
        .bind(session)
        .bind(stream);
        self.db.run(update).await?;
        Ok(())
    }

    async fn kept_stream(
        &self,
        session: &Digest,
        stream: u64,
        after: Option<u64>,
        now: Timestamp,
    ) -> Result<Option<KeptStream>> {
        let select = sql("SELECT request, finished FROM mcp_streams \
             WHERE session_id = $1 AND stream = $2 AND last_event_at > $3")
        .bind(session)
        .bind(stream)
        .bind(now - STREAM_KEPT);
        // The stream first: what is finished then has all its events.
        let Some(row) = self.db.read(select).await? else {
            return Ok(None);
        };
        let select = sql("SELECT number, message FROM mcp_events \
             WHERE session_id = $1 AND stream = $2 AND number >= $3 ORDER BY number")
        .bind(session)
        .bind(stream)
        .bind(after.map_or(0, |after| after.saturating_add(1)));
        let events = self.db.read_all(select).await?;
        let events = events.iter().map(event).collect::<DbResult<_>>()?;
        Ok(Some(KeptStream {
            request: row.maybe_text("request")?.map(Into::into),
            events,
            is_finished: row.is_set("finished")?,
        }))
    }

    async fn send_mail(&self, mail: Mail, now: Timestamp) -> Result<()> {
        if let Database::Postgres(_) = &self.db {
            let content = serde_json::to_string(&mail);
            let content = content.map_err(|error| StoreError(Box::new(error)))?;
            let announcement = match self.shared.announcement(&content) {
                Some(announcement) => announcement,
                None => self.write_letter(content, now).await?,
            };
            let notify = sql("SELECT pg_notify($1, $2)").bind(CHANNEL);
            self.db.run(notify.bind(announcement)).await?;
        }
        self.shared.pass_on(mail);
        Ok(())
    }

    fn mail(&self) -> broadcast::Receiver<Mail> {
        self.shared.mail()
    }
}

impl SqlStore {
    /// What announces the letter.
    async fn write_letter(&self, content: String, now: Timestamp) -> Result<String> {
        let insert = sql("INSERT INTO letters (content, until) VALUES ($1, $2) RETURNING id")
            .bind(content)
            .bind(now + LETTER_KEPT);
        let row = self.db.run_one(insert).await?;
        let row = row.ok_or_else(|| damaged("id"))?;
        Ok(self.shared.announcement_of_letter(row.int("id")?))
    }
}

async fn keep(
    tx: &mut Tx,
    session: &Digest,
    stream: u64,
    event: &KeptEvent,
    now: Timestamp,
) -> DbResult<()> {
    let touch = sql("UPDATE mcp_streams SET last_event_at = $3 \
         WHERE session_id = $1 AND stream = $2")
    .bind(session)
    .bind(stream)
    .bind(now);
    if tx.run(touch).await? == 0 {
        return Ok(());
    }
    let insert = sql(
        "INSERT INTO mcp_events (session_id, stream, number, message) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (session_id, stream, number) DO NOTHING",
    )
    .bind(session)
    .bind(stream)
    .bind(event.number)
    .bind(&*event.message);
    tx.run(insert).await?;
    if let Some(too_old) = event.number.checked_sub(MAX_EVENTS as u64) {
        let delete = sql("DELETE FROM mcp_events \
             WHERE session_id = $1 AND stream = $2 AND number <= $3")
        .bind(session)
        .bind(stream)
        .bind(too_old);
        tx.run(delete).await?;
    }
    Ok(())
}

fn event(row: &Row) -> DbResult<KeptEvent> {
    let number = u64::try_from(row.int("number")?);
    Ok(KeptEvent {
        number: number.map_err(|_| damaged("number"))?,
        message: row.bytes("message")?.into(),
    })
}
