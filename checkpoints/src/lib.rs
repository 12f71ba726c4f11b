//! Checkpoints in object stores: S3 and whatever speaks like it, Google Cloud Storage, Azure Blob Storage.
//!
//! ```text
//! <prefix>/<experiment>/<trial>/<uuid>/files/<path>   what the trial saved
//! <prefix>/<experiment>/<trial>/<uuid>/manifest.json  names, sizes and SHA-256 of all of it, written last
//! ```
//!
//! | module | idea |
//! |---|---|
//! | `place` | which store, and with which credentials; how it is opened |
//! | `key` | which objects belong to a checkpoint |
//! | `manifest` | what a checkpoint consists of |
//! | `upload`, `download`, `delete` | the three things that are done with it |
//! | `copy` | the same as a download for a checkpoint in a directory |
//!
//! Invariants: a checkpoint whose manifest is there is complete; it is written after everything else, and deleted
//! before. What is downloaded gets its name only after every size and hash was compared. Memory is bounded by
//! [`Limits`], every request has a deadline, and no credential is in any message.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod azure;
mod copy;
mod delete;
mod download;
mod draft;
mod error;
mod key;
mod manifest;
mod place;
mod tree;
mod upload;

pub use copy::copy;
pub use error::Error;
pub use key::Key;
pub use manifest::{File, Link, Manifest};
pub use place::{Place, Secret};
pub use tree::read_tree;

use object_store::ObjectStore;
use std::{sync::Arc, time::Duration};

/// What is told on the way: bytes done, and bytes in all.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// How much a transfer may use, and how patient it is.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Files on their way at once.
    pub files: usize,
    /// Bytes in memory at once, over all files of one transfer.
    pub memory: usize,
    /// Bytes of a part of a large file; S3 demands at least 5 MiB. Grows with files of more than 9 000 parts.
    pub part: usize,
    /// One request, from its beginning to its end.
    pub request: Duration,
    /// A request that fails for a passing reason is tried again for so long.
    pub tries: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files: 8,
            memory: 64 << 20,
            part: 8 << 20,
            request: Duration::from_mins(2),
            tries: Duration::from_mins(1),
        }
    }
}

/// An opened object store. Clones share its connections.
#[derive(Clone)]
pub struct Remote {
    store: Arc<dyn ObjectStore>,
    place: Arc<Place>,
    limits: Limits,
}

impl Remote {
    /// Opens the store; nothing is asked of it yet. Credentials that the place does not have come from the environment.
    ///
    /// # Errors
    /// The place is not complete or not consistent.
    pub fn open(place: Place, limits: Limits) -> Result<Self, Error> {
        let store = place.open(&limits)?;
        Ok(Self { store, place: Arc::new(place), limits })
    }

    /// The address of a checkpoint, for people: `s3://bucket/prefix/1/2/<uuid>`.
    pub fn address(&self, key: &Key) -> String {
        self.place.address(key)
    }
}
