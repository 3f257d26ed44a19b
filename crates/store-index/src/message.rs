//! Words of the message alone.
//!
//! Message and strings share one field of text, in which the message comes first; where it ends stands in column
//! `has`. So free text is found in the message where its last word stands before that end. A field of its own for the
//! message would nearly double what text costs to write and to keep.

use crate::schema::{HAS_MESSAGE, layout, message_end};
use crate::translate::after_prefix;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use store::index::ReadLimit;
use tantivy::columnar::Column;
use tantivy::index::SegmentId;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::query::{
    BitSetDocSet, ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight,
};
use tantivy::schema::IndexRecordOption;
use tantivy::{BitSet, DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError, Term};

/// Events between two looks at the limit.
const EVENTS_A_LOOK: u32 = 16_384;

/// Events whose message has the terms at these distances.
#[derive(Debug)]
pub(crate) struct InMessage {
    /// Those that have the terms so in any of their text; `None` for one term that may go on.
    pub candidates: Option<Box<dyn Query>>,
    /// The terms, each with its distance from the first; at least one.
    pub terms: Vec<(usize, Term)>,
    /// The last may go on.
    pub prefix: bool,
    pub limit: ReadLimit,
}

impl Clone for InMessage {
    fn clone(&self) -> Self {
        Self {
            candidates: self.candidates.as_ref().map(|query| query.box_clone()),
            terms: self.terms.clone(),
            prefix: self.prefix,
            limit: self.limit.clone(),
        }
    }
}

impl Query for InMessage {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let candidates = self.candidates.as_ref().map(|query| query.weight(scoring)).transpose()?;
        let (terms, prefix, limit) = (self.terms.clone(), self.prefix, self.limit.clone());
        Ok(Box::new(InMessageWeight { candidates, terms, prefix, limit, walked: Mutex::default() }))
    }
}

struct InMessageWeight {
    candidates: Option<Box<dyn Weight>>,
    terms: Vec<(usize, Term)>,
    prefix: bool,
    limit: ReadLimit,
    /// What one term that may go on matches in each segment: a large one is gone through in pieces, and each piece asks.
    walked: Mutex<HashMap<SegmentId, Arc<Mutex<Option<BitSet>>>>>,
}

impl Weight for InMessageWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let has = reader.fast_fields().u64("has")?;
        let Some(candidates) = &self.candidates else {
            let docs = self.walked(reader, &has)?;
            return Ok(Box::new(ConstScorer::new(BitSetDocSet::from(docs), boost)));
        };
        let mut places = Vec::with_capacity(self.terms.len());
        for (number, (distance, term)) in self.terms.iter().enumerate() {
            let goes_on = self.prefix && number + 1 == self.terms.len();
            let words = if goes_on { words_from(reader, term)? } else { word(reader, term)? };
            if words.is_empty() {
                return Ok(Box::new(EmptyScorer));
            }
            places.push(Place { distance: *distance as u32, words });
        }
        let mut docs = InMessageDocs {
            candidates: candidates.scorer(reader, boost)?,
            has,
            places,
            starts: Vec::new(),
            found: Vec::new(),
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

impl InMessageWeight {
    /// As [`Self::one_that_goes_on`], once a segment; who comes meanwhile waits for it.
    fn walked(&self, reader: &SegmentReader, has: &Column<u64>) -> tantivy::Result<BitSet> {
        let segment = Arc::clone(self.walked.lock().entry(reader.segment_id()).or_default());
        let mut walked = segment.lock();
        if let Some(docs) = &*walked {
            return Ok(docs.clone());
        }
        let docs = self.one_that_goes_on(reader, has)?;
        *walked = Some(docs.clone());
        Ok(docs)
    }

    /// Goes through every word that the only term may be.
    fn one_that_goes_on(&self, reader: &SegmentReader, has: &Column<u64>) -> tantivy::Result<BitSet> {
        let mut docs = BitSet::with_max_value(reader.max_doc());
        let mut positions = Vec::new();
        let mut looked_at = 0_u32;
        let Some((_, term)) = self.terms.first() else { return Ok(docs) };
        each_word_from(reader, term, |mut word| {
            let mut doc = word.doc();
            while doc != TERMINATED {
                looked_at = looked_at.wrapping_add(1);
                if looked_at.is_multiple_of(EVENTS_A_LOOK) && self.limit.ended() {
                    return false;
                }
                if !docs.contains(doc) {
                    let message = Message::of(has, doc);
                    let inside = match message {
                        Message::None => false,
                        Message::All => true,
                        Message::Until(end) => {
                            word.positions(&mut positions);
                            positions.first().is_some_and(|first| *first < end)
                        }
                    };
                    if inside {
                        docs.insert(doc);
                    }
                }
                doc = word.advance();
            }
            true
        })?;
        Ok(docs)
    }
}

/// What the message is of an event's text.
enum Message {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// What stands before this position.
    Until(u32),
}

impl Message {
    fn of(has: &Column<u64>, doc: DocId) -> Self {
        let has = has.first(doc).unwrap_or(0);
        match message_end(has) {
            _ if has & HAS_MESSAGE == 0 => Self::None,
            None => Self::All,
            Some(end) => Self::Until(end),
        }
    }
}

/// The postings of a term; none where the segment lacks it.
fn word(reader: &SegmentReader, term: &Term) -> tantivy::Result<Vec<SegmentPostings>> {
    let index = reader.inverted_index(layout().text)?;
    let postings = index.read_postings(term, IndexRecordOption::WithFreqsAndPositions)?;
    Ok(postings.into_iter().collect())
}

/// The postings of all terms that start so.
fn words_from(reader: &SegmentReader, prefix: &Term) -> tantivy::Result<Vec<SegmentPostings>> {
    let mut words = Vec::new();
    each_word_from(reader, prefix, |word| {
        words.push(word);
        true
    })?;
    Ok(words)
}

/// Gives the postings of each term that starts so, until `take` has enough.
fn each_word_from(
    reader: &SegmentReader,
    prefix: &Term,
    mut take: impl FnMut(SegmentPostings) -> bool,
) -> tantivy::Result<()> {
    let index = reader.inverted_index(layout().text)?;
    let start = prefix.serialized_value_bytes();
    let mut range = index.terms().range().ge(start);
    if let Some(end) = after_prefix(start) {
        range = range.lt(end);
    }
    let mut terms = range.into_stream()?;
    while terms.advance() {
        let option = IndexRecordOption::WithFreqsAndPositions;
        if !take(index.read_postings_from_terminfo(terms.value(), option)?) {
            break;
        }
    }
    Ok(())
}

/// One place of the phrase.
struct Place {
    /// From the first.
    distance: u32,
    /// What may stand there.
    words: Vec<SegmentPostings>,
}

impl Place {
    /// Where the phrase would start by this place, in order, as far as it ends in time.
    fn starts(&mut self, doc: DocId, end: u32, starts: &mut Vec<u32>) {
        starts.clear();
        for word in &mut self.words {
            if word.doc() < doc {
                word.seek(doc);
            }
            if word.doc() == doc {
                word.append_positions_with_offset(0, starts);
            }
        }
        let distance = self.distance;
        starts.retain_mut(|position| {
            let inside = *position < end && *position >= distance;
            *position = position.wrapping_sub(distance);
            inside
        });
        if self.words.len() > 1 {
            starts.sort_unstable();
        }
    }
}

/// The candidates that have the phrase in their message.
struct InMessageDocs {
    candidates: Box<dyn Scorer>,
    has: Column<u64>,
    places: Vec<Place>,
    /// Where the phrase may start by the places looked at so far.
    starts: Vec<u32>,
    /// Where it may by one more.
    found: Vec<u32>,
    limit: ReadLimit,
    looked_at: u32,
    /// The read must end.
    ended: bool,
}

impl InMessageDocs {
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
        // As in `verify`: a document set cannot fail, and the reader throws away what it gets after its limit.
        self.ended = self.ended || (self.looked_at.is_multiple_of(EVENTS_A_LOOK) && self.limit.ended());
        if self.ended {
            return true;
        }
        let end = match Message::of(&self.has, doc) {
            Message::None => return false,
            Message::All => return true,
            Message::Until(end) => end,
        };
        for (number, place) in self.places.iter_mut().enumerate() {
            place.starts(doc, end, &mut self.found);
            if number == 0 {
                std::mem::swap(&mut self.starts, &mut self.found);
            } else {
                self.starts.retain(|start| self.found.binary_search(start).is_ok());
            }
            if self.starts.is_empty() {
                return false;
            }
        }
        true
    }
}

impl DocSet for InMessageDocs {
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
        // Positions are read once more.
        self.candidates.cost().saturating_mul(4)
    }
}
