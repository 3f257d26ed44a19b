//! How an event lies in tantivy.
//!
//! | field | kept as | for |
//! |---|---|---|
//! | `tenant` | term | every read |
//! | `id` | term: two bytes of it | one event |
//! | `id_high`, `id_low`, `ts`, `received_at` | columns | order, windows |
//! | `source` | column | facets, series |
//! | `source_key` | term, folded | `source:` |
//! | `level`, `kind` | small columns | counts, `level>=`, `kind:` |
//! | `has` | a small column: two bits, and above them where the message ends | `message:*`, `raw:*`, `message:` |
//! | `text` | terms with positions; `message` first | free text over `message` and every string, `message:` |
//! | `exact` | terms `name NUL folded value` | `field:value`, `field:pre*` |
//! | `x` | terms `name` and `name NUL folded value` | names beyond the budget |
//! | `f` | a column for each name and type | numbers, booleans, facets, `field:*`, charts |
//! | `json` | compressed blocks | the event as it was received |
//!
//! Terms of whole ids would be as many as the events, and the dearest part of writing and merging. Two bytes leave some
//! dozen candidates in a segment, whose ids stand in columns.
//!
//! Numbers and booleans have no terms: their columns answer comparisons fast enough, and terms of measured
//! values would be as many as the events.

use domain::text::fold_into;
use std::fmt::Write;
use std::sync::OnceLock;
use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, JsonObjectOptions, NumericOptions, Schema, TextFieldIndexing,
    TextOptions,
};

/// The value of column `level` for events without one: one above the most severe.
pub(crate) const NO_LEVEL: u64 = domain::Level::ALL.len() as u64;
/// Bit of column `has`: there is a message.
pub(crate) const HAS_MESSAGE: u64 = 1;
/// Bit of column `has`: there are original bytes.
pub(crate) const HAS_RAW: u64 = 2;

/// The value of column `has`. `message_end`: how many positions the words of the message take in `text`, where it has
/// more than them.
pub(crate) fn has(message: bool, raw: bool, message_end: Option<u32>) -> u64 {
    let bits = if message { HAS_MESSAGE } else { 0 } | if raw { HAS_RAW } else { 0 };
    bits | message_end.map_or(0, |end| (u64::from(end) + 1) << 2)
}

/// The first position in `text` after the message, from the value of column `has`; `None` where the message is all of
/// the text. So it is, as far as can be told, in what was written before messages were searched by themselves.
pub(crate) fn message_end(has: u64) -> Option<u32> {
    u32::try_from((has >> 2).checked_sub(1)?).ok()
}

/// The schema and its fields.
pub(crate) struct Layout {
    pub schema: Schema,
    pub tenant: Field,
    pub id: Field,
    pub id_high: Field,
    pub id_low: Field,
    pub ts: Field,
    pub received_at: Field,
    pub source: Field,
    pub source_key: Field,
    pub level: Field,
    pub kind: Field,
    pub has: Field,
    pub text: Field,
    pub exact: Field,
    pub x: Field,
    pub f: Field,
    pub json: Field,
}

/// The one layout of this version.
pub(crate) fn layout() -> &'static Layout {
    static LAYOUT: OnceLock<Layout> = OnceLock::new();
    LAYOUT.get_or_init(build)
}

fn build() -> Layout {
    let mut schema = Schema::builder();
    let terms = || BytesOptions::default().set_indexed();
    let column = || NumericOptions::default().set_fast();
    let tenant = schema.add_bytes_field("tenant", terms());
    let id = schema.add_bytes_field("id", terms());
    let id_high = schema.add_u64_field("id_high", column());
    let id_low = schema.add_u64_field("id_low", column());
    let ts = schema.add_i64_field("ts", column());
    let received_at = schema.add_i64_field("received_at", column());
    let source = schema.add_text_field("source", TextOptions::default().set_fast("raw"));
    let source_key = schema.add_bytes_field("source_key", terms());
    let level = schema.add_u64_field("level", column());
    let kind = schema.add_u64_field("kind", column());
    let has = schema.add_u64_field("has", column());
    let text = schema.add_text_field(
        "text",
        TextOptions::default().set_indexing_options(
            TextFieldIndexing::default()
                .set_tokenizer(crate::tokenizer::NAME)
                .set_index_option(IndexRecordOption::WithFreqsAndPositions)
                .set_fieldnorms(false),
        ),
    );
    let exact = schema.add_bytes_field("exact", terms());
    let x = schema.add_bytes_field("x", terms());
    let f = schema.add_json_field("f", JsonObjectOptions::default().set_fast("raw"));
    let json = schema.add_text_field("json", TextOptions::default().set_stored());
    Layout {
        schema: schema.build(),
        tenant,
        id,
        id_high,
        id_low,
        ts,
        received_at,
        source,
        source_key,
        level,
        kind,
        has,
        text,
        exact,
        x,
        f,
        json,
    }
}

/// The longest folded value whose term holds it whole; a longer one ends in its length and hash.
const WHOLE_VALUE: usize = 4_096;

/// Appends the term of a named value, folded, to `out`.
pub(crate) fn push_exact(out: &mut String, name: &str, value: &str) {
    push_name(out, name);
    out.push('\0');
    let from = out.len();
    fold_into(value, out);
    if out.len() - from > WHOLE_VALUE {
        let length = out.len() - from;
        let hash = out[from..].bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        out.truncate(from + out[from..].floor_char_boundary(WHOLE_VALUE));
        // Writing to a string cannot fail.
        let _ = write!(out, "\0{length}\0{hash:016x}");
    }
}

/// Appends what the terms of all values with this prefix start with.
pub(crate) fn push_exact_prefix(out: &mut String, name: &str, prefix: &str) {
    push_name(out, name);
    out.push('\0');
    let from = out.len();
    fold_into(prefix, out);
    out.truncate(from + out[from..].floor_char_boundary(WHOLE_VALUE));
}

/// Appends a field's name as terms and columns spell it: without the two bytes that separate things there.
pub(crate) fn push_name(out: &mut String, name: &str) {
    if name.bytes().any(|b| b <= 1) {
        out.extend(name.chars().map(|c| if c <= '\u{1}' { '0' } else { c }));
    } else {
        out.push_str(name);
    }
}
