//! The way of an attempt's checkpoints into an object store, behind the script's back.
//!
//! The script goes on when its checkpoint has its name on this node. One is then on its way and one may wait; a third
//! holds the script back. The engine hears of a checkpoint when it is complete in the store, in the order in which they
//! were saved. The end of the attempt waits for what is left.

use crate::{
    checkpoint::Completed,
    identity::AttemptKey,
    remote::{Held, RemoteCheckpoints},
    report::Reporter,
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{Mutex, mpsc},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use toprung_checkpoints::{Error, File, Key, Manifest, Remote, read_tree};
use toprung_proto::v1::{self, CheckpointStorage, LogStream, attempt_event::Kind};

/// After the end of a process: so long for all that is left. What is not stored then is absent.
const AFTER_EXIT: Duration = Duration::from_mins(10);
/// One upload is given up after this.
const LONGEST: Duration = Duration::from_hours(2);
/// An upload that takes longer is told of in the log, and again that much later each time.
const FIRST_LINE: Duration = Duration::from_secs(1);
const NEXT_LINE: Duration = Duration::from_secs(15);

/// A checkpoint on this node, ready to be stored.
struct Waiting {
    event: v1::Checkpoint,
    key: Key,
    path: PathBuf,
    manifest: Manifest,
    held: Held,
}

/// The uploads of one attempt.
pub(crate) struct Uploads {
    key: AttemptKey,
    cache: Arc<RemoteCheckpoints>,
    remote: Remote,
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl Uploads {
    /// Starts the worker. It ends with [`finish`](Self::finish), or when this is dropped and what waits is stored.
    pub(crate) fn start(
        key: AttemptKey,
        cache: Arc<RemoteCheckpoints>,
        storage: CheckpointStorage,
        reporter: Reporter,
    ) -> Result<Self, Error> {
        let remote = cache.open(&storage)?;
        let (queue, waiting) = mpsc::channel(1);
        let worker =
            Worker { cache: Arc::clone(&cache), remote: remote.clone(), storage, reporter, newest: None };
        let worker = tokio::spawn(worker.work(waiting));
        Ok(Self { key, cache, remote, queue: Mutex::new(Some(queue)), worker: Mutex::new(Some(worker)) })
    }

    /// Takes a checkpoint over that has its name on this node; waits while two are on their way. The error is for the
    /// script's author.
    pub(crate) async fn push(&self, completed: Completed, mut event: v1::Checkpoint) -> Result<(), String> {
        let Completed { uuid, path, files, .. } = completed;
        let key = Key { experiment: self.key.experiment, trial: self.key.trial, uuid };
        event.path = self.remote.address(&key);
        let held = self.cache.hold(path.clone());
        let known: Vec<File> = files
            .into_iter()
            .filter(|file| !file.sha256.is_empty())
            .map(|v1::CheckpointFile { path, size, sha256 }| File { path, size, sha256 })
            .collect();
        let tree = path.clone();
        let manifest = spawn_blocking(move || read_tree(&tree, &known)).await;
        let manifest = manifest
            .map_err(|error| error.to_string())
            .and_then(|read| read.map_err(|error| error.to_string()))?;
        let queue = self.queue.lock().await.clone();
        let waiting = Waiting { event, key, path, manifest, held };
        match queue {
            Some(queue) if queue.send(waiting).await.is_ok() => Ok(()),
            _ => Err("the attempt has ended: the checkpoint is not stored".to_owned()),
        }
    }

    /// Waits for what is left, for a while.
    pub(crate) async fn finish(&self, reporter: &Reporter) {
        drop(self.queue.lock().await.take());
        let Some(mut worker) = self.worker.lock().await.take() else { return };
        if timeout(AFTER_EXIT, &mut worker).await.is_err() {
            worker.abort();
            let text = format!(
                "not all checkpoints were stored within {} s after the end: the last ones are absent",
                AFTER_EXIT.as_secs()
            );
            tracing::warn!(attempt = %self.key, text);
            reporter.line(LogStream::Toprung, text).await;
        }
    }
}

struct Worker {
    cache: Arc<RemoteCheckpoints>,
    remote: Remote,
    storage: CheckpointStorage,
    reporter: Reporter,
    /// Keeps the newest checkpoint of a running attempt in the cache.
    newest: Option<Held>,
}

impl Worker {
    async fn work(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        while let Some(next) = waiting.recv().await {
            let (length, address) = (next.event.length, next.event.path.clone());
            match self.store(next).await {
                Ok(()) => {}
                Err(reason) => {
                    let text =
                        format!("the checkpoint at length {length} was not stored at {address}: {reason}");
                    tracing::warn!(text);
                    self.reporter.line(LogStream::Toprung, text).await;
                }
            }
            let cache = Arc::clone(&self.cache);
            if let Err(error) = spawn_blocking(move || cache.trim()).await {
                tracing::warn!(%error, "trimming the cache broke off");
            }
        }
    }

    async fn store(&mut self, waiting: Waiting) -> Result<(), String> {
        let Waiting { event, key, path, manifest, held } = waiting;
        let (cache, noted, storage) = (Arc::clone(&self.cache), key.clone(), self.storage.clone());
        let note = spawn_blocking(move || cache.note(&noted, &storage)).await;
        let note = note.map_err(|error| error.to_string())?;
        let note = note.map_err(|error| format!("cannot note the upload: {error}"))?;
        let uploaded = self.upload(&key, &path, &manifest, event.length).await;
        if let Err(reason) = &uploaded
            && let Err(error) = self.remote.delete(&key).await
        {
            // Its note stays: the next start of the agent tries again.
            return Err(format!("{reason}; what was stored of it could not be taken back: {error}"));
        }
        // Before the engine hears of it: a note must never outlive that, or a later start would delete the checkpoint.
        fs::remove_file(&note).map_err(|error| format!("cannot remove {}: {error}", note.display()))?;
        uploaded?;
        self.reporter.event(Kind::Checkpoint(event)).await;
        self.newest = Some(held);
        Ok(())
    }

    /// Uploads, with a line in the log now and then.
    async fn upload(&self, key: &Key, path: &Path, manifest: &Manifest, length: u64) -> Result<(), String> {
        let (begun, done) = (Instant::now(), AtomicU64::new(0));
        let progress = |bytes: u64, _: u64| {
            done.fetch_max(bytes, Ordering::Relaxed);
        };
        let uploading = timeout(LONGEST, self.remote.upload(key, path, manifest, &progress));
        tokio::pin!(uploading);
        let (mut wait, mut told, total) = (FIRST_LINE, false, manifest.total_size());
        let result = loop {
            match timeout(wait, &mut uploading).await {
                Ok(result) => break result,
                Err(_) => {
                    let stored = done.load(Ordering::Relaxed);
                    let text =
                        format!("storing the checkpoint at length {length}: {stored} of {total} bytes");
                    self.reporter.line(LogStream::Toprung, text).await;
                    (wait, told) = (NEXT_LINE, true);
                }
            }
        };
        match result {
            Ok(Ok(())) if told => {
                let text = format!(
                    "stored the checkpoint at length {length} in {:.1} s",
                    begun.elapsed().as_secs_f64()
                );
                self.reporter.line(LogStream::Toprung, text).await;
                Ok(())
            }
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!("it took longer than {} s", LONGEST.as_secs())),
        }
    }
}
