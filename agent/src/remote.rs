//! Checkpoints in object stores, as this agent sees them: opened stores, a bounded cache of directories, notes of what
//! is being uploaded.
//!
//! ```text
//! cache/<experiment>/<trial>/<uuid>/   a checkpoint that lies in an object store, too, or is on its way there
//! uploading/<uuid>                     begun and not yet told to the engine; removed at the next start
//! ```
//!
//! A directory of the cache is never counted as the checkpoint: it may be removed whenever nobody uses it.

use crate::layout::Layout;
use prost::Message as _;
use std::{
    collections::HashMap,
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};
use toprung_checkpoints::{Error, Key, Limits, Place, Remote, Secret};
use toprung_proto::v1::{self, CheckpointStorage, checkpoint_storage::Kind};

/// Opened stores; more experiments at a time open theirs again.
const MOST_STORES: usize = 16;
/// Bytes of the cache that are kept, beside what running attempts need.
const CACHE_BYTES: u64 = 16 << 30;
/// How a directory that is being written by a script begins, and one that is being fetched.
const INCOMPLETE: &str = "incomplete-";
pub(crate) const FETCHING: &str = "fetching-";

/// Shared by all attempts of this agent.
pub(crate) struct RemoteCheckpoints {
    root: PathBuf,
    notes: PathBuf,
    stores: Mutex<HashMap<Vec<u8>, Remote>>,
    /// Directories in use, and how often.
    used: Mutex<HashMap<PathBuf, u32>>,
}

impl RemoteCheckpoints {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            root: layout.cache(),
            notes: layout.uploading(),
            stores: Mutex::default(),
            used: Mutex::default(),
        }
    }

    /// The store, opened once.
    pub(crate) fn open(&self, storage: &CheckpointStorage) -> Result<Remote, Error> {
        let name = storage.encode_to_vec();
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = stores.get(&name) {
            return Ok(found.clone());
        }
        if stores.len() >= MOST_STORES {
            stores.clear();
        }
        let opened = Remote::open(place(storage), Limits::default())?;
        stores.insert(name, opened.clone());
        Ok(opened)
    }

    /// Where the checkpoints of a trial lie on this node.
    pub(crate) fn folder(&self, experiment: u64, trial: u32) -> PathBuf {
        self.root.join(experiment.to_string()).join(trial.to_string())
    }

    pub(crate) fn directory(&self, key: &Key) -> PathBuf {
        self.folder(key.experiment, key.trial).join(&key.uuid)
    }

    /// Keeps a directory in the cache for as long as the answer lives.
    pub(crate) fn hold(self: &Arc<Self>, path: PathBuf) -> Held {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used.entry(path.clone()).or_default() += 1;
        Held { cache: Arc::clone(self), path }
    }

    /// Removes the directory of a checkpoint that is deleted. Blocking.
    pub(crate) fn forget(&self, key: &Key) -> io::Result<()> {
        remove(&self.directory(key))
    }

    /// Notes durably that an upload begins. Blocking.
    pub(crate) fn note(&self, key: &Key, storage: &CheckpointStorage) -> io::Result<PathBuf> {
        let path = self.notes.join(&key.uuid);
        let draft = self.notes.join(format!("{INCOMPLETE}{}", key.uuid));
        let note = v1::DeleteCheckpoints {
            experiment: key.experiment,
            checkpoints: vec![v1::CheckpointPlace {
                trial: key.trial,
                uuid: key.uuid.clone(),
                path: String::new(),
            }],
            storage: Some(storage.clone()),
            ..v1::DeleteCheckpoints::default()
        };
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&note.encode_to_vec())?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        fs::File::open(&self.notes)?.sync_all()?;
        Ok(path)
    }

    /// Uploads that an earlier start of the agent began and did not finish, as orders to delete them. Blocking.
    pub(crate) fn unfinished(&self) -> Vec<(PathBuf, v1::DeleteCheckpoints)> {
        let Ok(entries) = fs::read_dir(&self.notes) else { return Vec::new() };
        let read = |entry: fs::DirEntry| {
            let order = fs::read(entry.path()).ok()?;
            Some((entry.path(), v1::DeleteCheckpoints::decode(order.as_slice()).ok()?))
        };
        let complete = |entry: &fs::DirEntry| !entry.file_name().to_string_lossy().starts_with(INCOMPLETE);
        entries.flatten().filter(complete).filter_map(read).collect()
    }

    /// Removes what was used longest ago, until the rest is small enough. Blocking.
    pub(crate) fn trim(&self) {
        self.trim_to(CACHE_BYTES);
    }

    fn trim_to(&self, most: u64) {
        let mut found: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
        for path in
            below(&self.root).iter().flat_map(|experiment| below(experiment)).flat_map(|trial| below(&trial))
        {
            // What is being written has no final name yet.
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if ![INCOMPLETE, FETCHING].iter().any(|prefix| name.starts_with(prefix)) {
                let used = fs::metadata(&path).and_then(|metadata| metadata.modified());
                found.push((used.unwrap_or(SystemTime::UNIX_EPOCH), path.clone(), size(&path)));
            }
        }
        found.sort();
        let mut total: u64 = found.iter().map(|(_, _, size)| size).sum();
        for (_, path, size) in found {
            if total <= most {
                return;
            }
            // Nobody can begin to use it meanwhile.
            let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            if !used.contains_key(&path) {
                match remove(&path) {
                    Ok(()) => total -= size,
                    Err(error) => tracing::warn!(%error, path = %path.display(), "cannot trim the cache"),
                }
            }
        }
    }
}

/// A directory that stays in the cache.
pub(crate) struct Held {
    cache: Arc<RemoteCheckpoints>,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut used = self.cache.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = used.get_mut(&self.path) {
            *count -= 1;
            if *count == 0 {
                used.remove(&self.path);
            }
        }
    }
}

/// Renamed first, so that half a directory is never taken for a checkpoint.
fn remove(path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let aside = path.with_file_name(format!("{INCOMPLETE}removed-{name}"));
    let absent = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    absent(fs::remove_dir_all(&aside))
        .and_then(|()| absent(fs::rename(path, &aside)))
        .and_then(|()| absent(fs::remove_dir_all(&aside)))
}

fn below(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).collect()
}

/// Bytes of all files; what cannot be read counts as nothing.
fn size(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    if metadata.is_dir() { below(path).iter().map(|path| size(path)).sum() } else { metadata.len() }
}

/// The place that the engine named.
pub(crate) fn place(storage: &CheckpointStorage) -> Place {
    match storage.kind.clone() {
        Some(Kind::S3(s3)) => Place::S3 {
            bucket: s3.bucket,
            prefix: s3.prefix,
            endpoint_url: s3.endpoint_url,
            access_key: Secret(s3.access_key),
            secret_key: Secret(s3.secret_key),
        },
        Some(Kind::Azure(azure)) => Place::Azure {
            container: azure.container,
            connection_string: Secret(azure.connection_string),
            account_url: azure.account_url,
            credential: Secret(azure.credential),
        },
        Some(Kind::Gcs(gcs)) => Place::Gcs { bucket: gcs.bucket, prefix: gcs.prefix },
        // A kind of a newer engine: opening it fails and says that its bucket has no name.
        None => Place::Gcs { bucket: String::new(), prefix: String::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(root: &Path) -> Arc<RemoteCheckpoints> {
        Arc::new(RemoteCheckpoints::new(&Layout::create(root, None, "abc").unwrap()))
    }

    fn key(uuid: &str) -> Key {
        Key { experiment: 1, trial: 2, uuid: uuid.into() }
    }

    #[test]
    fn the_cache_keeps_what_is_used_and_what_is_newest() {
        let root = tempfile::tempdir().unwrap();
        let cache = cache(root.path());
        for (age, uuid) in [(3, "aa"), (2, "bb"), (1, "cc")] {
            let path = cache.directory(&key(uuid));
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("weights"), [0; 100]).unwrap();
            let then = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000 - age);
            fs::File::open(&path).unwrap().set_modified(then).unwrap();
        }
        fs::create_dir(cache.folder(1, 2).join("incomplete-1")).unwrap();
        let held = cache.hold(cache.directory(&key("aa")));
        cache.trim_to(250);
        let there = |uuid: &str| cache.directory(&key(uuid)).exists();
        assert!(there("aa") && !there("bb") && there("cc"), "the oldest is in use");
        drop(held);
        cache.trim_to(100);
        assert!(!there("aa") && there("cc"));
        cache.trim_to(0);
        assert!(!there("cc") && cache.folder(1, 2).join("incomplete-1").exists());
    }

    #[test]
    fn an_unfinished_upload_is_remembered_until_it_is_told() {
        let root = tempfile::tempdir().unwrap();
        let cache = cache(root.path());
        let gcs = v1::GcsStorage { bucket: "b".into(), prefix: "p".into() };
        let storage = CheckpointStorage { kind: Some(Kind::Gcs(gcs)) };
        let note = cache.note(&key("ab"), &storage).unwrap();
        let unfinished = cache.unfinished();
        assert_eq!(unfinished[0].1.checkpoints[0].uuid, "ab");
        assert_eq!(unfinished[0].1.storage, Some(storage));
        fs::remove_file(note).unwrap();
        assert_eq!(cache.unfinished(), []);
    }
}
