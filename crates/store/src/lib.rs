//! The traits of the three stores, and the conformance suites that every implementation passes.
//!
//! - [`broker`]: the durable log between ingestion and processor (`qgx.events.v1`, dead letters, live totals);
//! - [`index`]: the event index: search, histogram, facets, export, aggregation;
//! - [`sql`]: people, tenants, tokens, sources, rollups, pipeline state;
//! - [`backup`]: what a backup, a restore and a move need of them.

pub mod backup;
pub mod broker;
pub mod index;
pub mod live_bus;
pub mod sql;
#[cfg(feature = "testing")]
pub mod testing;
