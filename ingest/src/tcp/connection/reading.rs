//! From the socket to records, within shares of the budget.

use super::{LEAST_READ, Link};
use crate::access::RefusalCode;
use crate::budget::Share;
use crate::facts::{self, Drop};
use crate::protocol::Protocol;
use crate::session::Step;
use crate::tcp::farewell::note_refusal;
use bytes::BytesMut;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of an unfinished frame that need no share of the budget.
const SMALL_REMAINDER: usize = 4 << 10;

impl Link {
    /// Reads what is there and makes records of it, within a share of the budget.
    pub(super) async fn turn(&mut self, mut share: Share) -> io::Result<()> {
        if !self.backlog || self.more {
            self.receive()?;
        }
        // What is pending already has a share of its own.
        let weight = self.session.pending.weight() + share.bytes().saturating_sub(self.read_size);
        let (before, read) = (self.buffer.len(), self.records());
        let step = self.session.read(&mut self.buffer, weight);
        self.backlog = step != Step::Drained;
        if self.ended && step == Step::Drained {
            self.session.finish(&self.buffer, false);
            self.buffer = BytesMut::new();
            self.close(None);
        }
        self.cover_pending(&mut share);
        if self.session.take_strangers() > 0 {
            let (peer, secret) = (self.session.peer(), self.session.secret().cloned());
            let code = RefusalCode::IdentityChanged.code();
            note_refusal(&self.port, peer, self.session.protocol().name(), code, secret.as_deref()).await;
        }
        self.port.intake.note_unplaced(&mut self.session);
        let moved = match self.session.protocol() {
            // Compressed bytes leave the buffer before a record is whole.
            Protocol::Lumberjack => self.records() != read,
            _ => self.buffer.len() < before,
        };
        match step {
            Step::Drained | Step::Full => {}
            Step::Pause => tokio::task::yield_now().await,
            Step::Wait(time) => {
                facts::delayed();
                self.wait_until = Some(Instant::now() + time);
            }
            Step::Refuse(code, time) => self.close_refused(code, Some(time)).await,
            Step::Broken | Step::Closed => self.close(None),
        }
        self.opening = None;
        if !self.park(share, moved) {
            self.discard_unread(Drop::Busy);
            self.close_refused(RefusalCode::Busy, Some(Duration::from_secs(5))).await;
        }
        if self.drain_until.is_some() && !self.more && !self.backlog && self.closing.is_none() {
            self.end_drain();
        }
        Ok(())
    }

    /// What changes with every record that a dialogue found: what is pending of it, or owed for a blank one.
    fn records(&self) -> (u64, usize) {
        (self.session.pending.lines, self.session.pending.answers.len())
    }

    /// Reads until the socket is empty or enough is there.
    pub(super) fn receive(&mut self) -> io::Result<()> {
        let mut got = 0;
        self.more = false;
        self.buffer.reserve(self.read_size);
        while got < self.read_size && !self.ended {
            match self.transport.try_read(&mut self.buffer, self.read_size - got) {
                Ok(0) => self.ended = true,
                Ok(count) => got += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if self.session.protocol().acknowledged() => return Err(error),
                // What came before a reset is still read.
                Err(_) => self.ended = true,
            }
        }
        if got > 0 {
            self.last_read = Instant::now();
            facts::read(self.session.protocol(), got);
        }
        self.more = got >= self.read_size && !self.ended;
        if self.more {
            self.read_size = (self.read_size * 2).min(self.port.config.read_bytes.max(LEAST_READ));
        } else if got < self.read_size / 4 {
            self.read_size = (self.read_size / 2).max(LEAST_READ);
        }
        Ok(())
    }

    /// Moves the part of the share that covers what is pending to it.
    pub(super) fn cover_pending(&mut self, share: &mut Share) {
        let weight = self.session.pending.weight();
        let covered = self.pending_share.as_ref().map_or(0, Share::bytes);
        if weight > covered {
            let part = share.split(weight - covered);
            match &mut self.pending_share {
                Some(pending) => pending.merge(part),
                none => *none = Some(part),
            }
        }
    }

    /// Covers what is left in the buffer; gives back memory where nothing more is there. `moved`: a frame was read
    /// since the last time, so that what is left is another one. False: there is no room for so long a frame.
    pub(super) fn park(&mut self, share: Share, moved: bool) -> bool {
        let buffered = self.buffer.len();
        let left = buffered + self.session.held();
        let since = match self.parked.take() {
            Some((_, since)) if !moved => since,
            _ => Instant::now(),
        };
        if left > SMALL_REMAINDER {
            match self.port.intake.budget.park(share, left) {
                Some(parked) => self.parked = Some((parked, since)),
                None => return false,
            }
        }
        if !self.more && self.buffer.capacity() > buffered * 2 + 64 {
            self.buffer = BytesMut::from(&self.buffer[..]);
            self.session.trim();
        }
        true
    }
}
