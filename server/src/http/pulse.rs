//! Whether an HTTP/2 connection is alive in more than its pings: pings alone would hold its slot for ever.

use super::patience::Patience;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::time::Instant;

/// What a connection's requests are doing.
pub struct Pulse {
    patience: Patience,
    state: Mutex<State>,
}

struct State {
    seen_any: bool,
    /// Requests that are not answered to the end.
    open: usize,
    /// Those of them that wait for the server.
    ours: usize,
    changed: Instant,
    /// Bytes of answers that the client has taken since then.
    taken: usize,
    /// Bytes of answers that were given out and have not been seen going out.
    owed: usize,
}

impl State {
    fn changes(&mut self) {
        (self.changed, self.taken) = (Instant::now(), 0);
    }
}

impl Pulse {
    /// Of a connection that begins now.
    pub fn new(patience: Patience) -> Arc<Self> {
        let state = State { seen_any: false, open: 0, ours: 0, changed: Instant::now(), taken: 0, owed: 0 };
        Arc::new(Self { patience, state: Mutex::new(state) })
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        state.changes();
    }

    /// A request has come; it is our turn.
    pub fn began(&self) {
        self.change(|state| {
            state.seen_any = true;
            state.open += 1;
            state.ours += 1;
        });
    }

    /// It is our turn with a request, or no longer.
    pub fn turn(&self, ours: bool) {
        self.change(|state| if ours { state.ours += 1 } else { state.ours = state.ours.saturating_sub(1) });
    }

    /// A request is answered, or given up, and it was not our turn.
    pub fn ended(&self) {
        self.change(|state| state.open = state.open.saturating_sub(1));
    }

    /// More of an answer was asked for, and given: the client reads.
    pub fn gave(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.owed = state.owed.saturating_add(bytes);
        state.changes();
    }

    /// So many bytes went out. An answer whose last part is queued is no longer open, but the client still takes it. As
    /// answers to pings go out too, no more counts than answers have given out.
    pub fn wrote(&self, bytes: usize) {
        let mut state = self.state.lock();
        let of_answers = bytes.min(state.owed);
        state.owed -= of_answers;
        state.taken = state.taken.saturating_add(of_answers);
        if of_answers == 0 {
            return;
        }
        if state.taken >= self.patience.answer.least {
            state.changes();
        }
    }

    /// Returns when the connection has been without a request, or waiting for its client, for too long.
    pub async fn stopped(&self) {
        let patience = &self.patience;
        loop {
            let until = {
                let state = self.state.lock();
                let most = match (state.seen_any, state.open) {
                    (false, _) => patience.head,
                    (true, 0) => patience.idle,
                    (true, _) => patience.stall,
                };
                // While it is our turn nobody is to blame.
                if state.ours > 0 { Instant::now() + most } else { state.changed + most }
            };
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_connection_stops_when_its_client_does() {
        let patience = Patience::default();
        let start = Instant::now();
        let check = async |pulse: &Pulse, expect: Duration, what: &str| {
            pulse.stopped().await;
            assert_eq!(start.elapsed().as_secs(), expect.as_secs(), "{what}");
        };
        let pulse = Pulse::new(patience);
        check(&pulse, patience.head, "no request at all").await;
        pulse.began();
        let busy = tokio::time::timeout(Duration::from_secs(1_000), pulse.stopped()).await;
        assert!(busy.is_err(), "our turn may last");
        let so_far = patience.head + Duration::from_secs(1_000);
        pulse.turn(false);
        check(&pulse, so_far + patience.stall, "an answer that nobody reads").await;
        pulse.ended();
        check(&pulse, so_far + patience.stall + patience.idle, "no further request").await;
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_is_alive_and_whoever_only_pings_is_not() {
        let patience = Patience::default();
        // For ten minutes something happens each second; then it is looked how long the connection had lasted.
        let check =
            async |answered: bool, given: usize, happens: &dyn Fn(&Pulse), expect: bool, what: &str| {
                let pulse = Pulse::new(patience);
                pulse.began();
                pulse.turn(false);
                pulse.gave(given);
                if answered {
                    pulse.ended();
                }
                let happening = async {
                    for _ in 0..600 {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        happens(&pulse);
                    }
                };
                let lasted = tokio::select! {
                    biased;
                    () = pulse.stopped() => false,
                    () = happening => true,
                };
                assert_eq!(lasted, expect, "{what}");
            };
        check(false, 0, &|_| {}, false, "an answer that nobody reads").await;
        check(false, 0, &|pulse| pulse.gave(0), true, "an answer that is always ready and read").await;
        check(false, 1 << 20, &|pulse| pulse.wrote(100), true, "a large piece, read slowly").await;
        check(true, 1 << 20, &|pulse| pulse.wrote(100), true, "the queued rest of an answer, read slowly")
            .await;
        check(true, 100, &|pulse| pulse.wrote(39), false, "a ping each second").await;
        check(false, 100, &|pulse| pulse.wrote(39 * 8), false, "pings, and an answer that nobody reads")
            .await;
    }
}
