//! Everything durable of the engine: one ordered tree, plain files beside it, and one writer.
//!
//! | module | holds |
//! |---|---|
//! | `store`, `reads`, `opening` | the handle others use; what it reads; what happens before it is handed out |
//! | `batch`, `writer` | atomic batches, gathered into commits by one thread |
//! | `keys`, `records` | order-preserving keys; values of any size on a tree that wants small ones |
//! | `journal` | sequence and checksum chain of an experiment's records |
//! | `backend`, `sled_backend`, `memory` | the tree: sled, or a map for simulation |
//! | `durable`, `mark`, `upkeep`, `health` | the tree made durable; whether its files may be used again; what is done beside commits |
//! | `redo`, `base`, `frame`, `disk` | the redo log and its bases, in plain files, on few file operations |
//! | `files`, `snapshot`, `models`, `logs` | other plain files, on disk or in memory |
//! | `removal` | deleting an experiment, resumed after a crash |
//! | `tools`, `compare`, `backup` | checking, export, import, online copy |
//!
//! The acknowledgement contract: when [`Store::append`] returns, or the callback of [`Store::submit`] is called with
//! `Ok`, the whole batch survives the death of the process and, as far as the disk keeps its word on `fdatasync`, a
//! power cut. After an error the outcome is unknown: read the journal before going on.
//!
//! How: a commit is one frame of the redo log, synced before anybody is told, and then goes into the tree. The tree's own
//! files are never relied upon over a power cut: unless they were closed and synced, or the machine has run ever since,
//! the tree is made again from the newest base and the frames after it. A base is taken when the log has grown to the
//! size of the last one (at least 64 MiB), so that base and log stay within about twice the data; while one is taken a
//! third copy of it exists. A torn frame at the end of the log was never acknowledged and is left out; any other broken
//! frame is [`Error::BrokenLog`].
//!
//! A disk that is full, or nearly, stops writes with an error and [`Health::Degraded`]; the store tries again each second
//! and goes on by itself.
//!
//! A journal with a hole or a broken checksum is reported ([`Error::BrokenJournal`]), never skipped. A disk that loses
//! what it had synced can make a journal end early without a trace in it; reading on from a snapshot
//! (`journal(experiment, snapshot.seq + 1)`) notices that as far as the snapshot reaches, and [`check`] as far as base
//! and log do.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod backend;
mod backup;
mod base;
mod batch;
mod compare;
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
mod reads;
mod records;
mod redo;
mod removal;
#[cfg(test)]
mod sim_disk;
mod sled_backend;
mod snapshot;
mod store;
mod tools;
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
pub use reads::CheckpointRecord;
pub use snapshot::Snapshot;
pub use store::{Options, Store};
pub use tools::{Checked, ExperimentChecked, Exported, Imported, check, export, import};
