//! From the topic of dead letters to the SQL store, where people find them.
//!
//! It resumes from the offset that stands in SQL beside the letters; a letter that is read again is known by its id.

use super::retry::{Failure, Retry, RetryPolicy, Stopped};
use super::sharing::{Sharing, Turn};
use super::{Deps, Keep};
use crate::dead_letter::DeadLetter;
use domain::Timestamp;
use futures::TryStreamExt;
use futures::stream::FuturesUnordered;
use services::Stage;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::broker::{BrokerError, Fetched, Offset, Partition, Record, Topic};
use store::sql::dead_letters::LettersGone;
use store::sql::{LetterBatch, SqlError, SqlResult, SqlStore};
use tokio_util::sync::CancellationToken;

/// The consumer group.
pub const LETTER_GROUP: &str = "qgx-dead-letters";
/// Bytes of a fetch, about at most; a letter may have more.
const FETCH_BYTES: usize = 256 << 10;
/// How long a fetch waits for the first record. Only a pause between two looks: records wake it.
const WAIT: Duration = Duration::from_secs(5);
/// After this part of the cap, what is too much is looked for.
const PART: u64 = 8;
/// Before it starts again from SQL's offsets.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps dead letters until told to stop.
pub(crate) async fn keep(deps: Deps, policy: RetryPolicy, keep: Keep, stop: CancellationToken) {
    let retry = Retry { policy, hooks: deps.hooks.clone(), abandon: stop.clone(), cut: stop.clone() };
    let join = || async { deps.broker.join(LETTER_GROUP, Topic::DeadLetters).await.map_err(Failure::from) };
    let Ok(membership) = retry.run(Stage::Broker, "the topic of dead letters", join).await else { return };
    let mut sharing = Sharing::of(membership);
    let keeper = Keeper { deps, keep, retry, letters: AtomicU64::new(0), bytes: AtomicU64::new(0) };
    while let Some(turn) = sharing.next(&stop, &stop).await {
        let outcome = tokio::select! {
            outcome = keeper.run(&turn) => outcome,
            never = sharing.watch(&turn) => match never {},
        };
        if stop.is_cancelled() {
            return;
        }
        if outcome == Err(Stopped::Fenced) && !turn.stop.is_cancelled() {
            tracing::warn!(
                "the offsets of dead letters were moved by another writer; starting again from them"
            );
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}

/// Drops letters that are too old, and what of a tenant's is too much.
pub(crate) async fn expire(sql: &dyn SqlStore, keep: &Keep) -> SqlResult<LettersGone> {
    let age = i64::try_from(keep.letters.as_nanos()).unwrap_or(i64::MAX);
    let gone = sql.expire_letters(Timestamp::now().plus_nanos(-age), keep.letter_cap).await?;
    for (reason, count) in [("age", gone.aged), ("cap_resolved", gone.resolved), ("cap_open", gone.open)] {
        if count > 0 {
            metrics::counter!("qgx_dead_letters_removed_total", "reason" => reason).increment(count);
        }
    }
    if gone.open > 0 {
        tracing::warn!(
            letters = gone.open,
            "dead letters that nobody had dealt with were removed: there were too many"
        );
    }
    Ok(gone)
}

struct Keeper {
    deps: Deps,
    keep: Keep,
    retry: Retry,
    /// Kept since what is too much was looked for.
    letters: AtomicU64,
    bytes: AtomicU64,
}

impl Keeper {
    /// Until the turn is over.
    async fn run(&self, turn: &Turn) -> Result<(), Stopped> {
        if turn.partitions.is_empty() {
            turn.stop.cancelled().await;
            return Ok(());
        }
        let stored = tokio::select! {
            stored = self.offsets() => stored?,
            () = turn.stop.cancelled() => return Ok(()),
        };
        let of = |partition: &Partition| {
            let found = stored.iter().find(|(it, _)| it == partition);
            self.follow(*partition, found.map_or(0, |(_, next)| *next), turn)
        };
        let partitions: FuturesUnordered<_> = turn.partitions.iter().map(of).collect();
        partitions.try_collect().await
    }

    async fn offsets(&self) -> Result<Vec<(Partition, Offset)>, Stopped> {
        let ask = || async { self.deps.sql.offsets(Topic::DeadLetters.name()).await.map_err(Failure::from) };
        self.retry.run(Stage::Sql, "the database", ask).await
    }

    async fn follow(&self, partition: Partition, stored: Offset, turn: &Turn) -> Result<(), Stopped> {
        // Retention knows this group from the start.
        self.commit(partition, stored).await?;
        let (mut start, mut from) = (stored, stored);
        loop {
            let fetched = tokio::select! {
                fetched = self.fetch(partition, from) => fetched?,
                () = turn.stop.cancelled() => return Ok(()),
            };
            let fetched = match fetched {
                Ok(fetched) => fetched,
                Err(earliest) => {
                    from = earliest;
                    continue;
                }
            };
            let Some(last) = fetched.records.last() else { continue };
            let next = last.offset + 1;
            let letters: Vec<_> =
                fetched.records.iter().map(|record| letter(partition, record).to_kept()).collect();
            let bytes: u64 = letters.iter().map(|letter| letter.row.kept_bytes).sum();
            let batch = LetterBatch { partition, start, next, letters };
            let new = self.store(&batch).await?;
            metrics::counter!("qgx_dead_letters_stored_total").increment(new);
            (start, from) = (next, next);
            self.commit(partition, next).await?;
            self.grown(new, bytes).await;
        }
    }

    /// What stands there; or, where that was removed, where the log begins.
    async fn fetch(&self, partition: Partition, from: Offset) -> Result<Result<Fetched, Offset>, Stopped> {
        let broker = &self.deps.broker;
        let fetch = || async {
            match broker.fetch(Topic::DeadLetters, partition, from, FETCH_BYTES, WAIT).await {
                Err(BrokerError::OutOfRange { earliest, .. }) if earliest > from => Ok(Err(earliest)),
                fetched => fetched.map(Ok).map_err(Failure::from),
            }
        };
        self.retry.run(Stage::Broker, "the topic of dead letters", fetch).await
    }

    async fn store(&self, batch: &LetterBatch) -> Result<u64, Stopped> {
        let store = || async {
            match self.deps.sql.keep_letters(Topic::DeadLetters.name(), batch).await {
                Err(SqlError::Conflict("offset")) => Err(Failure::Final(Stopped::Fenced)),
                kept => kept.map_err(Failure::Again),
            }
        };
        self.retry.run(Stage::Sql, "the database", store).await
    }

    async fn commit(&self, partition: Partition, next: Offset) -> Result<(), Stopped> {
        let broker = &self.deps.broker;
        let commit = || async {
            broker.commit(LETTER_GROUP, Topic::DeadLetters, partition, next).await.map_err(Failure::from)
        };
        self.retry.run(Stage::Broker, "the topic of dead letters", commit).await
    }

    /// A flood is bounded while it lasts, not at the next turn of the upkeep.
    async fn grown(&self, letters: u64, bytes: u64) {
        let cap = self.keep.letter_cap;
        let letters = self.letters.fetch_add(letters, Ordering::Relaxed) + letters;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if letters <= cap.letters / PART && bytes <= cap.bytes / PART {
            return;
        }
        self.letters.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        if let Err(error) = expire(&*self.deps.sql, &self.keep).await {
            tracing::warn!(%error, "what is too much of the dead letters could not be dropped");
        }
    }
}

/// A record of the topic. One that is no dead letter is kept as what it is: nobody else would find it.
fn letter(partition: Partition, record: &Record) -> DeadLetter {
    match DeadLetter::parse(&record.payload) {
        Ok(letter) => letter.identified(partition, record.offset),
        Err(error) => {
            metrics::counter!("qgx_dead_letters_unreadable_total").increment(1);
            tracing::warn!(partition, offset = record.offset, %error, "a dead letter could not be read");
            DeadLetter::of_unreadable(&record.route, &error.to_string(), &record.payload)
                .identified(partition, record.offset)
        }
    }
}
