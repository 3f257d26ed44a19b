//! The embedded event index on tantivy.
