//! Reads a partition of the log, on and on.

use super::batch::Chunk;
use super::retry::{Failure, Retry, Stopped};
use services::Stage;
use std::sync::Arc;
use std::time::Duration;
use store::broker::{Broker, BrokerError, Fetched, Offset, Partition, Topic};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long a fetch waits for the first record. Only a pause between two looks: records wake it.
const WAIT: Duration = Duration::from_secs(5);

/// One partition's reader.
pub(crate) struct Fetcher {
    pub broker: Arc<dyn Broker>,
    pub partition: Partition,
    pub from: Offset,
    pub max_bytes: usize,
    pub chunks: mpsc::Sender<Chunk>,
    pub retry: Retry,
    /// No further reads.
    pub stop: CancellationToken,
}

/// What a fetch found.
enum Found {
    Records(Fetched),
    /// What stood before `earliest` is gone.
    Gap {
        earliest: Offset,
    },
}

impl Fetcher {
    /// Runs until told to stop, or until nobody takes what it reads.
    pub async fn run(mut self) {
        let stop = self.stop.clone();
        let mut short = false;
        loop {
            let fetched = tokio::select! {
                fetched = self.fetch() => fetched,
                () = stop.cancelled() => return,
            };
            let fetched = match fetched {
                Ok(Found::Records(fetched)) => fetched,
                Ok(Found::Gap { earliest }) => {
                    self.pass_gap(earliest);
                    continue;
                }
                Err(_) => return,
            };
            if fetched.end < self.from {
                self.report_short_log(fetched.end);
            } else if short {
                self.retry.hooks.set_failing(Stage::Processor, None);
            }
            short = fetched.end < self.from;
            let Some(last) = fetched.records.last() else { continue };
            self.from = last.offset + 1;
            let bytes: usize = fetched.records.iter().map(|it| it.payload.len()).sum();
            metrics::counter!("qgx_processor_records_total", "stage" => "fetch")
                .increment(fetched.records.len() as u64);
            metrics::counter!("qgx_processor_bytes_total", "stage" => "fetch").increment(bytes as u64);
            let chunk = Chunk { partition: self.partition, records: fetched.records };
            // What was read but not taken at a stop is read again at the next start.
            let sent = tokio::select! {
                sent = self.chunks.send(chunk) => sent.is_ok(),
                () = stop.cancelled() => false,
            };
            if !sent {
                return;
            }
        }
    }

    async fn fetch(&self) -> Result<Found, Stopped> {
        let (partition, from) = (self.partition, self.from);
        self.retry
            .run(Stage::Broker, "the log", || async {
                match self.broker.fetch(Topic::Events, partition, from, self.max_bytes, WAIT).await {
                    Err(BrokerError::OutOfRange { earliest, .. }) if earliest > from => {
                        Ok(Found::Gap { earliest })
                    }
                    fetched => fetched.map(Found::Records).map_err(Failure::from),
                }
            })
            .await
    }

    /// Retention keeps what this group has not committed, so the log was changed by hand.
    fn pass_gap(&mut self, earliest: Offset) {
        let (partition, from) = (self.partition, self.from);
        let lost = earliest - from;
        metrics::counter!("qgx_processor_dropped_records_total", "reason" => "removed").increment(lost);
        tracing::error!(partition, from, earliest, lost, "records were removed before they were read");
        self.from = earliest;
    }

    fn report_short_log(&self, end: Offset) {
        let (partition, from) = (self.partition, self.from);
        tracing::error!(partition, from, end, "the log ends before what was processed; was it replaced?");
        let reason =
            "the log ends before what was processed: restore the log and the database from the same backup";
        self.retry.hooks.set_failing(Stage::Processor, Some(reason.to_owned()));
    }
}
