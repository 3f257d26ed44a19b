//! Whether requests may come, and if not, why.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};

const STARTING: u8 = 0;
const READY: u8 = 1;

/// Starting, ready, stopping.
#[derive(Debug, Default)]
pub struct Readiness {
    state: AtomicU8,
    /// Engines that are waited for, and why.
    waiting: Mutex<BTreeMap<&'static str, String>>,
}

impl Readiness {
    /// From now on requests may come.
    pub fn set_ready(&self) {
        self.state.store(READY, Ordering::Release);
    }

    /// From now on no new ones.
    pub fn set_stopping(&self) {
        self.state.store(READY + 1, Ordering::Release);
    }

    /// An engine cannot be used yet. Answers whether that is news.
    pub fn waits_for(&self, engine: &'static str, reason: &str) -> bool {
        self.waiting.lock().insert(engine, reason.to_owned()).as_deref() != Some(reason)
    }

    /// An engine can be used. Answers whether it was waited for.
    pub fn found(&self, engine: &'static str) -> bool {
        self.waiting.lock().remove(engine).is_some()
    }

    /// Why not, a line for each engine that is missing; `None` when ready.
    pub fn problem(&self) -> Option<String> {
        match self.state.load(Ordering::Acquire) {
            STARTING => {
                let waiting = self.waiting.lock();
                let lines: Vec<_> =
                    waiting.iter().map(|(engine, why)| format!("waiting for the {engine}: {why}")).collect();
                Some(if lines.is_empty() { "starting".to_owned() } else { lines.join("\n") })
            }
            READY => None,
            _ => Some("stopping".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_missing_until_it_is_there() {
        let readiness = Readiness::default();
        let check = |expect: Option<&str>| assert_eq!(readiness.problem().as_deref(), expect);
        check(Some("starting"));
        assert!(readiness.waits_for("database", "refused"));
        assert!(!readiness.waits_for("database", "refused"));
        assert!(readiness.waits_for("database", "password"));
        assert!(readiness.waits_for("broker", "no topic"));
        check(Some("waiting for the broker: no topic\nwaiting for the database: password"));
        assert!(readiness.found("database") && !readiness.found("database"));
        assert!(readiness.found("broker"));
        check(Some("starting"));
        readiness.set_ready();
        check(None);
        readiness.set_stopping();
        check(Some("stopping"));
    }
}
