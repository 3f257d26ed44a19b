//! The use cases on the real embedded stores.

mod accounts;
mod authorisation;
mod events;
mod fixture;
mod live;
mod sources;
mod tokens;
