//! What is owed to a sender: bounded, coalesced, with a deadline.

use super::transport::Transport;
use crate::protocol::qgx;
use bytes::{Buf, BytesMut};
use std::io::{self, ErrorKind};
use tokio::time::Instant;

/// Unwritten bytes beyond which a sender is not read from until it reads.
const MOST: usize = 64 << 10;

/// See the module.
#[derive(Debug, Default)]
pub struct Replies {
    lines: BytesMut,
    /// The latest acknowledgement not yet among the lines: a later one takes its place.
    ack: Option<u64>,
    /// TLS holds some back.
    held: bool,
    /// Since when the sender takes nothing.
    stalled_since: Option<Instant>,
}

impl Replies {
    /// Lines as they are.
    pub fn push(&mut self, lines: &[u8]) {
        if !lines.is_empty() {
            self.settle_ack();
            self.lines.extend_from_slice(lines);
        }
    }

    /// Everything up to here is durable.
    pub fn ack(&mut self, sequence: u64) {
        self.ack = Some(sequence);
    }

    /// The last line of a connection.
    pub fn err(&mut self, code: &str, message: &str, retry_after: Option<u64>) {
        self.settle_ack();
        qgx::err(&mut self.lines, code, message, retry_after);
    }

    fn settle_ack(&mut self) {
        if let Some(sequence) = self.ack.take() {
            qgx::ack(&mut self.lines, sequence);
        }
    }

    /// Whether something is unwritten.
    pub fn pending(&self) -> bool {
        self.held || self.ack.is_some() || !self.lines.is_empty()
    }

    /// Whether so much is unwritten that nothing more should be taken from the sender.
    pub fn full(&self) -> bool {
        self.lines.len() >= MOST
    }

    /// Since when the sender takes nothing.
    pub fn stalled_since(&self) -> Option<Instant> {
        self.stalled_since
    }

    /// Writes what the socket takes.
    ///
    /// # Errors
    /// Where the connection is broken.
    pub fn write(&mut self, transport: &mut Transport) -> io::Result<()> {
        self.settle_ack();
        let before = self.lines.len();
        let written = self.write_some(transport);
        let moved = self.lines.len() < before;
        if self.lines.is_empty() {
            self.lines = BytesMut::new();
        }
        match written {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if moved || self.stalled_since.is_none() {
                    self.stalled_since = Some(Instant::now());
                }
                Ok(())
            }
            other => {
                self.stalled_since = None;
                other
            }
        }
    }

    fn write_some(&mut self, transport: &mut Transport) -> io::Result<()> {
        while !self.lines.is_empty() {
            let count = transport.try_write(&self.lines)?;
            if count == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            self.lines.advance(count);
            self.held = true;
        }
        transport.try_flush()?;
        self.held = false;
        Ok(())
    }
}
