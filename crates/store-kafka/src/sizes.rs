//! What a record of a topic weighs, about: Kafka tells offsets, not bytes.

use std::sync::atomic::{AtomicU64, Ordering};
use store::broker::Topic;

/// The running mean of each topic, in bytes, before compression.
#[derive(Debug, Default)]
pub struct Sizes {
    events: AtomicU64,
    dead_letters: AtomicU64,
}

impl Sizes {
    fn of(&self, topic: Topic) -> &AtomicU64 {
        match topic {
            Topic::Events => &self.events,
            Topic::DeadLetters => &self.dead_letters,
        }
    }

    /// A record was seen. Two threads at once may lose one of the two: it is a mean.
    pub fn seen(&self, topic: Topic, bytes: usize) {
        let (mean, bytes) = (self.of(topic), bytes as u64);
        let old = mean.load(Ordering::Relaxed);
        let new = if old == 0 { bytes } else { (old * 31 + bytes) / 32 };
        mean.store(new.max(1), Ordering::Relaxed);
    }

    /// What so many records weigh; 0 while none was seen.
    pub fn estimate(&self, topic: Topic, records: u64) -> u64 {
        records.saturating_mul(self.of(topic).load(Ordering::Relaxed))
    }

    /// Nothing was seen of the topic.
    pub fn unknown(&self, topic: Topic) -> bool {
        self.of(topic).load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_what_is_seen() {
        let sizes = Sizes::default();
        assert!(sizes.unknown(Topic::Events));
        assert_eq!(sizes.estimate(Topic::Events, 10), 0);
        sizes.seen(Topic::Events, 100);
        assert_eq!(sizes.estimate(Topic::Events, 10), 1000);
        for _ in 0..1000 {
            sizes.seen(Topic::Events, 500);
        }
        assert!((4500..=5000).contains(&sizes.estimate(Topic::Events, 10)));
        assert!(sizes.unknown(Topic::DeadLetters), "topics are apart");
    }
}
