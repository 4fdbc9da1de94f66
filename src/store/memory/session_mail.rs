//! What sessions' streams have sent, and what servers that share this store tell each other.

use std::collections::{BTreeMap, VecDeque};

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::MemoryStore;
use crate::{
    clock::Timestamp,
    model::session_stream::{KeptEvent, KeptStream, Mail},
    secret::{Digest, DigestMap},
    store::{MAX_EVENTS, MAX_STREAMS, Result, STREAM_KEPT, SessionMail},
};

#[derive(Default)]
pub(super) struct StreamTable(DigestMap<BTreeMap<u64, Stream>>);

struct Stream {
    request: Option<Box<str>>,
    events: VecDeque<KeptEvent>,
    is_finished: bool,
    last_event: Timestamp,
}

impl Stream {
    fn is_kept(&self, now: Timestamp) -> bool {
        now < self.last_event + STREAM_KEPT
    }
}

impl StreamTable {
    fn begin(&mut self, session: &Digest, stream: u64, request: Option<&str>, now: Timestamp) {
        let streams = self.0.entry(*session).or_default();
        if streams.len() >= MAX_STREAMS {
            let oldest = streams.iter().min_by_key(|(_, stream)| stream.last_event);
            let oldest = oldest.map(|(number, _)| *number);
            oldest.and_then(|number| streams.remove(&number));
        }
        let begun = Stream {
            request: request.map(Into::into),
            events: VecDeque::new(),
            is_finished: false,
            last_event: now,
        };
        streams.insert(stream, begun);
    }

    fn get_mut(&mut self, session: &Digest, stream: u64) -> Option<&mut Stream> {
        self.0.get_mut(session)?.get_mut(&stream)
    }

    pub(super) fn end(&mut self, session: &Digest) {
        self.0.remove(session);
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.0.retain(|_, streams| {
            streams.retain(|_, stream| stream.is_kept(now));
            !streams.is_empty()
        });
    }
}

#[async_trait]
impl SessionMail for MemoryStore {
    fn is_shared(&self) -> bool {
        self.is_shared
    }

    async fn begin_stream(
        &self,
        session: &Digest,
        stream: u64,
        request: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        let table = &mut self.write().session_streams;
        table.begin(session, stream, request, now);
        Ok(())
    }

    async fn keep_event(
        &self,
        session: &Digest,
        stream: u64,
        event: KeptEvent,
        now: Timestamp,
    ) -> Result<()> {
        if let Some(kept) = self.write().session_streams.get_mut(session, stream) {
            kept.events.push_back(event);
            kept.last_event = now;
            if kept.events.len() > MAX_EVENTS {
                kept.events.pop_front();
            }
        }
        Ok(())
    }

    async fn finish_stream(&self, session: &Digest, stream: u64) -> Result<()> {
        if let Some(kept) = self.write().session_streams.get_mut(session, stream) {
            kept.is_finished = true;
        }
        Ok(())
    }

    async fn kept_stream(
        &self,
        session: &Digest,
        stream: u64,
        after: Option<u64>,
        now: Timestamp,
    ) -> Result<Option<KeptStream>> {
        let state = self.read();
        let streams = state.session_streams.0.get(session);
        let kept = streams.and_then(|streams| streams.get(&stream));
        let Some(kept) = kept.filter(|kept| kept.is_kept(now)) else {
            return Ok(None);
        };
        let is_wanted = |event: &&KeptEvent| after.is_none_or(|after| event.number > after);
        Ok(Some(KeptStream {
            request: kept.request.clone(),
            events: kept.events.iter().filter(is_wanted).cloned().collect(),
            is_finished: kept.is_finished,
        }))
    }

    async fn send_mail(&self, mail: Mail, _: Timestamp) -> Result<()> {
        // Nobody need be listening.
        let _ = self.mail.send(mail);
        Ok(())
    }

    fn mail(&self) -> broadcast::Receiver<Mail> {
        self.mail.subscribe()
    }
}
