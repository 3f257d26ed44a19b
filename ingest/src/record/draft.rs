//! A record on its way to section 5: decoded, sorted by type, not yet written.
//!
//! Values are kept as JSON text in one buffer and names in another, both used again for the next record, so that
//! a record costs no allocation of its own.

use super::encode::{self, NumberClass, classify_number};
use super::envelope::Offer;
use super::names::name_hash;
use super::refuse::RecordError;
use super::wall::{Moment, ZoneClock};
use super::{Limits, mask};
use domain::{EventKind, Level, Timestamp, Zone};
use std::borrow::Cow;
use std::ops::Range;

/// Where a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Number,
    Text,
    Bool,
}

/// A field: a name and one value, or several of a type, comma-separated.
#[derive(Debug)]
pub(super) struct Entry {
    pub name: Range<usize>,
    pub hash: u64,
    pub value: Range<usize>,
    pub class: Class,
    /// Several values.
    pub many: bool,
    /// The first entry of this name and class, where this is another.
    pub same_as: Option<usize>,
    /// There are others of this name and class.
    pub more: bool,
    /// It became part of the envelope.
    pub taken: bool,
}

/// The reserved name of a credential inside a record.
pub const TOKEN_NAME: &str = "qgx_token";

/// A scalar as its JSON stands.
#[derive(Debug, Clone, Copy)]
pub enum Scalar<'a> {
    /// Text, decoded.
    Text(&'a str),
    /// A number as JSON writes it.
    Number(&'a str),
    /// A truth value.
    Bool(bool),
}

/// See the module.
#[derive(Debug)]
pub struct Draft {
    pub(super) names: String,
    pub(super) values: Vec<u8>,
    pub(super) entries: Vec<Entry>,
    pub(super) source: String,
    pub(super) raw: Option<Vec<u8>>,
    pub(super) masked: u32,
    /// What the record shows as its credential.
    token: Option<String>,
    pub(super) given_id: Option<String>,
    pub(super) ts: Option<Offer<Moment>>,
    pub(super) level: Option<Offer<Level>>,
    pub(super) message: Option<Offer<Range64>>,
    pub(super) origin: Option<Offer<()>>,
    pub(super) kind: Option<EventKind>,
    pub(super) influx: bool,
    limits: Limits,
    pub(super) zone: ZoneClock,
    pub(super) now: Timestamp,
    /// Nothing better names the source: the record's own counts.
    pub(super) open_source: bool,
    mask_resident_numbers: bool,
    /// The frame was masked before it was read, and has no escapes that could hide more.
    masked_whole: bool,
}

/// A range that can be copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range64(pub usize, pub usize);

impl Draft {
    /// For records of a tenant.
    pub fn new(limits: Limits, zone: Zone) -> Self {
        Self {
            names: String::new(),
            values: Vec::new(),
            entries: Vec::new(),
            source: String::new(),
            raw: None,
            masked: 0,
            token: None,
            given_id: None,
            ts: None,
            level: None,
            message: None,
            origin: None,
            kind: None,
            influx: false,
            limits,
            zone: ZoneClock::new(zone),
            now: Timestamp::default(),
            open_source: true,
            mask_resident_numbers: true,
            masked_whole: false,
        }
    }

    /// What holds for all records from now on.
    pub fn configure(&mut self, zone: Zone, open_source: bool, mask_resident_numbers: bool) {
        self.zone = ZoneClock::new(zone);
        self.open_source = open_source;
        self.mask_resident_numbers = mask_resident_numbers;
    }

    /// Starts the next record.
    pub fn reset(&mut self, now: Timestamp) {
        self.names.clear();
        self.values.clear();
        self.entries.clear();
        self.source.clear();
        self.raw = None;
        self.masked = 0;
        self.token = None;
        self.given_id = None;
        self.ts = None;
        self.level = None;
        self.message = None;
        self.origin = None;
        self.kind = None;
        self.influx = false;
        self.masked_whole = false;
        self.now = now;
    }

    /// Gives back memory that a large record took.
    pub fn trim(&mut self) {
        const KEEP: usize = 4 << 10;
        self.reset(self.now);
        self.names.shrink_to(KEEP);
        self.values.shrink_to(KEEP);
        self.entries.shrink_to(32);
    }

    /// The time that missing years and usable times are judged by.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The tenant's zone.
    pub fn zone(&mut self) -> &mut ZoneClock {
        &mut self.zone
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The credential the record shows, where it looks like one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The id its sender gave it (`qgx_id`).
    pub fn given_id(&self) -> Option<&str> {
        self.given_id.as_deref()
    }

    /// Whether masking is on.
    pub fn masks(&self) -> bool {
        self.mask_resident_numbers
    }

    /// Notes numbers masked in the frame before it was read. `whole`: nothing in it is escaped, so that its texts need
    /// not be looked at again.
    pub fn note_masked(&mut self, count: u32, whole: bool) {
        self.masked += count;
        self.masked_whole = whole;
    }

    /// Keeps the original bytes beside what was decoded from them.
    pub fn keep_raw(&mut self, bytes: &[u8], charset: &'static str) -> Result<(), RecordError> {
        let mut raw = bytes.to_vec();
        if mask::blank_tokens(&mut raw) {
            self.text("raw_blanked", "token")?;
        }
        self.raw = Some(raw);
        self.text("charset", charset)
    }

    /// Notes a credential inside the record; nothing of it is stored.
    pub fn credential(&mut self, text: &str) {
        if text.starts_with("qgx_") && self.token.is_none() {
            self.token = Some(text.to_owned());
        }
    }

    /// Counts as a metric whatever else it has (Influx line protocol).
    pub fn mark_influx(&mut self) {
        self.influx = true;
    }

    /// A text field.
    ///
    /// # Errors
    /// Where it breaks a limit.
    pub fn text(&mut self, name: &str, text: &str) -> Result<(), RecordError> {
        self.field(name, Scalar::Text(text))
    }

    /// A field of any type; `name` with dots or slashes as separators.
    ///
    /// # Errors
    /// Where it breaks a limit.
    pub fn field(&mut self, name: &str, value: Scalar<'_>) -> Result<(), RecordError> {
        let start = self.values.len();
        let class = self.push_scalar(value);
        self.push_entry(name, class, start, false)
    }

    /// Several values of a name: a multi-value of each type that occurs.
    ///
    /// # Errors
    /// Where it breaks a limit.
    pub fn many<'a>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = Scalar<'a>> + Clone,
    ) -> Result<(), RecordError> {
        for wanted in [Class::Number, Class::Text, Class::Bool] {
            let (start, mut count) = (self.values.len(), 0);
            for value in values.clone().filter(|value| class_of(*value) == wanted) {
                if count > 0 {
                    self.values.push(b',');
                }
                self.push_scalar(value);
                count += 1;
            }
            if count > 0 {
                self.push_entry(name, wanted, start, count > 1)?;
            }
        }
        Ok(())
    }

    fn push_scalar(&mut self, value: Scalar<'_>) -> Class {
        let class = class_of(value);
        match value {
            Scalar::Text(text) => self.push_string(text),
            Scalar::Number(text) if class == Class::Text => encode::string(&mut self.values, text),
            Scalar::Number(text) => self.values.extend_from_slice(text.as_bytes()),
            Scalar::Bool(value) => self.values.extend_from_slice(if value { b"true" } else { b"false" }),
        }
        class
    }

    pub(super) fn push_string(&mut self, text: &str) {
        let text = if self.mask_resident_numbers && !self.masked_whole {
            let (text, count) = mask::resident_numbers_in_text(text);
            self.masked += count;
            text
        } else {
            Cow::Borrowed(text)
        };
        encode::string(&mut self.values, &text);
    }

    fn push_entry(&mut self, name: &str, class: Class, start: usize, many: bool) -> Result<(), RecordError> {
        if self.entries.len() >= self.limits.fields {
            return Err(RecordError::TooManyFields(self.limits.fields));
        }
        let name = self.push_name(name)?;
        let text = &self.names[name.clone()];
        let hash = name_hash(text);
        let same_as = self
            .entries
            .iter()
            .position(|e| e.hash == hash && e.class == class && self.names[e.name.clone()] == *text);
        if let Some(first) = same_as {
            self.entries[first].more = true;
        }
        self.entries.push(Entry {
            name,
            hash,
            value: start..self.values.len(),
            class,
            many,
            same_as,
            more: false,
            taken: false,
        });
        Ok(())
    }

    /// The stored form of a name: `/` for the separator, never empty.
    fn push_name(&mut self, name: &str) -> Result<Range<usize>, RecordError> {
        if name.len() > self.limits.name_bytes {
            return Err(RecordError::NameTooLong(self.limits.name_bytes));
        }
        let start = self.names.len();
        if memchr::memchr(b'.', name.as_bytes()).is_some() {
            self.names.extend(name.chars().map(|c| if c == '.' { '/' } else { c }));
        } else {
            self.names.push_str(if name.is_empty() { "_" } else { name });
        }
        Ok(start..self.names.len())
    }
}

fn class_of(value: Scalar<'_>) -> Class {
    match value {
        Scalar::Text(_) => Class::Text,
        Scalar::Bool(_) => Class::Bool,
        Scalar::Number(text) => match classify_number(text) {
            NumberClass::Number => Class::Number,
            NumberClass::Text => Class::Text,
        },
    }
}
