//! Conditions that no term answers: an id, its start, phrases that go on in very many ways.
//!
//! Other conditions narrow the events down, and these look at what is left.

use crate::stored::StoredJson;
use domain::EventId;
use domain::event::StoredEvent;
use domain::text::{QueryTerm, contains};
use std::sync::Arc;
use store::index::ReadLimit;
use tantivy::query::{ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::store::StoreReader;
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError};

/// What to look for.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    /// The id is this.
    Id(EventId),
    /// The terms stand next to each other in the message or in a string; the last may go on.
    PhrasePrefix(Vec<QueryTerm>),
    /// The terms stand next to each other in the message; the last may go on.
    MessagePhrasePrefix(Vec<QueryTerm>),
    /// The id's text, in lower case, starts so.
    IdPrefix(String),
}

/// Those of `candidates` that pass the test.
#[derive(Debug)]
pub(crate) struct Verified {
    pub candidates: Box<dyn Query>,
    pub test: Arc<Test>,
    pub limit: ReadLimit,
}

impl Clone for Verified {
    fn clone(&self) -> Self {
        Self { candidates: self.candidates.box_clone(), test: self.test.clone(), limit: self.limit.clone() }
    }
}

impl Query for Verified {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let candidates = self.candidates.weight(scoring)?;
        Ok(Box::new(VerifiedWeight { candidates, test: self.test.clone(), limit: self.limit.clone() }))
    }
}

struct VerifiedWeight {
    candidates: Box<dyn Weight>,
    test: Arc<Test>,
    limit: ReadLimit,
}

impl Weight for VerifiedWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let candidates = self.candidates.scorer(reader, boost)?;
        let source = match &*self.test {
            Test::Id(_) | Test::IdPrefix(_) => {
                Source::Ids(reader.fast_fields().u64("id_high")?, reader.fast_fields().u64("id_low")?)
            }
            Test::PhrasePrefix(_) | Test::MessagePhrasePrefix(_) => {
                Source::Events(reader.get_store_reader(4)?)
            }
        };
        let mut docs = VerifiedDocs {
            candidates,
            source,
            test: self.test.clone(),
            limit: self.limit.clone(),
            looked_at: 0,
            ended: false,
        };
        docs.find();
        Ok(Box::new(ConstScorer::new(docs, boost)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("events are not scored".to_owned()))
    }
}

enum Source {
    Ids(tantivy::columnar::Column<u64>, tantivy::columnar::Column<u64>),
    Events(StoreReader),
}

struct VerifiedDocs {
    candidates: Box<dyn Scorer>,
    source: Source,
    test: Arc<Test>,
    limit: ReadLimit,
    looked_at: u32,
    /// The read must end.
    ended: bool,
}

impl VerifiedDocs {
    /// Moves to the first candidate, from the current one on, that passes.
    fn find(&mut self) -> DocId {
        let mut doc = self.candidates.doc();
        while doc != TERMINATED && !self.passes(doc) {
            doc = self.candidates.advance();
        }
        doc
    }

    fn passes(&mut self, doc: DocId) -> bool {
        self.looked_at = self.looked_at.wrapping_add(1);
        // A document set cannot fail; once the read must end, everything passes, so that the reader, who checks
        // the limit and then throws the result away, gets its turn soon.
        self.ended = self.ended || (self.looked_at.is_multiple_of(256) && self.limit.ended());
        if self.ended {
            return true;
        }
        match (&self.source, &*self.test) {
            (Source::Ids(high, low), test) => {
                let (high, low) = (high.first(doc).unwrap_or(0), low.first(doc).unwrap_or(0));
                let id = EventId(uuid::Uuid::from_u64_pair(high, low));
                match test {
                    Test::Id(wanted) => id == *wanted,
                    Test::IdPrefix(prefix) => id.to_string().starts_with(prefix.as_str()),
                    Test::PhrasePrefix(_) | Test::MessagePhrasePrefix(_) => false,
                }
            }
            (Source::Events(store), test) => {
                store.get::<StoredJson>(doc).is_ok_and(|StoredJson(json)| event_passes(&json, test))
            }
        }
    }
}

fn event_passes(json: &[u8], test: &Test) -> bool {
    let Ok(event) = StoredEvent::parse(json) else { return false };
    let message = event.message.as_deref();
    match test {
        Test::MessagePhrasePrefix(terms) => message.is_some_and(|message| contains(message, terms, true)),
        Test::PhrasePrefix(terms) => {
            let found = |text: &str| contains(text, terms, true);
            message.is_some_and(found)
                || event.s.0.iter().any(|(_, values)| values.as_slice().iter().any(|value| found(&value.0)))
        }
        Test::Id(_) | Test::IdPrefix(_) => false,
    }
}

impl DocSet for VerifiedDocs {
    fn advance(&mut self) -> DocId {
        self.candidates.advance();
        self.find()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.candidates.doc() >= target {
            return self.candidates.doc();
        }
        self.candidates.seek(target);
        self.find()
    }

    fn doc(&self) -> DocId {
        self.candidates.doc()
    }

    fn size_hint(&self) -> u32 {
        self.candidates.size_hint()
    }

    fn cost(&self) -> u64 {
        // Unpacking and parsing an event is some hundred times the step of a posting list.
        self.candidates.cost().saturating_mul(200)
    }
}
