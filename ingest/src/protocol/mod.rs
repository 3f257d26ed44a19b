//! The protocols of the port: how they begin, how they are framed, what a frame says.

pub mod detect;
pub mod dialogue;
pub mod frame;
pub mod gelf;
pub mod influx;
pub mod lumberjack;
pub mod plain;
pub mod proxy;
pub mod qgx;
pub mod relp;
pub mod syslog;

use crate::record::{Draft, RecordError, charset, json};

/// How frames end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// At a newline; a carriage return before it is dropped.
    Newline,
    /// At a NUL.
    Nul,
    /// After as many bytes as the count before it says: RFC 6587, or what a [`dialogue`] has.
    Counted,
    /// At a newline or a NUL: whichever comes first decides for the connection.
    NewlineOrNul,
}

/// A protocol that carries records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// QGX lines: JSON objects or text.
    Qgx,
    /// A JSON object a line.
    Ndjson,
    /// GELF 1.1 over TCP.
    Gelf,
    /// Syslog, ended by newlines.
    Syslog,
    /// Syslog, octet-counted.
    SyslogCounted,
    /// Influx line protocol, or plain text.
    Lines,
    /// Syslog in RELP.
    Relp,
    /// JSON in Lumberjack v2.
    Lumberjack,
    /// NDJSON by HTTP.
    Http,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 9] = [
        Self::Qgx,
        Self::Ndjson,
        Self::Gelf,
        Self::Syslog,
        Self::SyslogCounted,
        Self::Lines,
        Self::Relp,
        Self::Lumberjack,
        Self::Http,
    ];

    /// By its name. What is framed in another way has the same name, and the same frames.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    /// The name in metrics and on a source's page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Qgx => "qgx",
            Self::Ndjson => "ndjson",
            Self::Gelf => "gelf",
            Self::Syslog | Self::SyslogCounted => "syslog",
            Self::Lines => "lines",
            Self::Relp => "relp",
            Self::Lumberjack => "lumberjack",
            Self::Http => "http",
        }
    }

    /// How its frames end.
    pub fn framing(self) -> Framing {
        match self {
            Self::Gelf => Framing::Nul,
            Self::SyslogCounted | Self::Relp | Self::Lumberjack => Framing::Counted,
            Self::Qgx | Self::Ndjson | Self::Syslog | Self::Lines | Self::Http => Framing::Newline,
        }
    }

    /// Whether it answers what is durable.
    pub fn acknowledged(self) -> bool {
        matches!(self, Self::Qgx | Self::Relp | Self::Lumberjack)
    }

    /// Reads a frame into a draft that was just begun.
    ///
    /// # Errors
    /// Where the frame is not what the protocol carries, or breaks a limit. [`RecordError::Empty`]: a blank line.
    pub fn read(self, frame: &[u8], draft: &mut Draft) -> Result<(), RecordError> {
        let frame = match (self.framing(), frame) {
            (Framing::Newline, [head @ .., b'\r']) => head,
            _ => frame,
        };
        if frame.iter().all(u8::is_ascii_whitespace) {
            return Err(RecordError::Empty);
        }
        let decoded = charset::decode(frame);
        let text = decoded.text.as_ref();
        draft.screen(text);
        if let Some(name) = decoded.charset {
            draft.keep_raw(frame, name)?;
        }
        match self {
            Self::Ndjson | Self::Http => json::object(draft, text, json::Naming::Plain),
            Self::Gelf => gelf::read(draft, text),
            Self::Lumberjack => json::object(draft, text, json::Naming::Beats),
            Self::Syslog | Self::SyslogCounted | Self::Relp => syslog::read(draft, text),
            Self::Qgx if text.trim_start().starts_with('{') => json::object(draft, text, json::Naming::Plain),
            Self::Qgx => plain::read(draft, text),
            Self::Lines => match influx::parse(text) {
                Some(point) => influx::read(draft, &point),
                None => plain::read(draft, text),
            },
        }
    }
}
