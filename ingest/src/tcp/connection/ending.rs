//! How a connection comes to its end.

use super::{LAST_WORDS, Link};
use crate::access::RefusalCode;
use crate::facts::{self, Drop};
use crate::tcp::farewell::{LastError, note_refusal};
use bytes::BytesMut;
use domain::Lang;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::time::Instant;

/// How a connection ends.
#[derive(Debug)]
pub(super) struct Closing {
    /// What is wrong, where something is.
    pub error: Option<LastError>,
    /// When it ends whatever is under way.
    pub by: Instant,
}

impl Link {
    pub(super) async fn on_deadline(&mut self) -> io::Result<()> {
        let (now, config) = (Instant::now(), &self.port.config);
        if self.closing.is_some() {
            if !self.session.protocol().acknowledged() {
                facts::dropped(Drop::Stopped, self.under_way + self.session.pending.lines);
            }
            return Err(ErrorKind::TimedOut.into());
        }
        if self.replies.stalled_since().is_some_and(|since| now >= since + config.write) {
            facts::refused("answers_unread");
            return Err(ErrorKind::TimedOut.into());
        }
        if self.wait_until.is_some_and(|at| now >= at) {
            self.wait_until = None;
        }
        if self.slow_at().is_some_and(|at| now >= at) {
            facts::refused("slow_frame");
            self.session.finish(&self.buffer, true);
            self.close(Some(("slow_frame", "A large record did not come whole in time.".to_owned(), None)));
        } else if self.idle_at().is_some_and(|at| now >= at) {
            self.session.finish(&self.buffer, true);
            self.close(None);
        } else if self.close_at.is_some_and(|at| now >= at) {
            self.close(None);
        } else if self.drain_until.is_some_and(|at| now >= at) {
            self.end_drain();
        } else if now >= self.recheck_at {
            self.recheck().await;
        }
        Ok(())
    }

    /// Asks again who the token's holder is: it may have expired, or the tenant's settings may have changed.
    async fn recheck(&mut self) {
        self.recheck_at = Instant::now() + self.port.config.recheck;
        if self.warrant.is_some() {
            return self.recheck_warrant().await;
        }
        let access = &self.port.intake.access;
        let Some(secret) = self.session.secret().cloned() else {
            // Who needed no credential stays; the tenant's settings hold for it as well.
            if self.session.identity().token == 0
                && let Ok(identity) = access.identify_loopback(self.session.peer()).await
            {
                self.session.refresh(identity);
            }
            return;
        };
        match access.identify(&secret, self.session.peer()).await {
            Ok(identity) => {
                access.token_used(identity.token, self.session.peer());
                self.session.refresh(identity);
            }
            // Not known just now: what was known holds on.
            Err(RefusalCode::Unavailable) => {}
            Err(code) => {
                self.discard(Drop::Refused);
                self.close_refused(code, None).await;
            }
        }
    }

    /// Asks again who it is by what stands in for a credential.
    pub(super) async fn recheck_warrant(&mut self) {
        let Some(warrant) = self.warrant.clone() else { return };
        let known = self.session.identity();
        let refused = match warrant.identify(&self.port, self.session.peer()).await {
            Ok(found) if found.tenant.key == known.tenant.key && found.source == known.source => {
                return self.session.refresh(found);
            }
            // Not known just now: what was known holds on.
            Err(RefusalCode::Unavailable) => return,
            Ok(_) => warrant.changed(),
            Err(code) => code,
        };
        self.discard(Drop::Refused);
        self.close_refused(refused, None).await;
    }

    /// Another connection has the stream: what is not handed over yet is its own to send.
    pub(super) fn end_superseded(&mut self) {
        self.discard(Drop::Refused);
        self.close(Some(("superseded", "Another connection took this stream.".to_owned(), None)));
    }

    pub(super) fn close(&mut self, error: Option<LastError>) {
        if self.closing.is_none() {
            // A sender without acknowledgements has forgotten what it sent: only the end of the process ends the
            // attempts to store it.
            let patience = match self.session.protocol().acknowledged() || self.drain_until.is_some() {
                true => LAST_WORDS,
                false => Duration::from_secs(86_400),
            };
            self.closing = Some(Closing { error, by: Instant::now() + patience });
        }
    }

    pub(super) async fn close_refused(&mut self, code: RefusalCode, retry_after: Option<Duration>) {
        let secret = self.session.secret().cloned();
        let protocol = self.session.protocol().name();
        note_refusal(&self.port, self.session.peer(), protocol, code.code(), secret.as_deref()).await;
        self.close(Some((code.code(), code.message(Lang::En).to_owned(), retry_after)));
    }

    /// Gives up what was read and not yet handed to the broker. A sender without acknowledgements cannot send it again:
    /// there it is counted.
    pub(super) fn discard(&mut self, why: Drop) {
        let lines = self.session.take_pending().lines;
        self.pending_share = None;
        self.count_lost(why, lines);
        self.discard_unread(why);
    }

    /// Gives up what stands in the buffer.
    pub(super) fn discard_unread(&mut self, why: Drop) {
        self.count_lost(why, self.session.unread(&self.buffer));
        self.buffer = BytesMut::new();
        (self.parked, self.opening, self.backlog) = (None, None, false);
    }

    pub(super) fn count_lost(&self, why: Drop, records: u64) {
        if records > 0 && !self.session.protocol().acknowledged() {
            facts::dropped(why, records);
        }
    }

    /// Whole frames that had arrived are read; what is left has no end.
    pub(super) fn end_drain(&mut self) {
        self.session.finish(&self.buffer, true);
        self.close(None);
    }
}
