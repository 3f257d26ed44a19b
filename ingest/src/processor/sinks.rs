//! Index, dead letters, SQL, and the group's offsets: in this order, each batch after the one before.

use super::live::Live;
use super::prepare::Prepared;
use super::retry::{Failure, Retry, Stopped};
use super::tail::TailSet;
use domain::Timestamp;
use services::Stage;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use store::broker::{Broker, Offset, Partition, Topic};
use store::index::EventIndex;
use store::sql::pipeline::Flushed;
use store::sql::{Flush, SqlError, SqlStore};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// A batch on its way, with its place among those that may be on their way at once.
pub(crate) struct Flight {
    pub prepared: Prepared,
    /// The tails it was matched against.
    pub tails: Arc<TailSet>,
    pub place: OwnedSemaphorePermit,
}

/// A batch that can be searched.
pub(crate) struct Visible {
    pub flight: Flight,
    pub at: Timestamp,
}

/// Writes batches to the index.
pub(crate) struct IndexSink {
    pub index: Arc<dyn EventIndex>,
    pub retry: Retry,
}

impl IndexSink {
    pub async fn run(
        self,
        mut from: mpsc::Receiver<Flight>,
        to: mpsc::Sender<Visible>,
    ) -> Result<(), Stopped> {
        while let Some(mut flight) = from.recv().await {
            if !flight.prepared.entries.is_empty() {
                flight.prepared = self.write(flight.prepared, &flight.tails).await?;
            }
            if to.send(Visible { flight, at: Timestamp::now() }).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn write(&self, prepared: Prepared, tails: &TailSet) -> Result<Prepared, Stopped> {
        let started = Instant::now();
        let written = self
            .retry
            .run(Stage::Index, "the event index", || async {
                self.index.write(prepared.entries.clone()).await.map_err(Failure::from)
            })
            .await?;
        let done = Done { stage: Stage::Index, started };
        done.report(&self.retry, &prepared);
        if written.rejected.is_empty() { Ok(prepared) } else { Ok(prepared.without(written.rejected, tails)) }
    }
}

/// Writes dead letters and SQL, and commits.
pub(crate) struct SqlSink {
    pub broker: Arc<dyn Broker>,
    pub sql: Arc<dyn SqlStore>,
    pub group: Arc<str>,
    pub live: Arc<Live>,
    /// Where each partition's next batch starts: another writer's offset there tells that this one's share has gone.
    pub starts: HashMap<Partition, Offset>,
    /// The number of the last batch in SQL.
    pub flushed: Arc<AtomicU64>,
    pub retry: Retry,
}

impl SqlSink {
    pub async fn run(mut self, mut from: mpsc::Receiver<Visible>) -> Result<(), Stopped> {
        while let Some(Visible { flight, at }) = from.recv().await {
            let mut prepared = flight.prepared;
            self.bury(&prepared).await?;
            let flushed = self.flush(&mut prepared).await?;
            if let Some(batch) = prepared.finishes {
                self.flushed.store(batch, Ordering::Release);
            }
            self.starts.extend(prepared.next.iter().map(|(partition, next)| (*partition, *next)));
            // From here the next batch may start: this one is safe.
            drop(flight.place);
            self.live.add(&prepared.summary, at, prepared.tailed, flushed.new_sources);
            for (partition, next) in prepared.next {
                self.retry
                    .run(Stage::Broker, "the log", || async {
                        self.broker
                            .commit(&self.group, Topic::Events, partition, next)
                            .await
                            .map_err(Failure::from)
                    })
                    .await?;
            }
        }
        Ok(())
    }

    /// Before the offset passes them.
    async fn bury(&self, prepared: &Prepared) -> Result<(), Stopped> {
        if prepared.dead.is_empty() {
            return Ok(());
        }
        self.retry
            .run(Stage::Broker, "the dead-letter topic", || async {
                let records = prepared.dead.iter().map(|(record, _)| record.clone()).collect();
                self.broker.append(Topic::DeadLetters, records).await.map_err(Failure::from)
            })
            .await?;
        for (_, code) in &prepared.dead {
            metrics::counter!("qgx_processor_dead_letters_total", "reason" => code.clone()).increment(1);
        }
        Ok(())
    }

    async fn flush(&self, prepared: &mut Prepared) -> Result<Flushed, Stopped> {
        let started = Instant::now();
        let offsets = prepared.next.iter().map(|(partition, next)| (*partition, *next)).collect();
        let mut flush: Flush = prepared.summary.flush(offsets);
        let start = |partition: &Partition| Some((*partition, *self.starts.get(partition)?));
        flush.starts = prepared.next.keys().filter_map(start).collect();
        let flushed = self
            .retry
            .run(Stage::Sql, "the database", || async {
                match self.sql.flush(Topic::Events.name(), &flush).await {
                    Err(SqlError::Conflict("offset")) => Err(Failure::Final(Stopped::Fenced)),
                    flushed => flushed.map_err(Failure::Again),
                }
            })
            .await?;
        Done { stage: Stage::Sql, started }.report(&self.retry, prepared);
        Ok(flushed)
    }
}

/// A stage's work on a batch, done.
struct Done {
    stage: Stage,
    started: Instant,
}

impl Done {
    fn report(&self, retry: &Retry, prepared: &Prepared) {
        let (events, bytes) = (prepared.summary.events, prepared.summary.bytes);
        let stage = self.stage.name();
        metrics::histogram!("qgx_processor_stage_seconds", "stage" => stage).record(self.started.elapsed());
        metrics::counter!("qgx_processor_records_total", "stage" => stage).increment(events);
        metrics::counter!("qgx_processor_bytes_total", "stage" => stage).increment(bytes);
        if let Some(newest) = prepared.summary.newest {
            let age = Timestamp::now().as_nanos().saturating_sub(newest.as_nanos());
            metrics::gauge!("qgx_processor_record_age_seconds", "stage" => stage).set(age as f64 / 1e9);
        }
        retry.hooks.record(self.stage, events, bytes);
    }
}
