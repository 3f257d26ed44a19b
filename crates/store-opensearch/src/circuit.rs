//! When nodes do not answer, they are left alone for a while: callers fail at once and need not wait.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// So many failures in a row before requests are held back.
const FAILURES: u32 = 5;
/// The first rest; it doubles with each failed try.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// How requests fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// They are sent.
    Closed,
    /// They are held back.
    Open,
    /// One is on its way to try.
    Trying,
}

impl CircuitState {
    /// For logs and metrics: `closed`, `open`, `trying`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Trying => "trying",
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    /// Requests are held back until then.
    until: Option<Instant>,
    /// One was let through after a rest, at this time.
    trying: Option<Instant>,
}

/// The breaker.
#[derive(Debug, Default)]
pub(crate) struct Circuit(Mutex<Inner>);

impl Circuit {
    /// Whether a request may go; else how long the rest still takes.
    pub fn enter(&self, now: Instant) -> Result<(), Duration> {
        let mut inner = self.0.lock();
        let Some(until) = inner.until else { return Ok(()) };
        if now < until {
            return Err(until - now);
        }
        // One tries; should it never come back, another does.
        match inner.trying {
            Some(since) if now < since + LONGEST_REST => Err(since + LONGEST_REST - now),
            _ => {
                inner.trying = Some(now);
                Ok(())
            }
        }
    }

    /// A node answered. Returns whether requests had been held back.
    pub fn answered(&self) -> bool {
        let mut inner = self.0.lock();
        let was_open = inner.until.is_some();
        *inner = Inner::default();
        was_open
    }

    /// No node answered. Returns the rest, where one starts now.
    pub fn failed(&self, now: Instant) -> Option<Duration> {
        let mut inner = self.0.lock();
        inner.failures = inner.failures.saturating_add(1);
        inner.trying = None;
        let beyond = inner.failures.checked_sub(FAILURES)?;
        let rest = FIRST_REST.saturating_mul(1 << beyond.min(5)).min(LONGEST_REST);
        inner.until = Some(now + rest);
        Some(rest)
    }

    /// A request ended without an answer, but not for want of one: its caller left.
    pub fn left(&self) {
        self.0.lock().trying = None;
    }

    pub fn state(&self) -> CircuitState {
        let inner = self.0.lock();
        match (inner.until, inner.trying) {
            (None, _) => CircuitState::Closed,
            (Some(_), None) => CircuitState::Open,
            (Some(_), Some(_)) => CircuitState::Trying,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_and_tries_again() {
        let circuit = Circuit::default();
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        for _ in 1..FAILURES {
            assert_eq!(circuit.enter(start), Ok(()));
            assert_eq!(circuit.failed(start), None);
        }
        assert_eq!(circuit.failed(start), Some(FIRST_REST));
        assert_eq!(circuit.enter(at(400)), Err(Duration::from_millis(600)));
        assert_eq!(circuit.state(), CircuitState::Open);
        assert_eq!(circuit.enter(at(1_000)), Ok(()), "one may try");
        assert_eq!(circuit.state(), CircuitState::Trying);
        assert!(circuit.enter(at(1_001)).is_err(), "and only one");
        assert_eq!(circuit.failed(at(1_002)), Some(Duration::from_secs(2)));
        assert!(circuit.enter(at(3_001)).is_err());
        assert_eq!(circuit.enter(at(3_002)), Ok(()));
        circuit.left();
        assert_eq!(circuit.enter(at(3_003)), Ok(()), "the one before left");
        assert!(circuit.answered());
        assert_eq!(circuit.state(), CircuitState::Closed);
        assert!(!circuit.answered());
    }
}
