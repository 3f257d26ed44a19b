//! The broker on Kafka 3.9, through librdkafka.
//!
//! ```text
//! append ─▶ producer (idempotent, acks=all) ─▶ poll thread ─▶ delivery reports ─▶ the append's future
//! fetch  ◀─ shelves, one a partition ◀─ reader thread ◀─ one consumer, partitions assigned by hand
//! scan   ◀─ a client of its own, from any offset to the end; the reader stays where it is
//! commit ─▶ noted at once, committed to Kafka within half a second
//! join   ─▶ member thread: consuming ─▶ draining ─▶ complete, by the group's rebalances
//! live   ◀▶ a topic of its own, read by every process from its end: [`KafkaLive`]
//! ```
//!
//! **Writing.** A record is keyed `tenant/source` and goes to the partition of its [route](store::broker::Route), so
//! that every implementation of the broker agrees on it; what else is known of it stands in headers ([`wire`]). An
//! append is done when the last of its delivery reports has come; nothing is acknowledged before.
//!
//! **Reading.** A processor resumes from the offsets in SQL, so partitions are assigned by hand at the offset a
//! fetch asks for, and the group is told what was done only for its lag and its retention.
//!
//! **Sharing.** Processors of one group share its partitions by Kafka's group protocol ([`Broker::join`]). What a
//! process does after it lost a partition is fenced twice: Kafka refuses its commits by their generation, and SQL
//! refuses its offsets, because somebody else moved them.
//!
//! # Pitfalls, and what is done about them
//! - *A message that times out leaves a gap.* Idempotence does not cover `message.timeout.ms`: a record that timed out
//!   would be missing before later ones that are stored, and a client that counts its lines would be told that all
//!   have arrived. So records never time out in the client (`message.timeout.ms=0`, `enable.gapless.guarantee`); it is
//!   the append that stops waiting ([`KafkaOptions::ack_timeout`]) and answers that it is not known whether they were
//!   stored. What was stored late is a duplicate, and recognised. Tested in `tests/faults.rs`.
//! - *A fatal error ends a client for good.* A new one takes its place once everything of the old one has failed;
//!   until then appends answer busy. Tested in `tests/faults.rs`.
//! - *`FutureProducer::send` was seen to leak and waits in a retry loop.* It is not used: records are handed to
//!   `BaseProducer::send`, which never waits; a budget of our own ([`KafkaOptions::pending_bytes`]) is below librdkafka's, so that
//!   its queue is never full.
//! - *`split_partition_queue` can stall a partition.* It is not used: one queue serves all, and a partition that has
//!   records and delivers none for five seconds is assigned anew. Tested in `reader.rs`.
//! - *Closing can hang.* It happens on a thread of its own, with a deadline; what is not closed by then is left to
//!   the end of the process. Tested in `tests/faults.rs`.
//! - *Cooperative assignors with manual commits lose the order of events.* Eager `range` is set.
//! - *Polling blocks.* It has threads of its own and never touches a runtime's worker.

#![warn(missing_docs)]

mod broker;
mod groups;
mod lag;
mod live;
mod member;
mod options;
mod producer;
mod reader;
mod scanner;
mod shelf;
mod sizes;
mod topics;
mod voice;
pub mod wire;

pub use broker::KafkaBroker;
pub use live::KafkaLive;
pub use options::{KafkaOptions, Sasl, SaslMechanism, Tls};
pub use topics::{Ensured, ensure_topics};

#[cfg(doc)]
use store::broker::Broker;
