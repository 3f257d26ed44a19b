//! The use cases on the real embedded stores.

mod accounts;
mod authorisation;
mod events;
mod fixture;
mod live;
mod masking;
mod sources;
mod tokens;
