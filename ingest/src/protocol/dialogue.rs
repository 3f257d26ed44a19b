//! Protocols with a dialogue: what is read is answered, frame by frame or window by window, once it is durable.

use super::frame::Oversized;
use super::{lumberjack, relp};
use crate::record::RecordError;
use bytes::{Bytes, BytesMut};

/// What comes next in a dialogue.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// A record.
    Record(Bytes),
    /// A record over the limit.
    Oversized(Oversized),
    /// No record: what is owed for it stands among the answers. Or a long way without one: it is others' turn.
    Aside,
    /// More bytes are needed.
    Partial,
    /// The other side says goodbye.
    Closed,
    /// It is not the protocol any more.
    Broken(RecordError),
}

/// The reading side of a connection, and what it owes.
#[derive(Debug)]
pub enum Dialogue {
    /// RELP.
    Relp(relp::Reader),
    /// Lumberjack v2.
    Lumberjack(lumberjack::Reader),
}

impl Dialogue {
    /// Reads on; bytes that were read leave the buffer. `answers` is owed when everything before it is durable.
    pub fn next(&mut self, buffer: &mut BytesMut, answers: &mut BytesMut) -> Found {
        match self {
            Self::Relp(relp) => relp.next(buffer, answers),
            Self::Lumberjack(lumberjack) => lumberjack.next(buffer),
        }
    }

    /// The record found last is taken: what is owed once it is durable.
    pub fn taken(&mut self, answers: &mut BytesMut) {
        match self {
            Self::Relp(relp) => relp.taken(answers),
            Self::Lumberjack(lumberjack) => lumberjack.taken(answers),
        }
    }

    /// What was taken so far is about to be made durable: what may be said of it then.
    pub fn pause(&mut self, answers: &mut BytesMut) {
        match self {
            Self::Relp(_) => {}
            Self::Lumberjack(lumberjack) => lumberjack.pause(answers),
        }
    }

    /// Bytes of memory it holds beside the buffer.
    pub fn held(&self) -> usize {
        match self {
            Self::Relp(_) => 0,
            Self::Lumberjack(lumberjack) => lumberjack.held(),
        }
    }
}
