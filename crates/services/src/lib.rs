//! Use cases and authorisation: what may be done, by whom, on which stores.
//!
//! Every web role, the REST API and the command line call [`Services`]; nothing else decides what somebody may do.
//! A use case takes a [`Ctx`] first, asks it for a [`domain::Permission`] before anything else, and answers with the
//! shapes of [`domain::api`] or a [`ServiceError`]. A test walks all of them with every role and kind of token.
//!
//! | file | what |
//! |---|---|
//! | [`ctx`], [`error`] | who asks and until when; why not |
//! | `login`, `account`, `people`, `tenants` | sign-in, one's own account, people, tenants, first start |
//! | `tokens`, `access`, [`ingest_access`] | tokens, and what ingestion asks about them |
//! | `trust`, [`trusted`] | client certificates and address rules: who needs no token |
//! | `sources`, `source_import` | the registry of sources |
//! | `masking` | what of arriving data is hidden |
//! | `dead_letters`, `dead_letter_actions`, [`replayer`] | what could not be stored: looked at, mended, replayed, discarded |
//! | `events`, `counts`, `metric_query`, `overview` | search, histogram and facets, numbers over time, the first screen |
//! | `reads`, `cursor`, `check` | deadlines and queues of reads, pages, wrong input |
//! | [`live`], [`subscribe`], `refusals`, [`status`] | what happens just now |
//! | `bus` | what processes tell each other of it, where the roles are split |
//!
//! What holds everywhere:
//! - No read without a tenant, and no tenant from anywhere but the [`Ctx`].
//! - No secret leaves: passwords and tokens are stored as hashes, other secrets sealed ([`Services::seal`]).
//! - No query text and no customer data in a log line.
//! - Nothing here grows without bound: caches, limiters, rings and queues all have a size.
//! - A revoked token, a disabled person, a changed role bites within 5 s; in this process at once.
//!
//! [`Services::start_upkeep`] runs what must go on by itself; the process calls it once.

mod access;
mod account;
mod attempts;
mod bus;
mod cache;
mod check;
mod counts;
mod cursor;
mod dead_letter_actions;
mod dead_letters;
mod events;
mod hand_over;
mod login;
mod masking;
mod metric_query;
mod overview;
mod password;
mod people;
mod reads;
mod refusals;
mod seal;
mod secret;
mod source_import;
mod sources;
mod tenants;
mod tokens;
mod trust;
mod upkeep;

pub mod ctx;
pub mod error;
pub mod ingest_access;
pub mod live;
pub mod replayer;
pub mod status;
pub mod subscribe;
pub mod trusted;

#[cfg(test)]
mod tests;

pub use ctx::{Actor, Ctx, Person, TokenActor};
pub use dead_letter_actions::LETTERS_AT_ONCE;
pub use dead_letters::EDIT_BYTES;
pub use domain::api::{ImportReport, ProfileInput, SourceListRequest, TenantInput};
pub use error::{Cause, ServiceError};
pub use ingest_access::{Identity, IngestAccess, IngestTenant, Masking, RefusalCode, StreamTaken};
pub use live::{LiveHub, Tail, TailId};
pub use login::LoginOk;
pub use password::PasswordParams;
pub use people::{Bootstrap, CreatedUser, NewUser, OwnerSetup, UserInfo};
pub use status::{Backlog, PipelineStatus, ProcessStatus, Stage, StageStatus};
pub use subscribe::LiveRequest;
pub use tenants::NewTenant;
pub use trusted::{TrustSet, TrustedAuthority, TrustedNetwork};

use domain::TenantId;
use domain::api::LiveTotals;
use std::sync::Arc;
use store::broker::Broker;
use store::index::EventIndex;
use store::sql::SqlStore;

/// The three stores.
#[derive(Clone)]
pub struct Stores {
    /// People, tenants, tokens, sources, rollups.
    pub sql: Arc<dyn SqlStore>,
    /// Events.
    pub index: Arc<dyn EventIndex>,
    /// The durable log.
    pub broker: Arc<dyn Broker>,
}

/// How the services behave.
#[derive(Clone)]
pub struct ServicesConfig {
    /// The first seals, all open; none: [`Services::seal`] fails.
    pub secret_keys: Vec<[u8; 32]>,
    /// All roles in one process on embedded stores.
    pub embedded: bool,
    /// Whether loopback without a credential is the default tenant, while it is the only one (embedded only).
    pub loopback_default_tenant: bool,
    /// What hashing a password costs.
    pub password_params: PasswordParams,
}

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    inner: Arc<Inner>,
}

struct Inner {
    stores: Stores,
    config: ServicesConfig,
    live: LiveHub,
    status: PipelineStatus,
    passwords: password::Passwords,
    logins: login::LoginLimits,
    people: cache::TimedCache<account::PersonKey, Option<account::Standing>>,
    access: access::AccessState,
    refusals: refusals::RefusalBook,
    source_counts: cache::TimedCache<domain::TenantId, (u64, u64, u64)>,
    reads: reads::ReadGate,
    replayer: parking_lot::RwLock<Option<Arc<dyn replayer::Replayer>>>,
    watched_sources: upkeep::WatchedSources,
}

impl Services {
    /// The use cases on these stores. Starts nothing by itself: see [`Services::start_upkeep`].
    pub fn new(stores: Stores, config: ServicesConfig) -> Self {
        Self {
            inner: Arc::new(Inner {
                passwords: password::Passwords::new(config.password_params),
                stores,
                config,
                live: LiveHub::default(),
                status: PipelineStatus::default(),
                logins: login::LoginLimits::default(),
                people: cache::TimedCache::default(),
                access: access::AccessState::default(),
                refusals: refusals::RefusalBook::default(),
                source_counts: cache::TimedCache::default(),
                reads: reads::ReadGate::default(),
                replayer: parking_lot::RwLock::default(),
                watched_sources: upkeep::WatchedSources::default(),
            }),
        }
    }

    /// The stores below.
    pub fn stores(&self) -> &Stores {
        &self.inner.stores
    }

    /// The live hub of this process.
    pub fn live(&self) -> &LiveHub {
        &self.inner.live
    }

    /// The pipeline's figures of this process.
    pub fn status(&self) -> &PipelineStatus {
        &self.inner.status
    }

    /// One second of a tenant, as far as the processor of this process has it.
    pub fn publish_second(&self, tenant: &TenantId, totals: LiveTotals) {
        let delays = self.status().take_delays(tenant);
        self.live().publish_share(tenant, totals, delays);
    }

    fn sql(&self) -> &dyn SqlStore {
        &*self.inner.stores.sql
    }
}
