//! The errors of the store. Cloneable, because one failed commit is told to everybody who waited for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What can go wrong in the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Another process uses the directory. Stop it, or name another data directory.
    #[error("the data directory {} is in use by {}; stop it or use another directory", dir.display(), holder(*pid))]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process that holds it, as far as it is known.
        pid: Option<u32>,
    },
    /// The directory was written by a newer version. Use that version, or restore an export of it.
    #[error("the store has format {found}, this program knows formats up to {known}; use a newer program")]
    NewerFormat {
        /// The format found.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The database cannot be opened or read. Restore the directory from a copy.
    #[error("the store in {} is damaged: {reason}", dir.display())]
    Corrupt {
        /// The directory.
        dir: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A file of the redo log is damaged: the database cannot be made from it. Restore the directory from a backup.
    #[error("{} is damaged at frame {frame}: {reason}", path.display())]
    BrokenLog {
        /// The file.
        path: PathBuf,
        /// The first frame that is missing or broken.
        frame: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk is nearly full; nothing was written. The store goes on by itself when there is room again.
    #[error("{} MiB are free for {}, the store needs {} MiB; nothing was written", free >> 20, dir.display(), needed >> 20)]
    DiskFull {
        /// The directory.
        dir: PathBuf,
        /// Free bytes.
        free: u64,
        /// Bytes that must be free.
        needed: u64,
    },
    /// A file could not be read or written. Look at the disk: space, permissions, health.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's answer.
        source: Arc<std::io::Error>,
    },
    /// The database refused. It is opened anew with the next commit.
    #[error("the database failed: {reason}")]
    Database {
        /// Its own words.
        reason: String,
    },
    /// The queue is full; nothing was queued. Try again after a while.
    #[error("the store's queue is full; try again later")]
    Busy,
    /// The store is closed, or its writer has ended.
    #[error("the store is closed")]
    Closed,
    /// The writer did not answer in time; the outcome is unknown.
    #[error("the store did not answer within {seconds} s")]
    Late {
        /// How long was waited.
        seconds: u64,
    },
    /// A value is larger than the store takes. Split it.
    #[error("{what} has {size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Which value.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The largest size allowed, in bytes.
        limit: usize,
    },
    /// A journal record does not follow the last one; nothing of its batch was written.
    #[error("journal of experiment {experiment}: expected record {expected}, was given {found}")]
    OutOfSequence {
        /// The experiment.
        experiment: u64,
        /// The sequence that would follow.
        expected: u64,
        /// The sequence given.
        found: u64,
    },
    /// A journal has a hole or a broken record; what follows it cannot be trusted.
    #[error("the journal of experiment {experiment} is broken at record {sequence}: {reason}")]
    BrokenJournal {
        /// The experiment.
        experiment: u64,
        /// The first sequence that is missing or broken.
        sequence: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A record other than the journal's cannot be decoded.
    #[error("the {what} record is broken: {reason}")]
    BrokenRecord {
        /// Which kind of record.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A text is no export, or was changed or cut. Export again.
    #[error("line {line} of the export cannot be imported: {reason}")]
    Import {
        /// The line, counted from 1; 0: none was read.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no model with this digest.
    #[error("model {sha256} is not in the store")]
    ModelNotFound {
        /// The digest asked for.
        sha256: String,
    },
}

impl Error {
    /// An error of a file operation; `action` completes "cannot … PATH".
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source: Arc::new(source) }
    }

    /// A broken record other than the journal's.
    pub(crate) fn broken(what: &'static str, reason: impl ToString) -> Self {
        Self::BrokenRecord { what, reason: reason.to_string() }
    }

    /// A broken journal.
    pub(crate) fn journal(experiment: u64, sequence: u64, reason: impl ToString) -> Self {
        Self::BrokenJournal { experiment, sequence, reason: reason.to_string() }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
