//! Section-5 JSON, written once into the buffer that goes to the broker.

use super::arrival::{IdMaker, InstantText, received_now};
use super::batch::{Batch, Mark};
use super::draft::{Class, Draft};
use super::encode;
use super::envelope::Envelope;
use super::names::NameGate;
use super::sections::{BEYOND, write_beyond, write_section};
use super::sources::{Budgets, SourceBudget};
use super::{Limits, RecordError};
use crate::facts;
use base64::Engine;
use bytes::{BufMut, BytesMut};
use domain::masking::Rules;
use domain::{EventId, SourceKey, TenantId, Timestamp, Zone};
use std::collections::HashMap;
use std::sync::Arc;
use store::broker::{Origin, Route};

/// The longest JSON of a record: topics allow 8 MiB, with what stands around it.
pub const RECORD_BYTES: usize = (8 << 20) - (64 << 10);

/// What a record is written under.
#[derive(Debug, Clone)]
pub struct Home {
    /// The tenant's key.
    pub tenant: TenantId,
    /// Retention class.
    pub class: Arc<str>,
    /// Index group.
    pub group: u16,
    /// Bound by the token or named by the connection; else each record's own, else `fallback`.
    pub bound: Option<SourceKey>,
    /// The token's name, or the peer's address.
    pub fallback: SourceKey,
    /// The protocol, for the source's page.
    pub protocol: Arc<str>,
}

/// What identifies the record to the processor.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// A line of a client's stream.
    Stream(&'a Arc<str>, u64),
    /// A dead letter's event, with its id.
    Letter {
        /// Of the event.
        id: EventId,
        /// The letter's, which tells a second replay.
        letter: &'a Arc<str>,
    },
    /// Anything else.
    Unmarked,
}

/// A source that was seen, ready to write.
#[derive(Debug)]
struct Known {
    route: Arc<Route>,
    /// `","tenant":"…","source":"…","ts":"`
    json: Box<[u8]>,
}

/// Writes the records of one connection.
#[derive(Debug)]
pub struct RecordWriter {
    /// The record being made.
    pub draft: Draft,
    home: Home,
    names: NameGate,
    sources: Arc<SourceBudget>,
    /// Records that named a source beyond the budget, since somebody asked.
    unplaced: u64,
    ids: IdMaker,
    ts_text: InstantText,
    received_text: InstantText,
    routes: HashMap<Box<str>, Arc<Known>>,
    last: Option<Arc<Known>>,
}

/// Sources kept at hand per connection.
const ROUTES: usize = 1_024;

impl RecordWriter {
    /// For the records of a connection.
    pub fn new(limits: Limits, zone: Zone, rules: Arc<Rules>, home: Home, budgets: Budgets) -> Self {
        let mut draft = Draft::new(limits, zone.clone());
        draft.configure(zone, home.bound.is_none(), rules);
        Self {
            draft,
            home,
            names: NameGate::new(budgets.names),
            sources: budgets.sources,
            unplaced: 0,
            ids: IdMaker::new(),
            ts_text: InstantText::new(),
            received_text: InstantText::new(),
            routes: HashMap::new(),
            last: None,
        }
    }

    /// Where its records belong.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Changes where records belong, from the next one on.
    pub fn rehome(&mut self, home: Home, zone: Zone, rules: Arc<Rules>) {
        self.draft.configure(zone, home.bound.is_none(), rules);
        self.home = home;
        self.routes.clear();
        self.last = None;
    }

    /// Gives back memory that is not needed while nothing comes.
    pub fn trim(&mut self) {
        self.draft.trim();
    }

    /// Starts a record: its arrival is now.
    pub fn begin(&mut self) {
        self.begin_at(received_now());
    }

    fn begin_at(&mut self, received_at: Timestamp) {
        self.draft.reset(received_at);
    }

    /// The route of a source.
    pub fn route(&mut self, source: &str) -> Arc<Route> {
        Arc::clone(&self.known(source).route)
    }

    fn known(&mut self, source: &str) -> Arc<Known> {
        if let Some(last) = &self.last
            && last.route.source.as_str() == source
        {
            return Arc::clone(last);
        }
        let known = match self.routes.get(source) {
            Some(known) => Arc::clone(known),
            None => {
                let key = SourceKey::new(source).unwrap_or_else(|_| self.home.fallback.clone());
                let known = Arc::new(self.introduce(key));
                if self.routes.len() >= ROUTES {
                    self.routes.clear();
                }
                self.routes.insert(source.into(), Arc::clone(&known));
                known
            }
        };
        self.last = Some(Arc::clone(&known));
        known
    }

    fn introduce(&self, source: SourceKey) -> Known {
        let mut json = Vec::with_capacity(96);
        json.extend_from_slice(b"\",\"tenant\":\"");
        json.extend_from_slice(self.home.tenant.as_str().as_bytes());
        json.extend_from_slice(b"\",\"source\":");
        encode::string(&mut json, source.as_str());
        json.extend_from_slice(b",\"ts\":\"");
        let route = Arc::new(Route {
            tenant: self.home.tenant.clone(),
            source,
            class: Arc::clone(&self.home.class),
            group: self.home.group,
            protocol: Arc::clone(&self.home.protocol),
        });
        Known { route, json: json.into() }
    }

    /// How many records named a source beyond the budget since the last call.
    pub fn take_unplaced(&mut self) -> u64 {
        std::mem::take(&mut self.unplaced)
    }

    /// A source that the record names itself and that the budget has no room for stays a field.
    fn place(&mut self) {
        let named = &*self.draft.source;
        let at_hand = self.home.bound.is_some()
            || named.is_empty()
            || self.last.as_ref().is_some_and(|last| last.route.source.as_str() == named)
            || self.routes.contains_key(named);
        if !at_hand && !self.sources.admits(named, self.draft.now()) {
            self.draft.leave_source();
            self.unplaced += 1;
            metrics::counter!("qgx_ingest_sources_beyond_budget_total").increment(1);
        }
    }

    /// Writes the drafted record into a batch. One beyond [`RECORD_BYTES`] loses its original bytes first.
    ///
    /// # Errors
    /// [`RecordError::RecordTooLarge`] where it is longer even so; the batch is as it was.
    pub fn finish(&mut self, place: Place<'_>, batch: &mut Batch) -> Result<(), RecordError> {
        self.place();
        let envelope = self.draft.settle();
        let known = match &self.home.bound {
            Some(bound) => {
                let bound = bound.clone();
                self.known(bound.as_str())
            }
            None if self.draft.source.is_empty() => {
                let fallback = self.home.fallback.clone();
                self.known(fallback.as_str())
            }
            None => {
                let source = std::mem::take(&mut self.draft.source);
                let known = self.known(&source);
                self.draft.source = source;
                known
            }
        };
        let received_at = self.draft.now();
        let (id, origin) = match place {
            Place::Stream(stream, sequence) => (
                EventId::of_stream(&known.route.tenant, &known.route.source, stream, sequence),
                Origin::Stream { stream: Arc::clone(stream), sequence },
            ),
            Place::Letter { id, letter } => (id, Origin::Given(Arc::clone(letter))),
            Place::Unmarked => {
                let origin =
                    self.draft.given_id().map_or(Origin::Unmarked, |id| Origin::Given(Arc::from(id)));
                (self.ids.next(received_at), origin)
            }
        };
        let out = &mut batch.json;
        let start = out.len();
        // One growth at most: everything below fits, but for names beyond the budget.
        out.reserve(256 + known.json.len() + self.draft.values.len() + self.draft.names.len() * 2);
        out.put_slice(b"{\"id\":\"");
        out.put_slice(id.0.hyphenated().encode_lower(&mut [0; 36]).as_bytes());
        out.put_slice(&known.json);
        out.put_slice(self.ts_text.write(envelope.ts.unwrap_or(received_at)));
        out.put_slice(b"\",\"received_at\":\"");
        out.put_slice(self.received_text.write(received_at));
        self.write_body(&envelope, received_at, out);
        let without_raw = out.len();
        self.write_raw(out);
        out.put_u8(b'}');
        if out.len() - start > RECORD_BYTES && out.len() > without_raw + 1 {
            out.truncate(without_raw);
            out.put_u8(b'}');
            metrics::counter!("qgx_ingest_raw_left_out_total").increment(1);
        }
        let (end, length) = (out.len(), out.len() - start);
        if length > RECORD_BYTES {
            out.truncate(start);
            return Err(RecordError::RecordTooLarge { limit: RECORD_BYTES, length });
        }
        batch.marks.push(Mark { end, route: Arc::clone(&known.route), origin });
        facts::masked(self.draft.masked);
        Ok(())
    }

    fn write_body(&mut self, envelope: &Envelope, received_at: Timestamp, out: &mut BytesMut) {
        out.put_slice(b"\",\"kind\":\"");
        out.put_slice(envelope.kind.name().as_bytes());
        out.put_u8(b'"');
        if let Some(level) = envelope.level {
            out.put_slice(b",\"level\":\"");
            out.put_slice(level.name().as_bytes());
            out.put_u8(b'"');
        }
        if let Some(message) = envelope.message {
            out.put_slice(b",\"message\":");
            out.put_slice(&self.draft.values[message.0..message.1]);
        }
        let mut beyond = 0;
        for entry in &mut self.draft.entries {
            if !entry.taken && entry.same_as.is_none() && !self.names.admits(entry.hash, received_at) {
                // Marked by a hash that no admitted name has: `taken` fields are not written below.
                entry.taken = true;
                beyond += 1;
                entry.hash = BEYOND;
            }
        }
        for (class, name) in [(Class::Number, b"n"), (Class::Text, b"s"), (Class::Bool, b"b")] {
            write_section(&self.draft, class, name, out);
        }
        if beyond > 0 {
            write_beyond(&self.draft, out);
            metrics::counter!("qgx_ingest_names_beyond_budget_total").increment(beyond);
        }
    }

    /// The bytes as they came, where they were not UTF-8.
    fn write_raw(&mut self, out: &mut BytesMut) {
        if let Some(raw) = self.draft.raw.take() {
            out.put_slice(b",\"raw\":\"");
            out.put_slice(base64::engine::general_purpose::STANDARD.encode(raw).as_bytes());
            out.put_u8(b'"');
        }
    }
}

#[cfg(test)]
pub mod testing;
