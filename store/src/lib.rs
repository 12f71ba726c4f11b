//! Everything durable of the engine: one ordered tree, plain files beside it, and one writer.
//!
//! | module | holds |
//! |---|---|
//! | `store` | the handle others use |
//! | `batch`, `writer` | atomic batches, gathered into commits by one thread |
//! | `keys`, `records` | order-preserving keys; values of any size on a tree that wants small ones |
//! | `journal` | sequence and checksum chain of an experiment's records |
//! | `backend`, `sled_backend`, `memory` | the tree: sled, or a map for simulation |
//! | `files`, `snapshot`, `models`, `logs` | plain files, on disk or in memory |
//! | `removal` | deleting an experiment, resumed after a crash |
//!
//! The acknowledgement contract: when [`Store::append`] returns, or the callback of [`Store::submit`] is called with
//! `Ok`, the whole batch survives the death of the process and, as far as the disk keeps its word on `fdatasync`, a
//! power cut. After an error the outcome is unknown: read the journal before going on.
//!
//! A journal with a hole or a broken checksum is reported ([`Error::BrokenJournal`]), never skipped. A disk that loses
//! what it had synced can make a journal end early without a trace in it; reading on from a snapshot
//! (`journal(experiment, snapshot.seq + 1)`) notices that as far as the snapshot reaches.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod backend;
mod backup;
mod base;
mod batch;
mod disk;
mod durable;
mod error;
mod files;
mod frame;
mod health;
mod journal;
mod keys;
mod lock;
mod logs;
mod mark;
mod memory;
mod models;
mod opening;
#[cfg(test)]
mod power_cuts;
mod records;
mod redo;
mod removal;
#[cfg(test)]
mod sim_disk;
mod sled_backend;
mod snapshot;
mod store;
mod upkeep;
mod writer;

pub use backup::Backup;
pub use batch::Batch;
pub use error::Error;
pub use files::FileReader;
pub use health::Health;
pub use journal::Journal;
pub use keys::Key;
pub use logs::{LogPage, Logs};
pub use models::Models;
pub use snapshot::Snapshot;
pub use store::{CheckpointRecord, Options, Store};
