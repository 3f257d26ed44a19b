//! The budget of new sources: so many a tenant and day whose own records name them. What names another belongs to its
//! token's or peer's source, and the name stays a field.

use super::names::NameBudget;
use super::names::name_hash;
use domain::Timestamp;
use foldhash::fast::FixedState;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;

/// Sources remembered of a tenant, about 10 MB of them; those beyond count as new on each day.
pub const REMEMBERED: usize = 1_000_000;

/// What the connections of a tenant share of its budgets.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// Of field names.
    pub names: Arc<NameBudget>,
    /// Of sources.
    pub sources: Arc<SourceBudget>,
}

/// A tenant's sources, as far as its own connections to this process need to know them.
#[derive(Debug)]
pub struct SourceBudget {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reading: Reading,
    /// By the hash of the name: of two that collide, one is admitted with the other.
    known: HashSet<u64, FixedState>,
    day: i64,
    new_today: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Reading {
    #[default]
    NotBegun,
    UnderWay,
    Done,
}

impl SourceBudget {
    /// For at most so many new sources a day (UTC, as the indexes count days).
    pub fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// Whether the registry is still to be read, and by whoever asks: only one is told so.
    pub fn wants_registry(&self) -> bool {
        let mut state = self.state.lock();
        let wants = state.reading == Reading::NotBegun;
        if wants {
            state.reading = Reading::UnderWay;
        }
        wants
    }

    /// The registry cannot be read now; who asks next is to try again.
    pub fn registry_unread(&self) {
        self.state.lock().reading = Reading::NotBegun;
    }

    /// What the registry has.
    pub fn registered<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let mut state = self.state.lock();
        let room = REMEMBERED.saturating_sub(state.known.len());
        state.known.extend(names.take(room).map(name_hash));
        state.reading = Reading::Done;
    }

    /// Whether records may belong to the source they name: one that is known, or one that the day's budget has room
    /// for. Until the registry is read, which takes a moment once a process, nobody can tell, and all may that can be
    /// remembered.
    pub fn admits(&self, name: &str, received_at: Timestamp) -> bool {
        let (hash, day) = (name_hash(name), received_at.as_secs().div_euclid(86_400));
        let mut state = self.state.lock();
        if state.day < day {
            (state.day, state.new_today) = (day, 0);
        }
        if state.known.contains(&hash) {
            return true;
        }
        let unread = state.reading == Reading::UnderWay && state.known.len() < REMEMBERED;
        if !unread && state.new_today >= self.limit {
            return false;
        }
        if !unread {
            state.new_today += 1;
        }
        if state.known.len() < REMEMBERED {
            state.known.insert(hash);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_sources_are_few_a_day_and_known_ones_are_free() {
        let budget = SourceBudget::new(2);
        let check = |name: &str, day: i64, expect: bool| {
            let at = Timestamp::from_secs(day * 86_400 + 5);
            assert_eq!(budget.admits(name, at), expect, "{name} on day {day}");
        };
        assert!(budget.wants_registry());
        assert!(!budget.wants_registry(), "one reads");
        // Nobody knows yet what is new.
        (0..5).for_each(|n| check(&format!("early-{n}"), 1, true));
        budget.registered(["pump-1", "pump-2", "pump-3"].into_iter());
        check("a", 1, true);
        check("b", 1, true);
        check("c", 1, false);
        for known in ["a", "b", "pump-1", "pump-2", "pump-3", "early-4"] {
            check(known, 1, true);
        }
        check("c", 2, true);
        check("d", 2, true);
        check("e", 2, false);
        assert!(!budget.wants_registry());
        budget.registry_unread();
        assert!(budget.wants_registry());
    }
}
