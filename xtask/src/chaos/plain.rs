//! A sender of plain NDJSON, which nothing acknowledges: what becomes of its events is reported, and nothing promised.

use super::load::Gate;
use super::waiting::pass;
use super::wire::Wire;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The source, and the field `feed`, of its events.
pub const NAME: &str = "chaos-plain";

/// One sender.
pub struct Plain {
    /// Where to: it goes from one to the next.
    pub doors: Vec<SocketAddr>,
    /// Its credential.
    pub token: String,
    /// When to send.
    pub gate: Arc<Gate>,
    /// Events a second.
    pub rate: u64,
    /// How many went out whole; nobody can say which arrived.
    pub sent: Arc<AtomicU64>,
}

impl Plain {
    /// Sends until the gate says that it is over.
    pub fn run(self) {
        let mut doors = self.doors.iter().copied().cycle();
        while !self.gate.is_over()
            && let Some(door) = doors.next()
        {
            let _ = self.connection(door);
            pass(Duration::from_millis(100));
        }
    }

    fn connection(&self, door: SocketAddr) -> io::Result<()> {
        let mut wire = Wire::open(door)?;
        wire.out.extend(format!("AUTH {}\n", self.token).bytes());
        let mut clock = Instant::now();
        let mut owed = 0.0;
        while !self.gate.is_over() {
            owed = (owed + clock.elapsed().as_secs_f64() * self.rate as f64).min(self.rate as f64 / 5.0);
            clock = Instant::now();
            // What is still to be written is not followed by more.
            if self.gate.round().is_some() && wire.out.is_empty() {
                for _ in 0..owed as u64 {
                    let number = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
                    let line = format!("{{\"source\":\"{NAME}\",\"feed\":\"{NAME}\",\"p\":{number}}}\n");
                    wire.out.extend(line.bytes());
                }
                owed = owed.fract();
            }
            wire.send()?;
            wire.answers()?;
        }
        Ok(())
    }
}
