//! Wrong tokens, counted by client: a guesser is slowed down, its neighbours behind the same address are not. A program
//! that tries a dead token again and again guesses nothing.

use domain::net::network;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Wrong tokens that a client may show at once.
const BURST: f64 = 20.0;
/// And then a second.
const PER_SEC: f64 = 0.2;
/// How long a token that was good is asked about without counting.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Clients, and good tokens, that are remembered. At so many, what hardly matters any more is let go, and where that
/// makes no room, everything: more addresses than this guess at once only where no count by address would stop them.
const MOST: usize = 20_000;
/// Wrong tokens that are remembered of a client: those that it showed last.
const SHOWN: usize = 32;
/// How long a wrong token is answered from memory: a program with a dead one, however busy, costs no look-up.
const ANSWERED: Duration = Duration::from_secs(5);

type Fingerprint = [u8; 32];

/// See the module.
#[derive(Default)]
pub struct Guesses(Mutex<State>);

#[derive(Default)]
struct State {
    wrong: HashMap<IpAddr, Client>,
    /// Digests of tokens that were good, never tokens.
    good: HashMap<Fingerprint, Instant>,
}

/// What a client has shown that was wrong.
struct Client {
    /// How much of the burst it had used…
    used: f64,
    /// …then.
    at: Instant,
    /// Digests of its wrong tokens, and when each was looked up; the last at the end.
    shown: VecDeque<(Fingerprint, Instant)>,
}

impl Client {
    fn new(now: Instant) -> Self {
        Self { used: 0.0, at: now, shown: VecDeque::new() }
    }

    fn used(&self, now: Instant) -> f64 {
        (self.used - now.saturating_duration_since(self.at).as_secs_f64() * PER_SEC).max(0.0)
    }

    /// A wrong one; it counts unless it was shown before.
    fn showed(&mut self, secret: Fingerprint, now: Instant) {
        if let Some(at) = self.shown.iter().position(|(shown, _)| *shown == secret) {
            self.shown.remove(at);
        } else {
            (self.used, self.at) = ((self.used(now) + 1.0).min(BURST), now);
            if self.shown.len() >= SHOWN {
                self.shown.pop_front();
            }
        }
        self.shown.push_back((secret, now));
    }

    fn looked_up(&self, secret: &Fingerprint) -> Option<Instant> {
        self.shown.iter().find_map(|(shown, at)| (shown == secret).then_some(*at))
    }
}

fn fingerprint(secret: &str) -> Fingerprint {
    Sha256::digest(secret.as_bytes()).into()
}

/// Makes room for one more.
fn make_room<K: Eq + Hash, V>(map: &mut HashMap<K, V>, new: &K, matters: impl Fn(&V) -> bool) {
    if map.len() >= MOST && !map.contains_key(new) {
        map.retain(|_, value| matters(value));
        if map.len() >= MOST {
            map.clear();
        }
    }
}

impl Guesses {
    /// Whether a token may be looked at; else how long to wait.
    ///
    /// # Errors
    /// The wait, where this client has shown too many wrong ones and this token is new: neither was it good a short
    /// while ago, nor is it one of the wrong ones.
    pub fn may_ask(&self, client: IpAddr, secret: &str, now: Instant) -> Result<(), Duration> {
        let state = self.0.lock();
        let Some(client) = state.wrong.get(&network(client)) else { return Ok(()) };
        let used = client.used(now);
        let known = || {
            let secret = fingerprint(secret);
            let good = state.good.get(&secret);
            good.is_some_and(|at| now.saturating_duration_since(*at) < REMEMBERED)
                || client.looked_up(&secret).is_some()
        };
        if used + 1.0 <= BURST || known() {
            return Ok(());
        }
        Err(Duration::from_secs_f64((used + 1.0 - BURST) / PER_SEC))
    }

    /// Whether this client showed the token a moment ago and it was wrong.
    pub fn is_wrong(&self, client: IpAddr, secret: &str, now: Instant) -> bool {
        let state = self.0.lock();
        let looked_up =
            state.wrong.get(&network(client)).and_then(|client| client.looked_up(&fingerprint(secret)));
        looked_up.is_some_and(|at| now.saturating_duration_since(at) < ANSWERED)
    }

    /// A token was looked at.
    pub fn answered(&self, client: IpAddr, secret: &str, good: bool, now: Instant) {
        let (client, secret) = (network(client), fingerprint(secret));
        let state = &mut *self.0.lock();
        if good {
            make_room(&mut state.good, &secret, |at| now.saturating_duration_since(*at) < REMEMBERED / 2);
            state.good.insert(secret, now);
            return;
        }
        // Revoked, perhaps.
        state.good.remove(&secret);
        make_room(&mut state.wrong, &client, |known| known.used(now) > BURST / 2.0);
        state.wrong.entry(client).or_insert_with(|| Client::new(now)).showed(secret, now);
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

    #[test]
    fn a_dead_token_is_no_guess_however_often() {
        let guesses = Guesses::default();
        let client = "192.0.2.1".parse().unwrap();
        let now = Instant::now();
        let check = |secret: &str, expect: bool| {
            assert_eq!(guesses.may_ask(client, secret, now).is_ok(), expect, "{secret}");
        };
        for _ in 0..1_000 {
            check("dead", true);
            guesses.answered(client, "dead", false, now);
        }
        check("a neighbour's, not seen yet", true);
        for n in 0..19 {
            guesses.answered(client, &format!("wrong {n}"), false, now);
        }
        check("one more", false);
        check("dead", true);
        // Only so many are remembered, and what is shown again stays longest.
        for n in 0..100 {
            guesses.answered(client, &format!("more {n}"), false, now);
            guesses.answered(client, "dead", false, now);
        }
        check("dead", true);
        check("wrong 0", false);
        assert_eq!(guesses.0.lock().wrong[&client].shown.len(), SHOWN);
    }

    #[test]
    fn a_dead_token_is_looked_up_only_now_and_then() {
        let guesses = Guesses::default();
        let (client, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let start = Instant::now();
        guesses.answered(client, "dead", false, start);
        let check = |client: IpAddr, secret: &str, after: u64, expect: bool| {
            let now = start + Duration::from_secs(after);
            assert_eq!(guesses.is_wrong(client, secret, now), expect, "{client} {secret} {after}");
        };
        check(client, "dead", 0, true);
        check(client, "dead", 4, true);
        check(client, "dead", 5, false);
        check(client, "another", 0, false);
        check(other, "dead", 0, false);
    }

    #[test]
    fn a_token_that_is_good_no_more_is_forgotten() {
        let guesses = Guesses::default();
        let client = "192.0.2.1".parse().unwrap();
        let now = Instant::now();
        guesses.answered(client, "revoked", true, now);
        guesses.answered(client, "revoked", false, now);
        assert!(guesses.0.lock().good.is_empty());
    }

    #[test]
    fn no_number_of_clients_fills_the_memory() {
        let guesses = Guesses::default();
        let now = Instant::now();
        let address = |n: usize| IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
        {
            let state = &mut *guesses.0.lock();
            for n in 0..MOST {
                state.wrong.insert(address(n), Client { used: BURST, ..Client::new(now) });
                let mut secret = [0; 32];
                secret[..8].copy_from_slice(&n.to_be_bytes());
                state.good.insert(secret, now);
            }
        }
        let check = |client: usize, good: bool, expect: (usize, usize), what: &str| {
            guesses.answered(address(client), "x", good, now);
            let state = guesses.0.lock();
            assert_eq!((state.wrong.len(), state.good.len()), expect, "{what}");
        };
        check(0, false, (MOST, MOST), "one that is there needs no room");
        check(MOST, false, (1, MOST), "all of them still matter: all are let go");
        check(MOST, true, (1, 1), "tokens likewise");
    }
}
