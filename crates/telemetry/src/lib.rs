//! Logs, metrics and tracked tasks.
//!
//! - [`task`]: every task of the process is spawned by [`spawn`], so that a panic is seen and a shutdown waits;
//! - [`log`]: structured lines on standard error, their level changeable at run time, repeats folded;
//! - [`metric`]: the Prometheus registry and the rules of naming and labelling.
//!
//! A log line reads alone: the message is constant text, what varies stands in fields. No secret, no query text,
//! no customer data goes into either. Constant messages are also what folding works on.

pub mod fold;
pub mod log;
pub mod metric;
pub mod task;

pub use log::{LogFormat, LogHandle, init_logs};
pub use metric::{PrometheusHandle, init_metrics};
pub use task::{Unfinished, shutdown, spawn, spawn_blocking_named};
