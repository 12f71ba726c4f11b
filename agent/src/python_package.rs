//! The `toprung` Python package, embedded in the binary and written where trials can import it.

use crate::{Error, identity::random_bits, layout::Layout};
use sha2::{Digest as _, Sha256};
use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// Relative path and content of every file of the package.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/python_files.rs"));

/// Writes the package unless it is there; returns the directory for `PYTHONPATH`, which holds `toprung/`.
pub(crate) fn install(layout: &Layout) -> Result<PathBuf, Error> {
    let directory = layout.python().join(&content_hash()[..16]);
    write_package(&directory).map_err(|source| Error::StateDirectory {
        action: "write",
        path: directory.clone(),
        source,
    })?;
    Ok(directory)
}

/// The package appears whole or not at all: another agent may install it at the same moment.
fn write_package(directory: &Path) -> io::Result<()> {
    if directory.join("toprung").is_dir() {
        return Ok(());
    }
    let draft = directory.with_extension(format!("{:016x}", random_bits()));
    for (name, content) in FILES {
        let path = draft.join("toprung").join(name);
        fs::create_dir_all(path.parent().unwrap_or(&draft))?;
        fs::write(path, content)?;
    }
    fs::create_dir_all(draft.join("toprung"))?;
    match fs::rename(&draft, directory) {
        Err(_) if directory.join("toprung").is_dir() => fs::remove_dir_all(&draft),
        result => result,
    }
}

fn content_hash() -> String {
    let mut hasher = Sha256::new();
    for (name, content) in FILES {
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update((content.len() as u64).to_le_bytes());
        hasher.update(content);
    }
    hex(&hasher.finalize())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installs_once_and_again() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::create(root.path(), None, "one").unwrap();
        let first = install(&layout).unwrap();
        assert_eq!(install(&layout).unwrap(), first);
        for (name, content) in FILES {
            assert_eq!(fs::read(first.join("toprung").join(name)).unwrap(), *content);
        }
    }
}
