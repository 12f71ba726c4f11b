//! A directory as a manifest.

use crate::{
    Error,
    manifest::{File, Link, Manifest, VERSION, stays_inside},
};
use sha2::{Digest as _, Sha256};
use std::{collections::HashMap, fmt::Write as _, fs, io::Read as _, path::Path};

/// More entries than this are refused.
const MOST: usize = 100_000;
/// Bytes of a file that are read at a time.
const READ: usize = 256 << 10;

/// Reads what lies in a directory, with every hash. Those of files that are `known`, with their size, are taken from
/// there; an upload compares them. Blocking.
///
/// # Errors
/// It cannot be read, or holds what cannot be stored.
pub fn read_tree(root: &Path, known: &[File]) -> Result<Manifest, Error> {
    let known = known.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut manifest = Manifest { version: VERSION, ..Manifest::default() };
    walk(root, "", &known, &mut manifest)?;
    manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
    manifest.links.sort_by(|a, b| a.path.cmp(&b.path));
    manifest.empty_directories.sort();
    Ok(manifest)
}

fn walk(
    directory: &Path,
    inner: &str,
    known: &HashMap<&str, &File>,
    manifest: &mut Manifest,
) -> Result<(), Error> {
    let failed = |action| Error::local(action, directory);
    let mut empty = true;
    for entry in fs::read_dir(directory).map_err(failed("read"))? {
        let entry = entry.map_err(failed("read"))?;
        empty = false;
        let path = entry.path();
        let unstorable =
            |reason: &str| Error::Unstorable { file: path.display().to_string(), reason: reason.to_owned() };
        let name = entry.file_name().into_string().map_err(|_| unstorable("its name is not UTF-8"))?;
        let relative = if inner.is_empty() { name } else { format!("{inner}/{name}") };
        let kind = entry.file_type().map_err(Error::local("read", &path))?;
        if manifest.files.len() + manifest.links.len() >= MOST {
            return Err(unstorable(&format!("there are more than {MOST} entries")));
        }
        if kind.is_dir() {
            walk(&path, &relative, known, manifest)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(Error::local("read", &path))?;
            let target = target.to_str().filter(|target| stays_inside(&relative, target));
            let target = target.ok_or_else(|| unstorable("it is a link that leads out of the checkpoint"))?;
            manifest.links.push(Link { path: relative, target: target.to_owned() });
        } else if kind.is_file() {
            let size = entry.metadata().map_err(Error::local("read", &path))?.len();
            let found = match known.get(relative.as_str()).filter(|file| file.size == size) {
                Some(file) => (*file).clone(),
                None => {
                    let (size, sha256) = hash(&path).map_err(Error::local("read", &path))?;
                    File { path: relative, size, sha256 }
                }
            };
            manifest.files.push(found);
        } else {
            return Err(unstorable("it is neither a file, nor a directory, nor a link"));
        }
    }
    if empty && !inner.is_empty() {
        manifest.empty_directories.push(inner.to_owned());
    }
    Ok(())
}

fn hash(path: &Path) -> std::io::Result<(u64, String)> {
    let (mut file, mut hash, mut buffer, mut size) = (fs::File::open(path)?, Sha256::new(), vec![0; READ], 0);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((size, hex(hash)));
        }
        size += read as u64;
        hash.update(buffer.get(..read).unwrap_or_default());
    }
}

pub(crate) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing into a text cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
