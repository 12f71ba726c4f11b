//! A checkpoint is fetched beside its place, compared with its manifest, and only then gets its name.

use crate::{Error, File, Key, Manifest, Progress, Remote, draft::Draft, manifest::LARGEST, tree::hex};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{
    Error as StoreError, GetOptions, GetResult, ObjectStoreExt as _, path::Path as ObjectPath,
};
use sha2::{Digest as _, Sha256};
use std::{
    io::Write as _,
    ops::Range,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};
use tokio::task::spawn_blocking;

/// A file whose transfer broke in the middle is begun again so often.
const TRIES: u32 = 3;

impl Remote {
    /// What a checkpoint consists of.
    ///
    /// # Errors
    /// There is none, it is damaged, or the store refuses or does not answer.
    pub async fn manifest(&self, key: &Key) -> Result<Manifest, Error> {
        let path = key.manifest(&self.place)?;
        let address = self.address(key);
        let failed = |error: StoreError| match &error {
            StoreError::NotFound { source, .. } if !Error::is_of_bucket(source.as_ref()) => {
                Error::Absent { address: address.clone() }
            }
            error => Error::of_store(&self.place, "get", &path, error),
        };
        let damaged = |what: String| Error::Damaged {
            address: address.clone(),
            file: "manifest.json".to_owned(),
            what,
        };
        let found = self.store.get(&path).await.map_err(failed)?;
        if found.meta.size > LARGEST {
            return Err(damaged(format!("it has {} bytes, {LARGEST} are allowed", found.meta.size)));
        }
        let bytes = found.bytes().await.map_err(failed)?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| damaged(format!("it cannot be read: {error}")))?;
        manifest.fault().map_or(Ok(manifest), |fault| Err(damaged(fault)))
    }

    /// Fetches a checkpoint into the directory `target`, which must not exist; its parent is made.
    ///
    /// # Errors
    /// There is none, it is not what was saved, the store refuses or does not answer, or the disk fails. Then there is
    /// no `target`.
    pub async fn download(
        &self,
        key: &Key,
        target: &Path,
        progress: Progress<'_>,
    ) -> Result<Manifest, Error> {
        let manifest = self.manifest(key).await?;
        let (for_draft, to) = (manifest.clone(), target.to_owned());
        let draft = blocking(target, move || {
            let draft = Draft::create(&to)?;
            draft.furnish(&for_draft)?;
            Ok(draft)
        })
        .await?;
        let (done, total) = (AtomicU64::new(0), manifest.total_size());
        let arrived = |bytes: u64| progress(done.fetch_add(bytes, Ordering::Relaxed) + bytes, total);
        let files = manifest.files.iter().map(|file| self.fetch(key, file, &draft.path, &arrived));
        let all: Vec<_> = files.collect();
        stream::iter(all).buffer_unordered(self.limits.files.max(1)).try_collect::<()>().await?;
        let named = manifest.clone();
        blocking(target, move || draft.complete(&named)).await?;
        Ok(manifest)
    }

    /// Fetches one file; what broke in the middle is begun again.
    async fn fetch(
        &self,
        key: &Key,
        file: &File,
        root: &Path,
        arrived: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), Error> {
        let target = root.join(&file.path);
        let mut tries = 1;
        // What was counted is not counted again.
        let mut counted = 0;
        loop {
            let done = self.fetch_once(key, file, &target, &mut counted, arrived).await;
            match done {
                Err(error) if error.is_passing() && tries < TRIES => {
                    tracing::info!(%error, tries, "the transfer of a checkpoint broke, trying again");
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn fetch_once(
        &self,
        key: &Key,
        file: &File,
        target: &Path,
        counted: &mut u64,
        arrived: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), Error> {
        let path = key.file(&self.place, &file.path)?;
        let damaged = |what: String| self.damaged(key, file, what);
        let local = |source| Error::local("write", target)(source);
        let mut output = std::fs::File::create(target).map_err(local)?;
        let (mut hash, mut size) = (Sha256::new(), 0);
        // Part by part, so that each has its own deadline; also an empty file is asked for once.
        loop {
            let end = file.size.min(size + self.limits.part as u64);
            let found = self.part(key, file, &path, size..end).await?;
            let bytes = found.bytes().await.map_err(|error| self.failed(key, file, &path, &error))?;
            size += bytes.len() as u64;
            (output, hash) = blocking(target, {
                let target = target.to_owned();
                move || {
                    hash.update(&bytes);
                    output.write_all(&bytes).map_err(Error::local("write", &target))?;
                    Ok((output, hash))
                }
            })
            .await?;
            if size > *counted {
                arrived(size - *counted);
                *counted = size;
            }
            if size >= file.size {
                break;
            }
            if size < end {
                return Err(damaged(format!("it ends after {size} bytes")));
            }
        }
        let found = hex(hash);
        if size != file.size || found != file.sha256 {
            let File { size: wanted, sha256, .. } = file;
            return Err(damaged(format!(
                "it has {size} bytes with SHA-256 {found}, saved were {wanted} bytes with {sha256}"
            )));
        }
        blocking(target, {
            let target = target.to_owned();
            move || output.sync_all().map_err(Error::local("sync", &target))
        })
        .await
    }

    /// These bytes of a file, or fewer where it ends.
    async fn part(
        &self,
        key: &Key,
        file: &File,
        path: &ObjectPath,
        range: Range<u64>,
    ) -> Result<GetResult, Error> {
        let range = (!range.is_empty()).then_some(range);
        let found = self.store.get_opts(path, GetOptions::new().with_range(range)).await;
        let found = found.map_err(|error| self.failed(key, file, path, &error))?;
        if found.meta.size != file.size {
            let what = format!("it has {} bytes, saved were {}", found.meta.size, file.size);
            return Err(self.damaged(key, file, what));
        }
        Ok(found)
    }

    fn failed(&self, key: &Key, file: &File, path: &ObjectPath, error: &StoreError) -> Error {
        match error {
            StoreError::NotFound { .. } => self.damaged(key, file, "it is missing".to_owned()),
            error => Error::of_store(&self.place, "get", path, error),
        }
    }

    fn damaged(&self, key: &Key, file: &File, what: String) -> Error {
        Error::Damaged { address: self.address(key), file: file.path.clone(), what }
    }
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let joined = spawn_blocking(work).await;
    joined.map_err(|error| Error::local("write", path)(std::io::Error::other(error)))?
}
