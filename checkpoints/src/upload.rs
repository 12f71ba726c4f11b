//! A checkpoint is stored file by file, and its manifest last: until then it is absent.
//!
//! Bytes in memory are bounded by a semaphore over all files: whoever reads a part holds credit for it until the store
//! has answered.

use crate::{Error, File, Key, Manifest, Progress, Remote, tree::hex};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{ObjectStoreExt as _, PutPayload, path::Path as ObjectPath};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinSet, spawn_blocking},
};

/// S3 allows 10 000.
const MOST_PARTS: u64 = 9_000;
/// Credit is counted in units of this many bytes.
const UNIT: usize = 1 << 10;

struct Uploading<'a> {
    remote: &'a Remote,
    key: &'a Key,
    root: &'a Path,
    credit: Arc<Semaphore>,
    arrived: &'a (dyn Fn(u64) + Send + Sync),
}

impl Remote {
    /// Stores what lies in `root`, which `manifest` describes (see [`read_tree`](crate::read_tree)). A checkpoint of
    /// this name that is incomplete is written over.
    ///
    /// # Errors
    /// A file is not what the manifest says, or the store refuses or does not answer. Then the checkpoint is absent; what was
    /// stored of it goes with [`delete`](Self::delete).
    pub async fn upload(
        &self,
        key: &Key,
        root: &Path,
        manifest: &Manifest,
        progress: Progress<'_>,
    ) -> Result<(), Error> {
        if let Some(reason) = manifest.fault() {
            return Err(Error::Unstorable { file: root.display().to_string(), reason });
        }
        let (done, total) = (AtomicU64::new(0), manifest.total_size());
        let arrived = |bytes: u64| progress(done.fetch_add(bytes, Ordering::Relaxed) + bytes, total);
        let credit = Arc::new(Semaphore::new(self.limits.memory / UNIT));
        let uploading = Uploading { remote: self, key, root, credit, arrived: &arrived };
        let files: Vec<_> = manifest.files.iter().map(|file| uploading.file(file)).collect();
        stream::iter(files).buffer_unordered(self.limits.files.max(1)).try_collect::<()>().await?;
        let path = key.manifest(&self.place)?;
        let bytes = serde_json::to_vec_pretty(manifest)
            .map_err(|error| Error::local("describe", root)(std::io::Error::other(error)))?;
        self.store
            .put(&path, PutPayload::from(bytes))
            .await
            .map_err(|error| Error::of_store(&self.place, "put", &path, &error))?;
        Ok(())
    }
}

impl Uploading<'_> {
    async fn file(&self, file: &File) -> Result<(), Error> {
        let path = self.key.file(&self.remote.place, &file.path)?;
        let mut reader = Reader::open(self.root.join(&file.path), file.clone()).await?;
        let part = self.part(file.size);
        if file.size <= part as u64 {
            let _credit = self.credit(file.size as usize).await?;
            let bytes;
            (reader, bytes) = reader.read(file.size as usize).await?;
            reader.finish().await?;
            let stored = self.remote.store.put(&path, PutPayload::from(bytes)).await;
            stored.map_err(|error| self.failed(&path, &error))?;
            (self.arrived)(file.size);
            return Ok(());
        }
        self.parts(reader, &path, file.size, part).await
    }

    /// A large file, in parts.
    async fn parts(&self, reader: Reader, path: &ObjectPath, size: u64, part: usize) -> Result<(), Error> {
        let failed = |error| self.failed(path, &error);
        let mut upload = self.remote.store.put_multipart(path).await.map_err(failed)?;
        let sent = self.send_parts(reader, path, size, part, upload.as_mut()).await;
        let done = match sent {
            Ok(()) => upload.complete().await.map(drop).map_err(failed),
            Err(error) => Err(error),
        };
        if done.is_err()
            && let Err(error) = upload.abort().await
        {
            tracing::debug!(%path, answer = %self.failed(path, &error), "parts of an upload were not taken back");
        }
        done
    }

    async fn send_parts(
        &self,
        mut reader: Reader,
        path: &ObjectPath,
        size: u64,
        part: usize,
        upload: &mut dyn object_store::MultipartUpload,
    ) -> Result<(), Error> {
        let mut left = size;
        let mut sending = JoinSet::new();
        while left > 0 {
            let length = left.min(part as u64) as usize;
            let credit = self.credit(length).await?;
            let bytes;
            (reader, bytes) = reader.read(length).await?;
            let put = upload.put_part(PutPayload::from(bytes));
            sending.spawn(async move {
                let stored = put.await;
                drop(credit);
                stored.map(|()| length as u64)
            });
            left -= length as u64;
            while let Some(sent) = sending.try_join_next() {
                self.sent(path, sent)?;
            }
        }
        reader.finish().await?;
        while let Some(sent) = sending.join_next().await {
            self.sent(path, sent)?;
        }
        Ok(())
    }

    fn sent(
        &self,
        path: &ObjectPath,
        sent: Result<object_store::Result<u64>, tokio::task::JoinError>,
    ) -> Result<(), Error> {
        let bytes = sent.map_err(object_store::Error::from).and_then(|sent| sent);
        (self.arrived)(bytes.map_err(|error| self.failed(path, &error))?);
        Ok(())
    }

    fn part(&self, size: u64) -> usize {
        self.remote.limits.part.max(size.div_ceil(MOST_PARTS) as usize)
    }

    async fn credit(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        let units = bytes.min(self.remote.limits.memory) / UNIT;
        let credit = Arc::clone(&self.credit).acquire_many_owned(units as u32).await;
        credit.map_err(|error| Error::local("read", self.root)(std::io::Error::other(error)))
    }

    fn failed(&self, path: &ObjectPath, error: &object_store::Error) -> Error {
        Error::of_store(&self.remote.place, "put", path, error)
    }
}

/// A file that is read on another thread, and hashed on the way.
struct Reader {
    file: fs::File,
    path: PathBuf,
    wanted: File,
    hash: Sha256,
}

impl Reader {
    async fn open(path: PathBuf, wanted: File) -> Result<Self, Error> {
        run(path, move |path| {
            let file = fs::File::open(path).map_err(Error::local("read", path))?;
            Ok(Self { file, path: path.to_owned(), wanted, hash: Sha256::new() })
        })
        .await
    }

    /// The next `length` bytes, which must be there.
    async fn read(mut self, length: usize) -> Result<(Self, Vec<u8>), Error> {
        run(self.path.clone(), move |path| {
            let mut bytes = vec![0; length];
            self.file.read_exact(&mut bytes).map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => self.changed(),
                _ => Error::local("read", path)(error),
            })?;
            self.hash.update(&bytes);
            Ok((self, bytes))
        })
        .await
    }

    /// Nothing may be left, and it must be what the manifest says.
    async fn finish(mut self) -> Result<(), Error> {
        run(self.path.clone(), move |path| {
            let more = self.file.read(&mut [0]).map_err(Error::local("read", path))?;
            let changed = self.changed();
            if more > 0 || hex(self.hash) != self.wanted.sha256 { Err(changed) } else { Ok(()) }
        })
        .await
    }

    fn changed(&self) -> Error {
        Error::Changed { file: self.path.display().to_string() }
    }
}

async fn run<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Path) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let name = path.clone();
    let joined = spawn_blocking(move || work(&path)).await;
    joined.map_err(|error| Error::local("read", &name)(std::io::Error::other(error)))?
}
