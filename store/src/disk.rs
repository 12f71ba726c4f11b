//! The file operations of the redo log and its bases, few enough to simulate a power cut between any two of them.
//!
//! All files lie in one flat directory. A write lasts when its file was synced, a name when the names were synced. What
//! the disk does with the rest is its own choice: dropped, reordered, torn.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::files::create_directory;

/// A directory of files.
pub(crate) trait Disk: Send + Sync {
    /// The names of all files, sorted.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Creates a file, or empties the one that has this name.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// The size of a file in bytes.
    fn size(&self, name: &str) -> io::Result<u64>;
    /// At most `length` bytes from `offset` on; fewer only at the end of the file.
    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>>;
    /// Renames a file; one that has the new name is replaced.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations, renames and removals last.
    fn sync_names(&self) -> io::Result<()>;
    /// Bytes that can still be written.
    fn free_bytes(&self) -> io::Result<u64>;
    /// Names this place while the machine runs: another start of the machine, or a copy of the directory, has another
    /// name. Empty if it cannot be told.
    fn place(&self) -> String;
    /// The path of a file, for messages.
    fn path(&self, name: &str) -> PathBuf;
}

/// A file that grows at its end.
pub(crate) trait DiskFile: Send {
    /// Writes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything written last.
    fn sync(&mut self) -> io::Result<()>;
}

/// A directory of the file system.
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Opens or creates it, for the owner only.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        create_directory(&path)?;
        Ok(Self { path })
    }
}

impl Disk for Directory {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is no text is none of ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        Ok(Box::new(options.open(self.path.join(name))?))
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.path.join(name))?.len())
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let file = File::open(self.path.join(name))?;
        let left = file.metadata()?.len().saturating_sub(offset);
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(length)];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let found = nix::sys::statvfs::statvfs(&self.path).map_err(io::Error::from)?;
        Ok(found.blocks_available() as u64 * found.fragment_size() as u64)
    }

    fn place(&self) -> String {
        place(&self.path).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn place(path: &Path) -> io::Result<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let directory = fs::metadata(path)?;
    Ok(format!("{}/{}/{}", boot.trim(), directory.dev(), directory.ino()))
}

impl DiskFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Writes a file completely or not at all; lasting when it returns.
pub(crate) fn write_whole(disk: &dyn Disk, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let temporary = format!("{name}.tmp");
    let write = || {
        let mut file = disk.create(&temporary)?;
        file.append(bytes)?;
        file.sync()?;
        disk.rename(&temporary, name)?;
        disk.sync_names()
    };
    write().map_err(|error| Error::io("write", &disk.path(name), error))
}
