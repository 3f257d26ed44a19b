//! Ingestion from TCP to the broker, and the processor from the broker to the stores.
//!
//! | file | what |
//! |---|---|
//! | [`tcp`] | the port: listener, opening of a connection, its life |
//! | [`session`] | an identified sender: from bytes to records, without I/O |
//! | [`protocol`] | how each protocol begins, is framed, and what a frame says |
//! | [`record`] | from decoded input to section-5 JSON, written once |
//! | [`http`] | the port's HTTP sister |
//! | [`processor`] | from the log to the event index and SQL |
//! | [`dead_letter`], [`LetterReplay`] | what could not be stored, and how it becomes an event all the same |
//! | [`intake`], [`budget`], [`quota`], [`streams`], [`access`] | what all connections share |
//!
//! What holds everywhere:
//! - No byte is read from a socket before its place in the one byte budget is taken.
//! - Nothing is acknowledged before the broker says it is durable.
//! - The JSON of an event is made once, in [`record::RecordWriter`]; nobody changes it after.
//! - No customer data in a log line, no source or tenant on a metric.

pub mod access;
pub mod budget;
pub mod dead_letter;
mod dead_letter_replay;
mod facts;
pub mod http;
pub mod intake;
pub mod processor;
pub mod protocol;
pub mod quota;
pub mod record;
pub mod session;
pub mod streams;
pub mod tcp;

pub use dead_letter_replay::LetterReplay;
pub use http::{HttpError, IngestReport, ingest_ndjson};
pub use intake::{Intake, IntakeConfig};
pub use tcp::{TcpConfig, TcpIngest};
