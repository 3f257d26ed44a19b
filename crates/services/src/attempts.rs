//! Failed attempts, and how long the next one waits: in memory, bounded.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

const CAPACITY: usize = 20_000;

/// When attempts are slowed down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// Failures that cost nothing.
    pub(crate) free: u32,
    /// The wait after the first failure beyond; it doubles with each.
    pub(crate) first_wait: Duration,
    /// The longest wait.
    pub(crate) longest_wait: Duration,
    /// Forgotten after so much quiet.
    pub(crate) memory: Duration,
}

/// Failures by key. An attempt counts as failed until it has succeeded, so that many at once gain nothing.
pub(crate) struct Attempts<K> {
    rule: Rule,
    entries: Mutex<HashMap<K, Entry>>,
}

struct Entry {
    failures: u32,
    last: Instant,
}

impl<K: Eq + Hash + Clone> Attempts<K> {
    /// None yet.
    pub(crate) fn new(rule: Rule) -> Self {
        Self { rule, entries: Mutex::default() }
    }

    /// Begins an attempt, or answers how long it has to wait.
    pub(crate) fn begin(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let mut entries = self.entries.lock();
        self.make_room(&mut entries, now);
        let entry = entries.entry(key.clone()).or_insert(Entry { failures: 0, last: now });
        if now.saturating_duration_since(entry.last) >= self.rule.memory {
            entry.failures = 0;
        }
        let until = entry.last + self.rule.wait_after(entry.failures);
        if until > now {
            return Err(until - now);
        }
        entry.failures = entry.failures.saturating_add(1);
        entry.last = now;
        Ok(())
    }

    /// The attempt succeeded: all before it is forgotten.
    pub(crate) fn succeeded(&self, key: &K) {
        self.entries.lock().remove(key);
    }

    /// The attempt did not count: neither a success nor a failure.
    pub(crate) fn undone(&self, key: &K) {
        if let Some(entry) = self.entries.lock().get_mut(key) {
            entry.failures = entry.failures.saturating_sub(1);
        }
    }

    /// Forgets what a condition names.
    pub(crate) fn forget(&self, mut condition: impl FnMut(&K) -> bool) {
        self.entries.lock().retain(|key, _| !condition(key));
    }

    fn make_room(&self, entries: &mut HashMap<K, Entry>, now: Instant) {
        if entries.len() < CAPACITY {
            return;
        }
        entries.retain(|_, entry| now.saturating_duration_since(entry.last) < self.rule.memory);
        if entries.len() >= CAPACITY {
            // Under a flood the least guilty half goes; whoever guesses at one account stays.
            let mut failures: Vec<u32> = entries.values().map(|entry| entry.failures).collect();
            let middle = failures.len() / 2;
            let median = *failures.select_nth_unstable(middle).1;
            entries.retain(|_, entry| entry.failures > median);
        }
    }
}

impl Rule {
    fn wait_after(&self, failures: u32) -> Duration {
        if failures < self.free {
            return Duration::ZERO;
        }
        let doubled =
            self.first_wait.checked_mul(1_u32.checked_shl(failures - self.free).unwrap_or(u32::MAX));
        doubled.unwrap_or(self.longest_wait).min(self.longest_wait)
    }
}

/// At most so many a minute, by key.
pub(crate) struct PerMinute<K> {
    most: u32,
    entries: Mutex<HashMap<K, (Instant, u32)>>,
}

impl<K: Eq + Hash + Clone> PerMinute<K> {
    const MINUTE: Duration = Duration::from_secs(60);

    /// None yet.
    pub(crate) fn new(most: u32) -> Self {
        Self { most, entries: Mutex::default() }
    }

    /// Forgets what was taken of one.
    pub(crate) fn forget<Q: Eq + Hash + ?Sized>(&self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
    {
        self.entries.lock().remove(key);
    }

    /// Takes one of this minute's, or answers how long until the next minute.
    pub(crate) fn take(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let mut entries = self.entries.lock();
        if entries.len() >= CAPACITY {
            entries.retain(|_, (start, _)| now.saturating_duration_since(*start) < Self::MINUTE);
            if entries.len() >= CAPACITY {
                entries.clear();
            }
        }
        let (start, count) = entries.entry(key.clone()).or_insert((now, 0));
        if now.saturating_duration_since(*start) >= Self::MINUTE {
            (*start, *count) = (now, 0);
        }
        if *count >= self.most {
            return Err(Self::MINUTE - now.saturating_duration_since(*start));
        }
        *count += 1;
        Ok(())
    }

    /// Gives one back.
    pub(crate) fn give_back(&self, key: &K) {
        if let Some((_, count)) = self.entries.lock().get_mut(key) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        free: 3,
        first_wait: Duration::from_secs(2),
        longest_wait: Duration::from_secs(60),
        memory: Duration::from_secs(3_600),
    };

    #[test]
    fn waits_double_and_success_forgets() {
        let attempts = Attempts::new(RULE);
        let start = Instant::now();
        let at = |secs: u64| start + Duration::from_secs(secs);
        let check = |secs, expect: Result<(), u64>| {
            assert_eq!(attempts.begin(&"a", at(secs)), expect.map_err(Duration::from_secs), "at {secs} s");
        };
        check(0, Ok(()));
        check(0, Ok(()));
        check(0, Ok(()));
        check(0, Err(2));
        check(1, Err(1));
        check(2, Ok(()));
        check(2, Err(4));
        check(6, Ok(()));
        check(6, Err(8));
        assert_eq!(attempts.begin(&"b", at(6)), Ok(()));
        attempts.succeeded(&"a");
        check(6, Ok(()));
        for round in 0..40 {
            assert_eq!(attempts.begin(&"c", at(100 + round * 60)), Ok(()));
        }
        assert_eq!(attempts.begin(&"c", at(2_441)), Err(Duration::from_secs(59)));
        assert_eq!(attempts.begin(&"c", at(2_440 + 3_600)), Ok(()));
    }

    #[test]
    fn a_flood_does_not_grow_it_nor_free_the_guilty() {
        let attempts = Attempts::new(RULE);
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(attempts.begin(&u64::MAX, now), Ok(()));
        }
        for key in 0..50_000 {
            assert_eq!(attempts.begin(&key, now), Ok(()));
        }
        assert!(attempts.entries.lock().len() <= CAPACITY);
        assert!(attempts.begin(&u64::MAX, now).is_err());
    }

    #[test]
    fn so_many_a_minute() {
        let limit = PerMinute::new(2);
        let start = Instant::now();
        let check = |secs: u64, expect: Result<(), u64>| {
            let found = limit.take(&1, start + Duration::from_secs(secs));
            assert_eq!(found, expect.map_err(Duration::from_secs));
        };
        check(0, Ok(()));
        check(10, Ok(()));
        check(20, Err(40));
        limit.give_back(&1);
        check(20, Ok(()));
        check(60, Ok(()));
    }
}
