//! An identified sender: from bytes to records. No I/O and no waiting here.

use crate::access::{Identity, RefusalCode};
use crate::facts::{self, Drop};
use crate::intake::Intake;
use crate::letters::{self, Sender};
use crate::protocol::frame::{Cut, Framer, Oversized, Unfinished};
use crate::protocol::{Framing, Protocol, qgx};
use crate::quota::{TenantState, TokenLimits, Verdict};
use crate::record::arrival::received_now;
use crate::record::writer::{Home, Place};
use crate::record::{Batch, RecordError, RecordWriter};
use bytes::{Buf, BytesMut};
use domain::SourceKey;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use store::broker::NewRecord;
use tokio::time::Instant;

/// Records that wait to be appended, and what is owed to the sender for them.
#[derive(Debug, Default)]
pub struct Pending {
    /// Events.
    pub batch: Batch,
    /// Dead letters.
    pub letters: Vec<NewRecord>,
    letter_bytes: usize,
    /// `NACK` lines, in order.
    pub nacks: BytesMut,
    /// By HTTP: lines that were not taken, the first [`REPORTED`] of them.
    pub rejected: Vec<RejectedLine>,
    /// Lines that were not taken.
    pub bad: u64,
    /// The last sequence that was settled or stands in `batch`.
    pub last_seq: u64,
    /// Lines taken, bad ones too.
    pub lines: u64,
}

impl Pending {
    /// Nothing to append and nothing to answer.
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// Bytes of memory it takes.
    pub fn weight(&self) -> usize {
        self.batch.weight() + self.letter_bytes + self.nacks.len()
    }
}

/// A line that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RejectedLine {
    /// From 1.
    pub line: u64,
    /// Stable code.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// Rejected lines that are named one by one.
pub const REPORTED: usize = 1_000;

/// Where reading of a buffer stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Every whole frame is read.
    Drained,
    /// As much as may be pending is; more frames may stand in the buffer.
    Full,
    /// A quota asks for patience.
    Wait(Duration),
    /// The connection is to end, after what is pending.
    Refuse(RefusalCode, Duration),
    /// The framing is lost: the connection is to end.
    Broken,
}

/// A stream of QGX lines.
#[derive(Debug, Clone)]
pub struct Stream {
    /// The client's name of it, or ours.
    pub name: Arc<str>,
    /// The sequence of the last line taken.
    pub last_seq: u64,
    /// The client chose the name: it may resume.
    pub resumable: bool,
}

/// How a session begins.
#[derive(Debug)]
pub struct Start {
    /// What it speaks.
    pub protocol: Protocol,
    /// How its frames end.
    pub framing: Framing,
    /// Who it is.
    pub identity: Identity,
    /// The token's text, to tell another one from it.
    pub secret: Option<Arc<str>>,
    /// The source that `HELLO` names.
    pub source: Option<SourceKey>,
    /// QGX lines only.
    pub stream: Option<Stream>,
    /// From where.
    pub peer: IpAddr,
    /// How long a record may be kept waiting at a quota.
    pub patience: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    protocol: Protocol,
    framer: Framer,
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
    /// Records that showed another credential, since somebody asked.
    strangers: u64,
    /// A frame over the limit that has ended and waits at a quota.
    over: Option<Oversized>,
    /// Since when a quota keeps a record waiting.
    waiting_since: Option<Instant>,
    /// Filled by reading, taken by whoever appends.
    pub pending: Pending,
}

/// Where records of a connection belong.
fn home(identity: &Identity, source: Option<&SourceKey>, peer: IpAddr, protocol: Protocol) -> Home {
    let fallback = identity.name.as_deref().and_then(|name| SourceKey::new(name).ok());
    Home {
        tenant: identity.tenant.key.clone(),
        class: Arc::clone(&identity.tenant.class),
        group: identity.tenant.group,
        bound: identity.source.clone().or_else(|| source.cloned()),
        fallback: fallback
            .unwrap_or_else(|| SourceKey::new(&peer.to_string()).expect("an address is a valid source key")),
        protocol: protocol.name().into(),
    }
}

impl Session {
    /// An identified sender's.
    pub fn new(intake: &Intake, start: Start) -> Self {
        let Start { protocol, framing, identity, secret, source, stream, peer, patience } = start;
        let home = home(&identity, source.as_ref(), peer, protocol);
        let state = intake.tenants.state(&identity.tenant.key);
        let tenant = &identity.tenant;
        let writer = RecordWriter::new(
            intake.limits,
            tenant.zone.clone(),
            tenant.masking.kr_rrn,
            home,
            Arc::clone(&state.names),
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
            writer,
            identity,
            secret,
            outvoted,
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

    /// The tenant's settings were read again.
    pub fn refresh(&mut self, identity: Identity) {
        if identity.tenant.key == self.identity.tenant.key {
            self.identity = identity;
            let mut home = self.writer.home().clone();
            home.class = Arc::clone(&self.identity.tenant.class);
            home.group = self.identity.tenant.group;
            let tenant = Arc::clone(&self.identity.tenant);
            self.writer.rehome(home, tenant.zone.clone(), tenant.masking.kr_rrn);
        }
    }

    /// Gives back memory while nothing comes.
    pub fn trim(&mut self) {
        self.writer.trim();
    }

    /// Reads whole frames from the start of the buffer, until `weight` bytes are pending.
    pub fn read(&mut self, buffer: &mut BytesMut, weight: usize) -> Step {
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
            match self.framer.cut(&buffer[at..]) {
                Cut::Frame(frame, used) => match self.admit(frame.len()) {
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
                    self.bury(&buffer[at..], &error);
                    break Step::Broken;
                }
            }
        };
        buffer.advance(at);
        step
    }

    /// The stream has ended: takes what is left. `cut_off`: it was us who ended it.
    pub fn finish(&mut self, buffer: &BytesMut, cut_off: bool) {
        if let Some(over) = self.over.take() {
            self.take_oversized(&over);
        }
        match self.framer.finish(buffer) {
            None => {}
            Some(Ok(line)) if !cut_off => self.take(line),
            Some(Ok(rest)) | Some(Err(Unfinished::Truncated(rest))) => {
                // A sender that gets acknowledgements has it still.
                facts::dropped(Drop::Truncated, 1);
                if self.stream.is_none() {
                    self.bury(rest, &RecordError::Truncated);
                }
            }
            Some(Err(Unfinished::Oversized(over))) => self.take_oversized(&over),
        }
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
        self.writer.rehome(home, tenant.zone.clone(), tenant.masking.kr_rrn);
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
        if self.stream.is_some() {
            return Admission::Stop(Step::Refuse(RefusalCode::Quota, time));
        }
        facts::dropped(Drop::Quota, 1);
        Admission::Leave
    }

    fn take(&mut self, frame: &[u8]) {
        if let Some(stream) = &mut self.stream {
            stream.last_seq = stream.last_seq.saturating_add(1);
            self.pending.last_seq = stream.last_seq;
        }
        self.writer.begin();
        match self.draft(frame).and_then(|()| self.write()) {
            Ok(()) => self.pending.lines += 1,
            Err(RecordError::Empty) if !self.protocol.acknowledged() => {}
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
        match &self.outvoted {
            Some(source) => draft.text("source", source.as_str()),
            None => Ok(()),
        }
    }

    fn take_oversized(&mut self, over: &Oversized) {
        let limit = self.writer.draft.limits().frame_bytes;
        let error = RecordError::FrameTooLarge { limit, length: over.length };
        if let Some(stream) = &mut self.stream {
            stream.last_seq = stream.last_seq.saturating_add(1);
            self.pending.last_seq = stream.last_seq;
            self.nack(&error);
            return;
        }
        let route = self.fallback_route();
        let letter = letters::of_oversized(self.sender(&route), over, &error, received_now());
        self.push_letter(letter);
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
            qgx::nack(&mut self.pending.nacks, line, code, &error.to_string());
        } else if self.pending.rejected.len() < REPORTED {
            self.pending.rejected.push(RejectedLine { line, code, message: error.to_string() });
        }
        self.pending.bad += 1;
        self.pending.lines += 1;
    }

    fn bury(&mut self, frame: &[u8], error: &RecordError) {
        if self.stream.is_some() {
            return;
        }
        let kept = &frame[..frame.len().min(self.writer.draft.limits().frame_bytes)];
        let route = self.fallback_route();
        let letter = letters::of_frame(self.sender(&route), kept, error, received_now());
        self.push_letter(letter);
    }

    fn fallback_route(&mut self) -> Arc<store::broker::Route> {
        let home = self.writer.home();
        let source = home.bound.clone().unwrap_or_else(|| home.fallback.clone());
        self.writer.route(source.as_str())
    }

    fn sender<'a>(&'a self, route: &'a Arc<store::broker::Route>) -> Sender<'a> {
        Sender {
            route,
            token: self.identity.token,
            peer: &self.peer,
            masks: self.identity.tenant.masking.kr_rrn,
        }
    }

    fn push_letter(&mut self, letter: NewRecord) {
        self.pending.letter_bytes += letter.payload.len();
        self.pending.letters.push(letter);
        self.pending.lines += 1;
    }

    /// How many records showed another credential since the last call.
    pub fn take_strangers(&mut self) -> u64 {
        std::mem::take(&mut self.strangers)
    }

    /// What is pending, to be appended. The next starts where it ends.
    pub fn take_pending(&mut self) -> Pending {
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
