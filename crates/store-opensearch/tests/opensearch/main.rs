//! The index on OpenSearch: as every event index (`conformance`), its analysis, what is its own, and faults.

mod analysis;
mod behaviour;
mod conformance;
mod faults;
mod server;
