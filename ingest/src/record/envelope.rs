//! What of a record becomes part of the envelope: time, message, level, source, kind. Names are tried in order, and what
//! loses stays a field.

use super::draft::{Class, Draft, Entry, Range64, Scalar, TOKEN_NAME};
use super::event::moment;
use super::names::name_hash;
use super::refuse::RecordError;
use super::stamp;
use super::wall::Moment;
use domain::{EventKind, Level, Timestamp};

/// The best offer so far for a place in the envelope: lower ranks win.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer<T> {
    rank: u8,
    entry: Option<usize>,
    value: T,
}

/// The names of the envelope (DESIGN section 4), best first.
const TS: [&str; 4] = ["ts", "@timestamp", "timestamp", "time"];
const MESSAGE: [&str; 4] = ["message", "msg", "log", "short_message"];
const LEVEL: [&str; 3] = ["level", "severity", "lvl"];
const SOURCE: [&str; 4] = ["source", "host", "device", "device_id"];

impl Draft {
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
            // Masked, those of different events could be the same, and one of them would be lost.
            && self.hide(text).1.total() == 0
        {
            self.given_id = Some(text.to_owned());
        }
    }

    fn offer_source(&mut self, text: &str, rank: u8, entry: Option<usize>) {
        if !self.open_source {
            return;
        }
        // Counted where it stands as a field.
        let (text, _) = self.hide(text);
        let text = text.trim();
        let valid = !text.is_empty()
            && text.len() <= domain::SourceKey::MAX_BYTES
            && !text.chars().any(char::is_control);
        if valid && better(&mut self.origin, Offer { rank, entry, value: () }) {
            self.source.clear();
            self.source.push_str(text);
        }
    }

    /// The record belongs to no source that it names: what names one stays a field.
    pub(super) fn leave_source(&mut self) {
        self.origin = None;
        self.source.clear();
    }

    /// The host that a protocol's header names: the record's own source where nothing better names one, else the
    /// field `host`.
    ///
    /// # Errors
    /// Where it breaks a limit.
    pub fn host(&mut self, host: &str) -> Result<(), RecordError> {
        self.top_level("host", Scalar::Text(host))
    }

    /// A name of the host that is a field all the same.
    pub fn host_beside(&mut self, name: Scalar<'_>) {
        if let Scalar::Text(text) = name {
            self.offer_source(text, 1, None);
        }
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

    /// Where the record names no time of its own, it happened at this instant.
    pub fn otherwise_at(&mut self, at: Timestamp) {
        if self.ts.is_none() {
            self.ts = Some(Offer { rank: u8::MAX, entry: None, value: moment(at) });
        }
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
