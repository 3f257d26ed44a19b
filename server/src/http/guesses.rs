//! Wrong tokens, counted by client: a guesser is slowed down, its neighbours behind the same address are not.

use super::crowd::network;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Wrong tokens that a client may show at once.
const BURST: f64 = 20.0;
/// And then a second.
const PER_SEC: f64 = 0.2;
/// How long a token that was good is asked about without counting.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Clients, and tokens, that are remembered; beyond, the oldest knowledge is let go.
const MOST: usize = 20_000;

/// See the module.
#[derive(Default)]
pub struct Guesses(Mutex<State>);

#[derive(Default)]
struct State {
    /// How much of the burst each client has used, and when.
    wrong: HashMap<IpAddr, (f64, Instant)>,
    /// Digests of tokens that were good, never tokens.
    good: HashMap<[u8; 32], Instant>,
}

fn used((used, at): (f64, Instant), now: Instant) -> f64 {
    (used - now.saturating_duration_since(at).as_secs_f64() * PER_SEC).max(0.0)
}

impl Guesses {
    /// Whether a token may be looked at; else how long to wait.
    ///
    /// # Errors
    /// The wait, where this client has shown too many wrong ones and this token was not good a short while ago.
    pub fn may_ask(&self, client: IpAddr, secret: &str, now: Instant) -> Result<(), Duration> {
        let state = self.0.lock();
        let Some(used) = state.wrong.get(&network(client)).map(|entry| used(*entry, now)) else {
            return Ok(());
        };
        let known = || {
            let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
            state.good.get(&digest).is_some_and(|at| now.saturating_duration_since(*at) < REMEMBERED)
        };
        if used + 1.0 <= BURST || known() {
            return Ok(());
        }
        Err(Duration::from_secs_f64((used + 1.0 - BURST) / PER_SEC))
    }

    /// A token was looked at.
    pub fn answered(&self, client: IpAddr, secret: &str, good: bool, now: Instant) {
        let state = &mut *self.0.lock();
        if good {
            if state.good.len() >= MOST {
                state.good.retain(|_, at| now.saturating_duration_since(*at) < REMEMBERED / 2);
            }
            if state.good.len() < MOST {
                state.good.insert(Sha256::digest(secret.as_bytes()).into(), now);
            }
            return;
        }
        if state.wrong.len() >= MOST {
            state.wrong.retain(|_, entry| used(*entry, now) > BURST / 2.0);
        }
        let entry = state.wrong.entry(network(client)).or_insert((0.0, now));
        *entry = ((used(*entry, now) + 1.0).min(BURST), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guesser_waits_and_a_known_neighbour_does_not() {
        let guesses = Guesses::default();
        let (guesser, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let start = Instant::now();
        guesses.answered(guesser, "good", true, start);
        let check = |client: IpAddr, secret: &str, after: u64, expect: Result<(), u64>| {
            let found = guesses.may_ask(client, secret, start + Duration::from_secs(after));
            assert_eq!(found.map_err(|wait| wait.as_secs()), expect, "{client} {secret} {after}");
        };
        for n in 0..20 {
            let secret = format!("wrong {n}");
            check(guesser, &secret, 0, Ok(()));
            guesses.answered(guesser, &secret, false, start);
        }
        check(guesser, "one more", 0, Err(5));
        check(guesser, "good", 0, Ok(()));
        check(other, "one more", 0, Ok(()));
        check(guesser, "one more", 5, Ok(()));
        check(guesser, "good", 601, Ok(()));
    }
}
