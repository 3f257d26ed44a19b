//! Administration from the command line, beside a running server or without one.
//!
//! A command is one [`Command`]. Where the data directory is in use it goes over `<data-dir>/qgx.sock`, else it is
//! executed here on the opened stores: the same [`execute`] both times.

pub mod client;
pub mod command;
pub mod socket;

pub use command::{Command, execute};
