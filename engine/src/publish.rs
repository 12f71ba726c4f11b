//! The files by which programs on this host find a running engine and its token: `server.json` in the data directory,
//! and one named by the address below the user's state directory. Readable by their owner only; removed at the end.
//!
//! Programs wait for `server.json`, and may then use the address alone: as long as it is there, so is the other file.

use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::Error;

/// How to reach an engine.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// `http://127.0.0.1:7070`
    pub url: String,
    /// The token for its calls.
    pub token: String,
    /// Its process.
    pub pid: u32,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the token.
        formatter
            .debug_struct("Server")
            .field("url", &self.url)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// The file in a data directory.
pub fn in_data_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("server.json")
}

/// The file for an address, below `$XDG_STATE_HOME` or `~/.local/state`. `None`: there is no home directory.
pub fn by_address(host: &str, port: u16) -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("toprung/servers").join(format!("{host}_{port}.json")))
}

/// Reads such a file. `None`: it is not there or not readable as one.
pub fn read(path: &Path) -> Option<Server> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Files in the order in which they were written; removed in the opposite order when this is dropped.
#[derive(Debug, Default)]
pub struct Published(Vec<PathBuf>);

impl Published {
    /// Writes the files of an engine.
    ///
    /// # Errors
    /// The file in the data directory cannot be written. (The one by address is a convenience: its failure is logged.)
    pub fn write(data_dir: &Path, address: SocketAddr, server: &Server) -> Result<Self, Error> {
        let by_address =
            by_address(&address.ip().to_string(), address.port()).filter(|_| address.ip().is_loopback());
        Self::write_both(by_address, in_data_dir(data_dir), server)
    }

    fn write_both(by_address: Option<PathBuf>, in_data_dir: PathBuf, server: &Server) -> Result<Self, Error> {
        let mut published = Self::default();
        if let Some(path) = by_address
            && let Err(error) = published.add(path, server)
        {
            tracing::warn!(%error, "clients on this host will need --token");
        }
        published.add(in_data_dir, server)?;
        Ok(published)
    }

    fn to_remove(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.iter().rev()
    }

    fn add(&mut self, path: PathBuf, server: &Server) -> Result<(), Error> {
        write_private(&path, server).map_err(|source| Error::File {
            action: "write",
            path: path.clone(),
            source,
        })?;
        self.0.push(path);
        Ok(())
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        for path in self.to_remove() {
            if let Err(error) = fs::remove_file(path) {
                tracing::debug!(path = %path.display(), %error, "could not be removed");
            }
        }
    }
}

fn write_private(path: &Path, server: &Server) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // Written aside and renamed: a reader never sees half a file, and nobody else can have opened it before.
    let aside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(&serde_json::to_vec_pretty(server)?)?;
    fs::rename(&aside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_others_wait_for_comes_last_and_goes_first() {
        let root = tempfile::tempdir().unwrap();
        let (by_address, in_data_dir) =
            (root.path().join("state/a.json"), root.path().join("data/server.json"));
        let server = Server { url: "http://127.0.0.1:1".into(), token: "hush".into(), pid: 1 };
        let write = |by_address: &Path| {
            Published::write_both(Some(by_address.to_owned()), in_data_dir.clone(), &server).unwrap()
        };
        let published = write(&by_address);
        assert_eq!(published.0, [by_address.clone(), in_data_dir.clone()]);
        assert_eq!(published.to_remove().collect::<Vec<_>>(), [&in_data_dir, &by_address]);
        assert_eq!((read(&by_address), read(&in_data_dir)), (Some(server.clone()), Some(server.clone())));
        drop(published);
        assert!(!by_address.exists() && !in_data_dir.exists());
        // A state directory that cannot be written costs the convenience only.
        fs::write(root.path().join("file"), "").unwrap();
        let published = write(&root.path().join("file/a.json"));
        assert_eq!(published.0, std::slice::from_ref(&in_data_dir));
        // Without the data directory's file nothing is left of the other.
        let nowhere = root.path().join("file/server.json");
        Published::write_both(Some(by_address.clone()), nowhere, &server).unwrap_err();
        assert!(!by_address.exists());
    }
}
