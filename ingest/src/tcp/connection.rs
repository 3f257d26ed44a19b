//! The life of a connection: one loop that reads, appends, answers and ends.

mod ending;
mod reading;
mod settling;

use super::Port;
use super::append::{Receipt, jittered};
use super::farewell::{last_words, note_refusal, say_goodbye, turn_away};
use super::opening::{Door, Entered};
use super::openings::OpeningShare;
use super::replies::Replies;
use super::transport::Transport;
use super::warrant::Warrant;
use crate::access::RefusalCode;
use crate::budget::{Parked, Share};
use crate::facts::{self, Drop};
use crate::session::Session;
use crate::streams::Hold;
use bytes::BytesMut;
use domain::Lang;
use ending::Closing;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesOrdered, StreamExt};
use services::trusted::TrustSet;
use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

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
    let proxy = port.is_proxy(ip);
    let place = if proxy { port.admission.enter_proxy() } else { port.admission.enter(ip) };
    let Some(place) = place else {
        let code = RefusalCode::TooManyConnections;
        note_refusal(&port, ip, "unknown", code.code(), None).await;
        let Ok(_farewell) = port.farewells.try_acquire() else { return };
        let mut replies = Replies::default();
        replies.err(code.code(), code.message(Lang::En), Some(5));
        say_goodbye(Transport::Tcp(tcp), replies).await;
        return;
    };
    let (door, entered) = Door::new(&port, ip, place, Transport::Tcp(tcp)).open().await;
    match entered {
        Ok(entered) => {
            let Door { transport, buffer, ended, share, warrant, place: _place, .. } = door;
            let mut link = Link::new(Arc::clone(&port), transport, buffer, ended, entered);
            link.warrant = warrant;
            link.opening = share;
            link.run().await;
        }
        Err(no_entry) => {
            let Door { transport, buffer, share, peer: ip, place: _place, .. } = door;
            // Nobody reads it: the farewell needs no memory of it.
            drop((buffer, share));
            turn_away(&port, ip, transport, no_entry).await;
        }
    }
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
    /// What stands in for a credential.
    warrant: Option<Warrant>,
    /// What warrants stand on.
    trust: watch::Receiver<Arc<TrustSet>>,
}

/// What woke the loop.
enum Woken {
    Settled(Receipt),
    Superseded,
    Stop,
    Revocations,
    Trust,
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
        let (revocations, trust) = (port.intake.access.revocations(), port.intake.access.trust());
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
            warrant: None,
            trust,
        }
    }

    async fn run(mut self) {
        if self.replies.pending() && self.replies.write(&mut self.transport).is_err() {
            return;
        }
        // Revoked between its identification and now.
        if self.on(Woken::Revocations).await.is_err() || self.on(Woken::Trust).await.is_err() {
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
        let error = self.closing.take().and_then(|closing| closing.error);
        last_words(self.session.protocol(), &mut self.replies, error.as_ref());
        // The stream is free for its next connection before this one's last words are heard.
        self.hold = None;
        say_goodbye(self.transport, self.replies).await;
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
            Ok(()) = self.trust.changed(), if open && self.warrant.is_some() => Woken::Trust,
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
            Some(self.recheck_at),
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
                self.end_superseded();
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
            Woken::Trust => {
                self.trust.mark_unchanged();
                self.recheck_warrant().await;
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
