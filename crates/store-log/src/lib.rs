//! The embedded broker: a durable, group-committed log for one process.
//!
//! ```text
//! <dir>/lock                      one process at a time
//! <dir>/groups                    what consumer groups have committed
//! <dir>/events/00…01.seg …        segments of qgx.events.v1, all partitions together
//! <dir>/dead-letters/00…01.seg …  segments of qgx.dead-letter.v1
//! ```
//!
//! **Writing.** Appenders enqueue and get a future. One thread a topic takes what has come, packs it by partition into
//! frames, writes them with one write, syncs once, shows them to the readers and resolves the futures. The first
//! append after a pause is committed at once; under load a commit takes what came in the linger or during the last
//! sync. A payload is copied once, into the buffer that is written and then serves the readers at the tail.
//!
//! **Reading.** The newest packs are in memory. Further back, a reader finds the segment by its head and a mark in it
//! every 256 KiB, and reads frames from there; payloads are slices of their pack.
//!
//! **Opening** reads the heads of all segments and the frames of the last one, and cuts a torn tail off. What was
//! acknowledged was synced and cannot be torn.
//!
//! **Retention** removes whole files, oldest first, never one that a group still needs.
//!
//! # Why files of our own and not a key-value store
//! A general LSM store with packed values of 1 MiB would be fast enough. Segment files won because a log needs none of
//! the rest: a record is written once instead of to a journal, a flushed table and its
//! compactions; removing the oldest is removing a file; and after a full disk the log cuts off its own failed write and
//! goes on, where such a store refuses every write until it is opened again.

mod backup;
mod chores;
mod committer;
mod disk;
#[cfg(test)]
mod faults;
mod frame;
mod groups;
mod log;
mod meters;
mod options;
mod pack;
mod queue;
mod retention;
mod segment;
mod shelf;
mod tail;
mod topic;
mod wire;

pub use log::EmbeddedLog;
pub use options::LogOptions;
