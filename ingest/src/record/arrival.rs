//! When a record arrived, and the id it gets for it.

use domain::{EventId, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};

/// The last `received_at` this process gave out, in nanoseconds.
static LAST: AtomicI64 = AtomicI64::new(0);

/// Now, strictly after every earlier answer in this process, whatever the machine's clock does.
pub fn received_now() -> Timestamp {
    let now = Timestamp::now().as_nanos();
    let mut last = LAST.load(Ordering::Relaxed);
    loop {
        let next = now.max(last + 1);
        match LAST.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Timestamp::from_nanos(next),
            Err(current) => last = current,
        }
    }
}

/// Makes UUIDv7s (RFC 9562 §5.7). Its randomness keeps ids apart; it is not meant to be hard to guess.
#[derive(Debug)]
pub struct IdMaker([u64; 2]);

impl IdMaker {
    /// Seeded by the operating system.
    pub fn new() -> Self {
        let mut seed = [0; 16];
        if getrandom::fill(&mut seed).is_err() {
            // No entropy source: the clock and the process still tell ids apart.
            seed[..8].copy_from_slice(&received_now().as_nanos().to_ne_bytes());
            seed[8..12].copy_from_slice(&std::process::id().to_ne_bytes());
        }
        Self(uuid::Uuid::from_bytes(seed).as_u64_pair().into())
    }

    /// The next id, of this instant.
    pub fn next(&mut self, received_at: Timestamp) -> EventId {
        let [a, b] = &mut self.0;
        let (a, b) = (split_mix(a), split_mix(b));
        let mut random = [0; 10];
        random[..8].copy_from_slice(&a.to_ne_bytes());
        random[8..].copy_from_slice(&b.to_ne_bytes()[..2]);
        EventId::at(received_at, random)
    }
}

impl Default for IdMaker {
    fn default() -> Self {
        Self::new()
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Writes instants as RFC 3339 with nine fractional digits; the text of the last second is kept at hand, and the date
/// of the last day.
#[derive(Debug, Clone)]
pub struct InstantText {
    day: i64,
    second: i64,
    text: [u8; 30],
}

impl InstantText {
    /// With nothing at hand.
    pub fn new() -> Self {
        Self { day: i64::MIN, second: i64::MIN, text: *b"0000-00-00T00:00:00.000000000Z" }
    }

    /// The 30 bytes of an instant of the years 0–9999.
    pub fn write(&mut self, at: Timestamp) -> &[u8; 30] {
        let second = at.as_secs();
        if second != self.second {
            self.second = second;
            let (day, of_day) = (second.div_euclid(86_400), second.rem_euclid(86_400) as u32);
            if day != self.day {
                self.day = day;
                let (year, month, date) = domain::time::civil_from_days(day);
                self.put(0, 4, year as u32);
                self.put(5, 2, month as u32);
                self.put(8, 2, date as u32);
            }
            self.put(11, 2, of_day / 3_600);
            self.put(14, 2, of_day / 60 % 60);
            self.put(17, 2, of_day % 60);
        }
        self.put(20, 9, at.as_nanos().rem_euclid(1_000_000_000) as u32);
        &self.text
    }

    fn put(&mut self, at: usize, digits: usize, mut value: u32) {
        for place in self.text[at..at + digits].iter_mut().rev() {
            *place = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
}

impl Default for InstantText {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn arrivals_increase_strictly() {
        let all: Vec<_> = (0..10_000).map(|_| received_now()).collect();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn ids_differ_and_carry_the_time() {
        let (mut a, mut b) = (IdMaker::new(), IdMaker::new());
        let at = Timestamp::from_secs(1_700_000_000);
        let ids: HashSet<_> = (0..1_000).flat_map(|_| [a.next(at), b.next(at)]).collect();
        assert_eq!(ids.len(), 2_000);
        assert!(ids.iter().all(|id| id.to_string().starts_with("018bcfe5-6800-7")));
    }

    #[test]
    fn instants_are_written_as_the_domain_writes_them() {
        let mut text = InstantText::new();
        for nanos in [0, 1, 999_999_999, 1_000_000_000, 1_700_000_000_123_456_789, 1_700_000_000_000_000_001]
        {
            let at = Timestamp::from_nanos(nanos);
            assert_eq!(std::str::from_utf8(text.write(at)).unwrap(), at.to_string());
        }
    }
}
