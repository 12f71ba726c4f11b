//! A checkpoint is complete or absent: its files are flushed to the disk before its directory gets its final name.

use crate::{identity::random_uuid, remote::FETCHING};
use nix::sys::statvfs::statvfs;
use sha2::{Digest as _, Sha256};
use std::{
    fmt::Write as _,
    fs,
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};
use toprung_proto::v1::CheckpointFile;

/// More files than this do not fit into one message.
const MOST_FILES: usize = 10_000;
/// How a checkpoint that is still being written begins.
const INCOMPLETE: &str = "incomplete-";
/// Bytes of a file that are read at a time.
const READ: usize = 256 << 10;
/// Bytes of a disk that checkpoints leave free, or this part of a small one.
const RESERVE: u64 = 512 << 20;
const RESERVE_SHARE: u64 = 100;
/// A checkpoint that is being written is written to more often than this.
const ABANDONED: Duration = Duration::from_hours(1);

/// A checkpoint under its final name.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) uuid: String,
    pub(crate) path: PathBuf,
    /// Sorted by path, relative to the checkpoint.
    pub(crate) files: Vec<CheckpointFile>,
    pub(crate) total_size: u64,
}

/// Completes the checkpoint that was written as `root/name`. Blocking. The error is for the script's author.
pub(crate) fn complete(root: &Path, name: &str) -> Result<Completed, String> {
    let mut components = Path::new(name).components();
    if !matches!((components.next(), components.next()), (Some(Component::Normal(_)), None)) {
        return Err(format!(
            "a checkpoint directory is named relative to TOPRUNG_CHECKPOINT_DIR, like `{INCOMPLETE}ab12`; given was `{name}`"
        ));
    }
    let draft = root.join(name);
    let is_directory = fs::symlink_metadata(&draft).is_ok_and(|metadata| metadata.is_dir());
    if !is_directory {
        return Err(format!("there is no directory {}", draft.display()));
    }
    if let Err(error) = check_room(root) {
        // It cannot be kept, and what it takes may be what the others need.
        let removed = fs::remove_dir_all(&draft);
        let unremoved = removed.err().map(|failed| format!("; nor can it be removed: {failed}"));
        return Err(format!("{error}{}", unremoved.unwrap_or_default()));
    }
    let entries = count(&draft, MOST_FILES + 1).map_err(|error| format!("{}: {error}", draft.display()))?;
    if entries > MOST_FILES {
        return Err(format!(
            "a checkpoint holds at most {MOST_FILES} files and directories; pack {} into fewer, such as one archive",
            draft.display()
        ));
    }
    let mut files = Vec::new();
    flush_tree(&draft, Path::new(""), &mut files).map_err(|error| format!("{}: {error}", draft.display()))?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let uuid = random_uuid();
    let path = root.join(&uuid);
    fs::rename(&draft, &path)
        .and_then(|()| fs::File::open(root)?.sync_all())
        .map_err(|error| format!("cannot complete {}: {error}", draft.display()))?;
    let total_size = files.iter().map(|file| file.size).sum();
    Ok(Completed { uuid, path, files, total_size })
}

/// Whether the disk has more room than the reserve.
fn check_room(root: &Path) -> Result<(), String> {
    let disk = statvfs(root).map_err(|error| format!("{}: {error}", root.display()))?;
    let block = disk.fragment_size();
    let (free, all) = (disk.blocks_available() * block, disk.blocks() * block);
    let reserve = RESERVE.min(all / RESERVE_SHARE);
    if free >= reserve {
        return Ok(());
    }
    Err(format!(
        "no checkpoint is saved: the disk of {} has {free} bytes left, and {reserve} are kept free; make room, or keep \
         checkpoints elsewhere (checkpoint_storage)",
        root.display()
    ))
}

/// Removes checkpoints under `root` that nobody has written to for a while: whoever began them is dead. Blocking.
pub(crate) fn sweep(root: &Path) {
    for path in begun(root, &[INCOMPLETE, FETCHING]) {
        let untouched =
            newest(&path).and_then(|newest| newest.elapsed().ok()).is_some_and(|age| age > ABANDONED);
        if untouched && let Err(error) = fs::remove_dir_all(&path) {
            tracing::warn!(%error, path = %path.display(), "cannot remove a checkpoint that was never completed");
        }
    }
}

/// The same for all trials below a directory of experiments. Blocking.
pub(crate) fn sweep_all(experiments: &Path) {
    let below = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    for trial in below(experiments).flat_map(|experiment| below(&experiment).collect::<Vec<_>>()) {
        sweep(&trial);
    }
}

/// When something in a tree was last written to.
fn newest(path: &Path) -> Option<SystemTime> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let own = metadata.modified().ok()?;
    if !metadata.is_dir() {
        return Some(own);
    }
    let inner = fs::read_dir(path).ok()?.flatten().filter_map(|entry| newest(&entry.path())).max();
    Some(inner.map_or(own, |inner| inner.max(own)))
}

/// Counts what lies below `path`, up to `most`: flushing and hashing a million files takes too long to be in vain.
fn count(path: &Path, most: usize) -> io::Result<usize> {
    let (mut found, mut left) = (0, vec![path.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            found += 1;
            if found >= most {
                return Ok(found);
            }
            if entry.file_type()?.is_dir() {
                left.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// Flushes everything below `root/inner` and lists its files with their hashes.
fn flush_tree(root: &Path, inner: &Path, files: &mut Vec<CheckpointFile>) -> io::Result<()> {
    let directory = root.join(inner);
    for entry in fs::read_dir(&directory)? {
        let entry = entry?;
        let path = inner.join(entry.file_name());
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            flush_tree(root, &path, files)?;
            continue;
        }
        if files.len() == MOST_FILES {
            return Err(io::Error::other(format!("a checkpoint holds at most {MOST_FILES} files")));
        }
        let sha256 = if metadata.is_file() { flush_file(&entry.path())? } else { String::new() };
        let path = path.to_string_lossy().into_owned();
        files.push(CheckpointFile { path, size: metadata.len(), sha256 });
    }
    fs::File::open(directory)?.sync_all()
}

/// Flushes a file; the SHA-256 of its content.
fn flush_file(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    file.sync_all()?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; READ]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        write!(text, "{byte:02x}").map_err(io::Error::other)?;
    }
    Ok(text)
}

/// Checkpoints under `root` that were never completed.
pub(crate) fn incomplete(root: &Path) -> Vec<PathBuf> {
    begun(root, &[INCOMPLETE])
}

/// Directories under `root` whose names begin so.
fn begun(root: &Path, prefixes: &[&str]) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let named = |entry: &fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        prefixes.iter().any(|prefix| name.starts_with(prefix))
    };
    entries.filter_map(Result::ok).filter(named).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completed_checkpoint_has_its_files_and_a_new_name() {
        let root = tempfile::tempdir().unwrap();
        let draft = root.path().join("incomplete-1");
        fs::create_dir_all(draft.join("inner")).unwrap();
        fs::write(draft.join("weights.bin"), b"12345").unwrap();
        fs::write(draft.join("inner/state.json"), b"{}").unwrap();
        assert_eq!(incomplete(root.path()), std::slice::from_ref(&draft));
        let completed = complete(root.path(), "incomplete-1").unwrap();
        assert!(!draft.exists());
        assert_eq!(fs::read(completed.path.join("weights.bin")).unwrap(), b"12345");
        let listed: Vec<_> = completed.files.iter().map(|file| (file.path.as_str(), file.size)).collect();
        assert_eq!(listed, [("inner/state.json", 2), ("weights.bin", 5)]);
        assert_eq!(completed.total_size, 7);
        // As `printf 12345 | sha256sum` has it.
        let known = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5";
        assert_eq!(completed.files[1].sha256, known);
        assert!(incomplete(root.path()).is_empty());
    }

    #[test]
    fn only_what_was_abandoned_is_swept() {
        let root = tempfile::tempdir().unwrap();
        let trial = root.path().join("1/2");
        let long_ago = SystemTime::now() - ABANDONED * 2;
        for name in ["incomplete-old", "incomplete-busy", "incomplete-new", "ab"] {
            let path = trial.join(name);
            fs::create_dir_all(path.join("inner")).unwrap();
            fs::write(path.join("inner/file"), b"1").unwrap();
            for inner in ["inner/file", "inner", ""].iter().filter(|_| name != "incomplete-new") {
                let now = name == "incomplete-busy" && *inner == "inner/file";
                let time = if now { SystemTime::now() } else { long_ago };
                fs::File::open(path.join(inner)).unwrap().set_modified(time).unwrap();
            }
        }
        sweep_all(root.path());
        let there = |name: &str| trial.join(name).exists();
        assert!(
            !there("incomplete-old") && there("incomplete-busy") && there("incomplete-new") && there("ab")
        );
    }

    #[test]
    fn a_checkpoint_lies_inside_its_root() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), b"").unwrap();
        for name in ["..", "../other", "/etc", "", "a/b", "file", "missing"] {
            assert!(complete(root.path(), name).is_err(), "{name}");
        }
    }
}
