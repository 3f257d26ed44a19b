//! What every front door of a process shares: the broker, who may come in, and how much.

use crate::access::{IngestAccess, RefusalCode, StreamPositions};
use crate::budget::ByteBudget;
use crate::quota::{Leases, TenantState, Tenants, TokenLimits};
use crate::record::Limits;
use crate::record::sources::REMEMBERED;
use crate::session::Session;
use crate::streams::{Hold, StreamKey, Streams};
use domain::api::Refusal;
use domain::{SourceKey, TenantId, Timestamp};
use std::sync::Arc;
use store::broker::Broker;
use store::sql::SqlStore;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// How much may come in.
#[derive(Debug, Clone, Copy)]
pub struct IntakeConfig {
    /// What a record may hold.
    pub limits: Limits,
    /// Bytes between sockets and the broker, in all.
    pub budget_bytes: usize,
    /// Limits of each token.
    pub token_limits: TokenLimits,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        Self { limits: Limits::default(), budget_bytes: 128 << 20, token_limits: TokenLimits::default() }
    }
}

/// See the module. One a process, shared by the TCP port and its HTTP sister.
pub struct Intake {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) access: Arc<dyn IngestAccess>,
    pub(crate) positions: Arc<dyn StreamPositions>,
    pub(crate) limits: Limits,
    pub(crate) token_limits: TokenLimits,
    pub(crate) budget: ByteBudget,
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) streams: Streams,
}

impl Intake {
    /// Who may send.
    pub fn access(&self) -> &dyn IngestAccess {
        &*self.access
    }

    /// On these stores and services.
    pub fn new(
        broker: Arc<dyn Broker>,
        access: Arc<dyn IngestAccess>,
        positions: Arc<dyn StreamPositions>,
        config: IntakeConfig,
    ) -> Arc<Self> {
        Arc::new(Self {
            broker,
            access,
            positions,
            limits: config.limits,
            token_limits: config.token_limits,
            budget: ByteBudget::new(config.budget_bytes),
            tenants: Arc::new(Tenants::new(config.limits)),
            streams: Streams::default(),
        })
    }

    /// Reads once which sources the tenant has: those are no new ones.
    pub(crate) fn learn_sources(&self, tenant: &TenantId, state: &Arc<TenantState>) {
        if !state.budgets.sources.wants_registry() {
            return;
        }
        let (access, tenant) = (Arc::clone(&self.access), tenant.clone());
        let sources = Arc::clone(&state.budgets.sources);
        telemetry::spawn("learn-sources", async move {
            match access.known_sources(&tenant, REMEMBERED).await {
                Some(found) => sources.registered(found.iter().map(SourceKey::as_str)),
                None => sources.registry_unread(),
            }
        });
    }

    /// Shows a tenant that records named more new sources than it may have in a day.
    pub(crate) fn note_unplaced(&self, session: &mut Session) {
        let count = session.take_unplaced();
        if count == 0 {
            return;
        }
        let identity = session.identity();
        let refusal = Refusal {
            at: Timestamp::now(),
            peer: session.peer().to_string(),
            protocol: session.protocol().name().to_owned(),
            code: RefusalCode::TooManySources.code().to_owned(),
            token: (identity.token != 0).then(|| identity.token.to_string()),
            count,
        };
        self.access.refused(refusal, Some(identity.tenant.key.clone()));
    }

    /// Takes a stream for a connection; whoever held it is told so, here and in other processes.
    pub(crate) fn take_stream(&self, key: StreamKey) -> Hold {
        let hold = self.streams.take(key);
        self.access.stream_taken(hold.taken.clone());
        hold
    }

    /// Keeps quotas together with the other processes on this database, until told to stop. Without it this process takes
    /// whole quotas.
    pub async fn share_quotas(self: Arc<Self>, sql: Arc<dyn SqlStore>, stop: CancellationToken) {
        let replica = uuid::Uuid::new_v4().simple().to_string();
        Leases::new(Arc::clone(&self.tenants), sql, replica).run(stop).await;
    }

    /// Ends connections whose streams are taken in other processes, until told to stop.
    pub(crate) async fn follow_streams(self: Arc<Self>, stop: CancellationToken) {
        let Some(mut taken) = self.access.streams_taken() else { return };
        while let Some(next) = stop.run_until_cancelled(taken.recv()).await {
            match next {
                Ok(taken) => self.streams.taken_elsewhere(&taken),
                // A connection that should have ended goes on; what it sends is recognised by its sequence.
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "streams taken elsewhere were missed")
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Bytes of the budget that nobody holds.
    pub fn free_bytes(&self) -> usize {
        self.budget.free()
    }
}
