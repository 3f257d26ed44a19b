//! Memory for large first records, which are read before anybody knows whose they are.
//!
//! It is apart from the budget of identified senders, so that strangers can take nothing from them, and nobody waits for
//! it: a stranger that finds none is told to come again.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit shares are counted in.
const UNIT: usize = 1 << 10;
/// Largest frames that fit at a time.
const FRAMES: usize = 16;

/// What all openings of a port may hold.
#[derive(Debug)]
pub struct Openings(Arc<Semaphore>);

/// What one opening holds of it, given back when dropped.
#[derive(Debug)]
pub struct OpeningShare(OwnedSemaphorePermit);

impl Openings {
    /// For frames of at most so many bytes.
    pub fn new(frame_bytes: usize) -> Self {
        let units = frame_bytes.div_ceil(UNIT).saturating_mul(FRAMES);
        Self(Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))))
    }

    /// Makes a share cover so many bytes, without waiting. False where the others hold too much.
    pub fn cover(&self, share: &mut Option<OpeningShare>, bytes: usize) -> bool {
        let held = share.as_ref().map_or(0, |share| share.0.num_permits());
        let missing = u32::try_from(bytes.div_ceil(UNIT).saturating_sub(held)).unwrap_or(u32::MAX);
        if missing == 0 {
            return true;
        }
        let Ok(more) = Arc::clone(&self.0).try_acquire_many_owned(missing) else { return false };
        match share {
            Some(share) => share.0.merge(more),
            none => *none = Some(OpeningShare(more)),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_grow_with_what_is_held_and_come_back() {
        let openings = Openings::new(1 << 10);
        let (mut first, mut second) = (None, None);
        assert!(openings.cover(&mut first, 3 << 10));
        assert!(openings.cover(&mut first, 10 << 10), "only what is missing is taken");
        assert!(openings.cover(&mut first, 1), "a share does not shrink");
        assert!(!openings.cover(&mut second, 7 << 10) && second.is_none());
        assert!(openings.cover(&mut second, 6 << 10));
        assert!(!openings.cover(&mut second, 7 << 10));
        drop(first);
        assert!(openings.cover(&mut second, 16 << 10));
    }
}
