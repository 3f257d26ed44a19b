//! Whether requests may come.

use std::sync::atomic::{AtomicU8, Ordering};

const STARTING: u8 = 0;
const READY: u8 = 1;

/// Starting, ready, stopping.
#[derive(Debug, Default)]
pub struct Readiness(AtomicU8);

impl Readiness {
    /// From now on requests may come.
    pub fn set_ready(&self) {
        self.0.store(READY, Ordering::Release);
    }

    /// From now on no new ones.
    pub fn set_stopping(&self) {
        self.0.store(READY + 1, Ordering::Release);
    }

    /// Why not; `None` when ready.
    pub fn problem(&self) -> Option<&'static str> {
        match self.0.load(Ordering::Acquire) {
            STARTING => Some("starting"),
            READY => None,
            _ => Some("stopping"),
        }
    }
}
