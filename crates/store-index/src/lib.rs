//! The embedded event index on tantivy.
//!
//! [`TantivyIndex`] implements [`store::index::EventIndex`]. Each class, group and period of `received_at` is a
//! tantivy index of its own, in a directory of its name: `qgx-events-30d-g1-2026.11.22`.
//!
//! - `catalog` knows the indexes and opens them when needed; `mark` is what each commit says of its index: which
//!   offsets are in it (so that a re-read changes nothing) and which times it spans (so that a search opens only
//!   what overlaps its window).
//! - `writer` takes batches; `document`, `schema` and `tokenizer` are an event's form in tantivy.
//! - `scan` is the only way to documents, and adds tenant and window to every read; `parallel` goes through several
//!   segments at a time; `translate`, `column` and
//!   `verify` turn a query's conditions into tantivy's.
//! - `page`, `export`, `chart` and `facet` (with `counts`) are the reads.
//!
//! What is not here: no merge of answers between tenants, no scoring, no deletion of single events.

mod backup;
mod catalog;
mod chart;
mod column;
mod counts;
mod document;
mod error;
mod export;
mod facet;
mod index;
mod mark;
mod message;
mod options;
mod page;
mod parallel;
mod scan;
mod schema;
mod stored;
mod tokenizer;
mod translate;
mod verify;
mod writer;

pub use index::TantivyIndex;
pub use options::IndexOptions;
