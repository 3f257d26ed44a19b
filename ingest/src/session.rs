//! An identified sender: from bytes to records. No I/O and no waiting here.

mod outcome;
mod pending;
mod start;

pub use pending::{Pending, REPORTED, RejectedLine};
pub use start::{Start, Stream, masked};

use crate::access::{Identity, RefusalCode};
use crate::facts::{self, Drop};
use crate::intake::Intake;
use crate::protocol::dialogue::{Dialogue, Found};
use crate::protocol::frame::{Cut, Framer, Oversized, Unfinished};
use crate::protocol::{Framing, Protocol};
use crate::quota::{TenantState, TokenLimits, Verdict};
use crate::record::{RecordError, RecordWriter};
use bytes::{Buf, BytesMut};
use domain::SourceKey;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Where reading of a buffer stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Every whole frame is read.
    Drained,
    /// It is others' turn; more may stand in the buffer.
    Pause,
    /// As much as may be pending is; more frames may stand in the buffer.
    Full,
    /// A quota asks for patience.
    Wait(Duration),
    /// The connection is to end, after what is pending.
    Refuse(RefusalCode, Duration),
    /// The framing is lost: the connection is to end.
    Broken,
    /// The other side said goodbye.
    Closed,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    protocol: Protocol,
    framer: Framer,
    /// In its place, where the protocol has one.
    dialogue: Option<Dialogue>,
    /// What was found in the dialogue and waits at a quota.
    found: Option<Found>,
    writer: RecordWriter,
    identity: Identity,
    secret: Option<Arc<str>>,
    /// `HELLO`'s source, where the token's beats it: it stays a field.
    outvoted: Option<SourceKey>,
    stream: Option<Stream>,
    peer_ip: IpAddr,
    peer: String,
    state: Arc<TenantState>,
    token_limits: TokenLimits,
    patience: Duration,
    /// `HELLO`'s fields, as they may be stored: each record has them.
    labels: Vec<(String, String)>,
    /// Records that showed another credential, since somebody asked.
    strangers: u64,
    /// A frame over the limit that has ended and waits at a quota.
    over: Option<Oversized>,
    /// Since when a quota keeps a record waiting.
    waiting_since: Option<Instant>,
    /// Filled by reading, taken by whoever appends.
    pub pending: Pending,
}

impl Session {
    /// An identified sender's.
    pub fn new(intake: &Intake, start: Start) -> Self {
        let Start { protocol, framing, identity, secret, source, stream, peer, patience, dialogue } = start;
        let (dialogue, found) = dialogue.map_or((None, None), |(dialogue, found)| (Some(dialogue), found));
        let home = start::home(&identity, source.as_ref(), peer, protocol);
        let state = intake.tenants.state(&identity.tenant.key);
        intake.learn_sources(&identity.tenant.key, &state);
        let tenant = &identity.tenant;
        let writer = RecordWriter::new(
            intake.limits,
            tenant.zone.clone(),
            Arc::clone(&tenant.masking.rules),
            home,
            state.budgets.clone(),
        );
        let outvoted = match (&identity.source, source) {
            (Some(bound), Some(named)) if *bound != named => Some(named),
            _ => None,
        };
        let pending =
            Pending { last_seq: stream.as_ref().map_or(0, |stream| stream.last_seq), ..Pending::default() };
        Self {
            protocol,
            framer: Framer::new(framing, intake.limits.frame_bytes),
            dialogue,
            found,
            writer,
            identity,
            secret,
            outvoted,
            labels: Vec::new(),
            stream,
            peer_ip: peer,
            peer: peer.to_string(),
            state,
            token_limits: intake.token_limits,
            patience,
            strangers: 0,
            over: None,
            waiting_since: None,
            pending,
        }
    }

    /// What it speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The token's text.
    pub fn secret(&self) -> Option<&Arc<str>> {
        self.secret.as_ref()
    }

    /// Whether a client may resume it: then only one append is under way at a time, so that what is stored is always
    /// the stream's beginning, without gaps.
    pub fn resumable(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.resumable)
    }

    /// What is read from now on is stored under another name of its stream; its sequence goes on.
    pub fn rename_stream(&mut self, name: Arc<str>) {
        if let Some(stream) = &mut self.stream {
            stream.name = name;
        }
    }

    /// The tenant's settings were read again.
    pub fn refresh(&mut self, identity: Identity) {
        if identity.tenant.key == self.identity.tenant.key {
            self.identity = identity;
            let mut home = self.writer.home().clone();
            home.class = Arc::clone(&self.identity.tenant.class);
            home.group = self.identity.tenant.group;
            let tenant = Arc::clone(&self.identity.tenant);
            self.writer.rehome(home, tenant.zone.clone(), Arc::clone(&tenant.masking.rules));
        }
    }

    /// Gives each record these fields.
    pub fn label(&mut self, fields: &BTreeMap<String, String>) {
        let rules = &self.identity.tenant.masking.rules;
        let kept = fields.iter().map(|(name, text)| (name.clone(), rules.in_text(text).0.into_owned()));
        self.labels = kept.collect();
    }

    /// Gives back memory while nothing comes.
    pub fn trim(&mut self) {
        self.writer.trim();
    }

    /// Whether the sender keeps what was not acknowledged, and sends it again.
    fn keeps(&self) -> bool {
        self.stream.is_some() || self.protocol.acknowledged()
    }

    /// Bytes of memory it holds of unfinished frames, beside the buffer.
    pub fn held(&self) -> usize {
        self.dialogue.as_ref().map_or(0, Dialogue::held)
    }

    /// Reads whole frames from the start of the buffer, until `weight` bytes are pending.
    pub fn read(&mut self, buffer: &mut BytesMut, weight: usize) -> Step {
        match self.dialogue.take() {
            None => self.read_frames(buffer, weight),
            Some(mut dialogue) => {
                let step = self.converse(&mut dialogue, buffer, weight);
                self.dialogue = Some(dialogue);
                step
            }
        }
    }

    fn converse(&mut self, dialogue: &mut Dialogue, buffer: &mut BytesMut, weight: usize) -> Step {
        loop {
            if self.pending.weight() >= weight {
                return Step::Full;
            }
            let found = match self.found.take() {
                Some(found) => found,
                None => dialogue.next(buffer, &mut self.pending.answers),
            };
            let size = match &found {
                Found::Record(record) => record.len(),
                Found::Oversized(over) => over.beginning.len(),
                Found::Aside => return Step::Pause,
                Found::Partial => return Step::Drained,
                Found::Closed => return Step::Closed,
                Found::Broken(error) => {
                    facts::frame_error(self.protocol);
                    tracing::debug!(protocol = self.protocol.name(), %error, "a dialogue broke off");
                    return Step::Broken;
                }
            };
            if let Admission::Stop(step) = self.admit(size) {
                self.found = Some(found);
                return step;
            }
            match &found {
                Found::Record(record) => self.take(record),
                Found::Oversized(over) => self.take_oversized(over),
                _ => {}
            }
            dialogue.taken(&mut self.pending.answers);
        }
    }

    fn read_frames(&mut self, buffer: &mut BytesMut, weight: usize) -> Step {
        let mut at = 0;
        let step = loop {
            if self.pending.weight() >= weight {
                break Step::Full;
            }
            if let Some(over) = self.over.take() {
                match self.admit(over.beginning.len()) {
                    Admission::Take => self.take_oversized(&over),
                    Admission::Leave => {}
                    Admission::Stop(step) => {
                        self.over = Some(over);
                        break step;
                    }
                }
                continue;
            }
            // They are stored with every record.
            let labels: usize = self.labels.iter().map(|(name, text)| name.len() + text.len()).sum();
            match self.framer.cut(&buffer[at..]) {
                Cut::Frame(frame, used) => match self.admit(frame.len() + labels) {
                    Admission::Take => {
                        if self.framer.framing() == Framing::Nul && self.protocol == Protocol::Ndjson {
                            self.become_gelf();
                        }
                        self.take(frame);
                        at += used;
                    }
                    Admission::Leave => at += used,
                    Admission::Stop(step) => break step,
                },
                Cut::Oversized(over, used) => {
                    at += used;
                    self.over = Some(over);
                }
                Cut::Used(used) => at += used,
                Cut::Partial => break Step::Drained,
                Cut::Broken(error) => {
                    facts::frame_error(self.protocol);
                    self.bury_the_rest(&buffer[at..], &error);
                    break Step::Broken;
                }
            }
        };
        buffer.advance(at);
        step
    }

    /// The stream has ended: takes what is left. `cut_off`: it was us who ended it.
    pub fn finish(&mut self, buffer: &BytesMut, cut_off: bool) {
        if self.dialogue.is_some() {
            // The sender has it still.
            facts::dropped(Drop::Truncated, u64::from(!buffer.is_empty()));
            return;
        }
        if let Some(over) = self.over.take() {
            self.take_oversized(&over);
        }
        match self.framer.finish(buffer) {
            None => {}
            Some(Ok(line)) if !cut_off && !self.is_cut(line) => self.take(line),
            Some(Ok(rest)) | Some(Err(Unfinished::Truncated(rest))) => {
                // A sender that gets acknowledgements has it still.
                facts::dropped(Drop::Truncated, 1);
                if self.stream.is_none() {
                    self.bury_the_rest(rest, &RecordError::Truncated);
                }
            }
            Some(Err(Unfinished::Oversized(over))) if self.affords(over.beginning.len()) => {
                self.take_oversized(&over);
            }
            // Over the quota: dropped, and counted.
            Some(Err(Unfinished::Oversized(_))) => {}
        }
    }

    /// Whether a last line without its newline may be the beginning of one on a stream that its sender resumes: it broke
    /// off in the middle of the line, and sends it again. Counted now, the whole line would be taken for sent before. Of an
    /// object its end can be seen; of a text it cannot, so that who sends again is waited for.
    fn is_cut(&self, line: &[u8]) -> bool {
        let Some(stream) = self.stream.as_ref().filter(|stream| stream.resumable) else { return false };
        let unfinished = if line.trim_ascii_start().starts_with(b"{") {
            serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err_and(|error| error.is_eof())
        } else {
            stream.resent
        };
        self.protocol == Protocol::Qgx && unfinished
    }

    /// How many frames stand unread in a buffer, as far as their ends tell.
    pub fn unread(&self, buffer: &[u8]) -> u64 {
        let waiting = u64::from(self.over.is_some());
        let delimiter = match self.framer.framing() {
            Framing::Counted => return waiting + u64::from(!buffer.is_empty()),
            Framing::Nul => 0,
            Framing::Newline | Framing::NewlineOrNul => b'\n',
        };
        let whole = memchr::memchr_iter(delimiter, buffer).count() as u64;
        waiting + whole + u64::from(buffer.last().is_some_and(|last| *last != delimiter))
    }

    fn become_gelf(&mut self) {
        self.protocol = Protocol::Gelf;
        let mut home = self.writer.home().clone();
        home.protocol = self.protocol.name().into();
        let tenant = Arc::clone(&self.identity.tenant);
        self.writer.rehome(home, tenant.zone.clone(), Arc::clone(&tenant.masking.rules));
    }

    /// Asks the quotas for a frame.
    fn admit(&mut self, size: usize) -> Admission {
        let Verdict::Wait(time) =
            self.state.ask(&self.identity.tenant, self.identity.token, self.token_limits, size)
        else {
            self.waiting_since = None;
            return Admission::Take;
        };
        let now = Instant::now();
        let since = *self.waiting_since.get_or_insert(now);
        if now + time <= since + self.patience {
            return Admission::Stop(Step::Wait(time));
        }
        if self.keeps() {
            return Admission::Stop(Step::Refuse(RefusalCode::Quota, time));
        }
        facts::dropped(Drop::Quota, 1);
        Admission::Leave
    }

    /// How many records showed another credential since the last call.
    pub fn take_strangers(&mut self) -> u64 {
        std::mem::take(&mut self.strangers)
    }

    /// How many records named a source beyond the budget since the last call.
    pub fn take_unplaced(&mut self) -> u64 {
        self.writer.take_unplaced()
    }

    /// What is pending, to be appended. The next starts where it ends.
    pub fn take_pending(&mut self) -> Pending {
        if let Some(dialogue) = &mut self.dialogue {
            dialogue.pause(&mut self.pending.answers);
        }
        let next = Pending { last_seq: self.pending.last_seq, ..Pending::default() };
        std::mem::replace(&mut self.pending, next)
    }

    /// From where.
    pub fn peer(&self) -> IpAddr {
        self.peer_ip
    }
}

enum Admission {
    Take,
    Leave,
    Stop(Step),
}
