//! What sessions' streams have sent, and what replicas tell each other, in a database.

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::{
    SqlStore,
    database::{DbResult, Tx, atomically},
    row::Row,
    statement::sql,
};
use crate::{
    clock::Timestamp,
    model::session_stream::{KeptEvent, KeptStream, Mail},
    secret::Digest,
    store::{MAX_EVENTS, MAX_STREAMS, Result, STREAM_KEPT, SessionMail},
};

/// A stream of a session. Its number may have all 64 bits; the sign means nothing.
#[derive(Clone, Copy)]
struct Stream<'a> {
    session: &'a Digest,
    number: i64,
}

impl<'a> Stream<'a> {
    const fn new(session: &'a Digest, number: u64) -> Self {
        Self {
            session,
            number: number.cast_signed(),
        }
    }
}

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
        let stream = Stream::new(session, stream);
        atomically!(self.db, |tx| begin(tx, stream, request, now))
    }

    async fn keep_event(
        &self,
        session: &Digest,
        stream: u64,
        event: KeptEvent,
        now: Timestamp,
    ) -> Result<()> {
        let stream = Stream::new(session, stream);
        atomically!(self.db, |tx| keep(tx, stream, &event, now))
    }

    async fn finish_stream(&self, session: &Digest, stream: u64) -> Result<()> {
        let stream = Stream::new(session, stream);
        let finish =
            sql("UPDATE session_streams SET is_finished = 1 WHERE session = $1 AND stream = $2")
                .bind(stream.session)
                .bind(stream.number);
        self.db.run(finish).await?;
        Ok(())
    }

    async fn kept_stream(
        &self,
        session: &Digest,
        stream: u64,
        after: Option<u64>,
        now: Timestamp,
    ) -> Result<Option<KeptStream>> {
        let stream = Stream::new(session, stream);
        let select = sql("SELECT request, is_finished FROM session_streams \
             WHERE session = $1 AND stream = $2 AND last_event > $3")
        .bind(stream.session)
        .bind(stream.number)
        .bind(now - STREAM_KEPT);
        let Some(found) = self.db.read(select).await? else {
            return Ok(None);
        };
        // Read after that, so that nothing is missing where the stream has been finished.
        let select = sql("SELECT number, message FROM session_events \
             WHERE session = $1 AND stream = $2 AND number > $3 ORDER BY number")
        .bind(stream.session)
        .bind(stream.number)
        .bind(after.map_or(-1, u64::cast_signed));
        let events = self.db.read_all(select).await?;
        Ok(Some(KeptStream {
            request: found.maybe_text("request")?.map(Into::into),
            events: events.iter().map(event).collect::<DbResult<_>>()?,
            is_finished: found.is_set("is_finished")?,
        }))
    }

    async fn send_mail(&self, mail: Mail) -> Result<()> {
        self.shared.send_mail(&self.db, mail).await
    }

    fn mail(&self) -> broadcast::Receiver<Mail> {
        self.shared.mail()
    }
}

async fn begin(
    tx: &mut Tx,
    stream: Stream<'_>,
    request: Option<&str>,
    now: Timestamp,
) -> DbResult<()> {
    // One place is for the newcomer. Events go with their streams.
    let make_room = sql(
        "DELETE FROM session_streams WHERE session = $1 AND (stream = $2 OR stream NOT IN \
             (SELECT stream FROM session_streams WHERE session = $1 \
                 ORDER BY last_event DESC LIMIT $3))",
    )
    .bind(stream.session)
    .bind(stream.number)
    .bind(MAX_STREAMS - 1);
    tx.run(make_room).await?;
    let insert = sql(
        "INSERT INTO session_streams (session, stream, request, is_finished, last_event) \
         VALUES ($1, $2, $3, 0, $4)",
    )
    .bind(stream.session)
    .bind(stream.number)
    .bind(request.map(ToOwned::to_owned))
    .bind(now);
    tx.run(insert).await?;
    Ok(())
}

async fn keep(tx: &mut Tx, stream: Stream<'_>, event: &KeptEvent, now: Timestamp) -> DbResult<()> {
    let touch =
        sql("UPDATE session_streams SET last_event = $3 WHERE session = $1 AND stream = $2")
            .bind(stream.session)
            .bind(stream.number)
            .bind(now);
    if tx.run(touch).await? == 0 {
        return Ok(());
    }
    let number = event.number.cast_signed();
    let insert = sql(
        "INSERT INTO session_events (session, stream, number, message) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (session, stream, number) DO NOTHING",
    )
    .bind(stream.session)
    .bind(stream.number)
    .bind(number)
    .bind(&*event.message);
    tx.run(insert).await?;
    let last = event.number.checked_sub(MAX_EVENTS as u64);
    if let Some(last) = last {
        let prune =
            sql("DELETE FROM session_events WHERE session = $1 AND stream = $2 AND number <= $3")
                .bind(stream.session)
                .bind(stream.number)
                .bind(last.cast_signed());
        tx.run(prune).await?;
    }
    Ok(())
}

/// The streams of a session that has ended.
pub(super) async fn end_streams(tx: &mut Tx, session: &Digest) -> DbResult<()> {
    let end = sql("DELETE FROM session_streams WHERE session = $1");
    tx.run(end.bind(session)).await?;
    Ok(())
}

fn event(row: &Row) -> DbResult<KeptEvent> {
    Ok(KeptEvent {
        number: row.int("number")?.cast_unsigned(),
        message: row.maybe_bytes("message")?.unwrap_or_default().into(),
    })
}
