//! Ingestion from TCP to the broker, and the processor from the broker to the stores.

pub mod protocol;
pub mod record;
