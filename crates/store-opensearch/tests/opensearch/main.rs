//! The index on OpenSearch: as every event index (`conformance`), its analysis, what is its own, and faults.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod analysis;
mod behaviour;
mod conformance;
mod faults;
mod server;
