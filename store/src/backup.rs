//! A copy of a store that goes on meanwhile: base and log up to one frame, and the plain files they speak of.

use std::path::Path;
use std::sync::Arc;

use crate::Error;
use crate::disk::Directory;
use crate::durable::Durable;
use crate::files::{Files, create_directory};
use crate::opening::write_format;

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// The last commit that is in it.
    pub frame: u64,
    /// Plain files copied: models, snapshots, logs of trials.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
}

/// Directories of plain files.
const PLAIN: [&str; 3] = ["models", "snapshots", "logs"];

/// Copies a store; nothing may be deleted meanwhile. `link`: plain files may be links to those of the store. The copy counts when the file `format` is there.
pub(crate) fn write(files: &Files, durable: &Durable, target: &Path, link: bool) -> Result<Backup, Error> {
    let Files::Directory(source) = files else {
        return Err(Error::broken("store", "a store in memory cannot be copied"));
    };
    create_directory(target)?;
    let mut found = std::fs::read_dir(target).map_err(|error| Error::io("list", target, error))?;
    if found.next().is_some() {
        let taken = std::io::Error::from(std::io::ErrorKind::DirectoryNotEmpty);
        return Err(Error::io("copy the store to", target, taken));
    }
    let frame = durable.copy_to(Arc::new(Directory::open(target.join("wal"))?))?;
    // What the frames speak of was synced before them; a file may have more by now, which does no harm.
    let mut backup = Backup { frame, files: 0, bytes: 0 };
    for directory in PLAIN {
        copy(&source.join(directory), &target.join(directory), link, &mut backup)?;
    }
    write_format(target)?;
    Ok(backup)
}

fn copy(source: &Path, target: &Path, link: bool, backup: &mut Backup) -> Result<(), Error> {
    let entries = match std::fs::read_dir(source) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| Error::io("list", source, error))?,
    };
    create_directory(target)?;
    for entry in entries {
        let path = entry.map_err(|error| Error::io("list", source, error))?.path();
        let Some(name) = path.file_name() else { continue };
        let to = target.join(name);
        if path.is_dir() {
            copy(&path, &to, link, backup)?;
        } else if path.extension().is_none_or(|ending| ending != "tmp") {
            let placed = if link {
                linked(&path, &to).or_else(|_| std::fs::copy(&path, &to))
            } else {
                std::fs::copy(&path, &to)
            };
            let copied = match placed {
                // A snapshot was replaced by a newer one; the journal is complete without.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                copied => copied.map_err(|error| Error::io("copy", &path, error))?,
            };
            sync(&to)?;
            backup.files += 1;
            backup.bytes += copied;
        }
    }
    sync(target)
}

/// Another name for the same file; its size.
fn linked(path: &Path, to: &Path) -> std::io::Result<u64> {
    std::fs::hard_link(path, to)?;
    Ok(std::fs::metadata(to)?.len())
}

fn sync(path: &Path) -> Result<(), Error> {
    let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|error| Error::io("sync", path, error))
}
