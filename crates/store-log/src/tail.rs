//! The newest packs, in memory: what a reader that keeps up reads.

use bytes::Bytes;
use std::collections::VecDeque;

use crate::frame::Head;

/// What a cached pack costs beside its bytes.
const OVERHEAD: usize = 128;

/// The newest packs of a topic, of all partitions together within a number of bytes.
pub struct Tail {
    partitions: Vec<VecDeque<Cached>>,
    /// The partitions in the order their packs came, for letting go of the oldest.
    order: VecDeque<u32>,
    bytes: usize,
    limit: usize,
}

/// A pack in memory.
#[derive(Clone)]
pub struct Cached {
    /// Its frame's head.
    pub head: Head,
    /// Its body.
    pub body: Bytes,
}

impl Tail {
    /// An empty one.
    pub fn new(partitions: u32, limit: usize) -> Self {
        let partitions = (0..partitions).map(|_| VecDeque::new()).collect();
        Self { partitions, order: VecDeque::new(), bytes: 0, limit }
    }

    /// Adds the newest pack of its partition, and lets go of the oldest of all.
    pub fn push(&mut self, pack: Cached) {
        let Some(packs) = self.partitions.get_mut(pack.head.partition as usize) else { return };
        self.bytes += pack.body.len() + OVERHEAD;
        self.order.push_back(pack.head.partition);
        packs.push_back(pack);
        while self.bytes > self.limit {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(gone) = self.partitions[oldest as usize].pop_front() {
                self.bytes -= gone.body.len() + OVERHEAD;
            }
        }
    }

    /// The packs from the one that holds `offset`; `None` where that one is not here.
    pub fn from(&self, partition: u32, offset: u64) -> Option<impl Iterator<Item = &Cached>> {
        let packs = self.partitions.get(partition as usize)?;
        let at = packs.partition_point(|pack| pack.head.next() <= offset);
        packs.get(at).filter(|pack| pack.head.first <= offset)?;
        Some(packs.range(at..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(partition: u32, first: u64, count: u32) -> Cached {
        let body = Bytes::from(vec![0; 1000]);
        let head = Head { body_crc: 0, body_len: 1000, partition, count, first, appended_at: 0, before: 0 };
        Cached { head, body }
    }

    #[test]
    fn keeps_the_newest_within_its_bytes() {
        let mut tail = Tail::new(2, 3 * (1000 + OVERHEAD));
        for cached in [pack(0, 0, 10), pack(1, 0, 5), pack(0, 10, 10), pack(0, 20, 1)] {
            tail.push(cached);
        }
        let check = |partition, offset, expect: Option<&[u64]>| {
            let seen =
                tail.from(partition, offset).map(|packs| packs.map(|it| it.head.first).collect::<Vec<_>>());
            assert_eq!(seen.as_deref(), expect, "partition {partition}, offset {offset}");
        };
        check(0, 0, None);
        check(0, 9, None);
        check(0, 10, Some(&[10, 20]));
        check(0, 19, Some(&[10, 20]));
        check(0, 20, Some(&[20]));
        check(0, 21, None);
        check(1, 3, Some(&[0]));
        check(2, 0, None);
    }
}
