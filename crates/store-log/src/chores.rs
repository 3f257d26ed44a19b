//! Work on files that no append should wait for: one thread a log.

use parking_lot::Mutex;
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread;

type Chore = Box<dyn FnOnce() + Send>;

/// Hands work to the thread.
pub struct Chores(Mutex<Option<Sender<Chore>>>);

impl Chores {
    /// Starts the thread.
    pub fn start() -> io::Result<(Self, thread::JoinHandle<()>)> {
        let (sender, chores) = channel::<Chore>();
        let thread = thread::Builder::new().name("log-chores".to_owned()).spawn(move || {
            for chore in chores {
                chore();
            }
        })?;
        Ok((Self(Mutex::new(Some(sender))), thread))
    }

    /// Does something soon; at once, and here, where the thread has ended.
    pub fn push(&self, chore: impl FnOnce() + Send + 'static) {
        match self.0.lock().clone() {
            Some(sender) => {
                if let Err(unsent) = sender.send(Box::new(chore)) {
                    unsent.0();
                }
            }
            None => chore(),
        }
    }

    /// Lets the thread finish what it was given, and end.
    pub fn close(&self) {
        self.0.lock().take();
    }
}
