//! A checkpoint in a directory, copied elsewhere: with every size and hash compared, like a download.

use crate::{Error, File, Progress, draft::Draft, read_tree, tree};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
};

/// Bytes that are copied at a time.
const CHUNK: usize = 256 << 10;

/// Copies the checkpoint in `from` to `to`, which must not exist. `expected`: what was saved. Blocking.
///
/// # Errors
/// It is not there, it is not what was saved, or the disk fails.
pub fn copy(from: &Path, to: &Path, expected: &[File], progress: Progress<'_>) -> Result<(), Error> {
    let address = from.display().to_string();
    if !from.is_dir() {
        return Err(Error::Absent { address });
    }
    let found = read_tree(from, &[])?;
    let damaged = |file: &str, what: String| {
        Err(Error::Damaged { address: address.clone(), file: file.to_owned(), what })
    };
    for wanted in expected.iter().filter(|wanted| !wanted.sha256.is_empty()) {
        match found.files.iter().find(|file| file.path == wanted.path) {
            None => return damaged(&wanted.path, "it is missing".to_owned()),
            Some(file) if file != wanted => {
                let what = format!(
                    "{} bytes with SHA-256 {}, saved were {} bytes with {}",
                    file.size, file.sha256, wanted.size, wanted.sha256
                );
                return damaged(&wanted.path, what);
            }
            Some(_) => {}
        }
    }
    let draft = Draft::create(to)?;
    draft.furnish(&found)?;
    let (total, mut done) = (found.total_size(), 0);
    for file in &found.files {
        let (source, target) = (from.join(&file.path), draft.path.join(&file.path));
        let sha256 = copy_file(&source, &target, |bytes| {
            done += bytes;
            progress(done, total);
        });
        if sha256.map_err(Error::local("copy", &source))? != file.sha256 {
            return Err(Error::Changed { file: source.display().to_string() });
        }
    }
    draft.complete(&found)
}

/// The hash of what was written.
fn copy_file(from: &Path, to: &Path, mut copied: impl FnMut(u64)) -> io::Result<String> {
    let (mut source, mut target) = (fs::File::open(from)?, fs::File::create_new(to)?);
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        let read = source.read(&mut buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            target.sync_all()?;
            return Ok(tree::hex(hash));
        }
        hash.update(bytes);
        target.write_all(bytes)?;
        copied(read as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_compared_and_gets_its_name_last() {
        let root = tempfile::tempdir().unwrap();
        let from = root.path().join("from");
        fs::create_dir_all(from.join("inner/empty")).unwrap();
        fs::write(from.join("inner/a.bin"), b"12345").unwrap();
        std::os::unix::fs::symlink("inner/a.bin", from.join("latest")).unwrap();
        let files = read_tree(&from, &[]).unwrap().files;
        let to = root.path().join("to");
        copy(&from, &to, &files, &|_, _| {}).unwrap();
        assert_eq!(read_tree(&to, &[]).unwrap(), read_tree(&from, &[]).unwrap());
        assert_eq!(fs::read(to.join("latest")).unwrap(), b"12345");
        assert!(copy(&from, &to, &files, &|_, _| {}).unwrap_err().to_string().contains("exists"));

        fs::write(from.join("inner/a.bin"), b"12346").unwrap();
        let again = root.path().join("again");
        let error = copy(&from, &again, &files, &|_, _| {}).unwrap_err().to_string();
        assert!(error.contains("inner/a.bin") && error.contains("damaged"), "{error}");
        assert!(!again.exists());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2, "nothing lies aside");
    }

    #[test]
    fn a_link_that_leads_out_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("x")).unwrap();
        assert!(read_tree(root.path(), &[]).unwrap_err().to_string().contains("leads out"));
    }
}
