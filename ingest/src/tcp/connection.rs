//! The life of a connection: one loop that reads, appends, answers and ends.

use super::Port;
use super::append::{Receipt, append, jittered};
use super::farewell::{note_refusal, say_goodbye, turn_away};
use super::opening::{Door, Entered};
use super::openings::OpeningShare;
use super::replies::Replies;
use super::transport::Transport;
use crate::access::RefusalCode;
use crate::budget::{Parked, Share};
use crate::facts::{self, Drop};
use crate::session::{Session, Step};
use crate::streams::Hold;
use bytes::BytesMut;
use domain::Lang;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesOrdered, StreamExt};
use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::broker::BrokerError;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Bytes of an unfinished frame that need no share of the budget.
const SMALL_REMAINDER: usize = 4 << 10;
/// What a read may become: JSON and the overhead of records, for each byte read.
const EXPANSION: usize = 8;
/// The least that is read at a time.
const LEAST_READ: usize = 8 << 10;
/// How long what is under way at an end may take, and the last answer.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How long data that has arrived is still read when the process stops.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves a connection from its first byte to its end.
pub async fn serve(port: Arc<Port>, tcp: TcpStream, peer: SocketAddr) {
    let ip = peer.ip().to_canonical();
    let Some(_place) = port.admission.enter(ip) else {
        let code = RefusalCode::TooManyConnections;
        note_refusal(&port, ip, "unknown", code.code(), None).await;
        let Ok(_farewell) = port.farewells.try_acquire() else { return };
        let mut replies = Replies::default();
        replies.err(code.code(), code.message(Lang::En), Some(5));
        say_goodbye(Transport::Tcp(tcp), replies).await;
        return;
    };
    let (door, entered) = Door::new(&port, ip, Transport::Tcp(tcp)).open().await;
    match entered {
        Ok(entered) => {
            let Door { transport, buffer, ended, share, .. } = door;
            let mut link = Link::new(Arc::clone(&port), transport, buffer, ended, entered);
            link.opening = share;
            link.run().await;
        }
        Err(no_entry) => {
            let Door { transport, buffer, share, .. } = door;
            // Nobody reads it: the farewell needs no memory of it.
            drop((buffer, share));
            turn_away(&port, ip, transport, no_entry).await;
        }
    }
}

/// How a connection ends.
#[derive(Debug)]
struct Closing {
    /// The last line, where the protocol has one: code, message, when to come again.
    err: Option<(&'static str, String, Option<Duration>)>,
    by: Instant,
}

struct Link {
    port: Arc<Port>,
    transport: Transport,
    buffer: BytesMut,
    session: Session,
    hold: Option<Hold>,
    replies: Replies,
    appends: FuturesOrdered<BoxFuture<'static, Receipt>>,
    /// Covers what came with the opening, until it is read.
    opening: Option<OpeningShare>,
    /// Covers what is pending.
    pending_share: Option<Share>,
    /// Covers an unfinished frame, since when.
    parked: Option<(Parked, Instant)>,
    /// Frames stand in the buffer that were not read yet.
    backlog: bool,
    /// The last read did not empty the socket.
    more: bool,
    ended: bool,
    /// There is something to read, and no share of the budget for it.
    starved: bool,
    read_size: usize,
    wait_until: Option<Instant>,
    last_read: Instant,
    close_at: Option<Instant>,
    recheck_at: Instant,
    drain_until: Option<Instant>,
    closing: Option<Closing>,
    /// Lines whose append is under way.
    under_way: u64,
    revocations: watch::Receiver<Arc<HashSet<u64>>>,
}

/// What woke the loop.
enum Woken {
    Settled(Receipt),
    Superseded,
    Stop,
    Revocations,
    Writable,
    Readable(Share),
    Starved,
    Broken,
    Deadline,
}

impl Link {
    fn new(port: Arc<Port>, transport: Transport, buffer: BytesMut, ended: bool, entered: Entered) -> Self {
        let Entered { session, hold, greeting } = entered;
        let now = Instant::now();
        let mut replies = Replies::default();
        replies.push(&greeting);
        let acknowledged = session.protocol().acknowledged();
        let revocations = port.intake.access.revocations();
        facts::read(session.protocol(), buffer.len());
        Self {
            close_at: acknowledged.then(|| now + jittered(port.config.max_age)),
            recheck_at: now + port.config.recheck,
            port,
            transport,
            // What came with the opening is read at once, and so is its end.
            backlog: !buffer.is_empty() || ended,
            more: true,
            buffer,
            session,
            hold,
            replies,
            appends: FuturesOrdered::new(),
            opening: None,
            pending_share: None,
            parked: None,
            ended,
            starved: false,
            read_size: LEAST_READ,
            wait_until: None,
            last_read: now,
            drain_until: None,
            closing: None,
            under_way: 0,
            revocations,
        }
    }

    async fn run(mut self) {
        if self.replies.pending() && self.replies.write(&mut self.transport).is_err() {
            return;
        }
        // Revoked between its identification and now.
        if self.on(Woken::Revocations).await.is_err() {
            return;
        }
        loop {
            self.append_pending();
            if self.closing.is_some() && self.appends.is_empty() && self.session.pending.is_empty() {
                break;
            }
            let (reading, since) = (self.reading(), Instant::now());
            let woken = self.wait().await;
            if !reading {
                self.excuse(since.elapsed());
            }
            if self.on(woken).await.is_err() {
                return;
            }
        }
        if let Some(Closing { err: Some((code, message, retry_after)), .. }) = self.closing.take()
            && self.session.protocol().acknowledged()
        {
            self.replies.err(code, &message, retry_after.map(|time| time.as_secs().max(1)));
        }
        // The stream is free for its next connection before this one's last words are heard.
        self.hold = None;
        say_goodbye(self.transport, self.replies).await;
    }

    /// Appends allowed at a time.
    fn most_appends(&self) -> usize {
        if self.session.resumable() { 1 } else { self.port.config.appends }
    }

    fn may_read(&self) -> bool {
        let room = self.appends.len() < self.most_appends()
            || (self.session.resumable() && self.session.pending.weight() < self.port.config.stream_batch);
        self.closing.is_none() && self.wait_until.is_none() && room && !self.replies.full()
    }

    /// Whether it is the sender's turn: while it is not, its deadlines stand still.
    fn reading(&self) -> bool {
        self.may_read() && !self.starved
    }

    /// Moves the sender's deadlines by a time during which nothing of it was read.
    fn excuse(&mut self, time: Duration) {
        self.last_read += time;
        if let Some((_, since)) = &mut self.parked {
            *since += time;
        }
    }

    /// When it was silent for too long.
    fn idle_at(&self) -> Option<Instant> {
        self.reading().then(|| self.last_read + self.port.config.idle)
    }

    /// When a large frame took too long to come whole.
    fn slow_at(&self) -> Option<Instant> {
        let (_, since) = self.parked.as_ref()?;
        self.reading().then(|| *since + self.port.config.frame)
    }

    async fn wait(&mut self) -> Woken {
        let may_read = self.may_read();
        let open = self.closing.is_none();
        let deadline = self.deadline();
        let at_once = self.more || self.backlog;
        let share_bytes = self.read_size * EXPANSION;
        tokio::select! {
            biased;
            Some(receipt) = self.appends.next(), if !self.appends.is_empty() => Woken::Settled(receipt),
            () = superseded(self.hold.as_ref()), if open => Woken::Superseded,
            () = self.port.stop.cancelled(), if self.drain_until.is_none() => Woken::Stop,
            Ok(()) = self.revocations.changed(), if open => Woken::Revocations,
            ready = self.transport.writable(), if self.replies.pending() => {
                if ready.is_ok() { Woken::Writable } else { Woken::Broken }
            }
            share = self.port.intake.budget.take(share_bytes), if may_read && self.starved => {
                Woken::Readable(share)
            }
            ready = readable(&self.transport, at_once), if may_read && !self.starved => match ready {
                Ok(()) => self.port.intake.budget.try_take(share_bytes).map_or(Woken::Starved, Woken::Readable),
                Err(_) => Woken::Broken,
            },
            () = sleep_until(deadline) => Woken::Deadline,
        }
    }

    /// The next moment at which something is to be done without anybody's doing.
    fn deadline(&self) -> Instant {
        let config = &self.port.config;
        let mut next = Instant::now() + config.idle;
        let others = [
            self.idle_at(),
            self.slow_at(),
            self.wait_until,
            self.close_at,
            self.drain_until,
            self.replies.stalled_since().map(|since| since + config.write),
            self.session.secret().map(|_| self.recheck_at),
        ];
        match &self.closing {
            Some(closing) => closing.by,
            None => {
                others.into_iter().flatten().for_each(|at| next = next.min(at));
                next
            }
        }
    }

    async fn on(&mut self, woken: Woken) -> io::Result<()> {
        match woken {
            Woken::Settled(receipt) => {
                self.settle(receipt);
                while let Some(Some(receipt)) = self.appends.next().now_or_never() {
                    self.settle(receipt);
                }
                // The next append is under way before the sender hears of the last.
                self.append_pending();
                self.replies.write(&mut self.transport)
            }
            Woken::Superseded => {
                self.discard(Drop::Refused);
                self.close(Some(("superseded", "Another connection took this stream.".to_owned(), None)));
                Ok(())
            }
            Woken::Stop => {
                let now = Instant::now();
                self.drain_until = Some(now + DRAIN);
                self.more = true;
                if let Some(closing) = &mut self.closing {
                    closing.by = closing.by.min(now + LAST_WORDS);
                }
                Ok(())
            }
            Woken::Revocations => {
                let token = self.session.identity().token;
                if token != 0 && self.revocations.borrow_and_update().contains(&token) {
                    self.discard(Drop::Refused);
                    self.close_refused(RefusalCode::RevokedToken, None).await;
                }
                Ok(())
            }
            Woken::Writable => self.replies.write(&mut self.transport),
            Woken::Readable(share) => {
                self.starved = false;
                self.turn(share).await
            }
            Woken::Starved => {
                self.starved = true;
                Ok(())
            }
            Woken::Broken => Err(ErrorKind::BrokenPipe.into()),
            Woken::Deadline => self.on_deadline().await,
        }
    }

    async fn on_deadline(&mut self) -> io::Result<()> {
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
        let Some(secret) = self.session.secret().cloned() else { return };
        let access = &self.port.intake.access;
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

    fn close(&mut self, err: Option<(&'static str, String, Option<Duration>)>) {
        if self.closing.is_none() {
            // A sender without acknowledgements has forgotten what it sent: only the end of the process ends the
            // attempts to store it.
            let patience = match self.session.protocol().acknowledged() || self.drain_until.is_some() {
                true => LAST_WORDS,
                false => Duration::from_secs(86_400),
            };
            self.closing = Some(Closing { err, by: Instant::now() + patience });
        }
    }

    async fn close_refused(&mut self, code: RefusalCode, retry_after: Option<Duration>) {
        let secret = self.session.secret().cloned();
        let protocol = self.session.protocol().name();
        note_refusal(&self.port, self.session.peer(), protocol, code.code(), secret.as_deref()).await;
        self.close(Some((code.code(), code.message(Lang::En).to_owned(), retry_after)));
    }

    /// Gives up what was read and not yet handed to the broker. A sender without acknowledgements cannot send it again:
    /// there it is counted.
    fn discard(&mut self, why: Drop) {
        let lines = self.session.take_pending().lines;
        self.pending_share = None;
        self.count_lost(why, lines);
        self.discard_unread(why);
    }

    /// Gives up what stands in the buffer.
    fn discard_unread(&mut self, why: Drop) {
        self.count_lost(why, self.session.unread(&self.buffer));
        self.buffer = BytesMut::new();
        (self.parked, self.opening, self.backlog) = (None, None, false);
    }

    fn count_lost(&self, why: Drop, records: u64) {
        if records > 0 && !self.session.protocol().acknowledged() {
            facts::dropped(why, records);
        }
    }

    /// Whole frames that had arrived are read; what is left has no end.
    fn end_drain(&mut self) {
        self.session.finish(&self.buffer, true);
        self.close(None);
    }

    /// Reads what is there and makes records of it, within a share of the budget.
    async fn turn(&mut self, mut share: Share) -> io::Result<()> {
        if !self.backlog || self.more {
            self.receive()?;
        }
        // What is pending already has a share of its own.
        let weight = self.session.pending.weight() + share.bytes().saturating_sub(self.read_size);
        let before = self.buffer.len();
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
        let moved = self.buffer.len() < before;
        match step {
            Step::Drained | Step::Full => {}
            Step::Wait(time) => {
                facts::delayed();
                self.wait_until = Some(Instant::now() + time);
            }
            Step::Refuse(code, time) => self.close_refused(code, Some(time)).await,
            Step::Broken => self.close(None),
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

    /// Reads until the socket is empty or enough is there.
    fn receive(&mut self) -> io::Result<()> {
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
    fn cover_pending(&mut self, share: &mut Share) {
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
    fn park(&mut self, share: Share, moved: bool) -> bool {
        let left = self.buffer.len();
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
        if !self.more && self.buffer.capacity() > left * 2 + 64 {
            self.buffer = BytesMut::from(&self.buffer[..]);
            self.session.trim();
        }
        true
    }

    fn append_pending(&mut self) {
        if self.session.pending.is_empty() || self.appends.len() >= self.most_appends() {
            return;
        }
        let pending = self.session.take_pending();
        self.under_way += pending.lines;
        let share = self.pending_share.take();
        let token = self.session.identity().token;
        let broker = Arc::clone(&self.port.intake.broker);
        let retry = !self.session.protocol().acknowledged();
        self.appends.push_back(append(broker, pending, token, share, retry));
    }

    fn settle(&mut self, receipt: Receipt) {
        let protocol = self.session.protocol();
        self.under_way = self.under_way.saturating_sub(receipt.lines);
        match receipt.result {
            Ok(()) => {
                facts::durable(protocol, receipt.lines, receipt.since.elapsed());
                if protocol.acknowledged() {
                    self.replies.push(&receipt.nacks);
                    self.replies.ack(receipt.last_seq);
                }
                if let Some(hold) = &self.hold {
                    hold.durable(receipt.last_seq);
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

/// Waits until there is something to read.
async fn readable(transport: &Transport, at_once: bool) -> io::Result<()> {
    if at_once { Ok(()) } else { transport.readable().await }
}

async fn superseded(hold: Option<&Hold>) {
    match hold {
        Some(hold) => hold.superseded.cancelled().await,
        None => std::future::pending().await,
    }
}
