//! What ingestion counts. Labels have few values: protocol, reason, code; never a source or a tenant.

use crate::protocol::Protocol;
use domain::masking::Counts;
use metrics::{counter, gauge, histogram};
use std::time::Duration;

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
    /// Over a quota, where the protocol has no answer.
    Quota,
    /// The stop came before the broker took it.
    Stopped,
    /// The connection ended within a frame.
    Truncated,
    /// There was no room for an unfinished frame.
    Busy,
    /// The credential was taken back before the broker took it.
    Refused,
}

impl Drop {
    fn reason(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::Stopped => "stopped",
            Self::Truncated => "truncated",
            Self::Busy => "busy",
            Self::Refused => "refused",
        }
    }
}

/// A connection that is counted while it lives.
#[derive(Debug)]
pub struct OpenConnection(());

impl OpenConnection {
    /// One more.
    pub fn new() -> Self {
        counter!("qgx_ingest_connections_total").increment(1);
        gauge!("qgx_ingest_open_connections").increment(1.0);
        Self(())
    }
}

impl Default for OpenConnection {
    fn default() -> Self {
        Self::new()
    }
}

impl std::ops::Drop for OpenConnection {
    fn drop(&mut self) {
        gauge!("qgx_ingest_open_connections").decrement(1.0);
    }
}

/// Bytes read off a socket.
pub fn read(protocol: Protocol, bytes: usize) {
    counter!("qgx_ingest_read_bytes_total", "protocol" => protocol.name()).increment(bytes as u64);
}

/// Records that are durable.
pub fn durable(protocol: Protocol, records: u64, took: Duration) {
    counter!("qgx_ingest_records_total", "protocol" => protocol.name()).increment(records);
    histogram!("qgx_ingest_append_seconds").record(took.as_secs_f64());
}

/// A connection was turned away or closed.
pub fn refused(code: &str) {
    counter!("qgx_ingest_refused_connections_total", "code" => code.to_owned()).increment(1);
}

/// A record was answered by `NACK`.
pub fn nack(code: &'static str) {
    counter!("qgx_ingest_nacks_total", "code" => code).increment(1);
}

/// A record became a dead letter.
pub fn dead_letter(code: &str) {
    counter!("qgx_ingest_dead_letters_total", "code" => code.to_owned()).increment(1);
}

/// Values were hidden in what is stored.
pub fn masked(found: Counts) {
    for (kind, count) in found.iter() {
        counter!("qgx_ingest_masked_values_total", "rule" => kind.code()).increment(u64::from(count));
    }
}

/// A record that shows another credential than its connection's was left out.
pub fn identity_changed() {
    counter!("qgx_ingest_dropped_records_total", "reason" => "identity_changed").increment(1);
}

/// Records were left out.
pub fn dropped(why: Drop, records: u64) {
    counter!("qgx_ingest_dropped_records_total", "reason" => why.reason()).increment(records);
}

/// A frame could not be told from the next.
pub fn frame_error(protocol: Protocol) {
    counter!("qgx_ingest_frame_errors_total", "protocol" => protocol.name()).increment(1);
}

/// Reading was delayed at a quota.
pub fn delayed() {
    counter!("qgx_ingest_delayed_reads_total").increment(1);
}

/// The broker took no more, and an append is tried again.
pub fn retried() {
    counter!("qgx_ingest_append_retries_total").increment(1);
}
