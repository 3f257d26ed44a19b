//! The documents of a read: those of its tenant, in its window, that meet its condition. Every read goes through
//! here, so none can forget the tenant.

use crate::catalog::Snapshot;
use crate::column::{ColumnTest, within_column};
use crate::error::failed;
use crate::schema::layout;
use crate::translate::{Translator, term};
use domain::query::{Expr, Field, Query};
use domain::text::query_terms;
use domain::{TenantId, TimeRange};
use std::ops::{Range, RangeInclusive};
use store::index::{IndexError, ReadLimit};
use tantivy::query::{AllScorer, BooleanQuery, EnableScoring, Occur, Scorer, Weight, intersect_scorers};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, DocSet, SegmentReader};

/// What a read asks of one index.
pub(crate) struct Scan<'a> {
    snapshot: &'a Snapshot,
    tenant: Box<dyn Weight>,
    /// `None` where every event of the tenant meets it.
    condition: Option<Box<dyn Weight>>,
    /// The condition is a single term, whose count stands in the dictionary.
    one_term: bool,
    window: WindowTest,
    limit: &'a ReadLimit,
}

/// When events must have happened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Window {
    /// `ts` inside.
    Inside(TimeRange),
    /// `ts` outside, and arrived at this instant or later, in nanoseconds.
    Outside(TimeRange, i64),
}

enum WindowTest {
    Inside(RangeInclusive<i64>),
    Outside(Box<dyn Weight>),
}

/// How many blocks of documents between two looks at the limit.
const BLOCKS_A_LOOK: u32 = 128;

impl<'a> Scan<'a> {
    /// Prepares a read of one index.
    pub fn new(
        snapshot: &'a Snapshot,
        tenant: &TenantId,
        query: &Query,
        window: Window,
        limit: &'a ReadLimit,
    ) -> Result<Self, IndexError> {
        let scoring = EnableScoring::disabled_from_searcher(&snapshot.searcher);
        let weight = |query: &dyn tantivy::query::Query| query.weight(scoring).map_err(failed);
        let tenant = term(layout().tenant, tenant.as_str().as_bytes());
        let in_window: Box<dyn tantivy::query::Query> = match window {
            Window::Inside(range) => Box::new(ColumnTest::Time { column: "ts", within: inside(range) }),
            Window::Outside(range, since) => Box::new(outside(range, since)),
        };
        let scope = [tenant.box_clone(), in_window];
        let translator = Translator { layout: layout(), searcher: &snapshot.searcher, limit, scope: &scope };
        Ok(Self {
            snapshot,
            tenant: weight(&*tenant)?,
            condition: match &query.expr {
                Expr::All => None,
                expr => Some(weight(&*translator.query(expr))?),
            },
            one_term: is_one_term(&query.expr),
            window: match window {
                Window::Inside(range) => WindowTest::Inside(inside(range)),
                Window::Outside(range, since) => WindowTest::Outside(weight(&outside(range, since))?),
            },
            limit,
        })
    }

    /// Prepares a read of several indexes.
    pub fn of_each(
        snapshots: &'a [Snapshot],
        tenant: &TenantId,
        query: &Query,
        range: TimeRange,
        limit: &'a ReadLimit,
    ) -> Result<Vec<Self>, IndexError> {
        let window = Window::Inside(range);
        snapshots.iter().map(|snapshot| Self::new(snapshot, tenant, query, window, limit)).collect()
    }

    /// The segments of the index.
    pub fn segments(&self) -> &'a [SegmentReader] {
        self.snapshot.searcher.segment_readers()
    }

    /// How many documents of a segment are the tenant's: no more than these match.
    pub fn at_most(&self, segment: &SegmentReader) -> Result<u32, IndexError> {
        self.tenant.count(segment).map_err(failed)
    }

    /// How many documents of a segment match.
    pub fn count(&self, segment: &SegmentReader) -> Result<u64, IndexError> {
        if self.limit.ended() {
            return Err(IndexError::Deadline);
        }
        let tenants = self.tenant.count(segment).map_err(failed)?;
        if tenants == 0 {
            return Ok(0);
        }
        let alone = tenants == segment.max_doc();
        match (self.window_scorer(segment)?, &self.condition) {
            (None, None) => Ok(u64::from(tenants)),
            // A term's count stands in its dictionary; other conditions are counted as they are read.
            (None, Some(condition)) if alone && self.one_term => {
                Ok(u64::from(condition.count(segment).map_err(failed)?))
            }
            _ => {
                let mut count = 0;
                self.each(segment, |docs| count += docs.len() as u64)?;
                Ok(count)
            }
        }
    }

    /// Calls `visit` with the matching documents of a segment, in blocks, in order.
    ///
    /// # Errors
    /// [`IndexError::Deadline`] once the limit has ended; what was visited is then a part.
    pub fn each(&self, segment: &SegmentReader, visit: impl FnMut(&[DocId])) -> Result<(), IndexError> {
        self.each_of(segment, 0..segment.max_doc(), visit)
    }

    /// As [`Scan::each`], of some of the segment's documents.
    pub fn each_of(
        &self,
        segment: &SegmentReader,
        among: Range<DocId>,
        mut visit: impl FnMut(&[DocId]),
    ) -> Result<(), IndexError> {
        if self.limit.ended() {
            return Err(IndexError::Deadline);
        }
        let Some(mut docs) = self.scorer(segment)? else { return Ok(()) };
        if docs.doc() < among.start {
            docs.seek(among.start);
        }
        let mut block = [0; COLLECT_BLOCK_BUFFER_LEN];
        let mut blocks = 0_u32;
        loop {
            let mut found = docs.fill_buffer(&mut block);
            if block[..found].last().is_some_and(|doc| *doc >= among.end) {
                found = block[..found].partition_point(|doc| *doc < among.end);
            }
            visit(&block[..found]);
            blocks = blocks.wrapping_add(1);
            let last = found < block.len();
            if (last || blocks.is_multiple_of(BLOCKS_A_LOOK)) && self.limit.ended() {
                return Err(IndexError::Deadline);
            }
            if last {
                return Ok(());
            }
        }
    }

    /// The matching documents; `None` where it is plain that there are none.
    fn scorer(&self, segment: &SegmentReader) -> Result<Option<Box<dyn Scorer>>, IndexError> {
        let tenants = self.tenant.count(segment).map_err(failed)?;
        if tenants == 0 {
            return Ok(None);
        }
        let mut all = Vec::with_capacity(3);
        if let Some(window) = self.window_scorer(segment)? {
            all.push(window);
        }
        if let Some(condition) = &self.condition {
            all.push(condition.scorer(segment, 1.0).map_err(failed)?);
        }
        if tenants < segment.max_doc() {
            all.push(self.tenant.scorer(segment, 1.0).map_err(failed)?);
        }
        if all.is_empty() {
            return Ok(Some(Box::new(AllScorer::new(segment.max_doc()))));
        }
        Ok(Some(intersect_scorers(all, segment.max_doc())))
    }

    /// What the window leaves of a segment; `None` where it leaves all.
    fn window_scorer(&self, segment: &SegmentReader) -> Result<Option<Box<dyn Scorer>>, IndexError> {
        match &self.window {
            WindowTest::Inside(within) => {
                let ts = segment.fast_fields().i64("ts").map_err(failed)?;
                let all = *within.start() <= ts.min_value() && ts.max_value() <= *within.end();
                Ok((!all).then(|| within_column(ts, within.clone())))
            }
            WindowTest::Outside(weight) => weight.scorer(segment, 1.0).map(Some).map_err(failed),
        }
    }
}

fn is_one_term(expr: &Expr) -> bool {
    match expr {
        Expr::Text { text, prefix: false } => query_terms(text).len() == 1,
        Expr::Equals { field: Field::Source, .. } => true,
        _ => false,
    }
}

fn outside(range: TimeRange, received_since: i64) -> BooleanQuery {
    let time =
        |column, within| Box::new(ColumnTest::Time { column, within }) as Box<dyn tantivy::query::Query>;
    let before = time("ts", i64::MIN..=range.from.as_nanos().saturating_sub(1));
    let after = time("ts", range.to.as_nanos()..=i64::MAX);
    let either = BooleanQuery::new(vec![(Occur::Should, before), (Occur::Should, after)]);
    let arrived = time("received_at", received_since..=i64::MAX);
    BooleanQuery::new(vec![(Occur::Must, Box::new(either)), (Occur::Must, arrived)])
}

/// A half-open window as bounds of a column. A window up to the last instant holds it, too.
fn inside(range: TimeRange) -> RangeInclusive<i64> {
    let to = if range.to == TimeRange::ALL.to { i64::MAX } else { range.to.as_nanos().saturating_sub(1) };
    range.from.as_nanos()..=to
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::EventDoc;
    use crate::tokenizer::{NAME, TextTokenizer};
    use domain::Level;
    use domain::event::StoredEvent;
    use std::collections::HashMap;
    use store::index::conformance::corpus::{entry, plain, tenant};
    use store::index::conformance::patient;
    use tantivy::Index;
    use tantivy::tokenizer::TextAnalyzer;

    /// One segment of events of two tenants.
    fn snapshot(events: u64) -> Snapshot {
        let index = Index::create_in_ram(layout().schema.clone());
        index.tokenizers().register(NAME, TextAnalyzer::from(TextTokenizer::default()));
        let mut writer = index.writer_with_num_threads::<EventDoc>(1, 15_000_000).unwrap();
        let mut offsets = HashMap::new();
        for i in 0..events {
            let message = ["bearing hot", "hot bearing", "error 7", "errors"][i as usize % 4];
            let owner = if i % 5 == 0 { "t_second" } else { "t_first" };
            let mut event = plain(owner, "pump-1", i, message);
            event.level = Level::from_rank((i % 7) as u8);
            let json = entry(&event, "30d", &mut offsets).record.payload;
            let event = StoredEvent::parse(&json).unwrap();
            writer.add_document(EventDoc::new(layout(), &event, json.clone())).unwrap();
        }
        writer.commit().unwrap();
        Snapshot { searcher: index.reader().unwrap().searcher() }
    }

    #[test]
    fn the_parts_of_a_segment_make_the_whole() {
        let snapshot = snapshot(1_000);
        let limit = patient();
        for text in [
            "",
            "hot",
            "\"bearing hot\"",
            "hot OR errors",
            "-error",
            "err*",
            "level>=warn",
            "message:err*",
            "message:hot",
        ] {
            let query = Query::parse(text).unwrap();
            let window = Window::Inside(TimeRange::ALL);
            let scan = Scan::new(&snapshot, &tenant(0), &query, window, &limit).unwrap();
            let [segment] = scan.segments() else { panic!("one segment") };
            let mut whole = Vec::new();
            scan.each(segment, |docs| whole.extend_from_slice(docs)).unwrap();
            assert!(!whole.is_empty(), "{text:?}");
            for size in [1_000, 333, 64] {
                let mut parts = Vec::new();
                for from in (0..1_000).step_by(size) {
                    let among = from..(from + size as u32).min(1_000);
                    let visit = |docs: &[DocId]| parts.extend_from_slice(docs);
                    scan.each_of(segment, among, visit).unwrap();
                }
                assert_eq!(parts, whole, "{text:?} in parts of {size}");
            }
        }
    }
}
