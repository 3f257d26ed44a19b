//! From fetched chunks to batches.

use std::time::Duration;
use store::broker::{Partition, Record};
use store::index::IndexEntry;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Records of one partition, in order.
pub(crate) struct Chunk {
    pub partition: Partition,
    pub records: Vec<Record>,
}

/// A record on its way.
pub(crate) struct Item {
    pub entry: IndexEntry,
    /// It was there before: only its offset counts.
    pub resent: bool,
}

/// When a batch is full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLimits {
    pub records: usize,
    pub bytes: usize,
    /// From the first record of a batch.
    pub linger: Duration,
}

/// Gathers batches, keeping the order of each partition.
pub(crate) struct Gather {
    chunks: mpsc::Receiver<Chunk>,
    /// What did not fit into the last batch.
    left: Option<(Partition, std::vec::IntoIter<Record>)>,
    limits: BatchLimits,
}

impl Gather {
    pub fn new(chunks: mpsc::Receiver<Chunk>, limits: BatchLimits) -> Self {
        Self { chunks, left: None, limits }
    }

    /// The next batch, never empty; `None` once all chunks were taken and no more come.
    pub async fn next(&mut self) -> Option<Vec<Item>> {
        let (mut partition, mut records) = match self.left.take() {
            Some(left) => left,
            None => self.receive(None).await?,
        };
        let deadline = Instant::now() + self.limits.linger;
        let (mut items, mut bytes) = (Vec::new(), 0);
        loop {
            for record in records.by_ref() {
                bytes += record.payload.len();
                items.push(Item { entry: IndexEntry { partition, record }, resent: false });
                if items.len() >= self.limits.records || bytes >= self.limits.bytes {
                    break;
                }
            }
            if records.len() > 0 {
                self.left = Some((partition, records));
                return Some(items);
            }
            if items.len() >= self.limits.records || bytes >= self.limits.bytes {
                return Some(items);
            }
            match self.receive(Some(deadline)).await {
                Some(next) => (partition, records) = next,
                None => return Some(items),
            }
        }
    }

    async fn receive(
        &mut self,
        deadline: Option<Instant>,
    ) -> Option<(Partition, std::vec::IntoIter<Record>)> {
        loop {
            let chunk = match deadline {
                Some(deadline) => timeout_at(deadline, self.chunks.recv()).await.ok().flatten()?,
                None => self.chunks.recv().await?,
            };
            if !chunk.records.is_empty() {
                return Some((chunk.partition, chunk.records.into_iter()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::tests::fixture;
    use store::broker::Offset;

    fn chunk(partition: Partition, offsets: std::ops::Range<Offset>) -> Chunk {
        let record = |offset| fixture::read_back(offset, fixture::new_record("a", "0123456789"));
        Chunk { partition, records: offsets.map(record).collect() }
    }

    /// Sends chunks and looks at the offsets of each batch.
    async fn check(limits: BatchLimits, chunks: Vec<Chunk>, expect: &[&[(Partition, Offset)]]) {
        let (sender, receiver) = mpsc::channel(16);
        for chunk in chunks {
            sender.send(chunk).await.unwrap();
        }
        drop(sender);
        let mut gather = Gather::new(receiver, limits);
        let mut batches = Vec::new();
        while let Some(batch) = gather.next().await {
            let places = batch.iter().map(|it| (it.entry.partition, it.entry.record.offset));
            batches.push(places.collect::<Vec<_>>());
        }
        assert_eq!(batches, expect);
    }

    #[tokio::test]
    async fn batches_are_bounded_and_ordered() {
        let linger = Duration::from_secs(10);
        let roomy = BatchLimits { records: 100, bytes: 1_000_000, linger };
        let chunks = || vec![chunk(0, 0..2), chunk(1, 7..9), chunk(0, 2..3), chunk(1, 9..9)];
        check(roomy, chunks(), &[&[(0, 0), (0, 1), (1, 7), (1, 8), (0, 2)]]).await;
        let three = BatchLimits { records: 3, ..roomy };
        check(three, chunks(), &[&[(0, 0), (0, 1), (1, 7)], &[(1, 8), (0, 2)]]).await;
        let small = BatchLimits { bytes: 10, ..roomy };
        check(small, chunks(), &[&[(0, 0)], &[(0, 1)], &[(1, 7)], &[(1, 8)], &[(0, 2)]]).await;
        check(roomy, vec![], &[]).await;
    }

    #[tokio::test]
    async fn a_batch_waits_no_longer_than_its_linger() {
        let (sender, receiver) = mpsc::channel(1);
        let limits = BatchLimits { records: 100, bytes: 1_000, linger: Duration::from_millis(20) };
        let mut gather = Gather::new(receiver, limits);
        sender.send(chunk(0, 0..1)).await.unwrap();
        let batch = tokio::time::timeout(Duration::from_secs(10), gather.next()).await.unwrap();
        assert_eq!(batch.map(|it| it.len()), Some(1));
    }
}
