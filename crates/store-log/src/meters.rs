//! The log's metrics.
//!
//! `qgx_broker_appended_records_total`, `qgx_broker_appended_bytes_total`, `qgx_broker_commit_seconds` (encode, write,
//! sync), `qgx_broker_commit_records` (records a group commit), `qgx_broker_pending_bytes`,
//! `qgx_broker_stored_bytes`, `qgx_broker_busy_total{reason}`, all by `topic`; `qgx_broker_damaged_bytes_total`.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use std::time::Duration;
use store::broker::Topic;

/// The handles of one topic.
pub struct Meters {
    records: Counter,
    bytes: Counter,
    seconds: Histogram,
    group: Histogram,
    pending: Gauge,
    stored: Gauge,
    topic: Topic,
}

impl Meters {
    /// Those of a topic.
    pub fn new(topic: Topic) -> Self {
        let name = topic.name();
        Self {
            records: counter!("qgx_broker_appended_records_total", "topic" => name),
            bytes: counter!("qgx_broker_appended_bytes_total", "topic" => name),
            seconds: histogram!("qgx_broker_commit_seconds", "topic" => name),
            group: histogram!("qgx_broker_commit_records", "topic" => name),
            pending: gauge!("qgx_broker_pending_bytes"),
            stored: gauge!("qgx_broker_stored_bytes", "topic" => name),
            topic,
        }
    }

    /// A group commit is durable.
    pub fn committed(&self, records: usize, bytes: u64, took: Duration) {
        self.records.increment(records as u64);
        self.bytes.increment(bytes);
        self.seconds.record(took);
        self.group.record(records as f64);
    }

    /// What waits and what is stored.
    pub fn gauges(&self, pending: usize, stored: u64) {
        self.pending.set(pending as f64);
        self.stored.set(stored as f64);
    }

    /// An append was refused for now.
    pub fn busy(&self, reason: &'static str) {
        counter!("qgx_broker_busy_total", "topic" => self.topic.name(), "reason" => reason).increment(1);
    }
}
