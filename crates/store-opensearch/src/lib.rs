//! The event index on OpenSearch 2.11 and later.
//!
//! [`OpenSearchIndex`] implements [`store::index::EventIndex`] and answers as the embedded index does. Each class,
//! group and period of `received_at` is an index of its own, such as `qgx-events-30d-g1-2026.11.22`, made by OpenSearch
//! from one template when its first event comes.
//!
//! - `template` says how an event lies there, `analysis` how the product's tokeniser is expressed by core components.
//! - `write` and `bulk` take batches: raw events, created by their id, so that a re-read changes nothing; `degrade` is
//!   for those that cannot be mapped.
//! - `scope` is the only way to events, and adds tenant, routing and window to every read; `translate` turns a query's
//!   conditions into OpenSearch's.
//! - `page`, `export`, `chart` (with `buckets`) and `facet` are the reads.
//! - `client` is the connection, with `circuit` for when there is none and `error` for what comes back; `admin` is for
//!   operators.
//!
//! A window opens only the shards it overlaps: each knows the lowest and highest `ts` it has, and is asked first.
//!
//! What is not here: no scoring, no change of single events, no guessing of mappings.

mod admin;
mod analysis;
mod backup;
mod buckets;
mod bulk;
mod chart;
mod circuit;
mod client;
mod degrade;
mod error;
mod export;
mod facet;
mod index;
mod options;
mod page;
mod scope;
mod template;
mod translate;
mod write;

pub use admin::{ClusterHealth, TemplateState};
pub use circuit::CircuitState;
pub use index::OpenSearchIndex;
pub use options::{Login, OpenSearchOptions, Refresh};
