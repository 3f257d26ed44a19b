//! A record on its way to section 5: decoded, sorted by type, not yet written.
//!
//! Values are kept as JSON text in one buffer and names in another, both used again for the next record, so that
//! a record costs no allocation of its own.

use super::encode::{self, NumberClass, classify_number};
use super::names::name_hash;
use super::refuse::RecordError;
use super::stamp;
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

/// The best offer so far for a place in the envelope: lower ranks win.
#[derive(Debug, Clone, Copy)]
struct Offer<T> {
    rank: u8,
    entry: Option<usize>,
    value: T,
}

/// The names of the envelope (DESIGN section 4), best first.
const TS: [&str; 4] = ["ts", "@timestamp", "timestamp", "time"];
const MESSAGE: [&str; 4] = ["message", "msg", "log", "short_message"];
const LEVEL: [&str; 3] = ["level", "severity", "lvl"];
const SOURCE: [&str; 4] = ["source", "host", "device", "device_id"];

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
    given_id: Option<String>,
    ts: Option<Offer<Moment>>,
    level: Option<Offer<Level>>,
    message: Option<Offer<Range64>>,
    origin: Option<Offer<()>>,
    kind: Option<EventKind>,
    influx: bool,
    limits: Limits,
    zone: ZoneClock,
    now: Timestamp,
    /// Nothing better names the source: the record's own counts.
    open_source: bool,
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

    /// A member of the record's own top level: it may be part of the envelope.
    ///
    /// # Errors
    /// Where it breaks a limit.
    pub fn top_level(&mut self, name: &str, value: Scalar<'_>) -> Result<(), RecordError> {
        // Every envelope name has one of these lengths and starts; most names stop here.
        let candidate = matches!(
            name.as_bytes().first(),
            Some(b't' | b'@' | b'm' | b'l' | b's' | b'h' | b'd' | b'k' | b'q')
        ) && name.len() <= 13;
        if !candidate {
            return self.field(name, value);
        }
        if name == TOKEN_NAME {
            if let Scalar::Text(text) = value {
                self.credential(text);
            }
            return Ok(());
        }
        let entry = self.entries.len();
        let start = self.values.len();
        self.field(name, value)?;
        self.offer(name, value, entry, Range64(start, self.values.len()));
        Ok(())
    }

    fn offer(&mut self, name: &str, value: Scalar<'_>, entry: usize, written: Range64) {
        let rank = |names: &[&str]| names.iter().position(|known| *known == name).map(|rank| rank as u8);
        if let Some(rank) = rank(&TS) {
            let moment = match value {
                Scalar::Text(text) => stamp::value(text, &mut self.zone, self.now),
                Scalar::Number(text) => stamp::epoch(text),
                Scalar::Bool(_) => None,
            };
            if let Some(value) = moment {
                better(&mut self.ts, Offer { rank, entry: Some(entry), value });
            }
        } else if let Some(rank) = rank(&MESSAGE) {
            if matches!(value, Scalar::Text(_)) {
                better(&mut self.message, Offer { rank, entry: Some(entry), value: written });
            }
        } else if let Some(rank) = rank(&LEVEL) {
            let level = match value {
                Scalar::Text(text) => Level::parse(text).or_else(|| numeric_level(text)),
                Scalar::Number(text) => numeric_level(text),
                Scalar::Bool(_) => None,
            };
            if let Some(value) = level {
                better(&mut self.level, Offer { rank, entry: Some(entry), value });
            }
        } else if let Some(rank) = rank(&SOURCE) {
            match value {
                Scalar::Text(text) | Scalar::Number(text) => self.offer_source(text, rank, Some(entry)),
                Scalar::Bool(_) => {}
            }
        } else if name == "kind" {
            self.kind = match value {
                Scalar::Text("log") => Some(EventKind::Log),
                Scalar::Text("metric") => Some(EventKind::Metric),
                Scalar::Text("event") => Some(EventKind::Event),
                _ => return,
            };
            self.take(entry);
        } else if name == "qgx_id"
            && let Scalar::Text(text) | Scalar::Number(text) = value
            && (1..=255).contains(&text.len())
        {
            self.given_id = Some(text.to_owned());
        }
    }

    fn offer_source(&mut self, text: &str, rank: u8, entry: Option<usize>) {
        let text = text.trim();
        let valid = !text.is_empty()
            && text.len() <= domain::SourceKey::MAX_BYTES
            && !text.chars().any(char::is_control);
        if self.open_source && valid && better(&mut self.origin, Offer { rank, entry, value: () }) {
            self.source.clear();
            self.source.push_str(text);
        }
    }

    /// The host that a protocol's header names: the record's own source where nothing better names one, else the
    /// field `host`.
    ///
    /// # Errors
    /// Where it breaks a limit.
    pub fn host(&mut self, host: &str) -> Result<(), RecordError> {
        self.top_level("host", Scalar::Text(host))
    }

    /// A tag that a protocol has beside its fields: it may name the source, and nothing else of the envelope.
    ///
    /// # Errors
    /// Where it breaks a limit.
    pub fn tag(&mut self, name: &str, value: &str) -> Result<(), RecordError> {
        if SOURCE.contains(&name) {
            self.top_level(name, Scalar::Text(value))
        } else {
            self.text(name, value)
        }
    }

    /// The text of the record.
    ///
    /// # Errors
    /// None now: a message counts as no field.
    pub fn message(&mut self, text: &str) -> Result<(), RecordError> {
        let start = self.values.len();
        self.push_string(text);
        let end = self.values.len();
        better(&mut self.message, Offer { rank: 0, entry: None, value: Range64(start, end) });
        Ok(())
    }

    /// The severity that a protocol's header names.
    pub fn level(&mut self, level: Level) {
        better(&mut self.level, Offer { rank: 0, entry: None, value: level });
    }

    /// The time that a header names, with its text, which is kept where the time is not usable.
    ///
    /// # Errors
    /// Where it breaks a limit.
    pub fn ts(&mut self, moment: Moment, text: &str) -> Result<(), RecordError> {
        let entry = if moment.usable(self.now).is_none() {
            self.text("ts", text)?;
            Some(self.entries.len() - 1)
        } else {
            None
        };
        better(&mut self.ts, Offer { rank: 0, entry, value: moment });
        Ok(())
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

    fn push_string(&mut self, text: &str) {
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

    fn take(&mut self, entry: usize) {
        // What shares its name with others stays a field: rare, and nothing is lost by it.
        let it = &mut self.entries[entry];
        it.taken = it.same_as.is_none() && !it.more;
    }

    /// Decides the envelope: who won leaves the fields.
    pub(super) fn settle(&mut self) -> Envelope {
        let now = self.now;
        let ts = self.ts.take().and_then(|offer| {
            let usable = offer.value.usable(now);
            if let Some(entry) = offer.entry {
                if usable.is_some() {
                    self.take(entry);
                } else {
                    self.rename(entry, "ts_given");
                }
            }
            usable
        });
        let level = self.level.take().map(|offer| self.won(offer));
        let message = self.message.take().map(|offer| self.won(offer));
        if let Some(offer) = self.origin.take() {
            self.won(offer);
        }
        let number = |e: &Entry| e.class == Class::Number && !e.taken;
        let kind = self.kind.unwrap_or_else(|| {
            if self.influx || (message.is_none() && self.entries.iter().any(number)) {
                EventKind::Metric
            } else if message.is_some() {
                EventKind::Log
            } else {
                EventKind::Event
            }
        });
        Envelope { ts, level, message, kind }
    }

    fn won<T>(&mut self, offer: Offer<T>) -> T {
        if let Some(entry) = offer.entry {
            self.take(entry);
        }
        offer.value
    }

    fn rename(&mut self, entry: usize, name: &str) {
        let start = self.names.len();
        self.names.push_str(name);
        let it = &mut self.entries[entry];
        if it.same_as.is_none() && !it.more {
            it.name = start..self.names.len();
            it.hash = name_hash(name);
        }
    }
}

/// What stands outside the fields.
pub(super) struct Envelope {
    pub ts: Option<Timestamp>,
    pub level: Option<Level>,
    pub message: Option<Range64>,
    pub kind: EventKind,
}

/// Takes an offer if it is better than what there is.
fn better<T>(slot: &mut Option<Offer<T>>, offer: Offer<T>) -> bool {
    let wins = slot.as_ref().is_none_or(|best| offer.rank < best.rank);
    if wins {
        *slot = Some(offer);
    }
    wins
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

/// Levels as numbers: syslog's 0–7 (RFC 5424 §6.2.1, also GELF), or the 10–60 of bunyan and pino.
fn numeric_level(text: &str) -> Option<Level> {
    Some(match text.trim().parse::<u8>().ok()? {
        severity @ 0..=7 => Level::from_syslog(severity)?,
        10 => Level::Trace,
        20 => Level::Debug,
        30 => Level::Info,
        40 => Level::Warn,
        50 => Level::Error,
        60 => Level::Critical,
        _ => return None,
    })
}
