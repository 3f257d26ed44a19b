//! The use cases on the real embedded stores.

mod accounts;
mod authorisation;
mod bus;
mod dead_letters;
mod events;
mod fixture;
mod live;
mod masking;
mod sources;
mod tokens;
mod trust;
