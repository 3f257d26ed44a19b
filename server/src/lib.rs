//! The `qgx` binary as a library: roles, routers, REST API and command line.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | every setting, from one list |
//! | [`serve`] | starts and stops a process: stores, pipeline, listeners |
//! | [`http`] | the middleware that every listener shares |
//! | [`rest`] | the REST API of `back` |
//! | [`web`] | the user web of `front`: pages, server functions, assets, live stream |
//! | [`internal`] | what roles tell each other, by a service key |
//! | [`management`] | `/livez`, `/readyz`, `/metrics` |
//! | [`control`] | administration, beside a running server or without one |
//! | [`backup`] | backup, restore, and moving from embedded stores to engines |
//! | [`client`], [`agent`] | QGX lines from the sender's side, and this machine's own figures |
//! | [`cli`] | the command line |

#![recursion_limit = "256"]

pub mod agent;
pub mod backup;
pub mod cli;
pub mod client;
pub mod config;
pub mod control;
pub mod http;
pub mod internal;
pub mod management;
pub mod rest;
pub mod serve;
pub mod web;

pub use config::Config;
pub use serve::{Addresses, Running, start};
