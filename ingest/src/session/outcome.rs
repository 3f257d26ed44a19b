//! What becomes of a frame: a record, an answer, a dead letter, or nothing.

use super::Session;
use super::pending::{REPORTED, RejectedLine};
use crate::dead_letter::{DeadLetter, Sender};
use crate::facts::{self, Drop};
use crate::protocol::frame::Oversized;
use crate::protocol::{Protocol, qgx};
use crate::quota::Verdict;
use crate::record::RecordError;
use crate::record::arrival::received_now;
use crate::record::writer::Place;
use std::sync::Arc;
use store::broker::Route;

impl Session {
    pub(super) fn take(&mut self, frame: &[u8]) {
        if let Some(stream) = &mut self.stream {
            stream.last_seq = stream.last_seq.saturating_add(1);
            self.pending.last_seq = stream.last_seq;
        }
        self.writer.begin();
        match self.draft(frame).and_then(|()| self.write()) {
            Ok(()) => self.pending.lines += 1,
            Err(RecordError::Empty) if self.protocol != Protocol::Qgx => {}
            Err(error) => self.turn_away(frame, &error),
        }
    }

    fn write(&mut self) -> Result<(), RecordError> {
        let place = match &self.stream {
            Some(stream) if stream.resumable => Place::Stream(&stream.name, stream.last_seq),
            _ => Place::Unmarked,
        };
        self.writer.finish(place, &mut self.pending.batch)
    }

    fn draft(&mut self, frame: &[u8]) -> Result<(), RecordError> {
        let draft = &mut self.writer.draft;
        self.protocol.read(frame, draft)?;
        if let Some(shown) = draft.token()
            && self.secret.as_deref() != Some(shown)
        {
            return Err(RecordError::IdentityChanged);
        }
        for (name, text) in &self.labels {
            draft.text(name, text)?;
        }
        match &self.outvoted {
            Some(source) => draft.text("source", source.as_str()),
            None => Ok(()),
        }
    }

    pub(super) fn take_oversized(&mut self, over: &Oversized) {
        let limit = self.writer.draft.limits().frame_bytes;
        let error = RecordError::FrameTooLarge { limit, length: over.length };
        if let Some(stream) = &mut self.stream {
            stream.last_seq = stream.last_seq.saturating_add(1);
            self.pending.last_seq = stream.last_seq;
            self.nack(&error);
            return;
        }
        let route = self.fallback_route();
        let letter = DeadLetter::of_oversized(&self.sender(&route), over, &error, received_now());
        self.push_letter(&letter, route);
    }

    /// A bad record: answered where the protocol has an answer, else buried.
    fn turn_away(&mut self, frame: &[u8], error: &RecordError) {
        if *error == RecordError::IdentityChanged {
            self.strangers += 1;
        }
        if self.stream.is_some() {
            self.nack(error);
        } else if *error == RecordError::IdentityChanged {
            // It is somebody else's, perhaps: it is kept for nobody.
            facts::identity_changed();
        } else {
            self.bury(frame, error);
        }
    }

    fn nack(&mut self, error: &RecordError) {
        facts::nack(error.code());
        let (line, code) = (self.pending.last_seq, error.code());
        if self.protocol == Protocol::Qgx {
            qgx::nack(&mut self.pending.answers, line, code, &error.to_string());
        } else if self.pending.rejected.len() < REPORTED {
            self.pending.rejected.push(RejectedLine { line, error: error.clone() });
        }
        self.pending.bad += 1;
        self.pending.lines += 1;
    }

    pub(super) fn bury(&mut self, frame: &[u8], error: &RecordError) {
        if self.stream.is_some() {
            return;
        }
        let kept = &frame[..frame.len().min(self.writer.draft.limits().frame_bytes)];
        let route = self.fallback_route();
        let letter = DeadLetter::of_frame(&self.sender(&route), kept, error, received_now());
        self.push_letter(&letter, route);
    }

    /// A frame that no end came of, or what stands behind the last one: the end of a connection, for which no quota was
    /// asked yet.
    pub(super) fn bury_the_rest(&mut self, rest: &[u8], error: &RecordError) {
        if self.affords(rest.len().min(self.writer.draft.limits().frame_bytes)) {
            self.bury(rest, error);
        }
    }

    /// Asks the quotas where nobody can wait: over them, what is left is dropped and counted.
    pub(super) fn affords(&self, size: usize) -> bool {
        let asked = self.state.ask(&self.identity.tenant, self.identity.token, self.token_limits, size);
        let go = asked == Verdict::Go;
        if !go {
            facts::dropped(Drop::Quota, 1);
        }
        go
    }

    fn fallback_route(&mut self) -> Arc<Route> {
        let home = self.writer.home();
        let source = home.bound.clone().unwrap_or_else(|| home.fallback.clone());
        self.writer.route(source.as_str())
    }

    fn sender<'a>(&'a self, route: &'a Route) -> Sender<'a> {
        let source_bound = self.writer.home().bound.is_some();
        Sender { route, source_bound, peer: &self.peer, rules: &self.identity.tenant.masking.rules }
    }

    fn push_letter(&mut self, letter: &DeadLetter, route: Arc<Route>) {
        facts::dead_letter(&letter.code);
        let letter = letter.to_record(route, self.identity.token);
        self.pending.letter_bytes += letter.payload.len();
        self.pending.letters.push(letter);
        self.pending.lines += 1;
    }
}
