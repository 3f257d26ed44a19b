//! Chance that can be had again: the same seed throws the same numbers.

use std::time::Duration;

/// A stream of numbers by SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub struct Dice(u64);

impl Dice {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..count`.
    pub fn below(&mut self, count: usize) -> usize {
        // The remainder's bias is nothing beside counts this small.
        usize::try_from(self.next() % (count.max(1) as u64)).unwrap_or(0)
    }

    /// A time between two, in whole milliseconds.
    pub fn between(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        Duration::from_millis(least_ms + self.next() % (most_ms - least_ms).max(1))
    }

    /// One of several.
    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let at = self.below(of.len());
        of.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_throws_the_same_again_within_its_bounds() {
        let (mut one, mut two) = (Dice::new(7), Dice::new(7));
        for _ in 0..1000 {
            let thrown = one.below(6);
            assert_eq!(thrown, two.below(6));
            assert!(thrown < 6);
            let time = one.between(100, 200);
            assert_eq!(time, two.between(100, 200));
            assert!((100..200).contains(&time.as_millis()));
        }
        assert_ne!(Dice::new(1).next(), Dice::new(2).next());
    }
}
