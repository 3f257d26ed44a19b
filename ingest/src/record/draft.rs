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
use domain::masking::{Counts, Rules};
use domain::{EventKind, Level, Timestamp, Zone};
use services::ingest_access::Masking;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

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
    pub(super) masked: Counts,
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
    rules: Arc<Rules>,
    /// What they look for may be a number.
    rules_in_numbers: bool,
    /// Nothing of this record is to be masked: its texts need not be looked at.
    clean: bool,
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
            masked: Counts::default(),
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
            rules: Masking::default().rules,
            rules_in_numbers: false,
            clean: false,
        }
    }

    /// What holds for all records from now on.
    pub fn configure(&mut self, zone: Zone, open_source: bool, rules: Arc<Rules>) {
        self.zone = ZoneClock::new(zone);
        self.open_source = open_source;
        self.rules_in_numbers = rules.in_numbers();
        self.rules = rules;
    }

    /// Starts the next record.
    pub fn reset(&mut self, now: Timestamp) {
        self.names.clear();
        self.values.clear();
        self.entries.clear();
        self.source.clear();
        self.raw = None;
        self.masked = Counts::default();
        self.token = None;
        self.given_id = None;
        self.ts = None;
        self.level = None;
        self.message = None;
        self.origin = None;
        self.kind = None;
        self.influx = false;
        self.clean = false;
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

    /// Looks once for what is to be masked in a frame of UTF-8 that is about to be read. Most have nothing, and where
    /// the rules and the lack of escapes allow that conclusion, its texts are not looked at again.
    pub fn screen(&mut self, frame: &str) {
        let tells = self.rules.frames_tell() && memchr::memchr(b'\\', frame.as_bytes()).is_none();
        self.clean = self.rules.is_empty() || (tells && self.rules.in_text(frame).1.total() == 0);
    }

    /// Keeps the original bytes beside what was decoded from them, masked.
    ///
    /// # Errors
    /// Where it breaks a limit.
    pub fn keep_raw(&mut self, bytes: &[u8], charset: &'static str) -> Result<(), RecordError> {
        // What is found here stands in the texts too, and is counted there.
        let kept = mask::original(&self.rules, bytes);
        if kept.token {
            self.text("raw_blanked", "token")?;
        }
        self.raw = Some(kept.bytes);
        self.text("charset", charset)
    }

    /// Keeps original bytes that stand in a record already, masked.
    pub(super) fn put_raw(&mut self, bytes: &[u8]) {
        self.raw = Some(mask::original(&self.rules, bytes).bytes);
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
            for value in values.clone() {
                if self.class_of(value) != wanted {
                    continue;
                }
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
        let class = self.class_of(value);
        match value {
            Scalar::Text(text) => self.push_string(text),
            Scalar::Number(text) if class == Class::Text => self.push_string(text),
            Scalar::Number(text) => self.values.extend_from_slice(text.as_bytes()),
            Scalar::Bool(value) => self.values.extend_from_slice(if value { b"true" } else { b"false" }),
        }
        class
    }

    pub(super) fn push_string(&mut self, text: &str) {
        let (text, found) = self.hide(text);
        self.masked.add(found);
        encode::string(&mut self.values, &text);
    }

    /// A text as it may be stored.
    pub(super) fn hide<'a>(&self, text: &'a str) -> (Cow<'a, str>, Counts) {
        if self.clean { (Cow::Borrowed(text), Counts::default()) } else { self.rules.in_text(text) }
    }

    /// Whether something of this text would be masked.
    pub fn hides(&self, text: &str) -> bool {
        self.hide(text).1.total() > 0
    }

    fn class_of(&self, value: Scalar<'_>) -> Class {
        match value {
            Scalar::Text(_) => Class::Text,
            Scalar::Bool(_) => Class::Bool,
            Scalar::Number(text) => match classify_number(text) {
                // With stars in it, it is no number any more.
                NumberClass::Number if self.masks_number(text) => Class::Text,
                NumberClass::Number => Class::Number,
                NumberClass::Text => Class::Text,
            },
        }
    }

    fn masks_number(&self, text: &str) -> bool {
        self.rules_in_numbers && !self.clean && self.rules.in_text(text).1.total() > 0
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
        let (name, found) = self.hide(name);
        self.masked.add(found);
        if name.len() > self.limits.name_bytes {
            return Err(RecordError::NameTooLong(self.limits.name_bytes));
        }
        let start = self.names.len();
        if memchr::memchr(b'.', name.as_bytes()).is_some() {
            self.names.extend(name.chars().map(|c| if c == '.' { '/' } else { c }));
        } else {
            self.names.push_str(if name.is_empty() { "_" } else { &name });
        }
        Ok(start..self.names.len())
    }
}
