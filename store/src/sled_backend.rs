//! The tree on disk: sled. Nothing else names sled.
//!
//! * sled alone does not survive a power cut: its `flush` ends in `sync_file_range`, and a page that came to the disk out
//!   of order can keep it from opening. So it is only asked to survive the end of the process; `durable` keeps the redo
//!   log from which it is made again.
//! * Opening a damaged file may panic inside sled; that becomes [`Error::Corrupt`].
//! * After a failed write sled refuses everything until it is opened anew.
//! * The background flusher stays on: it is the only caller of sled's segment garbage collection.

use std::fs::{self, File};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::Error;
use crate::backend::{Backend, Entry, Order, Tree, Write};

/// How long sled's threads may take to let go of a tree that was closed.
const LET_GO: Duration = Duration::from_secs(10);

/// The tree in `<dir>/db`.
pub(crate) struct SledBackend {
    dir: PathBuf,
    cache_bytes: u64,
    /// `None` while it is closed.
    db: RwLock<Option<sled::Db>>,
}

impl SledBackend {
    /// The tree in `<dir>/db`, not opened yet.
    pub(crate) fn new(dir: &Path, cache_bytes: u64) -> Self {
        Self { dir: dir.to_owned(), cache_bytes, db: RwLock::new(None) }
    }

    fn with<T>(&self, call: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, Error> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let Some(db) = db.as_ref() else {
            return Err(Error::Database {
                reason: "closed after a failed write; it is opened again soon".to_owned(),
            });
        };
        guarded(&self.dir, || call(db))
    }

    /// Replaces what is open. The old handle is dropped first, so that its files are free.
    fn replace(&self, open: impl FnOnce() -> Result<Option<sled::Db>, Error>) -> Result<(), Error> {
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        let old = db.take();
        // sled writes what is left when its last handle goes, and may panic then.
        guarded(&self.dir, || {
            drop(old);
            Ok(())
        })?;
        *db = open()?;
        Ok(())
    }

    fn start(&self) -> Result<Option<sled::Db>, Error> {
        let config = sled::Config::new().path(self.path()).cache_capacity(self.cache_bytes);
        let deadline = Instant::now() + LET_GO;
        loop {
            match guarded(&self.dir, || config.open()) {
                // We hold the lock of the directory: it can only be our own handle, that sled's threads still use.
                Err(Error::Io { source, .. })
                    if source.to_string().contains("could not acquire lock") && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(20));
                }
                opened => return opened.map(Some),
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.join("db")
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
        let mut batch = sled::Batch::default();
        for write in writes {
            match write.value {
                Some(value) => batch.insert(write.key, value),
                None => batch.remove(write.key),
            }
        }
        self.with(|db| db.apply_batch(batch))
    }
}

impl Tree for SledBackend {
    fn exists(&self) -> bool {
        self.path().exists()
    }

    fn open(&self) -> Result<(), Error> {
        self.replace(|| self.start())
    }

    fn clear(&self) -> Result<(), Error> {
        self.replace(|| match fs::remove_dir_all(self.path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", &self.path(), error))
            }
            _ => self.start(),
        })
    }

    fn flush(&self) -> Result<(), Error> {
        self.with(|db| db.flush().map(drop))
    }

    fn close(&self) -> Result<(), Error> {
        self.flush()?;
        self.replace(|| Ok(None))?;
        sync_all(&self.path()).map_err(|error| Error::io("sync", &self.path(), error))
    }
}

/// Makes a directory with all it holds last.
fn sync_all(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(path)?.sync_all()
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
    fn what_was_closed_can_be_opened_again_and_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let tree = SledBackend::new(dir.path(), 1 << 20);
        assert!(!tree.exists());
        tree.open().unwrap();
        tree.commit(put(b"key")).unwrap();
        tree.close().unwrap();
        assert!(matches!(tree.get(b"key"), Err(Error::Database { .. })));
        tree.open().unwrap();
        assert_eq!(tree.get(b"key").unwrap(), Some(b"value".to_vec()));
        tree.clear().unwrap();
        assert_eq!(tree.get(b"key").unwrap(), None);
    }

    #[test]
    fn a_panic_inside_the_database_is_an_error() {
        let result: Result<(), Error> = guarded(Path::new("here"), || panic!("page {} is zero", 7));
        assert!(matches!(result, Err(Error::Corrupt { reason, .. }) if reason.contains("page 7 is zero")));
    }
}
