//! The files by which programs on this host find a running engine and its token: `server.json` in the data directory,
//! and one named by the address below the user's state directory. Readable by their owner only; removed at the end.

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

/// Files that are removed when this is dropped.
#[derive(Debug, Default)]
pub struct Published(Vec<PathBuf>);

impl Published {
    /// Writes the files of an engine.
    ///
    /// # Errors
    /// The file in the data directory cannot be written. (The one by address is a convenience: its failure is logged.)
    pub fn write(data_dir: &Path, address: SocketAddr, server: &Server) -> Result<Self, Error> {
        let mut published = Self::default();
        published.add(in_data_dir(data_dir), server)?;
        let by_address =
            by_address(&address.ip().to_string(), address.port()).filter(|_| address.ip().is_loopback());
        if let Some(path) = by_address
            && let Err(error) = published.add(path, server)
        {
            tracing::warn!(%error, "clients on this host will need --token");
        }
        Ok(published)
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
        for path in &self.0 {
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
