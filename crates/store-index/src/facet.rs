//! The values of fields and how often they occur, and which fields there are.

use crate::catalog::Snapshot;
use crate::column::{as_numbers, named_columns, next_present};
use crate::counts::{Cells, Counts, StringCounts, merge};
use crate::document::KINDS;
use crate::error::failed;
use crate::parallel::{Cut, Piece, cuts, sums};
use crate::scan::{Scan, Window};
use crate::schema::NO_LEVEL;
use domain::api::{Facet, FacetValue, FieldInfo};
use domain::query::{Field, Query};
use domain::{Level, TenantId, TimeRange};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use store::index::{IndexError, ReadLimit};
use tantivy::columnar::{Column, ColumnIndex, ColumnType, ColumnarReader, DynamicColumn};
use tantivy::index::SegmentComponent;
use tantivy::{BitSet, COLLECT_BLOCK_BUFFER_LEN, DocId, SegmentReader};

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
    let FacetRequest { tenant, query, range, size } = *request;
    let scans = Scan::of_each(snapshots, tenant, query, range, limit)?;
    let tallies = match tally(&scans, Cut::Large, fields) {
        // Counts are kept by piece: whole segments take less.
        Err(IndexError::TooLarge(_)) if cuts(&scans) => tally(&scans, Cut::Never, fields)?,
        done => done?,
    };
    tallies.into_iter().map(|tally| tally.facet(size, limit)).collect()
}

/// Counts every field over all segments.
fn tally(scans: &[Scan<'_>], cut: Cut, fields: &[String]) -> Result<Vec<Tally>, IndexError> {
    let cells = Cells::of_an_answer();
    let begin = || fields.iter().map(|field| Tally::new(field)).collect::<Vec<_>>();
    let mut sums = sums(scans, cut, begin, |tallies, piece| tally_piece(piece, &cells, tallies))?.into_iter();
    let mut tallies = sums.next().unwrap_or_else(begin);
    for sum in sums {
        tallies.iter_mut().zip(sum).for_each(|(tally, more)| tally.add(more));
    }
    Ok(tallies)
}

fn tally_piece(piece: &Piece<'_>, cells: &Cells, tallies: &mut [Tally]) -> Result<(), IndexError> {
    let Piece { scan, segment, docs } = piece;
    let among = docs.clone();
    let docs = (scan.at_most(segment)? as usize).min(among.len());
    if docs == 0 {
        return Ok(());
    }
    let mut counters = Vec::with_capacity(tallies.len());
    for tally in &*tallies {
        let counter = Counter::open(&tally.of, segment, docs)?;
        let taken = counter.strings.as_ref().map_or(0, |strings| strings.counts.cells());
        cells.take(taken)?;
        counters.push((counter, taken));
    }
    scan.each_of(segment, among, |docs| {
        for ((counter, _), tally) in counters.iter_mut().zip(&mut *tallies) {
            counter.count(docs, &mut tally.others);
        }
    })?;
    for ((counter, taken), tally) in counters.into_iter().zip(tallies) {
        cells.give_back(taken);
        let Some(StringCounts { column, counts }) = counter.strings else { continue };
        let counts = counts.packed();
        cells.take(counts.cells())?;
        if counts.cells() > 0 {
            tally.strings.push(StringCounts { column, counts });
        }
    }
    Ok(())
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

/// Counts one segment.
struct Counter {
    ranks: Option<Column<u64>>,
    strings: Option<StringCounts>,
    numbers: Option<Column<f64>>,
    bools: Option<Column<bool>>,
    seen: Vec<u64>,
}

impl Counter {
    fn open(of: &Of, segment: &SegmentReader, docs: usize) -> Result<Self, IndexError> {
        let columns = segment.fast_fields();
        let mut counter = Self { ranks: None, strings: None, numbers: None, bools: None, seen: Vec::new() };
        match of {
            Of::Level => counter.ranks = Some(columns.u64("level").map_err(failed)?),
            Of::Kind => counter.ranks = Some(columns.u64("kind").map_err(failed)?),
            Of::Source => {
                let column = columns.str("source").map_err(failed)?;
                counter.strings = column.map(|column| StringCounts::new(column, docs));
            }
            Of::Named(name) => {
                for handle in named_columns(segment, name).map_err(failed)? {
                    match handle.open().map_err(failed)? {
                        DynamicColumn::Str(column) => counter.strings = Some(StringCounts::new(column, docs)),
                        DynamicColumn::Bool(column) => counter.bools = Some(column),
                        other => counter.numbers = as_numbers(other),
                    }
                }
            }
            Of::Nothing => {}
        }
        Ok(counter)
    }

    /// Counts each event once for each different value it has.
    fn count(&mut self, docs: &[DocId], others: &mut Others) {
        let seen = &mut self.seen;
        if let Some(ranks) = &self.ranks {
            each_value(ranks, docs, seen, |rank| others.ranks[rank as usize & 15] += 1);
        }
        if let Some(StringCounts { column, counts }) = &mut self.strings {
            match counts {
                Counts::All(counts) => each_value(column.ords(), docs, seen, |ord| counts[ord as usize] += 1),
                counts => each_value(column.ords(), docs, seen, |ord| counts.count(ord)),
            }
        }
        if let Some(numbers) = &self.numbers {
            for doc in docs {
                let bits = numbers.values_for_doc(*doc).map(f64::to_bits);
                once_each(seen, bits, |bits| others.count_number(bits));
            }
        }
        if let Some(bools) = &self.bools {
            for doc in docs {
                let bools = bools.values_for_doc(*doc).map(u64::from);
                once_each(seen, bools, |b| others.bools[b as usize] += 1);
            }
        }
    }
}

/// Gives each event's different values; a block at a time where every event has one.
fn each_value(column: &Column<u64>, docs: &[DocId], seen: &mut Vec<u64>, mut give: impl FnMut(u64)) {
    match &column.index {
        ColumnIndex::Full => {
            let mut values = [0; COLLECT_BLOCK_BUFFER_LEN];
            for docs in docs.chunks(COLLECT_BLOCK_BUFFER_LEN) {
                column.values.get_vals(docs, &mut values[..docs.len()]);
                values[..docs.len()].iter().for_each(|value| give(*value));
            }
        }
        ColumnIndex::Multivalued(_) => {
            docs.iter().for_each(|doc| once_each(seen, column.values_for_doc(*doc), &mut give));
        }
        _ => docs.iter().filter_map(|doc| column.first(*doc)).for_each(give),
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
        self.count_numbers(bits, 1);
    }

    fn count_numbers(&mut self, bits: u64, more: u64) {
        if let Some(count) = self.numbers.get_mut(&bits) {
            *count += more;
        } else if self.numbers.len() < MAX_NUMBERS {
            self.numbers.insert(bits, more);
        }
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

    fn add(&mut self, more: Self) {
        self.strings.extend(more.strings);
        let Others { ranks, numbers, bools } = more.others;
        self.others.ranks.iter_mut().zip(ranks).for_each(|(count, more)| *count += more);
        self.others.bools.iter_mut().zip(bools).for_each(|(count, more)| *count += more);
        numbers.into_iter().for_each(|(bits, more)| self.others.count_numbers(bits, more));
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
