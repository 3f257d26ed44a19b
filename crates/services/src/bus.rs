//! What processes tell each other over the live bus, where the roles are split: one JSON object a message, with a
//! version. Who does not know a kind passes over it.
//!
//! | kind | who says it | who heeds it |
//! |---|---|---|
//! | `totals` | processors, each of its share of the partitions | web roles, which sum them up |
//! | `source`, `token_seen` | processors | web roles |
//! | `refusal` | ingestion | web roles |
//! | `tails`, `matches` | web roles what they watch for; processors what they found | the other one |
//! | `status` | every process | every process |
//! | `token_ended` | whoever ended it | every process, at once instead of within a second |
//! | `tenant_changed` | whoever changed it | every process: what it remembers of it is read anew |
//! | `stream_taken` | ingestion | ingestion: the older connection of the stream ends |

use crate::ingest_access::StreamTaken;
use crate::live::{LiveHub, RemoteTail};
use crate::status::{ProcessStatus, StageStatus};
use crate::{PipelineStatus, Services};
use bytes::Bytes;
use domain::api::{LiveTotals, Refusal, SourceState};
use domain::{Event, SourceKey, TenantId, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::live_bus::{LiveBus, MESSAGE_MAX};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

const VERSION: u8 = 1;
/// How often seconds are put together, and refusals told.
const TICK: Duration = Duration::from_millis(200);
/// How often a process tells what it watches for, and how it does.
const ANNOUNCE: Duration = Duration::from_secs(2);
/// After how long a process that said nothing is forgotten, and its tails.
pub(crate) const FORGOTTEN: Duration = Duration::from_secs(10);
/// Different refusals between two ticks; more are dropped and counted.
const REFUSALS: usize = 1_000;

/// A message.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope<S> {
    v: u8,
    from: String,
    said: S,
}

/// What is said.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    Totals {
        tenant: TenantId,
        totals: LiveTotals,
        /// Delays from arrival to searchable, as the status counts them: (bucket, events).
        delays: Vec<(u8, u64)>,
    },
    Source {
        tenant: TenantId,
        key: SourceKey,
        state: SourceState,
    },
    TokenSeen {
        tenant: TenantId,
        token: u64,
        source: SourceKey,
    },
    Refusal {
        tenant: Option<TenantId>,
        refusal: Refusal,
    },
    /// All that the process watches for.
    Tails {
        tails: Vec<RemoteTail>,
    },
    Matches {
        /// Whose tail it is.
        to: String,
        tail: u64,
        events: Vec<Event>,
        omitted: u64,
    },
    Status(ProcessStatus),
    TokenEnded {
        token: u64,
    },
    StreamTaken(StreamTaken),
    TenantChanged {
        tenant: TenantId,
    },
}

/// A process's end of the bus; without one, everything stays in the process.
#[derive(Clone, Default)]
pub(crate) struct BusEnd {
    joined: Arc<OnceLock<Joined>>,
}

struct Joined {
    bus: Arc<dyn LiveBus>,
    me: Arc<str>,
    refusals: Mutex<HashMap<RefusalKey, (Option<TenantId>, Refusal)>>,
}

type RefusalKey = (Option<TenantId>, String, String, String, Option<String>);

impl std::fmt::Debug for BusEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BusEnd").field("me", &self.me()).finish()
    }
}

impl BusEnd {
    /// The process's name on the bus, where it is on one.
    pub(crate) fn me(&self) -> Option<Arc<str>> {
        self.joined.get().map(|joined| joined.me.clone())
    }

    /// Whether there are others.
    pub(crate) fn is_joined(&self) -> bool {
        self.joined.get().is_some()
    }

    /// Says it, to whoever hears. Never waits.
    pub(crate) fn say(&self, said: Said) {
        let Some(joined) = self.joined.get() else { return };
        let message = Envelope { v: VERSION, from: joined.me.to_string(), said };
        match serde_json::to_vec(&message) {
            Ok(text) => joined.bus.publish(Bytes::from(text)),
            Err(error) => tracing::error!(%error, "a live message cannot be written"),
        }
    }

    /// Says matches of a tail, as many as a message holds; the others are counted only.
    pub(crate) fn say_matches(&self, to: String, tail: u64, events: Vec<Event>, mut omitted: u64) {
        if !self.is_joined() {
            return;
        }
        let (mut room, mut fitting) = (MESSAGE_MAX - 1_024, Vec::with_capacity(events.len()));
        for event in events {
            let weight = serde_json::to_vec(&event).map_or(usize::MAX, |text| text.len() + 1);
            if weight > room {
                omitted += 1;
                continue;
            }
            room -= weight;
            fitting.push(event);
        }
        self.say(Said::Matches { to, tail, events: fitting, omitted });
    }

    /// Says a refusal with the next tick, together with those that are alike.
    pub(crate) fn say_refusal(&self, tenant: Option<&TenantId>, refusal: &Refusal) {
        let Some(joined) = self.joined.get() else { return };
        let Refusal { peer, protocol, code, token, .. } = refusal;
        // The port is another one with each connection.
        let address =
            peer.parse::<std::net::SocketAddr>().map(|address| address.ip().to_canonical().to_string());
        let peer = address.unwrap_or_else(|_| peer.clone());
        let key = (tenant.cloned(), peer, protocol.clone(), code.clone(), token.clone());
        let mut refusals = joined.refusals.lock();
        if let Some((_, known)) = refusals.get_mut(&key) {
            known.count += refusal.count.max(1);
            known.at = refusal.at;
        } else if refusals.len() < REFUSALS {
            let told = Refusal { count: refusal.count.max(1), ..refusal.clone() };
            refusals.insert(key, (tenant.cloned(), told));
        } else {
            metrics::counter!("qgx_live_dropped_total").increment(1);
        }
    }

    fn flush_refusals(&self) {
        let Some(joined) = self.joined.get() else { return };
        let refusals = std::mem::take(&mut *joined.refusals.lock());
        for (tenant, refusal) in refusals.into_values() {
            self.say(Said::Refusal { tenant, refusal });
        }
    }
}

impl Services {
    /// Joins the live bus: from now on other processes hear what happens here, and this one what happens there, until
    /// `stop`. Once a process; `roles` are told to the others.
    pub async fn join_bus(&self, bus: Arc<dyn LiveBus>, roles: Vec<String>, stop: CancellationToken) {
        let me: Arc<str> =
            format!("{:016x}", RandomState::new().hash_one(Timestamp::now().as_nanos())).into();
        let mut heard = bus.subscribe();
        let joined = Joined { bus, me: me.clone(), refusals: Mutex::default() };
        if self.live().bus().joined.set(joined).is_err() {
            tracing::error!("a process joins the live bus once");
            return;
        }
        self.status().share_delays();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let started_at = Timestamp::now();
        let mut announced: Option<Instant> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {
                    let now = Instant::now();
                    self.live().bus().flush_refusals();
                    self.live().put_together(now);
                    if announced.is_none_or(|at| now >= at + ANNOUNCE) {
                        announced = Some(now);
                        self.announce(&me, &roles, started_at);
                        self.live().forget_silent(now);
                    }
                }
                message = heard.recv() => match message {
                    Ok(message) => self.hear(&me, &message),
                    Err(RecvError::Lagged(missed)) => {
                        metrics::counter!("qgx_live_missed_total").increment(missed);
                    }
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    fn announce(&self, me: &Arc<str>, roles: &[String], started_at: Timestamp) {
        self.live().announce_tails();
        let stages: Vec<StageStatus> = self.status().stages();
        let status = ProcessStatus {
            process: me.to_string(),
            pid: std::process::id(),
            roles: roles.to_vec(),
            at: Timestamp::now(),
            started_at,
            stages,
        };
        self.status().heard_of(status.clone());
        self.live().bus().say(Said::Status(status));
    }

    fn hear(&self, me: &Arc<str>, message: &[u8]) {
        let Ok(Envelope { v: VERSION, from, said }) = serde_json::from_slice::<Envelope<Said>>(message)
        else {
            // Of another version, or nobody's of ours.
            metrics::counter!("qgx_live_foreign_total").increment(1);
            return;
        };
        if *from == **me {
            return;
        }
        let live = self.live();
        match said {
            Said::Totals { tenant, totals, delays } => {
                PipelineStatus::record_delays(self.status(), &tenant, &delays);
                live.add_totals(&tenant, totals);
            }
            Said::Source { tenant, key, state } => live.publish_source_here(&tenant, key, state),
            Said::TokenSeen { tenant, token, source } => live.publish_token_seen_here(&tenant, token, source),
            Said::Refusal { tenant, refusal } => self.heard_refusal(refusal, tenant.as_ref()),
            Said::Tails { tails } => live.watch_for(&from, tails),
            Said::Matches { to, tail, events, omitted } if *to == **me => {
                live.publish_found(tail, events, omitted)
            }
            Said::Matches { .. } => {}
            Said::Status(status) => self.status().heard_of(status),
            Said::TokenEnded { token } => self.token_ended_elsewhere(token),
            Said::StreamTaken(taken) => live.stream_taken_here(taken),
            Said::TenantChanged { tenant } => self.forget_tenant_here(&tenant),
        }
    }

    /// Every process that told how it does in the last ten seconds, this one included where it is on the bus.
    pub fn processes(&self) -> Vec<ProcessStatus> {
        self.status().processes()
    }
}

impl LiveHub {
    /// This process's end of the live bus.
    pub(crate) fn bus(&self) -> &BusEnd {
        &self.state.bus
    }
}
