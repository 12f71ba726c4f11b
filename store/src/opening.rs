//! What happens before a store takes its first batch: the lock, the format, the tree, what a crash left.

use std::path::Path;
use std::sync::Arc;

use crate::backend::Write;
use crate::batch::Prepared;
use crate::disk::Directory;
use crate::durable::{Durable, Limits};
use crate::files::{Files, create_directory, write_whole};
use crate::lock::DirectoryLock;
use crate::mark::Mark;
use crate::models::Models;
use crate::records::Records;
use crate::redo::FILE_BYTES;
use crate::removal::Removal;
use crate::sled_backend::SledBackend;
use crate::{Error, Options};

/// The newest directory format this program knows. 1 had no redo log.
const FORMAT: u32 = 2;
/// The least size of the log at which a new base is taken.
const LOG_BYTES: u64 = 64 << 20;

/// Opens the tree of a directory.
pub(crate) fn tree(dir: &Path, options: &Options) -> Result<Durable, Error> {
    create_directory(dir)?;
    let lock = DirectoryLock::take(dir)?;
    let format = format(dir)?;
    let disk = Arc::new(Directory::open(dir.join("wal"))?);
    let tree = Box::new(SledBackend::new(dir, options.cache_bytes.max(1 << 20)));
    if format == 1 {
        Durable::adopt(&*disk, &*tree)?;
        write_format(dir)?;
    }
    if options.rebuild {
        Mark::remove(&*disk)?;
    }
    let limits = Limits { file: FILE_BYTES, log: LOG_BYTES, reserve: options.reserve_bytes };
    Durable::open(disk, tree, limits, Some(lock))
}

/// Reads the format; marks a new directory. Refuses one that a newer program wrote.
fn format(dir: &Path) -> Result<u32, Error> {
    let path = dir.join("format");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if dir.join("db").exists() {
                let reason = "there is a database but no file named format".to_owned();
                return Err(Error::Corrupt { dir: dir.to_owned(), reason });
            }
            return write_format(dir).map(|()| FORMAT);
        }
        Err(error) => return Err(Error::io("read", &path, error)),
    };
    match text.trim().parse::<u32>() {
        Ok(found) if found > FORMAT => Err(Error::NewerFormat { found, known: FORMAT }),
        Ok(found @ 1..=FORMAT) => Ok(found),
        _ => {
            let reason = format!("the file named format holds {text:?} instead of a number");
            Err(Error::Corrupt { dir: dir.to_owned(), reason })
        }
    }
}

/// Marks a directory as one of this program's format.
pub(crate) fn write_format(dir: &Path) -> Result<(), Error> {
    write_whole(&dir.join("format"), format!("{FORMAT}\n").as_bytes())
}

/// Finishes what a crash left: deletions that were begun, models that nobody named.
pub(crate) fn clean_up(records: &Records, files: &Files, models: &Models) -> Result<(), Error> {
    // Finishing a deletion only removes entries, and there is no writer yet whose order had to be kept.
    let write = |batch: Prepared| {
        let removed = batch.removes.into_iter().map(|key| Write { key, value: None });
        records.commit(removed.collect())
    };
    let removal = Removal { records, files, models, write: &write };
    removal.finish_all()?;
    removal.sweep_models()
}
