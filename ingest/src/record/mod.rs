//! From decoded input to the JSON of DESIGN section 5, written once.
//!
//! A protocol fills a [`Draft`]; [`RecordWriter`] turns it into bytes. What a record may hold is bounded by
//! [`Limits`]; what breaks them is a [`RecordError`].

pub mod arrival;
pub mod batch;
pub mod charset;
pub mod draft;
pub mod encode;
mod envelope;
pub(crate) mod event;
pub mod json;
pub mod mask;
pub mod names;
pub mod refuse;
mod sections;
pub mod sources;
pub mod stamp;
pub mod wall;
pub mod writer;

#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use draft::{Draft, Scalar};
pub use names::NameBudget;
pub use refuse::RecordError;
pub use sources::{Budgets, SourceBudget};
pub use writer::RecordWriter;

/// What a record may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a frame.
    pub frame_bytes: usize,
    /// Fields of an event.
    pub fields: usize,
    /// Levels of nesting.
    pub depth: usize,
    /// Bytes of a field's name, with those it is nested in.
    pub name_bytes: usize,
    /// Different field names per tenant and day.
    pub names_per_day: usize,
    /// New sources per tenant and day that records name themselves.
    pub sources_per_day: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 1 << 20,
            fields: 256,
            depth: 8,
            name_bytes: 255,
            names_per_day: 1_000,
            sources_per_day: 10_000,
        }
    }
}
