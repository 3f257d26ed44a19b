//! The embedded broker: a durable, group-committed log on fjall.
