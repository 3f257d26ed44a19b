//! Conditions that columns answer: times, levels, numbers, booleans, and whether a field is there.

use crate::schema::push_name;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use tantivy::columnar::{Column, ColumnIndex, DynamicColumn, DynamicColumnHandle, NumericalType};
use tantivy::query::{
    AllScorer, ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight,
};
use tantivy::{DocId, DocSet, Score, SeekDangerResult, SegmentReader, TERMINATED, TantivyError};

/// A condition on a column.
#[derive(Debug, Clone)]
pub(crate) enum ColumnTest {
    /// `ts` or `received_at` within.
    Time { column: &'static str, within: RangeInclusive<i64> },
    /// `level` or `kind` within.
    Rank { column: &'static str, within: RangeInclusive<u64> },
    /// A bit of `has` is set.
    Has { bit: u64 },
    /// Some number of a named field within.
    Number { name: String, within: RangeInclusive<f64> },
    /// Some boolean of a named field is this.
    Bool { name: String, value: bool },
    /// A named field is there.
    Present { name: String },
}

impl Query for ColumnTest {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for ColumnTest {
    fn scorer(&self, reader: &SegmentReader, _: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(match self {
            Self::Time { column, within } => within_column(reader.fast_fields().i64(column)?, within.clone()),
            Self::Rank { column, within } => within_column(reader.fast_fields().u64(column)?, within.clone()),
            Self::Has { bit } => {
                scorer(HasScan::new(reader.fast_fields().u64("has")?, *bit, reader.max_doc()))
            }
            Self::Number { name, within } => match number_column(reader, name)? {
                Some(column) => within_column(column, within.clone()),
                None => Box::new(EmptyScorer),
            },
            Self::Bool { name, value } => match bool_column(reader, name)? {
                Some(column) => within_column(column, *value..=*value),
                None => Box::new(EmptyScorer),
            },
            Self::Present { name } => {
                let mut columns = Vec::new();
                for handle in named_columns(reader, name)? {
                    columns.push(handle.open()?.into_column_index());
                }
                scorer(PresentScan::new(columns, reader.max_doc()))
            }
        })
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("events are not scored".to_owned()))
    }
}

fn scorer(docs: impl DocSet + 'static) -> Box<dyn Scorer> {
    Box::new(ConstScorer::new(docs, 1.0))
}

/// The name tantivy resolves to a named field's columns.
fn column_path(name: &str) -> String {
    let mut clean = String::with_capacity(name.len());
    push_name(&mut clean, name);
    let mut path = String::from("f.");
    for c in clean.chars() {
        if matches!(c, '.' | '\\') {
            path.push('\\');
        }
        path.push(c);
    }
    path
}

/// The columns of a named field: at most one of numbers, one of strings, one of booleans.
pub(crate) fn named_columns(reader: &SegmentReader, name: &str) -> tantivy::Result<Vec<DynamicColumnHandle>> {
    reader.fast_fields().dynamic_column_handles(&column_path(name))
}

/// A column of numbers as `f64`; `None` for other types.
pub(crate) fn as_numbers(column: DynamicColumn) -> Option<Column<f64>> {
    match column.coerce_numerical(NumericalType::F64)? {
        DynamicColumn::F64(column) => Some(column),
        _ => None,
    }
}

/// The numbers of a named field; `None` where the segment has none.
pub(crate) fn number_column(reader: &SegmentReader, name: &str) -> tantivy::Result<Option<Column<f64>>> {
    for handle in named_columns(reader, name)? {
        if handle.column_type().numerical_type().is_some() {
            return Ok(as_numbers(handle.open()?));
        }
    }
    Ok(None)
}

fn bool_column(reader: &SegmentReader, name: &str) -> tantivy::Result<Option<Column<bool>>> {
    for handle in named_columns(reader, name)? {
        if let DynamicColumn::Bool(column) = handle.open()? {
            return Ok(Some(column));
        }
    }
    Ok(None)
}

/// The documents whose value lies within; all or none of them without a look, where the column's bounds say so.
pub(crate) fn within_column<T>(column: Column<T>, within: RangeInclusive<T>) -> Box<dyn Scorer>
where
    T: PartialOrd + Copy + Debug + Send + Sync + 'static,
{
    let (low, high) = (column.min_value(), column.max_value());
    if column.values.num_vals() == 0 || within.is_empty() || *within.start() > high || *within.end() < low {
        return Box::new(EmptyScorer);
    }
    if matches!(column.index, ColumnIndex::Full) && *within.start() <= low && high <= *within.end() {
        return Box::new(AllScorer::new(column.num_docs()));
    }
    scorer(RangeScan::new(column, within))
}

/// Scans a column in steps that grow while it is read through and shrink when it is skipped through.
struct RangeScan<T> {
    column: Column<T>,
    within: RangeInclusive<T>,
    /// Matches of the last step.
    found: Vec<DocId>,
    at: usize,
    /// The first document not yet looked at.
    next: DocId,
    step: u32,
}

const SHORT_STEP: u32 = 128;
const LONG_STEP: u32 = 16_384;

impl<T: PartialOrd + Copy + Debug + Send + Sync + 'static> RangeScan<T> {
    fn new(column: Column<T>, within: RangeInclusive<T>) -> Self {
        let mut scan = Self { column, within, found: Vec::new(), at: 0, next: 0, step: SHORT_STEP };
        scan.look_on();
        scan
    }

    fn look_on(&mut self) -> DocId {
        let docs = self.column.num_docs();
        self.at = 0;
        self.found.clear();
        while self.found.is_empty() && self.next < docs {
            let end = docs.min(self.next.saturating_add(self.step));
            self.column.get_docids_for_value_range(self.within.clone(), self.next..end, &mut self.found);
            self.found.dedup();
            self.next = end;
            self.step = LONG_STEP.min(self.step * 2);
        }
        self.doc()
    }
}

impl<T: PartialOrd + Copy + Debug + Send + Sync + 'static> DocSet for RangeScan<T> {
    fn advance(&mut self) -> DocId {
        self.at += 1;
        if self.at < self.found.len() { self.found[self.at] } else { self.look_on() }
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.doc() >= target {
            return self.doc();
        }
        if target < self.next {
            self.at += self.found[self.at..].partition_point(|doc| *doc < target);
            if self.at < self.found.len() {
                return self.found[self.at];
            }
        } else {
            if target > self.next.saturating_add(self.step) {
                self.step = SHORT_STEP;
            }
            self.next = target;
        }
        self.look_on()
    }

    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        if target >= self.column.num_docs() {
            return SeekDangerResult::SeekLowerBound(TERMINATED);
        }
        if !self.column.values_for_doc(target).any(|value| self.within.contains(&value)) {
            return SeekDangerResult::SeekLowerBound(target + 1);
        }
        self.found.clear();
        self.found.push(target);
        self.at = 0;
        self.next = target + 1;
        self.step = SHORT_STEP;
        SeekDangerResult::Found
    }

    fn doc(&self) -> DocId {
        self.found.get(self.at).copied().unwrap_or(TERMINATED)
    }

    fn size_hint(&self) -> u32 {
        self.column.num_docs()
    }
}

/// Documents whose `has` has a bit.
struct HasScan {
    column: Column<u64>,
    bit: u64,
    doc: DocId,
    max_doc: DocId,
}

impl HasScan {
    fn new(column: Column<u64>, bit: u64, max_doc: DocId) -> Self {
        let mut scan = Self { column, bit, doc: 0, max_doc };
        scan.find(0);
        scan
    }

    fn find(&mut self, from: DocId) -> DocId {
        self.doc = (from..self.max_doc)
            .find(|doc| self.column.first(*doc).is_some_and(|v| v & self.bit != 0))
            .unwrap_or(TERMINATED);
        self.doc
    }
}

impl DocSet for HasScan {
    fn advance(&mut self) -> DocId {
        self.find(self.doc.saturating_add(1))
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if target <= self.doc { self.doc } else { self.find(target) }
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.max_doc
    }
}

/// Documents that have a value in at least one of some columns.
struct PresentScan {
    columns: Vec<ColumnIndex>,
    doc: DocId,
    max_doc: DocId,
}

impl PresentScan {
    fn new(columns: Vec<ColumnIndex>, max_doc: DocId) -> Self {
        let mut scan = Self { columns, doc: 0, max_doc };
        scan.find(0);
        scan
    }

    fn find(&mut self, from: DocId) -> DocId {
        let max_doc = self.max_doc;
        self.doc =
            self.columns.iter().filter_map(|c| next_present(c, from, max_doc)).min().unwrap_or(TERMINATED);
        self.doc
    }
}

/// The first document at or after `from` that has a value.
pub(crate) fn next_present(column: &ColumnIndex, from: DocId, max_doc: DocId) -> Option<DocId> {
    if from >= max_doc {
        return None;
    }
    match column {
        ColumnIndex::Empty { .. } => None,
        ColumnIndex::Full => Some(from),
        ColumnIndex::Optional(optional) => optional.next_non_null_doc(from),
        ColumnIndex::Multivalued(_) => (from..max_doc).find(|doc| column.has_value(*doc)),
    }
}

impl DocSet for PresentScan {
    fn advance(&mut self) -> DocId {
        self.find(self.doc.saturating_add(1))
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if target <= self.doc { self.doc } else { self.find(target) }
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.max_doc
    }
}
