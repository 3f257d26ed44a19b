//! From records to the broker, and its word to the sender.

use super::Link;
use crate::access::RefusalCode;
use crate::facts::{self, Drop};
use crate::protocol::Protocol;
use crate::tcp::append::{Receipt, append, append_to_stream};
use domain::Lang;
use std::sync::Arc;
use std::time::Duration;
use store::broker::BrokerError;

impl Link {
    /// Appends allowed at a time.
    pub(super) fn most_appends(&self) -> usize {
        if self.session.resumable() { 1 } else { self.port.config.appends }
    }

    pub(super) fn append_pending(&mut self) {
        if self.session.pending.is_empty() || self.appends.len() >= self.most_appends() {
            return;
        }
        let handed = match &self.hold {
            None => None,
            Some(hold) => match hold.hand_over(self.session.pending.last_seq) {
                Some(handed) => Some(handed),
                None => return self.end_superseded(),
            },
        };
        let pending = self.session.take_pending();
        self.under_way += pending.lines;
        let share = self.pending_share.take();
        let token = self.session.identity().token;
        let broker = Arc::clone(&self.port.intake.broker);
        let retry = !self.session.protocol().acknowledged();
        self.appends.push_back(match handed {
            Some(handed) => append_to_stream(&broker, pending, token, share, handed),
            None => append(broker, pending, token, share, retry),
        });
    }

    pub(super) fn settle(&mut self, receipt: Receipt) {
        let protocol = self.session.protocol();
        self.under_way = self.under_way.saturating_sub(receipt.lines);
        match receipt.result {
            Ok(()) => {
                facts::durable(protocol, receipt.lines, receipt.since.elapsed());
                if protocol.acknowledged() {
                    self.replies.push(&receipt.answers);
                }
                if protocol == Protocol::Qgx {
                    self.replies.ack(receipt.last_seq);
                }
            }
            Err(error) => {
                // Those behind it are not acknowledged, whatever becomes of them: the sender sends them again.
                self.appends.clear();
                if !protocol.acknowledged() {
                    facts::dropped(Drop::Stopped, receipt.lines + self.under_way);
                }
                self.under_way = 0;
                self.discard(Drop::Stopped);
                let retry_after = match error {
                    BrokerError::Busy { retry_after, .. } => retry_after,
                    _ => Duration::from_secs(1),
                };
                facts::refused(RefusalCode::Busy.code());
                let message = RefusalCode::Busy.message(Lang::En).to_owned();
                self.closing = None;
                self.close(Some((RefusalCode::Busy.code(), message, Some(retry_after))));
            }
        }
    }
}
