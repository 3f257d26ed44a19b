//! What librdkafka says: into the log, and the last of it into our errors.

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::broker::BrokerError;

/// While a cluster is away, each client complains at each attempt; once in this time is told.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Shared by the clients of a broker.
#[derive(Clone, Default)]
pub struct Voice(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    last: Option<String>,
    told: Option<Instant>,
    untold: u64,
}

impl Heard {
    /// How many were not told since the last that was; `None` where this one is not told either.
    fn tell(&mut self, now: Instant) -> Option<u64> {
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < TOLD_EVERY) {
            self.untold += 1;
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

impl Voice {
    /// An error with the last complaint of the client: its own text is mostly `Local: Timed out`.
    pub fn failed(&self, what: &str, error: &KafkaError) -> BrokerError {
        let code = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string());
        match &self.0.lock().last {
            Some(reason) => BrokerError::Failed(format!("{what}: {code}; last heard: {reason}")),
            None => BrokerError::Failed(format!("{what}: {code}")),
        }
    }

    /// Hears what waits in the queue of a client that reads nothing. Blocks for `time`.
    pub fn listen(client: &BaseConsumer<Self>, time: Duration) {
        let deadline = Instant::now() + time;
        loop {
            // Nothing that it brings is for us; what it complains of went to `error`.
            let _ = client.poll(deadline.saturating_duration_since(Instant::now()));
            if Instant::now() >= deadline {
                return;
            }
        }
    }

    fn warn(&self, facility: &str, message: &str) {
        let told = self.0.lock().tell(Instant::now());
        match told {
            Some(untold) => {
                tracing::warn!(target: "kafka", facility, untold, "trouble with Kafka: {message}");
            }
            None => tracing::debug!(target: "kafka", facility, "{message}"),
        }
    }

    fn heard(&self, reason: &str) {
        self.0.lock().last = Some(reason.to_owned());
    }
}

impl ClientContext for Voice {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            // What it calls experimental is set on purpose: see the crate's front page.
            _ if facility == "CONFWARN" && message.contains("experimental") => {
                tracing::debug!(target: "kafka", facility, "{message}");
            }
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => self.warn(facility, message),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "kafka", facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "kafka", facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // These are events of consumers that the reader handles.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) {
            return;
        }
        // That all servers are down says less than why the last one is.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown)
            || self.0.lock().last.is_none()
        {
            self.heard(reason);
        }
        metrics::counter!("qgx_broker_client_errors_total").increment(1);
        self.warn("ERROR", reason);
    }
}

impl ConsumerContext for Voice {}

/// Of the live bus: whether a message went through is only counted.
impl ProducerContext for Voice {
    type DeliveryOpaque = ();

    fn delivery(&self, outcome: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {
        if outcome.is_err() {
            metrics::counter!("qgx_live_dropped_total").increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_complaints_is_told_once_in_a_while() {
        let (mut heard, start) = (Heard::default(), Instant::now());
        assert_eq!(heard.tell(start), Some(0));
        for _ in 0..5 {
            assert_eq!(heard.tell(start + TOLD_EVERY / 2), None);
        }
        assert_eq!(heard.tell(start + TOLD_EVERY), Some(5));
    }
}
