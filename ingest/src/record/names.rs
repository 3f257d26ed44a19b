//! The budget of field names: so many different ones per tenant and day, the rest go to `x`.

use domain::Timestamp;
use foldhash::fast::FixedState;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::Arc;

/// The hash a name is known by. Of two names that collide one is admitted with the other, which costs one more name in
/// an index and nothing else.
pub fn name_hash(name: &str) -> u64 {
    FixedState::default().hash_one(name.as_bytes())
}

/// A tenant's names of a day, shared by its connections.
#[derive(Debug)]
pub struct NameBudget {
    limit: usize,
    day: Mutex<Day>,
}

#[derive(Debug, Default)]
struct Day {
    number: i64,
    names: HashSet<u64, FixedState>,
}

impl NameBudget {
    /// For at most this many names a day (UTC, as the indexes count days).
    pub fn new(limit: usize) -> Self {
        Self { limit, day: Mutex::new(Day::default()) }
    }

    fn admit(&self, hash: u64, number: i64) -> bool {
        let mut day = self.day.lock();
        if day.number < number {
            *day = Day { number, names: HashSet::default() };
        }
        if day.names.contains(&hash) {
            return true;
        }
        let fits = day.names.len() < self.limit;
        if fits {
            day.names.insert(hash);
        }
        fits
    }
}

/// A connection's view of the budget: names admitted once are not asked about again on the same day.
#[derive(Debug)]
pub struct NameGate {
    budget: Arc<NameBudget>,
    number: i64,
    admitted: HashSet<u64, FixedState>,
}

impl NameGate {
    /// On a tenant's budget.
    pub fn new(budget: Arc<NameBudget>) -> Self {
        Self { budget, number: 0, admitted: HashSet::default() }
    }

    /// Whether a field of this name may be indexed under it.
    pub fn admits(&mut self, hash: u64, received_at: Timestamp) -> bool {
        let number = received_at.as_secs().div_euclid(86_400);
        if self.number != number {
            self.number = number;
            self.admitted.clear();
        }
        if self.admitted.contains(&hash) {
            return true;
        }
        let admitted = self.budget.admit(hash, number);
        if admitted {
            self.admitted.insert(hash);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_per_day_and_shared() {
        let budget = Arc::new(NameBudget::new(2));
        let (mut one, mut two) = (NameGate::new(Arc::clone(&budget)), NameGate::new(budget));
        let day = |n: i64| Timestamp::from_secs(n * 86_400 + 5);
        let (a, b, c) = (name_hash("a"), name_hash("b"), name_hash("c"));
        assert!(one.admits(a, day(1)));
        assert!(two.admits(b, day(1)));
        assert!(two.admits(a, day(1)));
        assert!(!one.admits(c, day(1)));
        assert!(one.admits(b, day(1)));
        assert!(one.admits(c, day(2)));
    }
}
