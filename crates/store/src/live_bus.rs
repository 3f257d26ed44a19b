//! The live bus: short messages from every process to every process, for what is worth something only now.
//!
//! Between processes it is Kafka's topic [`TOPIC`]; where one process does everything there is none. A message that does
//! not get through is forgotten: nothing that must not be lost goes this way.

use bytes::Bytes;
use tokio::sync::broadcast;

/// The topic on Kafka. It belongs to no group, and no retention waits for it.
pub const TOPIC: &str = "qgx.live.v1";
/// The largest message.
pub const MESSAGE_MAX: usize = 768 * 1024;
/// Messages that a slow reader may lag behind.
pub const BACKLOG: usize = 4_096;

/// From everybody to everybody.
pub trait LiveBus: Send + Sync + 'static {
    /// Hands a message on. Never waits: what does not fit is dropped, and counted as `qgx_live_dropped_total`.
    fn publish(&self, message: Bytes);

    /// What every process publishes from about now on, this one included. Messages of one process come in their order.
    fn subscribe(&self) -> broadcast::Receiver<Bytes>;
}

/// A bus in memory, for tests: clones of the `Arc` stand for processes.
#[derive(Debug)]
pub struct MemoryBus(broadcast::Sender<Bytes>);

impl Default for MemoryBus {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl LiveBus for MemoryBus {
    fn publish(&self, message: Bytes) {
        // Nobody listening is no fault.
        drop(self.0.send(message));
    }

    fn subscribe(&self) -> broadcast::Receiver<Bytes> {
        self.0.subscribe()
    }
}
