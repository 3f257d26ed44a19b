//! What was read a moment ago: spares the database, forgets within seconds, never grows beyond its size.

use parking_lot::Mutex;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How long something read stands: with time to spare below the promised 5 s.
pub(crate) const FRESH: Duration = Duration::from_secs(3);
const CAPACITY: usize = 10_000;

/// A bounded cache whose entries last [`FRESH`].
pub(crate) struct TimedCache<K, V> {
    entries: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K, V> Default for TimedCache<K, V> {
    fn default() -> Self {
        Self { entries: Mutex::new(HashMap::new()) }
    }
}

impl<K: Eq + Hash, V: Clone> TimedCache<K, V> {
    /// What was put under the key, while it is fresh.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.get_at(key, Instant::now())
    }

    fn get_at<Q: Eq + Hash + ?Sized>(&self, key: &Q, now: Instant) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let entries = self.entries.lock();
        let (at, value) = entries.get(key)?;
        (now.saturating_duration_since(*at) < FRESH).then(|| value.clone())
    }

    /// Keeps a value that was read from `read_at` on: what changed since may not be in it.
    pub(crate) fn put(&self, key: K, value: V, read_at: Instant) {
        let mut entries = self.entries.lock();
        if entries.len() >= CAPACITY {
            entries.retain(|_, (at, _)| at.elapsed() < FRESH);
            if entries.len() >= CAPACITY {
                entries.clear();
            }
        }
        entries.insert(key, (read_at, value));
    }

    /// Forgets what a condition names.
    pub(crate) fn forget(&self, mut condition: impl FnMut(&K, &V) -> bool) {
        self.entries.lock().retain(|key, (_, value)| !condition(key, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_and_the_size_holds() {
        let cache = TimedCache::<u32, &str>::default();
        let start = Instant::now();
        cache.put(1, "one", start);
        let check = |after: Duration, expect| assert_eq!(cache.get_at(&1, start + after), expect);
        check(Duration::from_millis(2_999), Some("one"));
        check(FRESH, None);
        for key in 0..25_000 {
            cache.put(key, "x", start);
        }
        assert!(cache.entries.lock().len() <= CAPACITY);
        cache.forget(|key, _| *key != 24_999);
        assert_eq!(cache.entries.lock().len(), 1);
    }
}
