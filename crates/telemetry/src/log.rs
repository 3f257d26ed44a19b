//! Log lines on standard error.

use parking_lot::Mutex;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::fold::{Clock, Fold, Folding, WINDOW};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line: `timestamp`, `level`, `message`, the fields, `target`, and `repeated` where repeats
    /// were folded.
    Json,
    /// For people.
    #[default]
    Text,
}

/// Why a level was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a log level: {0:?}; expected off, error, warn, info, debug or trace, or a list such as info,ingest=debug"
)]
pub struct LevelError(pub String);

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The initial level is none.
    #[error(transparent)]
    Level(#[from] LevelError),
    /// Logs were set up before.
    #[error("logs are already set up in this process")]
    Twice,
}

/// Changes the running logs. Cheap to clone.
#[derive(Clone)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
    level: Arc<Mutex<String>>,
    fold: Arc<Fold>,
}

impl LogHandle {
    /// Sets the level from now on: `debug`, or by target, `info,ingest=debug`.
    ///
    /// # Errors
    /// [`LevelError`] where it is none; the level then stays as it was.
    pub fn set_level(&self, level: &str) -> Result<(), LevelError> {
        let filter = parse_level(level)?;
        // Gone only where the subscriber is, and then there is nothing to change.
        if self.filter.reload(filter).is_ok() {
            level.clone_into(&mut self.level.lock());
        }
        Ok(())
    }

    /// The level in force, as it was given.
    pub fn level(&self) -> String {
        self.level.lock().clone()
    }

    /// Prints the repeats held back so far, before the process ends.
    pub fn flush(&self) {
        print_lines(&self.fold.drain());
    }
}

/// Sets up the process's logs. `RUST_LOG` is not read: the level is a setting like any other.
///
/// # Errors
/// [`LogError`] where the level is none, or logs were set up before.
pub fn init_logs(format: LogFormat, initial_level: &str) -> Result<LogHandle, LogError> {
    let (subscriber, handle) = subscriber(format, initial_level, io::stderr, Arc::new(Instant::now))?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)?;
    let fold = Arc::downgrade(&handle.fold);
    // A burst that has ended has no later event to bring its count out.
    let started = std::thread::Builder::new().name("log-repeats".to_owned()).spawn(move || {
        loop {
            std::thread::park_timeout(WINDOW / 4);
            let Some(fold) = fold.upgrade() else { return };
            print_lines(&fold.due());
        }
    });
    if let Err(error) = started {
        tracing::warn!(%error, "no thread for the counts of folded lines: they show with the next such line");
    }
    Ok(handle)
}

fn print_lines(lines: &[String]) {
    let mut stderr = io::stderr().lock();
    for line in lines {
        // There is nowhere left to report that standard error is closed.
        let _ = stderr.write_all(line.as_bytes());
    }
}

fn subscriber<W>(
    format: LogFormat,
    level: &str,
    writer: W,
    clock: Clock,
) -> Result<(impl Subscriber + Send + Sync, LogHandle), LevelError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, reload) = reload::Layer::new(parse_level(level)?);
    let fold = Arc::new(Fold::new(format, clock));
    let handle =
        LogHandle { filter: reload, level: Arc::new(Mutex::new(level.to_owned())), fold: Arc::clone(&fold) };
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    let lines = match format {
        LogFormat::Json => {
            lines.json().flatten_event(true).map_event_format(|inner| Folding { inner, fold }).boxed()
        }
        LogFormat::Text => lines.map_event_format(|inner| Folding { inner, fold }).boxed(),
    };
    Ok((tracing_subscriber::registry().with(filter).with(lines), handle))
}

/// [`EnvFilter`] takes an unknown word for a target and would then hide everything else; a typing mistake in a level
/// must not do that.
fn parse_level(level: &str) -> Result<EnvFilter, LevelError> {
    let wrong = || LevelError(level.to_owned());
    let known = |word: &str| word.parse::<LevelFilter>().is_ok() && !word.bytes().all(|b| b.is_ascii_digit());
    for directive in level.split(',').map(str::trim) {
        let word = directive.rsplit_once('=').map_or(directive, |(_, word)| word);
        if word.is_empty() || !known(word) {
            return Err(wrong());
        }
    }
    EnvFilter::try_new(level).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Where the lines of a test go, and its clock.
    #[derive(Clone, Default)]
    struct Page {
        text: Arc<Mutex<Vec<u8>>>,
        passed: Arc<Mutex<Duration>>,
    }

    impl Write for Page {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.text.lock().extend_from_slice(buf);
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        fn run(&self, format: LogFormat, level: &str, script: impl FnOnce(&LogHandle)) {
            let start = Instant::now();
            let passed = Arc::clone(&self.passed);
            let clock: Clock = Arc::new(move || start + *passed.lock());
            let page = self.clone();
            let (subscriber, handle) = subscriber(format, level, move || page.clone(), clock).unwrap();
            tracing::subscriber::with_default(subscriber, || script(&handle));
        }
        fn pass(&self, seconds: u64) {
            *self.passed.lock() += Duration::from_secs(seconds);
        }
        fn lines(&self) -> Vec<String> {
            String::from_utf8(self.text.lock().clone()).unwrap().lines().map(str::to_owned).collect()
        }
    }

    fn sink_is_down(attempt: u32) {
        tracing::warn!(attempt, "the sink is down");
    }

    #[test]
    fn repeats_fold_to_one_line_a_minute() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let page = Page::default();
            page.run(format, "info", |handle| {
                for attempt in 0..100 {
                    sink_is_down(attempt);
                }
                tracing::warn!("another message");
                page.pass(61);
                sink_is_down(100);
                for attempt in 101..104 {
                    sink_is_down(attempt);
                }
                assert_eq!(handle.fold.due().len(), 0, "the second minute is not over");
                page.pass(61);
                let due = handle.fold.due();
                assert_eq!(due.len(), 1);
                assert!(due[0].contains("the sink is down"), "{due:?}");
                match format {
                    LogFormat::Text => assert!(due[0].ends_with(" repeated=3\n"), "{due:?}"),
                    LogFormat::Json => assert_eq!(json(&due[0])["repeated"], 3),
                }
                assert_eq!(handle.fold.drain(), Vec::<String>::new());
            });
            let lines = page.lines();
            assert_eq!(lines.len(), 3, "{lines:?}");
            match format {
                LogFormat::Text => {
                    assert!(lines[0].contains("attempt=0") && !lines[0].contains("repeated"), "{lines:?}");
                    assert!(lines[2].ends_with("attempt=100 repeated=99"), "{lines:?}");
                }
                LogFormat::Json => {
                    assert_eq!(json(&lines[0])["message"], "the sink is down");
                    assert_eq!(json(&lines[0]).get("repeated"), None);
                    assert_eq!(json(&lines[2])["attempt"], 100);
                    assert_eq!(json(&lines[2])["repeated"], 99);
                }
            }
        }
    }

    fn json(line: &str) -> serde_json::Value {
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn the_level_changes_at_run_time() {
        let page = Page::default();
        page.run(LogFormat::Text, "info", |handle| {
            tracing::debug!("before");
            handle.set_level("debug").unwrap();
            assert_eq!(handle.level(), "debug");
            tracing::debug!("after");
            assert_eq!(handle.set_level("inof"), Err(LevelError("inof".to_owned())));
            tracing::debug!("still");
            handle.set_level("off").unwrap();
            tracing::error!("silent");
        });
        let lines = page.lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("after") && lines[1].contains("still"), "{lines:?}");
    }

    #[test]
    fn levels_are_checked() {
        fn check(level: &str, expect: bool) {
            assert_eq!(parse_level(level).is_ok(), expect, "{level}");
        }
        check("info", true);
        check("WARN", true);
        check("info,ingest=debug", true);
        check("off", true);
        check("", false);
        check("3", false);
        check("loud", false);
        check("info,ingest", false);
        check("ingest=loud", false);
    }
}
