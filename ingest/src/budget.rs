//! One budget of bytes for everything between a socket and the broker.
//!
//! A share is taken before a socket is read and given back when what was read is durable. A holder never waits for a
//! second share, so that no two can wait for each other.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit shares are counted in.
const UNIT: usize = 1 << 10;

/// The budget; clones share it.
#[derive(Debug, Clone)]
pub struct ByteBudget {
    units: Arc<Semaphore>,
    most: u32,
    /// What unfinished frames may hold of it, so that slow senders leave room for the others.
    parked: Arc<Semaphore>,
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub struct Share(OwnedSemaphorePermit);

/// A part of the budget held by a frame whose end has not come.
#[derive(Debug)]
pub struct Parked {
    _share: Share,
    _place: OwnedSemaphorePermit,
    /// Bytes it covers.
    pub bytes: usize,
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

impl ByteBudget {
    /// Of so many bytes; at most half of them for unfinished frames.
    pub fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT).clamp(2, Semaphore::MAX_PERMITS);
        Self {
            units: Arc::new(Semaphore::new(units)),
            // A share greater than this would be waited for without end.
            most: u32::try_from(units).unwrap_or(u32::MAX),
            parked: Arc::new(Semaphore::new(units / 2)),
        }
    }

    /// Waits for a share, first come first served; at most the whole budget.
    pub async fn take(&self, bytes: usize) -> Share {
        let permit = Arc::clone(&self.units).acquire_many_owned(units(bytes).min(self.most)).await;
        Share(permit.expect("the budget is never closed"))
    }

    /// A share where there is one at once.
    pub fn try_take(&self, bytes: usize) -> Option<Share> {
        Arc::clone(&self.units).try_acquire_many_owned(units(bytes).min(self.most)).ok().map(Share)
    }

    /// Bytes nobody holds.
    pub fn free(&self) -> usize {
        self.units.available_permits() * UNIT
    }

    /// Keeps a part of a share for an unfinished frame; the rest is given back. `None` where unfinished frames hold too
    /// much already.
    pub fn park(&self, share: Share, bytes: usize) -> Option<Parked> {
        let share = share.shrunk(bytes);
        let place = Arc::clone(&self.parked).try_acquire_many_owned(units(bytes)).ok()?;
        Some(Parked { _share: share, _place: place, bytes })
    }
}

impl Share {
    /// Splits off a part; at most what there is.
    pub fn split(&mut self, bytes: usize) -> Self {
        let wanted = (units(bytes) as usize).min(self.0.num_permits());
        Self(self.0.split(wanted).expect("at most what there is"))
    }

    /// This share, no greater than needed.
    #[must_use]
    pub fn shrunk(mut self, bytes: usize) -> Self {
        self.split(bytes)
    }

    /// Takes another share in.
    pub fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    /// Bytes it covers.
    pub fn bytes(&self) -> usize {
        self.0.num_permits() * UNIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shares_come_back() {
        let budget = ByteBudget::new(64 << 10);
        let mut share = budget.take(32 << 10).await;
        assert_eq!(budget.free(), 32 << 10);
        let part = share.split(1);
        assert_eq!((part.bytes(), share.bytes()), (1 << 10, 31 << 10));
        let parked = budget.park(share, 16 << 10).expect("half is free");
        assert_eq!(budget.free(), (64 - 1 - 16) << 10);
        let more = budget.take(20 << 10).await;
        assert!(budget.park(more, 20 << 10).is_none(), "only half may be parked");
        drop((parked, part));
        assert_eq!(budget.free(), 64 << 10);
    }
}
