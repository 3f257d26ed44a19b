//! Whether an HTTP/2 connection is alive in more than its pings: pings alone would hold its slot for ever.

use super::patience::Patience;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::time::Instant;

/// What a connection's requests are doing.
pub struct Pulse(Mutex<State>);

struct State {
    seen_any: bool,
    /// Requests that are not answered to the end.
    open: usize,
    /// Those of them that wait for the server.
    ours: usize,
    changed: Instant,
}

impl Pulse {
    /// Of a connection that begins now.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { seen_any: false, open: 0, ours: 0, changed: Instant::now() })))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.lock();
        change(&mut state);
        state.changed = Instant::now();
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

    /// Returns when the connection has been without a request, or waiting for its client, for too long.
    pub async fn stopped(&self, patience: &Patience) {
        loop {
            let until = {
                let state = self.0.lock();
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
            pulse.stopped(&patience).await;
            assert_eq!(start.elapsed().as_secs(), expect.as_secs(), "{what}");
        };
        let pulse = Pulse::new();
        check(&pulse, patience.head, "no request at all").await;
        pulse.began();
        let busy = tokio::time::timeout(Duration::from_secs(1_000), pulse.stopped(&patience)).await;
        assert!(busy.is_err(), "our turn may last");
        let so_far = patience.head + Duration::from_secs(1_000);
        pulse.turn(false);
        check(&pulse, so_far + patience.stall, "an answer that nobody reads").await;
        pulse.ended();
        check(&pulse, so_far + patience.stall + patience.idle, "no further request").await;
    }
}
