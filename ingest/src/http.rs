//! The port's HTTP sister: an NDJSON body, durable before the answer.

mod keyed;

use crate::access::{Identity, RefusalCode};
use crate::budget::{Parked, Share};
use crate::facts;
use crate::intake::Intake;
use crate::protocol::{Framing, Protocol};
use crate::session::{REPORTED, RejectedLine, Session, Start, Step, Stream};
use bytes::{Bytes, BytesMut};
use futures::{Stream as Chunks, StreamExt};
use keyed::{Block, Keyed, PIECE};
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;
use store::broker::{BrokerError, Topic};
use tokio::time::Instant;

/// What became of a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IngestReport {
    /// Lines that are durable events now.
    pub accepted: u64,
    /// Lines that were not taken, in all.
    pub rejected_total: u64,
    /// The first [`REPORTED`] of them.
    pub rejected: Vec<RejectedLine>,
}

/// Why a body was not taken to its end. What the report counts is durable all the same; with an `Idempotency-Key` the
/// whole body may be sent again.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Over a quota.
    #[error("over the quota")]
    Quota {
        /// When to come again.
        retry_after: Duration,
        /// What was taken before.
        report: IngestReport,
    },
    /// The broker takes no more for now.
    #[error("no more can be taken for now")]
    Busy {
        /// When to come again.
        retry_after: Duration,
        /// What was taken before.
        report: IngestReport,
    },
    /// The body stopped coming.
    #[error("nothing of the body came for {} s", IDLE.as_secs())]
    Slow {
        /// What was taken before.
        report: IngestReport,
    },
    /// The body broke off.
    #[error("the body could not be read: {reason}")]
    Body {
        /// Why.
        reason: String,
        /// What was taken before.
        report: IngestReport,
    },
}

/// How long a record may be kept waiting at a quota.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a client may keep the next piece of its body waiting.
const IDLE: Duration = Duration::from_secs(30);
/// What a chunk may become: JSON and the overhead of records, for each byte of it.
const EXPANSION: usize = 8;

/// Takes an NDJSON body of an identified sender. With `idempotency_key`, a body that is sent again changes nothing: its
/// lines are told by their number, and by what stands before them. Lines of another body are stored, whatever their key.
///
/// # Errors
/// [`HttpError`], with what was taken before.
pub async fn ingest_ndjson<E: std::fmt::Display>(
    intake: &Intake,
    identity: Identity,
    peer: IpAddr,
    body: impl Chunks<Item = Result<Bytes, E>> + Send,
    idempotency_key: Option<&str>,
) -> Result<IngestReport, HttpError> {
    let keyed = idempotency_key.map(|key| Keyed::new(&identity, key));
    // Its name is that of each block in turn.
    let stream = Stream { name: "http".into(), last_seq: 0, resumable: keyed.is_some(), resent: false };
    let start = Start {
        protocol: Protocol::Http,
        framing: Framing::Newline,
        identity,
        secret: None,
        source: None,
        stream: Some(stream),
        peer,
        patience: PATIENCE,
        dialogue: None,
    };
    let mut upload = Upload {
        intake,
        session: Session::new(intake, start),
        report: IngestReport::default(),
        parked: None,
        keyed,
    };
    let mut body = pin!(body);
    let mut buffer = BytesMut::new();
    loop {
        let chunk = match tokio::time::timeout(IDLE, body.next()).await {
            Ok(None) => break,
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(error))) => {
                return Err(HttpError::Body { reason: error.to_string(), report: upload.report });
            }
            Err(_) => return Err(HttpError::Slow { report: upload.report }),
        };
        facts::read(Protocol::Http, chunk.len());
        for piece in chunk.chunks(PIECE) {
            let share = intake.budget.take(PIECE * EXPANSION).await;
            match &mut upload.keyed {
                None => buffer.extend_from_slice(piece),
                Some(keyed) => {
                    let block = keyed.add(piece);
                    upload.begin(block, &mut buffer);
                }
            }
            upload.go_on(&mut buffer, share).await?;
        }
    }
    if let Some(last) = upload.keyed.as_mut().and_then(Keyed::rest) {
        let share = intake.budget.take(PIECE * EXPANSION).await;
        upload.begin(Some(last), &mut buffer);
        upload.go_on(&mut buffer, share).await?;
    }
    upload.session.finish(&buffer, false);
    intake.note_unplaced(&mut upload.session);
    upload.append().await?;
    Ok(upload.report)
}

struct Upload<'a> {
    intake: &'a Intake,
    session: Session,
    report: IngestReport,
    /// Covers what stands in the buffer, and in a block that is not whole.
    parked: Option<Parked>,
    /// With an `Idempotency-Key`.
    keyed: Option<Keyed>,
}

impl Upload<'_> {
    /// The lines that end in this block belong to its stream.
    fn begin(&mut self, block: Option<Block>, buffer: &mut BytesMut) {
        if let Some(Block { stream, bytes }) = block {
            self.session.rename_stream(stream);
            buffer.extend_from_slice(&bytes);
        }
    }

    /// Takes the whole lines of the buffer, as fast as quotas let it.
    async fn go_on(&mut self, buffer: &mut BytesMut, mut share: Share) -> Result<(), HttpError> {
        let held = self.keyed.as_ref().map_or(0, Keyed::held);
        while let Some(pause) = self.take(buffer).await? {
            facts::delayed();
            self.park(share, buffer.len() + held)?;
            tokio::time::sleep(pause).await;
            share = self.intake.budget.take(PIECE * EXPANSION).await;
        }
        self.park(share, buffer.len() + held)
    }

    /// Keeps no more of a share than what stands in the buffer: others need the rest while this one waits.
    fn park(&mut self, share: Share, left: usize) -> Result<(), HttpError> {
        drop(self.parked.take());
        self.parked = self.intake.budget.park(share, left);
        if self.parked.is_none() {
            return Err(self.busy(Duration::from_secs(5)));
        }
        Ok(())
    }

    /// Takes the whole frames of the buffer; answers how long a quota asks to wait before the next.
    async fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Duration>, HttpError> {
        loop {
            let step = self.session.read(buffer, PIECE * EXPANSION);
            self.intake.note_unplaced(&mut self.session);
            self.append().await?;
            match step {
                Step::Drained | Step::Broken | Step::Closed => return Ok(None),
                Step::Full | Step::Pause => {}
                Step::Wait(time) => return Ok(Some(time)),
                Step::Refuse(code, retry_after) => {
                    facts::refused(code.code());
                    let report = std::mem::take(&mut self.report);
                    return Err(match code {
                        RefusalCode::Quota => HttpError::Quota { retry_after, report },
                        _ => HttpError::Busy { retry_after, report },
                    });
                }
            }
        }
    }

    /// Appends what is pending and waits until it is durable: one at a time, so that what is stored is always the
    /// body's beginning.
    async fn append(&mut self) -> Result<(), HttpError> {
        if self.session.pending.is_empty() {
            return Ok(());
        }
        let pending = self.session.take_pending();
        let (since, events) = (Instant::now(), pending.batch.len() as u64);
        let records = pending.batch.into_records(self.session.identity().token);
        if !records.is_empty() {
            match self.intake.broker.append(Topic::Events, records).await {
                Ok(()) => facts::durable(Protocol::Http, events, since.elapsed()),
                Err(BrokerError::Busy { retry_after, .. }) => return Err(self.busy(retry_after)),
                Err(_) => return Err(self.busy(Duration::from_secs(1))),
            }
        }
        self.report.accepted += events;
        self.report.rejected_total += pending.bad;
        let room = REPORTED - self.report.rejected.len();
        self.report.rejected.extend(pending.rejected.into_iter().take(room));
        Ok(())
    }

    fn busy(&mut self, retry_after: Duration) -> HttpError {
        facts::refused(RefusalCode::Busy.code());
        HttpError::Busy { retry_after, report: std::mem::take(&mut self.report) }
    }
}
