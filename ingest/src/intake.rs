//! What every front door of a process shares: the broker, who may come in, and how much.

use crate::access::{IngestAccess, StreamPositions};
use crate::budget::ByteBudget;
use crate::quota::{Tenants, TokenLimits};
use crate::record::Limits;
use crate::streams::Streams;
use std::sync::Arc;
use store::broker::Broker;

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
    pub(crate) tenants: Tenants,
    pub(crate) streams: Streams,
}

impl Intake {
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
            tenants: Tenants::new(config.limits),
            streams: Streams::default(),
        })
    }

    /// Bytes of the budget that nobody holds.
    pub fn free_bytes(&self) -> usize {
        self.budget.free()
    }
}
