//! Severity.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Severity, ordered from least to most severe; the syslog names (RFC 5424 §6.2.1) and `trace` below them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Level {
    /// Finer than debug.
    Trace = 0,
    /// Syslog 7.
    Debug = 1,
    /// Syslog 6.
    Info = 2,
    /// Syslog 5.
    Notice = 3,
    /// Syslog 4.
    Warn = 4,
    /// Syslog 3.
    Error = 5,
    /// Syslog 2.
    Critical = 6,
    /// Syslog 1.
    Alert = 7,
    /// Syslog 0.
    Emergency = 8,
}

impl Level {
    /// Every level, least severe first.
    pub const ALL: [Self; 9] = [
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warn,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The name stored and shown: lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }

    /// Position in [`Level::ALL`].
    pub fn rank(self) -> u8 {
        self as u8
    }

    /// The level at a position of [`Level::ALL`].
    pub fn from_rank(rank: u8) -> Option<Self> {
        Self::ALL.get(usize::from(rank)).copied()
    }

    /// From a syslog severity number, 0 (emergency) to 7 (debug).
    pub fn from_syslog(severity: u8) -> Option<Self> {
        (severity <= 7).then(|| Self::ALL[usize::from(8 - severity)])
    }

    /// Reads the names and abbreviations that loggers use, without regard to case: `WARNING`, `err`, `crit`,
    /// `fatal`, `panic`, `emerg`, `information`, …
    pub fn parse(text: &str) -> Option<Self> {
        let mut lower = [0u8; 16];
        let bytes = text.trim().as_bytes();
        let lower = lower.get_mut(..bytes.len())?;
        lower.copy_from_slice(bytes);
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"trace" | b"verbose" | b"finest" | b"finer" => Self::Trace,
            b"debug" | b"dbg" | b"fine" => Self::Debug,
            b"info" | b"inf" | b"information" | b"informational" => Self::Info,
            b"notice" => Self::Notice,
            b"warn" | b"warning" | b"wrn" => Self::Warn,
            b"error" | b"err" | b"severe" => Self::Error,
            b"critical" | b"crit" | b"fatal" => Self::Critical,
            b"alert" => Self::Alert,
            b"emergency" | b"emerg" | b"panic" => Self::Emergency,
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
