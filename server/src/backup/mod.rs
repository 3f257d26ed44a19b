//! Backup and restore.
//!
//! A repository is a folder or a bucket ([`place`]) that holds content-addressed, sealed chunks and one manifest a
//! backup ([`repository`], [`manifest`], [`seal`]):
//!
//! ```text
//! qgx-backup.json            the format, and how the key is derived
//! chunks/ab/ab34…            4 MiB of a file at most, compressed and sealed, named by its content
//! snapshots/20261122T010203.042Z-4f2a   a manifest, sealed; written last: what has none was never finished
//! locks/…                    who is writing
//! ```
//!
//! [`stage`] takes the stores at one moment, in the process that has them open, into a folder of links; [`create`] carries
//! that folder into the repository, in the process of the command line, which alone knows the key. [`restore`] writes a
//! backup into an empty data directory and compares what is there with what was. [`counts`] is what both compare.
//!
//! Engines are copied into embedded stores first ([`copies`]), so that there is one form of backup whatever was backed
//! up, and any backup can be restored into either.
//!
//! [`relocate`] moves a data directory to engines, by the copies of [`transfer`] between [`engines`].

pub mod copies;
pub mod counts;
pub mod create;
pub mod engines;
pub mod manifest;
pub mod place;
pub mod relocate;
pub mod repository;
pub mod restore;
pub mod s3;
pub mod seal;
pub mod stage;
pub mod transfer;
pub mod upkeep;

pub use counts::Counts;
pub use manifest::Manifest;
pub use place::{Folder, Place};
pub use repository::Repository;
pub use s3::S3;
pub use seal::Key;
