//! The processor: from the log to the event index and SQL.
//!
//! ```text
//! fetch (a task a partition) ─▶ gather ─▶ dedupe ─▶ read and sum up ─▶ index ─▶ dead letters ─▶ SQL ─▶ commit ─▶ live
//!                                                   (a CPU thread)             └── one transaction, with the offsets
//! ```
//!
//! What holds:
//! - It resumes from the offsets in SQL, from nothing else. The index may be ahead of them: it skips what it has.
//! - What was sent before is recognised before the index, from the state in SQL and in the batches on their way; so a
//!   batch that is read again is cut the same way again, whatever its size is then.
//! - At most three batches are on their way, in order: one is written to SQL while the next is indexed and the one
//!   after that is prepared. With the chunks read ahead that bounds memory, and a sink that is down stops the reading.
//! - No error skips a record. A failing sink is tried again for ever; what a sink refuses for good is a dead letter
//!   before the offset passes it.
//! - Sources that fall silent and come back are followed by `services` (it reads the registry, which any processor
//!   writes); from here come only first events.

mod batch;
mod dedupe;
mod fetch;
mod handle;
pub mod hooks;
mod letters;
mod live;
mod prepare;
mod retry;
mod sharing;
mod sinks;
mod summary;
mod tail;
#[cfg(test)]
pub(crate) mod tests;
mod upkeep;

pub use handle::ProcessorHandle;
pub use hooks::ProcessorHooks;
pub use letters::LETTER_GROUP;
pub use retry::RetryPolicy;

use batch::{BatchLimits, Gather, Item};
use dedupe::Dedupe;
use fetch::Fetcher;
use live::Live;
use retry::{Failure, Retry, Stopped};
use services::Stage;
use sharing::{Sharing, Turn};
use sinks::{Flight, IndexSink, SqlSink};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use store::broker::{Broker, Membership, Offset, Partition, Topic};
use store::index::EventIndex;
use store::sql::SqlStore;
use store::sql::dead_letters::LetterCap;
use tail::TailSet;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Batches on their way: one prepared, one indexed, one written to SQL.
const FLIGHTS: usize = 3;

/// The stores it works on, and whom it tells.
#[derive(Clone)]
pub struct Deps {
    /// Where events come from and dead letters go.
    pub broker: Arc<dyn Broker>,
    /// The first sink.
    pub index: Arc<dyn EventIndex>,
    /// The second sink, with the offsets.
    pub sql: Arc<dyn SqlStore>,
    /// The live hub and the pipeline's figures; [`services::Services`] is one.
    pub hooks: Arc<dyn ProcessorHooks>,
}

/// How long SQL keeps what the processor writes.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Minutes of metrics; then they become hours.
    pub minutes: Duration,
    /// Arrivals a minute.
    pub arrivals: Duration,
    /// Ids that clients gave and positions of streams, from their last use.
    pub ids: Duration,
    /// Dead letters, whatever became of them.
    pub letters: Duration,
    /// And at most so many of a tenant: the oldest go first, of them those that somebody dealt with.
    pub letter_cap: LetterCap,
}

impl Default for Keep {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        // Yesterday is compared with today, in any zone.
        Self {
            minutes: 30 * DAY,
            arrivals: 3 * DAY,
            ids: 7 * DAY,
            letters: 30 * DAY,
            letter_cap: LetterCap { letters: 100_000, bytes: 256 << 20 },
        }
    }
}

/// How it works.
#[derive(Debug, Clone)]
pub struct ProcessorConfig {
    /// The consumer group.
    pub group: Arc<str>,
    /// Records a batch, at most.
    pub batch_records: usize,
    /// Bytes a batch, about at most.
    pub batch_bytes: usize,
    /// How long the first record of a batch waits for more.
    pub linger: Duration,
    /// Different series (metric of a source) after which a batch is divided.
    pub batch_series: usize,
    /// Streams whose position is remembered; the others are read from SQL again.
    pub streams: usize,
    /// Waits between attempts on a failing store.
    pub retry: RetryPolicy,
    /// How long a shutdown may take where nobody says it.
    pub drain: Duration,
    /// How often expired things are dropped.
    pub expire_every: Duration,
    /// How long SQL keeps things.
    pub keep: Keep,
}

impl Default for ProcessorConfig {
    fn default() -> Self {
        Self {
            group: "qgx-processor".into(),
            batch_records: 20_000,
            batch_bytes: 8 * 1024 * 1024,
            linger: Duration::from_millis(200),
            batch_series: 100_000,
            streams: 100_000,
            retry: RetryPolicy::default(),
            drain: Duration::from_secs(20),
            expire_every: Duration::from_secs(60),
            keep: Keep::default(),
        }
    }
}

/// Starts processors, and what keeps dead letters beside them.
#[derive(Debug)]
pub struct Processor;

impl Processor {
    /// Starts consuming this process's share of [`Topic::Events`]: all of it where no other process reads. Nothing here
    /// fails: a store that is down is waited for.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn start(deps: Deps, config: ProcessorConfig) -> ProcessorHandle {
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        let drain = config.drain;
        let live = Arc::new(Live::new(deps.hooks.clone()));
        let upkeep = CancellationToken::new();
        let beside = vec![
            telemetry::spawn("processor-live", live.clone().run(upkeep.clone())),
            telemetry::spawn(
                "processor-lag",
                upkeep::watch_lag(deps.clone(), config.group.clone(), upkeep.clone()),
            ),
            telemetry::spawn(
                "processor-expire",
                upkeep::expire(deps.clone(), config.keep, config.expire_every, upkeep.clone()),
            ),
            telemetry::spawn(
                "processor-letters",
                letters::keep(deps.clone(), config.retry, config.keep, upkeep.clone()),
            ),
        ];
        let pipeline = Pipeline {
            retry: Retry {
                policy: config.retry,
                hooks: deps.hooks.clone(),
                abandon: abandon.clone(),
                cut: abandon.clone(),
            },
            deps,
            config,
            live,
            stop: stop.clone(),
        };
        let batches = telemetry::spawn("processor", pipeline.keep_running());
        ProcessorHandle { stop, abandon, upkeep, drain, batches, beside }
    }
}

/// Everything between the log and the sinks.
struct Pipeline {
    deps: Deps,
    config: ProcessorConfig,
    live: Arc<Live>,
    retry: Retry,
    /// No further reads.
    stop: CancellationToken,
}

impl Pipeline {
    /// Runs turn by turn, and runs again from SQL's offsets where somebody else moved them.
    async fn keep_running(self) {
        let joined = tokio::select! {
            joined = self.join() => joined,
            () = self.stop.cancelled() => return,
        };
        let Ok(membership) = joined else { return };
        let mut sharing = Sharing::of(membership);
        while let Some(turn) = sharing.next(&self.stop, &self.retry.abandon).await {
            let outcome = tokio::select! {
                outcome = self.run(&turn) => outcome,
                never = sharing.watch(&turn) => match never {},
            };
            match outcome {
                _ if self.stop.is_cancelled() => return,
                // The share was taken back; what was not finished is read again by whoever has it next.
                _ if turn.stop.is_cancelled() => {}
                Err(Stopped::Fenced) => {
                    metrics::counter!("qgx_processor_restarts_total").increment(1);
                    tracing::error!(
                        "the stored offsets were moved by another writer; starting again from them"
                    );
                    tokio::select! {
                        () = self.stop.cancelled() => return,
                        () = tokio::time::sleep(self.config.retry.most.min(Duration::from_secs(1))) => {}
                    }
                }
                Ok(()) | Err(_) => return,
            }
        }
    }

    async fn join(&self) -> Result<Membership, Stopped> {
        let (broker, group) = (&self.deps.broker, &self.config.group);
        let join = || async { broker.join(group, Topic::Events).await.map_err(Failure::from) };
        self.retry.run(Stage::Broker, "the log", join).await
    }

    /// Until the turn is over or it is told to stop, and all that was read is done, or until a stage cannot go on.
    async fn run(&self, turn: &Turn) -> Result<(), Stopped> {
        if turn.partitions.is_empty() {
            turn.stop.cancelled().await;
            return Ok(());
        }
        let offsets = tokio::select! {
            offsets = self.resume(&turn.partitions) => offsets?,
            () = turn.stop.cancelled() => return Ok(()),
        };
        let stop = turn.stop.child_token();
        let retry =
            Retry { abandon: turn.abandon.child_token(), cut: turn.abandon.clone(), ..self.retry.clone() };
        let chunks = self.fetch(&offsets, &stop, &retry);
        let (to_index, from_prepare) = mpsc::channel(1);
        let (to_sql, from_index) = mpsc::channel(1);
        let flushed = Arc::new(AtomicU64::new(0));
        let index = IndexSink { index: self.deps.index.clone(), retry: retry.clone() };
        let sql = SqlSink {
            broker: self.deps.broker.clone(),
            sql: self.deps.sql.clone(),
            group: self.config.group.clone(),
            live: self.live.clone(),
            starts: offsets.clone(),
            flushed: flushed.clone(),
            retry: retry.clone(),
        };
        let index = telemetry::spawn("processor-index", index.run(from_prepare, to_sql));
        let sql = telemetry::spawn("processor-sql", sql.run(from_index));
        // One that cannot go on ends the others too, and all have ended when this returns: no batch of this run may
        // reach a sink during the next.
        let ending = async |stage: &mut (dyn Future<Output = Result<(), Stopped>> + Send + Unpin)| {
            let outcome = stage.await;
            if outcome.is_err() {
                stop.cancel();
                retry.abandon.cancel();
            }
            outcome
        };
        let outcomes = futures::future::join3(
            ending(&mut Box::pin(self.prepare(chunks, to_index, flushed, &retry))),
            ending(&mut Box::pin(ended(index))),
            ending(&mut Box::pin(ended(sql))),
        )
        .await;
        let outcomes = [outcomes.0, outcomes.1, outcomes.2];
        if outcomes.contains(&Err(Stopped::Fenced)) {
            Err(Stopped::Fenced)
        } else {
            outcomes.into_iter().collect()
        }
    }

    /// SQL's offsets, of each partition of the turn; told to the log, so that its retention knows this group from the
    /// start.
    async fn resume(&self, partitions: &[Partition]) -> Result<HashMap<Partition, Offset>, Stopped> {
        let stored = self
            .retry
            .run(Stage::Sql, "the database", || async {
                self.deps.sql.offsets(Topic::Events.name()).await.map_err(Failure::from)
            })
            .await?;
        let mut offsets: HashMap<_, _> = partitions.iter().map(|partition| (*partition, 0)).collect();
        // Others read the rest.
        offsets.extend(stored.into_iter().filter(|(partition, _)| partitions.contains(partition)));
        for (partition, next) in &offsets {
            self.retry
                .run(Stage::Broker, "the log", || async {
                    let broker = &self.deps.broker;
                    broker
                        .commit(&self.config.group, Topic::Events, *partition, *next)
                        .await
                        .map_err(Failure::from)
                })
                .await?;
        }
        Ok(offsets)
    }

    fn fetch(
        &self,
        offsets: &HashMap<Partition, Offset>,
        stop: &CancellationToken,
        retry: &Retry,
    ) -> mpsc::Receiver<batch::Chunk> {
        let (sender, chunks) = mpsc::channel(2);
        let share = self.config.batch_bytes / offsets.len().max(1);
        for (partition, from) in offsets {
            let fetcher = Fetcher {
                broker: self.deps.broker.clone(),
                partition: *partition,
                from: *from,
                max_bytes: share.clamp(128 * 1024, 1024 * 1024),
                chunks: sender.clone(),
                retry: retry.clone(),
                stop: stop.clone(),
            };
            telemetry::spawn("processor-fetch", fetcher.run());
        }
        chunks
    }

    /// Chunks to prepared batches.
    async fn prepare(
        &self,
        chunks: mpsc::Receiver<batch::Chunk>,
        to_index: mpsc::Sender<Flight>,
        flushed: Arc<AtomicU64>,
        retry: &Retry,
    ) -> Result<(), Stopped> {
        let ProcessorConfig { batch_records: records, batch_bytes: bytes, linger, streams, .. } = self.config;
        let mut gather = Gather::new(chunks, BatchLimits { records, bytes, linger });
        let mut dedupe = Dedupe::new(self.deps.sql.clone(), streams, flushed);
        let flights = Arc::new(Semaphore::new(FLIGHTS));
        let mut tails = Arc::new(TailSet::default());
        while let Some(mut items) = gather.next().await {
            metrics::histogram!("qgx_processor_batch_records").record(items.len() as f64);
            let known = retry
                .run(Stage::Sql, "the database", || async { dedupe.ask(&items).await.map_err(Failure::from) })
                .await?;
            let number = dedupe.mark(&mut items, known);
            while !items.is_empty() {
                let Ok(place) = flights.clone().acquire_owned().await else { return Ok(()) };
                tails = TailSet::refreshed(&tails, &*self.deps.hooks);
                let (prepared, rest) = self.read(items, tails.clone(), number).await?;
                items = rest;
                let flight = Flight { prepared, tails: tails.clone(), place };
                if to_index.send(flight).await.is_err() {
                    // The index stage ended; its error tells why.
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn read(
        &self,
        items: Vec<Item>,
        tails: Arc<TailSet>,
        number: u64,
    ) -> Result<(prepare::Prepared, Vec<Item>), Stopped> {
        let most = self.config.batch_series;
        let started = std::time::Instant::now();
        let work =
            telemetry::spawn_blocking_named("processor-read", move || prepare::prepare(items, &tails, most));
        // A panic was reported; everything since the last flush is read again.
        let (mut prepared, rest) = work.await.map_err(|_| Stopped::Fenced)?;
        if rest.is_empty() {
            prepared.finishes = Some(number);
        }
        let (events, bytes) = (prepared.summary.events, prepared.summary.bytes);
        metrics::histogram!("qgx_processor_stage_seconds", "stage" => "read").record(started.elapsed());
        metrics::counter!("qgx_processor_records_total", "stage" => "read").increment(events);
        self.deps.hooks.record(Stage::Processor, events, bytes);
        Ok((prepared, rest))
    }
}

/// A stage's outcome. A panic in it was reported; the pipeline starts again.
async fn ended(stage: JoinHandle<Result<(), Stopped>>) -> Result<(), Stopped> {
    stage.await.unwrap_or(Err(Stopped::Fenced))
}
