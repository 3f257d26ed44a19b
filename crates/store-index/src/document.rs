//! An event on its way into tantivy: one buffer for all its text, and values that point into it.

use crate::schema::{Layout, NO_LEVEL, has, push_exact, push_name};
use bytes::Bytes;
use domain::event::StoredEvent;
use domain::text::{fold_into, tokenize};
use domain::{EventId, EventKind};
use std::ops::Range;
use tantivy::schema::Field;
use tantivy::schema::document::{Document, ReferenceValue, ReferenceValueLeaf, Value};

/// Strings are counted in facets by at most this many bytes.
pub(crate) const FACET_BYTES: usize = 1_024;

/// A part of [`EventDoc::text`].
type Span = (u32, u32);

/// A value of a field.
#[derive(Debug, Clone, Copy)]
enum Leaf {
    Text(Span),
    Term(Span),
    Id,
    Json,
    Unsigned(u64),
    Signed(i64),
    Named,
}

/// A value of a named field, for its column.
#[derive(Debug, Clone, Copy)]
enum Scalar {
    Number(f64),
    Bool(bool),
    Text(Span),
    /// Only under [`Leaf`], never named.
    Field(Leaf),
}

/// One event, ready to be indexed.
#[derive(Debug)]
pub(crate) struct EventDoc {
    text: String,
    id: [u8; 2],
    values: Vec<(Field, Leaf)>,
    named: Vec<(Span, Scalar)>,
    json: Bytes,
}

impl EventDoc {
    /// Lays out an event; `json` is what it was parsed from, and UTF-8.
    pub fn new(layout: &Layout, event: &StoredEvent<'_>, json: Bytes) -> Self {
        let mut doc = Self {
            text: String::with_capacity(json.len() + json.len() / 2),
            id: id_term(event.id),
            values: Vec::with_capacity(14 + 2 * event.s.0.len()),
            named: Vec::with_capacity(event.n.0.len() + event.s.0.len() + event.b.0.len()),
            json,
        };
        // In the order of the schema: tantivy sorts them, which costs nothing where they are sorted.
        doc.envelope(layout, event);
        doc.strings(layout, event);
        doc.numbers(event);
        if !doc.named.is_empty() {
            doc.values.push((layout.f, Leaf::Named));
        }
        doc.values.push((layout.json, Leaf::Json));
        doc
    }

    fn envelope(&mut self, layout: &Layout, event: &StoredEvent<'_>) {
        let (high, low) = id_halves(event.id);
        let tenant = self.keep(&event.tenant);
        let source = self.keep(&event.source);
        let source_key = self.keep_with(|text| fold_into(&event.source, text));
        let level = event.level.map_or(NO_LEVEL, |level| u64::from(level.rank()));
        // The message is the first value of `text`, so its words have the first positions.
        let message_end = event.message.as_deref().filter(|_| !event.s.0.is_empty()).map(positions);
        let has = has(event.message.is_some(), event.raw.is_some(), message_end);
        self.values.extend([
            (layout.tenant, Leaf::Term(tenant)),
            (layout.id, Leaf::Id),
            (layout.id_high, Leaf::Unsigned(high)),
            (layout.id_low, Leaf::Unsigned(low)),
            (layout.ts, Leaf::Signed(event.ts.as_nanos())),
            (layout.received_at, Leaf::Signed(event.received_at.as_nanos())),
            (layout.source, Leaf::Text(source)),
            (layout.source_key, Leaf::Term(source_key)),
            (layout.level, Leaf::Unsigned(level)),
            (layout.kind, Leaf::Unsigned(kind_rank(event.kind))),
            (layout.has, Leaf::Unsigned(has)),
        ]);
    }

    fn strings(&mut self, layout: &Layout, event: &StoredEvent<'_>) {
        if let Some(message) = &event.message {
            let message = self.keep(message);
            self.values.push((layout.text, Leaf::Text(message)));
        }
        for (name, values) in &event.s.0 {
            let name_span = self.keep_name(&name.0);
            for value in values.as_slice() {
                let (from, to) = self.keep(&value.0);
                self.values.push((layout.text, Leaf::Text((from, to))));
                let shown = value.0.floor_char_boundary(FACET_BYTES) as u32;
                self.named.push((name_span, Scalar::Text((from, to.min(from + shown)))));
            }
        }
        for (name, values) in &event.s.0 {
            for value in values.as_slice() {
                let term = self.keep_with(|text| push_exact(text, &name.0, &value.0));
                self.values.push((layout.exact, Leaf::Term(term)));
            }
        }
        for pair in &event.x {
            let Some((name, value)) = pair.0.split_once('=') else { continue };
            let name_span = self.keep_name(name);
            self.values.push((layout.x, Leaf::Term(name_span)));
            let term = self.keep_with(|text| push_exact(text, name, value));
            self.values.push((layout.x, Leaf::Term(term)));
        }
    }

    fn numbers(&mut self, event: &StoredEvent<'_>) {
        for (name, values) in &event.n.0 {
            let name = self.keep_name(&name.0);
            // Adding zero makes -0 and 0 one value, as comparisons see them.
            self.named.extend(values.as_slice().iter().map(|v| (name, Scalar::Number(v + 0.0))));
        }
        for (name, values) in &event.b.0 {
            let name = self.keep_name(&name.0);
            self.named.extend(values.as_slice().iter().map(|v| (name, Scalar::Bool(*v))));
        }
    }

    fn keep(&mut self, part: &str) -> Span {
        self.keep_with(|text| text.push_str(part))
    }

    fn keep_name(&mut self, name: &str) -> Span {
        self.keep_with(|text| push_name(text, name))
    }

    fn keep_with(&mut self, write: impl FnOnce(&mut String)) -> Span {
        let from = self.text.len() as u32;
        write(&mut self.text);
        (from, self.text.len() as u32)
    }

    fn json(&self) -> &str {
        // The writer parses only what is UTF-8.
        std::str::from_utf8(&self.json).unwrap_or_default()
    }

    fn part(&self, (from, to): Span) -> &str {
        &self.text[Range { start: from as usize, end: to as usize }]
    }
}

/// How many positions the words of a text take.
fn positions(text: &str) -> u32 {
    let mut end = 0;
    tokenize(text, |token| end = token.position + 1);
    end
}

/// The two bytes of an id that are its term: random ones, in UUIDv7 as in UUIDv8.
pub(crate) fn id_term(id: EventId) -> [u8; 2] {
    let bytes = id.0.as_bytes();
    [bytes[14], bytes[15]]
}

/// The id's two halves, in its order.
pub(crate) fn id_halves(id: EventId) -> (u64, u64) {
    id.0.as_u64_pair()
}

/// The value of column `kind`.
pub(crate) fn kind_rank(kind: EventKind) -> u64 {
    match kind {
        EventKind::Log => 0,
        EventKind::Metric => 1,
        EventKind::Event => 2,
    }
}

/// The kinds in the order of [`kind_rank`].
pub(crate) const KINDS: [EventKind; 3] = [EventKind::Log, EventKind::Metric, EventKind::Event];

impl Document for EventDoc {
    type Value<'a> = EventValue<'a>;
    type FieldsValuesIter<'a> = FieldValues<'a>;

    fn iter_fields_and_values(&self) -> FieldValues<'_> {
        FieldValues { doc: self, values: self.values.iter() }
    }
}

/// The fields of an event.
pub(crate) struct FieldValues<'a> {
    doc: &'a EventDoc,
    values: std::slice::Iter<'a, (Field, Leaf)>,
}

impl<'a> Iterator for FieldValues<'a> {
    type Item = (Field, EventValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.values
            .next()
            .map(|&(field, leaf)| (field, EventValue { doc: self.doc, value: Scalar::Field(leaf) }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.values.size_hint()
    }
}

/// One value, borrowed from its event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventValue<'a> {
    doc: &'a EventDoc,
    value: Scalar,
}

impl<'a> Value<'a> for EventValue<'a> {
    type ArrayIter = std::iter::Empty<Self>;
    type ObjectIter = NamedValues<'a>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        let leaf = match self.value {
            Scalar::Number(v) => ReferenceValueLeaf::F64(v),
            Scalar::Bool(v) => ReferenceValueLeaf::Bool(v),
            Scalar::Text(span) | Scalar::Field(Leaf::Text(span)) => {
                ReferenceValueLeaf::Str(self.doc.part(span))
            }
            Scalar::Field(Leaf::Term(span)) => ReferenceValueLeaf::Bytes(self.doc.part(span).as_bytes()),
            Scalar::Field(Leaf::Id) => ReferenceValueLeaf::Bytes(&self.doc.id),
            Scalar::Field(Leaf::Json) => ReferenceValueLeaf::Str(self.doc.json()),
            Scalar::Field(Leaf::Unsigned(v)) => ReferenceValueLeaf::U64(v),
            Scalar::Field(Leaf::Signed(v)) => ReferenceValueLeaf::I64(v),
            Scalar::Field(Leaf::Named) => {
                return ReferenceValue::Object(NamedValues { doc: self.doc, values: self.doc.named.iter() });
            }
        };
        ReferenceValue::Leaf(leaf)
    }
}

/// The named fields of an event; a name with several values comes several times.
pub(crate) struct NamedValues<'a> {
    doc: &'a EventDoc,
    values: std::slice::Iter<'a, (Span, Scalar)>,
}

impl<'a> Iterator for NamedValues<'a> {
    type Item = (&'a str, EventValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let doc = self.doc;
        self.values.next().map(|&(name, value)| (doc.part(name), EventValue { doc, value }))
    }
}
