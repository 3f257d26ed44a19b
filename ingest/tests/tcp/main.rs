//! The TCP port on real sockets, with a broker in memory.

mod bad_input;
mod http;
mod limits;
mod protocols;
mod qgx;
mod rig;
