//! Plain files under the store's directory, or the same in memory. Paths are relative, with `/` between names.
//!
//! A file written whole is there completely or not at all: temporary name, `fsync`, rename, `fsync` of the directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Error;

/// Name ending of files that are not complete yet.
const TEMPORARY: &str = ".tmp";

/// Where plain files live.
#[derive(Debug)]
pub(crate) enum Files {
    Directory(PathBuf),
    Memory(Mutex<BTreeMap<String, Vec<u8>>>),
}

/// A stored file, open for reading.
#[derive(Debug)]
pub struct FileReader {
    source: Source,
    size: u64,
}

#[derive(Debug)]
enum Source {
    File(File),
    Memory(Cursor<Vec<u8>>),
}

impl FileReader {
    /// The file's size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.source {
            Source::File(file) => file.read(buffer),
            Source::Memory(bytes) => bytes.read(buffer),
        }
    }
}

impl Seek for FileReader {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        match &mut self.source {
            Source::File(file) => file.seek(position),
            Source::Memory(bytes) => bytes.seek(position),
        }
    }
}

impl Files {
    /// Files that go away with the value.
    pub(crate) fn in_memory() -> Self {
        Self::Memory(Mutex::default())
    }

    /// Writes a file completely or not at all; durable when it returns.
    pub(crate) fn write_whole(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::Directory(root) => write_whole(&root.join(path), bytes),
            Self::Memory(files) => {
                lock(files).insert(path.to_owned(), bytes.to_vec());
                Ok(())
            }
        }
    }

    /// Opens a file; `None` if there is none.
    pub(crate) fn open(&self, path: &str) -> Result<Option<FileReader>, Error> {
        match self {
            Self::Directory(root) => {
                let path = root.join(path);
                let Some(file) = existing(File::open(&path), "open", &path)? else {
                    return Ok(None);
                };
                let size = file.metadata().map_err(|error| Error::io("read", &path, error))?.len();
                Ok(Some(FileReader { source: Source::File(file), size }))
            }
            Self::Memory(files) => Ok(lock(files).get(path).map(|bytes| FileReader {
                size: bytes.len() as u64,
                source: Source::Memory(Cursor::new(bytes.clone())),
            })),
        }
    }

    /// Reads a whole file; `None` if there is none.
    pub(crate) fn read_whole(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(mut reader) = self.open(path)? else {
            return Ok(None);
        };
        let mut bytes = Vec::with_capacity(reader.size as usize);
        reader.read_to_end(&mut bytes).map_err(|error| self.error("read", path, error))?;
        Ok(Some(bytes))
    }

    /// Reads `length` bytes at `offset`; a file that is missing or too short is an error.
    pub(crate) fn read_at(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; length];
        match self {
            Self::Directory(root) => {
                let path = root.join(path);
                let read = File::open(&path).and_then(|file| file.read_exact_at(&mut bytes, offset));
                read.map_err(|error| Error::io("read", &path, error))?;
            }
            Self::Memory(files) => {
                let files = lock(files);
                let start = offset as usize;
                let found = files.get(path).and_then(|file| file.get(start..start + length));
                let found =
                    found.ok_or_else(|| self.error("read", path, io::ErrorKind::UnexpectedEof.into()))?;
                bytes.copy_from_slice(found);
            }
        }
        Ok(bytes)
    }

    /// Appends to a file, creating it if need be, and returns where the bytes begin; durable when it returns.
    pub(crate) fn append(&self, path: &str, bytes: &[u8]) -> Result<u64, Error> {
        match self {
            Self::Directory(root) => append(&root.join(path), bytes),
            Self::Memory(files) => {
                let mut files = lock(files);
                let file = files.entry(path.to_owned()).or_default();
                let offset = file.len() as u64;
                file.extend_from_slice(bytes);
                Ok(offset)
            }
        }
    }

    /// The names of the complete files in a directory, sorted; none if there is no such directory.
    pub(crate) fn names(&self, directory: &str) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        match self {
            Self::Directory(root) => {
                let path = root.join(directory);
                let Some(entries) = existing(fs::read_dir(&path), "list", &path)? else {
                    return Ok(names);
                };
                for entry in entries {
                    let entry = entry.map_err(|error| Error::io("list", &path, error))?;
                    names.extend(
                        entry.file_name().into_string().ok().filter(|name| !name.ends_with(TEMPORARY)),
                    );
                }
                names.sort_unstable();
            }
            Self::Memory(files) => {
                let prefix = format!("{directory}/");
                let files = lock(files);
                let inside = files.keys().filter_map(|path| path.strip_prefix(&prefix));
                names.extend(inside.filter(|name| !name.contains('/')).map(str::to_owned));
            }
        }
        Ok(names)
    }

    /// Removes a file; one that does not exist is no error.
    pub(crate) fn remove(&self, path: &str) -> Result<(), Error> {
        match self {
            Self::Directory(root) => {
                let path = root.join(path);
                existing(fs::remove_file(&path), "remove", &path).map(drop)
            }
            Self::Memory(files) => {
                lock(files).remove(path);
                Ok(())
            }
        }
    }

    /// Removes a directory with all it holds; one that does not exist is no error.
    pub(crate) fn remove_all(&self, directory: &str) -> Result<(), Error> {
        match self {
            Self::Directory(root) => {
                let path = root.join(directory);
                existing(fs::remove_dir_all(&path), "remove", &path).map(drop)
            }
            Self::Memory(files) => {
                let prefix = format!("{directory}/");
                lock(files).retain(|path, _| !path.starts_with(&prefix));
                Ok(())
            }
        }
    }

    fn error(&self, action: &'static str, path: &str, source: io::Error) -> Error {
        match self {
            Self::Directory(root) => Error::io(action, &root.join(path), source),
            Self::Memory(_) => Error::io(action, Path::new(path), source),
        }
    }
}

/// Creates a directory and its parents, for the owner only; lasting when it returns.
pub(crate) fn create_directory(path: &Path) -> Result<(), Error> {
    if path.is_dir() || path.as_os_str().is_empty() {
        return Ok(());
    }
    create_directory(parent(path))?;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::io("create", path, error));
        }
        _ => {}
    }
    sync_directory(parent(path))
}

/// Writes a file completely or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let directory = parent(path);
    create_directory(directory)?;
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    let temporary = PathBuf::from(name);
    let written = private().truncate(true).open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&temporary, path)).map_err(|error| Error::io("write", path, error))?;
    sync_directory(directory)
}

fn append(path: &Path, bytes: &[u8]) -> Result<u64, Error> {
    let failed = |error| Error::io("append to", path, error);
    let is_new = !path.exists();
    if is_new {
        create_directory(parent(path))?;
    }
    let mut file = private().open(path).map_err(failed)?;
    let offset = file.seek(SeekFrom::End(0)).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_data()).map_err(failed)?;
    if is_new {
        sync_directory(parent(path))?;
    }
    Ok(offset)
}

fn private() -> fs::OpenOptions {
    let mut options = File::options();
    options.write(true).create(true).mode(0o600);
    options
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_directory(path: &Path) -> Result<(), Error> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(|error| Error::io("sync", path, error))
}

/// `None` instead of "not found".
fn existing<T>(result: io::Result<T>, action: &'static str, path: &Path) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(action, path, error)),
    }
}

fn lock(files: &Mutex<BTreeMap<String, Vec<u8>>>) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behaves(files: &Files) {
        assert!(files.read_whole("a/one").unwrap().is_none());
        assert!(files.names("a").unwrap().is_empty());
        files.write_whole("a/one", b"1").unwrap();
        files.write_whole("a/one", b"11").unwrap();
        assert_eq!(files.append("a/two", b"abc").unwrap(), 0);
        assert_eq!(files.append("a/two", b"def").unwrap(), 3);
        assert_eq!(files.read_at("a/two", 2, 3).unwrap(), b"cde");
        assert!(files.read_at("a/two", 4, 3).is_err());
        assert_eq!(files.names("a").unwrap(), ["one", "two"]);
        assert_eq!(files.read_whole("a/one").unwrap().unwrap(), b"11");
        assert_eq!(files.open("a/two").unwrap().unwrap().size(), 6);
        files.remove("a/one").unwrap();
        files.remove("a/one").unwrap();
        assert_eq!(files.names("a").unwrap(), ["two"]);
        files.remove_all("a").unwrap();
        files.remove_all("a").unwrap();
        assert!(files.names("a").unwrap().is_empty());
    }

    #[test]
    fn files_behave_alike_on_disk_and_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        behaves(&Files::Directory(dir.path().to_owned()));
        behaves(&Files::in_memory());
    }
}
