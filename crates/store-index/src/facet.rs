//! The values of fields and how often they occur, and which fields there are.

use crate::catalog::Snapshot;
use crate::column::{as_numbers, named_columns, next_present};
use crate::document::KINDS;
use crate::error::failed;
use crate::scan::{Scan, Window};
use crate::schema::NO_LEVEL;
use domain::api::{Facet, FacetValue, FieldInfo};
use domain::query::{Field, Query};
use domain::{Level, TenantId, TimeRange};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use store::index::{IndexError, ReadLimit};
use tantivy::columnar::{Column, ColumnType, ColumnarReader, DynamicColumn, StrColumn, Streamer};
use tantivy::index::SegmentComponent;
use tantivy::{BitSet, DocId, SegmentReader};

/// How many different numbers of one field are told apart; what comes after is not counted.
const MAX_NUMBERS: usize = 1 << 20;
/// How many fields are listed.
const MAX_FIELDS: usize = 500;

/// The read that facets are of.
pub(crate) struct FacetRequest<'a> {
    pub tenant: &'a TenantId,
    pub query: &'a Query,
    pub range: TimeRange,
    pub size: usize,
}

/// The facets of several fields.
pub(crate) fn facets(
    snapshots: &[Snapshot],
    request: &FacetRequest<'_>,
    fields: &[String],
    limit: &ReadLimit,
) -> Result<Vec<Facet>, IndexError> {
    let mut tallies = fields.iter().map(|field| Tally::new(field)).collect::<Vec<_>>();
    for snapshot in snapshots {
        let window = Window::Inside(request.range);
        let scan = Scan::new(snapshot, request.tenant, request.query, window, limit)?;
        for segment in scan.segments() {
            let mut counters = Vec::with_capacity(tallies.len());
            for tally in &tallies {
                counters.push(Counter::open(&tally.of, segment)?);
            }
            scan.each(segment, |docs| {
                for (counter, tally) in counters.iter_mut().zip(&mut tallies) {
                    docs.iter().for_each(|doc| counter.count(*doc, &mut tally.others));
                }
            })?;
            for (counter, tally) in counters.into_iter().zip(&mut tallies) {
                tally.strings.extend(counter.strings.filter(|strings| strings.counts.iter().any(|c| *c > 0)));
            }
        }
    }
    tallies.into_iter().map(|tally| tally.facet(request.size, limit)).collect()
}

/// What a facet is of.
enum Of {
    Level,
    Kind,
    Source,
    Named(String),
    /// Has no facet.
    Nothing,
}

/// The counts of a field over all segments.
struct Tally {
    field: String,
    of: Of,
    /// By segment: dictionaries are merged at the end, so that no more than the answer is held as text.
    strings: Vec<StringCounts>,
    others: Others,
}

/// The counts of values that are not strings.
#[derive(Default)]
struct Others {
    /// By column value, for levels and kinds.
    ranks: [u64; 16],
    /// By their bits.
    numbers: HashMap<u64, u64, foldhash::fast::RandomState>,
    /// False and true.
    bools: [u64; 2],
}

/// A segment's strings of a field, counted by ordinal.
struct StringCounts {
    column: StrColumn,
    counts: Vec<u32>,
}

/// Counts one segment.
struct Counter {
    ranks: Option<Column<u64>>,
    strings: Option<StringCounts>,
    numbers: Option<Column<f64>>,
    bools: Option<Column<bool>>,
    seen: Vec<u64>,
}

impl Counter {
    fn open(of: &Of, segment: &SegmentReader) -> Result<Self, IndexError> {
        let columns = segment.fast_fields();
        let mut counter = Self { ranks: None, strings: None, numbers: None, bools: None, seen: Vec::new() };
        match of {
            Of::Level => counter.ranks = Some(columns.u64("level").map_err(failed)?),
            Of::Kind => counter.ranks = Some(columns.u64("kind").map_err(failed)?),
            Of::Source => counter.strings = columns.str("source").map_err(failed)?.map(StringCounts::new),
            Of::Named(name) => {
                for handle in named_columns(segment, name).map_err(failed)? {
                    match handle.open().map_err(failed)? {
                        DynamicColumn::Str(column) => counter.strings = Some(StringCounts::new(column)),
                        DynamicColumn::Bool(column) => counter.bools = Some(column),
                        other => counter.numbers = as_numbers(other),
                    }
                }
            }
            Of::Nothing => {}
        }
        Ok(counter)
    }

    /// Counts an event once for each different value it has.
    fn count(&mut self, doc: DocId, others: &mut Others) {
        let seen = &mut self.seen;
        if let Some(ranks) = &self.ranks
            && let Some(rank) = ranks.first(doc)
        {
            others.ranks[rank as usize & 15] += 1;
        }
        if let Some(strings) = &mut self.strings {
            let StringCounts { column, counts } = strings;
            once_each(seen, column.term_ords(doc), |ord| counts[ord as usize] += 1);
        }
        if let Some(numbers) = &self.numbers {
            once_each(seen, numbers.values_for_doc(doc).map(f64::to_bits), |bits| others.count_number(bits));
        }
        if let Some(bools) = &self.bools {
            once_each(seen, bools.values_for_doc(doc).map(u64::from), |b| others.bools[b as usize] += 1);
        }
    }
}

fn once_each(seen: &mut Vec<u64>, values: impl Iterator<Item = u64>, mut count: impl FnMut(u64)) {
    seen.clear();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
            count(value);
        }
    }
}

impl Others {
    fn count_number(&mut self, bits: u64) {
        if let Some(count) = self.numbers.get_mut(&bits) {
            *count += 1;
        } else if self.numbers.len() < MAX_NUMBERS {
            self.numbers.insert(bits, 1);
        }
    }
}

impl StringCounts {
    fn new(column: StrColumn) -> Self {
        let counts = vec![0; column.dictionary().num_terms()];
        Self { column, counts }
    }
}

impl Tally {
    fn new(field: &str) -> Self {
        let of = match Field::parse(field) {
            Field::Level => Of::Level,
            Field::Kind => Of::Kind,
            Field::Source => Of::Source,
            Field::Named(name) => Of::Named(name),
            _ => Of::Nothing,
        };
        Self { field: field.to_owned(), of, strings: Vec::new(), others: Others::default() }
    }

    fn facet(self, size: usize, limit: &ReadLimit) -> Result<Facet, IndexError> {
        let texts = self.texts();
        let Self { field, strings, .. } = self;
        let mut top = TopValues { size, distinct: 0, worst_first: BinaryHeap::new() };
        merge(&strings, texts, limit, |value, count| top.offer(value, count))?;
        let mut values = top.worst_first.into_sorted_vec();
        let values = values
            .drain(..)
            .map(|(Reverse(count), value)| FacetValue {
                value: String::from_utf8_lossy(&value).into_owned(),
                count,
            })
            .collect();
        Ok(Facet { field, distinct: top.distinct, values })
    }

    /// The values that are not strings, as text, in the order of dictionaries.
    fn texts(&self) -> BTreeMap<Vec<u8>, u64> {
        let mut texts = BTreeMap::new();
        let mut add = |text: String, count: u64| {
            if count > 0 {
                *texts.entry(text.into_bytes()).or_default() += count;
            }
        };
        let ranks = &self.others.ranks;
        match self.of {
            Of::Level => Level::ALL.iter().zip(&ranks[..NO_LEVEL as usize]).for_each(|(level, count)| {
                add(level.name().to_owned(), *count);
            }),
            Of::Kind => {
                KINDS.iter().zip(ranks).for_each(|(kind, count)| add(kind.name().to_owned(), *count));
            }
            _ => {}
        }
        for (bits, count) in &self.others.numbers {
            add(f64::from_bits(*bits).to_string(), *count);
        }
        add("false".to_owned(), self.others.bools[0]);
        add("true".to_owned(), self.others.bools[1]);
        texts
    }
}

/// The most frequent values; of equally frequent ones those first in the order of bytes.
struct TopValues {
    size: usize,
    distinct: u64,
    worst_first: BinaryHeap<(Reverse<u64>, Vec<u8>)>,
}

impl TopValues {
    fn offer(&mut self, value: &[u8], count: u64) {
        self.distinct += 1;
        if self.worst_first.len() < self.size {
            self.worst_first.push((Reverse(count), value.to_vec()));
        } else if let Some(mut worst) = self.worst_first.peek_mut()
            && count > worst.0.0
        {
            // Values come in order: a later one never replaces an equally frequent earlier one.
            *worst = (Reverse(count), value.to_vec());
        }
    }
}

/// A dictionary being walked through, standing at a value that occurs.
struct Walk<'a> {
    terms: Streamer<'a>,
    counts: std::iter::Copied<std::slice::Iter<'a, u32>>,
    count: u64,
}

impl Walk<'_> {
    fn advance(&mut self) -> bool {
        for count in self.counts.by_ref() {
            if !self.terms.advance() {
                return false;
            }
            if count > 0 {
                self.count = u64::from(count);
                return true;
            }
        }
        false
    }
}

/// Walks through all dictionaries side by side and gives each value once, with its whole count, in order.
fn merge(
    strings: &[StringCounts],
    texts: BTreeMap<Vec<u8>, u64>,
    limit: &ReadLimit,
    mut give: impl FnMut(&[u8], u64),
) -> Result<(), IndexError> {
    let mut texts = texts.into_iter().peekable();
    let mut walks = Vec::with_capacity(strings.len());
    let mut next = BinaryHeap::new();
    for StringCounts { column, counts } in strings {
        let terms = column.dictionary().stream().map_err(failed)?;
        let mut walk = Walk { terms, counts: counts.iter().copied(), count: 0 };
        if walk.advance() {
            next.push(Reverse((walk.terms.key().to_vec(), walks.len())));
            walks.push(walk);
        }
    }
    let mut given = 0_u32;
    loop {
        let from_strings = next.peek().map(|Reverse((value, _))| value);
        let value = match (from_strings, texts.peek()) {
            (None, None) => return Ok(()),
            (Some(string), Some((text, _))) if text < string => text.clone(),
            (None, Some((text, _))) => text.clone(),
            (Some(string), _) => string.clone(),
        };
        let mut count = texts.next_if(|(text, _)| *text == value).map_or(0, |(_, count)| count);
        while let Some(mut top) = next.peek_mut().filter(|top| top.0.0 == value) {
            let walk = &mut walks[top.0.1];
            count += walk.count;
            if walk.advance() {
                top.0.0.clear();
                top.0.0.extend_from_slice(walk.terms.key());
            } else {
                std::collections::binary_heap::PeekMut::pop(top);
            }
        }
        give(&value, count);
        given = given.wrapping_add(1);
        if given.is_multiple_of(16_384) && limit.ended() {
            return Err(IndexError::Deadline);
        }
    }
}

/// The fields that occur, most frequent first.
pub(crate) fn fields(
    snapshots: &[Snapshot],
    tenant: &TenantId,
    range: TimeRange,
    limit: &ReadLimit,
) -> Result<Vec<FieldInfo>, IndexError> {
    let mut found = HashMap::<String, (u64, FieldInfo)>::new();
    for snapshot in snapshots {
        let scan = Scan::new(snapshot, tenant, &Query::all(), Window::Inside(range), limit)?;
        for segment in scan.segments() {
            let mut docs = BitSet::with_max_value(segment.max_doc());
            let mut matching = 0_u32;
            scan.each(segment, |block| {
                matching += block.len() as u32;
                for doc in block {
                    docs.insert(*doc);
                }
            })?;
            if matching > 0 {
                fields_of(segment, (matching < segment.max_doc()).then_some(&docs), limit, &mut found)?;
            }
        }
    }
    let mut fields = found.into_values().collect::<Vec<_>>();
    fields.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.name.cmp(&y.name)));
    fields.truncate(MAX_FIELDS);
    Ok(fields.into_iter().map(|(_, field)| field).collect())
}

/// Adds a segment's fields; `among` are the documents of the read, `None` for all of the segment's.
fn fields_of(
    segment: &SegmentReader,
    among: Option<&BitSet>,
    limit: &ReadLimit,
    found: &mut HashMap<String, (u64, FieldInfo)>,
) -> Result<(), IndexError> {
    let file = segment.open_read(SegmentComponent::FastFields).map_err(failed)?;
    let columns = ColumnarReader::open(file).map_err(failed)?;
    for (path, handle) in columns.iter_columns().map_err(failed)? {
        let Some(name) = path.strip_prefix("f\u{1}") else { continue };
        if limit.ended() {
            return Err(IndexError::Deadline);
        }
        let index = handle.open().map_err(failed)?.into_column_index();
        let mut count = 0_u64;
        let mut doc = 0;
        while let Some(present) = next_present(&index, doc, segment.max_doc()) {
            count += u64::from(among.is_none_or(|docs| docs.contains(present)));
            doc = present + 1;
        }
        if count == 0 {
            continue;
        }
        let name = name.replace('/', ".");
        let (total, info) = found
            .entry(name.clone())
            .or_insert_with(|| (0, FieldInfo { name, numeric: false, text: false, boolean: false }));
        *total += count;
        match handle.column_type() {
            ColumnType::Str => info.text = true,
            ColumnType::Bool => info.boolean = true,
            _ => info.numeric = true,
        }
    }
    Ok(())
}
