//! How protocols with a dialogue open: RELP, which wants an answer before it sends a record, and Lumberjack.

use super::{Door, Entered};
use crate::protocol::dialogue::{Dialogue, Found};
use crate::protocol::relp::{self, Open};
use crate::protocol::{Framing, Protocol, lumberjack};
use crate::session::{Session, Start};
use crate::tcp::no_entry::{Answer, NoEntry};
use bytes::BytesMut;
use tokio::time::Instant;

impl Door<'_> {
    /// RELP: `open` is answered, then the first record is waited for, since a credential may stand in it.
    pub(super) async fn relp(&mut self) -> Result<Entered, NoEntry> {
        const PROTOCOL: &str = "relp";
        let bad = |txnr, reason: &str| {
            NoEntry::other("bad_relp", reason.to_owned(), PROTOCOL).told(Answer::Relp(txnr))
        };
        let txnr = loop {
            match relp::open(&mut self.buffer) {
                Open::Taken(txnr) => break txnr,
                Open::Refused(txnr, reason) => return Err(bad(Some(txnr), reason)),
                Open::Broken(reason) => return Err(bad(None, reason)),
                Open::Partial if self.ended => return Err(NoEntry::Gone),
                Open::Partial => self.fill().await.map_err(|late| late.told(Answer::Relp(None)))?,
            }
        };
        let mut welcome = BytesMut::new();
        relp::welcome(&mut welcome, txnr);
        self.say(&welcome).await?;
        let reader = relp::Reader::new(self.port.intake.limits.frame_bytes);
        self.converse(Protocol::Relp, Dialogue::Relp(reader)).await
    }

    /// Lumberjack: it has no opening but its first window.
    pub(super) async fn lumberjack(&mut self) -> Result<Entered, NoEntry> {
        let mut reader = lumberjack::Reader::new(self.port.intake.limits.frame_bytes);
        if self.known.is_some() {
            reader.admit();
        }
        self.converse(Protocol::Lumberjack, Dialogue::Lumberjack(reader)).await
    }

    async fn converse(&mut self, protocol: Protocol, mut dialogue: Dialogue) -> Result<Entered, NoEntry> {
        let found = match self.has_shown() {
            true => None,
            false => Some(self.first_found(protocol, &mut dialogue).await?),
        };
        let told = told(&dialogue, found.as_ref());
        if let Some(Found::Record(record)) = &found
            && let Some(token) = self.token_of(protocol, record)
        {
            self.identify(&token, protocol.name()).await.map_err(|no_entry| no_entry.told(told))?;
        }
        let identity = self.identity(protocol.name()).await;
        let (secret, identity) = identity.map_err(|no_entry| no_entry.told(told))?;
        let start = Start {
            dialogue: Some((dialogue, found)),
            ..self.start(protocol, Framing::Counted, identity, secret)
        };
        let session = Session::new(&self.port.intake, start);
        Ok(Entered { session, hold: None, greeting: BytesMut::new() })
    }

    /// The first record, or the first of one that is too long.
    async fn first_found(&mut self, protocol: Protocol, dialogue: &mut Dialogue) -> Result<Found, NoEntry> {
        self.awaits_record = true;
        let mut answers = BytesMut::new();
        loop {
            let found = dialogue.next(&mut self.buffer, &mut answers);
            let told = told(dialogue, None);
            self.say(&answers.split()).await?;
            match found {
                Found::Record(_) | Found::Oversized(_) => return Ok(found),
                Found::Aside => {
                    if protocol == Protocol::Lumberjack {
                        self.cover(protocol, dialogue.held()).map_err(|busy| busy.told(told))?;
                        self.in_time(protocol).map_err(|late| late.told(told))?;
                    }
                    tokio::task::yield_now().await;
                }
                Found::Closed => return Err(NoEntry::Gone.told(told)),
                Found::Broken(error) => {
                    let bad = NoEntry::other("framing", error.to_string(), protocol.name());
                    return Err(bad.told(told));
                }
                Found::Partial if self.ended => return Err(NoEntry::Gone),
                Found::Partial => {
                    self.cover(protocol, dialogue.held()).map_err(|busy| busy.told(told))?;
                    self.fill().await.map_err(|late| late.told(told))?;
                }
            }
        }
    }
}

impl Door<'_> {
    /// Whether the opening may go on: its deadline holds where nothing is waited for too, while a little that came becomes
    /// much.
    fn in_time(&self, protocol: Protocol) -> Result<(), NoEntry> {
        if self.port.stop.is_cancelled() {
            return Err(NoEntry::Gone);
        }
        match self.started {
            Some(at) if Instant::now() >= at + self.port.config.handshake => {
                let message = "No record was found in time in what the connection sent.";
                Err(NoEntry::other("handshake_timeout", message, protocol.name()))
            }
            _ => Ok(()),
        }
    }
}

/// How a refusal is told, at this place of a dialogue.
fn told(dialogue: &Dialogue, found: Option<&Found>) -> Answer {
    match dialogue {
        Dialogue::Relp(reader) => Answer::Relp(found.map(|_| reader.txnr())),
        Dialogue::Lumberjack(_) => Answer::Silence,
    }
}
