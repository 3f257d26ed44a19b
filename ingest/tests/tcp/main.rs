//! The TCP port on real sockets, with a broker in memory.

#![expect(clippy::unwrap_used, reason = "what a helper cannot do fails its test")]

mod bad_input;
mod http;
mod limits;
mod lumberjack;
mod masking;
mod opening;
mod protocols;
mod proxy;
mod qgx;
mod relp;
mod rig;
mod tls;
mod trust;
