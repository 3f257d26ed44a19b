//! Folding of repeated log lines: the same level, target and message within a minute stand on one line, then on one
//! line a minute with `repeated=N`.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::log::LogFormat;

/// For how long repeats are gathered.
pub const WINDOW: Duration = Duration::from_secs(60);
/// How many different messages are watched at once; beyond it, new ones are not folded.
const WATCHED: usize = 1024;

/// Where a fold reads the time.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// What was seen of one message in its current window.
struct Seen {
    since: Instant,
    repeats: u64,
    level: Level,
    target: &'static str,
    message: String,
}

/// The messages of the last minute and how often each came again.
pub struct Fold {
    seen: Mutex<HashMap<u64, Seen, foldhash::fast::RandomState>>,
    hasher: foldhash::fast::RandomState,
    clock: Clock,
    format: LogFormat,
}

/// What to do with an event.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Print it, and with it how many like it were held back since the last line.
    Print { repeated: u64 },
    /// Hold it back.
    Hold,
}

impl Fold {
    /// An empty fold.
    pub fn new(format: LogFormat, clock: Clock) -> Self {
        Self { seen: Mutex::default(), hasher: foldhash::fast::RandomState::default(), clock, format }
    }

    fn judge(&self, level: Level, target: &'static str, message: String) -> Verdict {
        let now = (self.clock)();
        let key = self.hasher.hash_one((level.as_str(), target, message.as_str()));
        let mut seen = self.seen.lock();
        if let Some(entry) = seen.get_mut(&key) {
            if now.duration_since(entry.since) < WINDOW {
                entry.repeats += 1;
                return Verdict::Hold;
            }
            let repeated = std::mem::take(&mut entry.repeats);
            entry.since = now;
            return Verdict::Print { repeated };
        }
        if seen.len() >= WATCHED {
            seen.retain(|_, entry| entry.repeats > 0 || now.duration_since(entry.since) < WINDOW);
        }
        if seen.len() < WATCHED {
            seen.insert(key, Seen { since: now, repeats: 0, level, target, message });
        }
        Verdict::Print { repeated: 0 }
    }

    /// Lines for the repeats whose minute is over and that no later event brought out; they are due every minute,
    /// and at the end with [`Self::drain`].
    pub fn due(&self) -> Vec<String> {
        let now = (self.clock)();
        self.take_where(|entry| now.duration_since(entry.since) >= WINDOW)
    }

    /// Lines for all repeats held back so far.
    pub fn drain(&self) -> Vec<String> {
        self.take_where(|_| true)
    }

    fn take_where(&self, over: impl Fn(&Seen) -> bool) -> Vec<String> {
        let now = (self.clock)();
        let mut lines = Vec::new();
        self.seen.lock().retain(|_, entry| {
            if !over(entry) {
                return true;
            }
            if entry.repeats == 0 {
                return false;
            }
            lines.push(self.summary(entry));
            // A new minute of the same message starts with the summary.
            entry.repeats = 0;
            entry.since = now;
            true
        });
        lines
    }

    fn summary(&self, entry: &Seen) -> String {
        let mut at = String::new();
        if SystemTime.format_time(&mut Writer::new(&mut at)).is_err() {
            at.clear();
        }
        match self.format {
            LogFormat::Text => {
                let Seen { level, target, message, repeats, .. } = entry;
                format!("{at} {level:>5} {target}: {message} repeated={repeats}\n")
            }
            LogFormat::Json => {
                let line = serde_json::json!({
                    "timestamp": at,
                    "level": entry.level.as_str(),
                    "message": entry.message,
                    "target": entry.target,
                    "repeated": entry.repeats,
                });
                format!("{line}\n")
            }
        }
    }
}

/// Prints what its [`Fold`] lets through, in the inner format, with `repeated` at the end of the line.
pub struct Folding<F> {
    /// Renders one event as one line.
    pub inner: F,
    /// Decides.
    pub fold: Arc<Fold>,
}

impl<S, N, F> FormatEvent<S, N> for Folding<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut message = Message(String::new());
        event.record(&mut message);
        let meta = event.metadata();
        let repeated = match self.fold.judge(*meta.level(), meta.target(), message.0) {
            Verdict::Hold => return Ok(()),
            Verdict::Print { repeated: 0 } => return self.inner.format_event(ctx, writer, event),
            Verdict::Print { repeated } => repeated,
        };
        let mut line = String::new();
        self.inner.format_event(ctx, Writer::new(&mut line), event)?;
        let line = line.trim_end();
        match (self.fold.format, line.strip_suffix('}')) {
            (LogFormat::Json, Some(open)) => writeln!(writer, "{open},\"repeated\":{repeated}}}"),
            _ => writeln!(writer, "{line} repeated={repeated}"),
        }
    }
}

/// The message of an event, without its fields.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
