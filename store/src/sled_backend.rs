//! The tree on disk: sled, used so that its promises hold. Nothing else names sled.
//!
//! * On Linux sled's `flush` ends in `sync_file_range`, which a power cut may undo. So a commit is: apply the batch,
//!   flush, then `fdatasync` through a handle of our own on the database file.
//! * Opening a damaged file may panic inside sled; that becomes [`Error::Corrupt`].
//! * After a failed write sled refuses everything until it is opened anew; the next commit does that.
//! * The background flusher stays on: it is the only caller of sled's segment garbage collection.

use std::fs::File;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use crate::Error;
use crate::backend::{Backend, Entry, Order, Write};

/// The tree in `<dir>/db`.
pub(crate) struct SledBackend {
    dir: PathBuf,
    cache_bytes: u64,
    /// `None` after a failure, until a commit has opened it again.
    open: RwLock<Option<Opened>>,
}

struct Opened {
    db: sled::Db,
    /// sled's own file, for the `fdatasync` that sled leaves out.
    file: File,
}

impl SledBackend {
    /// Opens or creates the tree in `<dir>/db`.
    pub(crate) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, Error> {
        let opened = open(dir, cache_bytes)?;
        Ok(Self { dir: dir.to_owned(), cache_bytes, open: RwLock::new(Some(opened)) })
    }

    fn with<T>(&self, read: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, Error> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let Some(opened) = open.as_ref() else {
            return Err(Error::Database {
                reason: "closed after a failed write; the next commit opens it".to_owned(),
            });
        };
        guarded(&self.dir, || read(&opened.db))
    }

    fn reopen_if_failed(&self) -> Result<(), Error> {
        let mut open_lock = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open_lock.is_none() {
            *open_lock = Some(open(&self.dir, self.cache_bytes)?);
            tracing::info!(dir = %self.dir.display(), "database opened again after a failed write");
        }
        Ok(())
    }

    fn fail(&self) {
        // The old handle is dropped here, so that its lock is free when the next commit opens the database.
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn write(&self, batch: sled::Batch) -> Result<(), Error> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let Some(opened) = open.as_ref() else {
            return Err(Error::Closed);
        };
        guarded(&self.dir, || {
            opened.db.apply_batch(batch)?;
            opened.db.flush()?;
            Ok(())
        })?;
        opened.file.sync_data().map_err(|error| Error::io("sync", &database_file(&self.dir), error))
    }
}

impl Backend for SledBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.with(|db| Ok(db.get(key)?.map(|value| value.to_vec())))
    }

    fn page(&self, range: &Range<Vec<u8>>, limit: usize, order: Order) -> Result<Vec<Entry>, Error> {
        if range.start >= range.end {
            return Ok(Vec::new());
        }
        self.with(|db| {
            let entries = db.range(range.start.as_slice()..range.end.as_slice());
            let owned = |entry: sled::Result<(sled::IVec, sled::IVec)>| {
                entry.map(|(key, value)| (key.to_vec(), value.to_vec()))
            };
            match order {
                Order::Ascending => entries.take(limit).map(owned).collect(),
                Order::Descending => entries.rev().take(limit).map(owned).collect(),
            }
        })
    }

    fn commit(&self, writes: Vec<Write>) -> Result<(), Error> {
        self.reopen_if_failed()?;
        let mut batch = sled::Batch::default();
        for write in writes {
            match write.value {
                Some(value) => batch.insert(write.key, value),
                None => batch.remove(write.key),
            }
        }
        let result = self.write(batch);
        if result.is_err() {
            self.fail();
        }
        result
    }
}

fn open(dir: &Path, cache_bytes: u64) -> Result<Opened, Error> {
    let config = sled::Config::new().path(dir.join("db")).cache_capacity(cache_bytes);
    let db = guarded(dir, || config.open())?;
    let path = database_file(dir);
    let file = File::options()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|error| Error::io("open", &path, error))?;
    for directory in [dir.join("db"), dir.to_owned()] {
        File::open(&directory)
            .and_then(|handle| handle.sync_all())
            .map_err(|error| Error::io("sync", &directory, error))?;
    }
    Ok(Opened { db, file })
}

fn database_file(dir: &Path) -> PathBuf {
    dir.join("db").join("db")
}

/// Runs a call into sled; a panic or a corruption becomes [`Error::Corrupt`].
fn guarded<T>(dir: &Path, call: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
    let corrupt = |reason: String| Error::Corrupt { dir: dir.to_owned(), reason };
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error))) => Err(Error::io("use the database in", dir, error)),
        Ok(Err(sled::Error::Corruption { at, .. })) => {
            Err(corrupt(format!("the database is broken at {at:?}")))
        }
        Ok(Err(error)) => Err(Error::Database { reason: error.to_string() }),
        Err(panic) => Err(corrupt(panic_text(&*panic))),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("the database gave up: {}", text.unwrap_or("no reason given"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &[u8]) -> Vec<Write> {
        vec![Write { key: key.to_vec(), value: Some(b"value".to_vec()) }]
    }

    #[test]
    fn a_failed_database_is_opened_again_by_the_next_commit() {
        let dir = tempfile::tempdir().unwrap();
        let backend = SledBackend::open(dir.path(), 1 << 20).unwrap();
        backend.commit(put(b"before")).unwrap();
        backend.fail();
        assert!(matches!(backend.get(b"before"), Err(Error::Database { .. })));
        backend.commit(put(b"after")).unwrap();
        assert_eq!(backend.get(b"before").unwrap(), Some(b"value".to_vec()));
        assert_eq!(backend.get(b"after").unwrap(), Some(b"value".to_vec()));
    }

    #[test]
    fn a_panic_inside_the_database_is_an_error() {
        let result: Result<(), Error> = guarded(Path::new("here"), || panic!("page {} is zero", 7));
        assert!(matches!(result, Err(Error::Corrupt { reason, .. }) if reason.contains("page 7 is zero")));
    }
}
