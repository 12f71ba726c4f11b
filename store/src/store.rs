//! The handle: opens the store, queues batches, copies and deletes; [`crate::reads`] holds its reads.
//!
//! Reads are synchronous (call them through `spawn_blocking`) and see what is durable. Dropping the last handle writes
//! what is queued, ends the threads and frees the directory.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::batch::Prepared;
use crate::durable::Durable;
use crate::files::Files;
use crate::logs::Logs;
use crate::memory::Memory;
use crate::models::Models;
use crate::records::Records;
use crate::removal::Removal;
use crate::upkeep::Upkeep;
use crate::writer::{Committer, Writer};
use crate::{Batch, Error, Health, Snapshot, opening, snapshot};

/// Bytes of batches that may wait for the writer.
const QUEUE_BYTES: usize = 32 << 20;

/// How a store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Memory for cached pages of the database, in bytes; at least 1 MiB.
    pub cache_bytes: u64,
    /// Batches that may wait for the writer; they also wait when together they hold over 32 MiB.
    pub queue: usize,
    /// Batches gathered into one commit.
    pub max_commit: usize,
    /// Bytes of the disk that are left free: with less the store takes no writes, and says so in [`Store::health`].
    pub reserve_bytes: u64,
    /// Make the database again from the redo log, even if it seems sound.
    pub rebuild: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: 8 << 20, queue: 4096, max_commit: 256, reserve_bytes: 32 << 20, rebuild: false }
    }
}

/// A cheap handle to everything durable.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    records: Records,
    files: Arc<Files>,
    models: Arc<Models>,
    logs: Logs,
    writer: Writer,
    /// Of the logs, then of the writer: the former holds a handle of the latter.
    threads: Vec<JoinHandle<()>>,
    /// Not of a store in memory.
    disk: Option<(Upkeep, Arc<Durable>)>,
    /// Held while an experiment is deleted or the store is copied.
    removing: Mutex<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.logs.close();
        self.writer.close();
        for thread in self.threads.drain(..) {
            // A callback may hold the last handle; a thread does not wait for itself.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
        if let Some((upkeep, _)) = &mut self.disk {
            upkeep.end();
        }
    }
}

impl Store {
    /// Opens or creates the store in a directory (mode 0700). After a power cut the database is made anew from the redo
    /// log, which takes a while; otherwise opening is quick. Fails with [`Error::Locked`] if another process has it,
    /// [`Error::NewerFormat`] if a newer program wrote it, [`Error::BrokenLog`] if the log is needed and damaged.
    pub fn open(dir: &Path, options: Options) -> Result<Self, Error> {
        let durable = Arc::new(opening::tree(dir, &options)?);
        let records = Records::new(durable.clone());
        let files = Arc::new(Files::Directory(dir.to_owned()));
        let models = Arc::new(Models::new(files.clone()));
        opening::clean_up(&records, &files, &models)?;
        let upkeep = Upkeep::start(durable.clone())?;
        let committer = Committer::new(records.clone(), models.clone());
        let (writer, thread) = Writer::start(committer, options.queue, QUEUE_BYTES, options.max_commit)?;
        let (logs, logs_thread) = Logs::start(records.clone(), files.clone(), writer.clone())?;
        let threads = vec![logs_thread, thread];
        let disk = Some((upkeep, durable));
        let inner = Inner { records, files, models, logs, writer, threads, disk, removing: Mutex::new(()) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A store without files and threads: everything happens on the caller's thread, callbacks included, and goes away
    /// with the last handle.
    pub fn in_memory() -> Result<Self, Error> {
        let records = Records::new(Arc::new(Memory::default()));
        let files = Arc::new(Files::in_memory());
        let models = Arc::new(Models::new(files.clone()));
        let writer = Writer::inline(Committer::new(records.clone(), models.clone()));
        let logs = Logs::inline(records.clone(), files.clone(), writer.clone());
        let inner = Inner {
            records,
            files,
            models,
            logs,
            writer,
            threads: Vec::new(),
            disk: None,
            removing: Mutex::new(()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Writes a batch; durable when it returns. Waits while the queue is full.
    pub async fn append(&self, batch: Batch) -> Result<(), Error> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // The receiver is gone if the caller was cancelled; the batch is written all the same.
        let done = Box::new(move |result| drop(sender.send(result)));
        self.inner.writer.queue(Prepared::new(batch)?, done).await?;
        receiver.await.map_err(|_| Error::Closed)?
    }

    /// Queues a batch without waiting. `done` is called on the writer's thread when the batch is durable or has
    /// failed; it must be short. When `submit` itself fails ([`Error::Busy`]: the queue is full), nothing was queued
    /// and `done` is never called. Batches are written in the order in which they were queued.
    pub fn submit(
        &self,
        batch: Batch,
        done: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) -> Result<(), Error> {
        self.inner.writer.submit(Prepared::new(batch)?, Box::new(done))
    }

    /// Keeps the state of an experiment after record `seq`; durable when it returns. `version` is the version of the
    /// content. Older snapshots of the experiment are removed. Only what is durable in the journal may be in it.
    pub fn write_snapshot(
        &self,
        experiment: u64,
        seq: u64,
        version: u32,
        bytes: Vec<u8>,
    ) -> Result<(), Error> {
        snapshot::write(&self.inner.files, experiment, &Snapshot { seq, version, bytes })
    }

    /// The newest snapshot that can be read. A broken one is reported in the log and passed over: the journal is
    /// complete.
    pub fn read_snapshot(&self, experiment: u64) -> Result<Option<Snapshot>, Error> {
        snapshot::read(&self.inner.files, experiment)
    }

    /// Deletes an experiment with all that belongs to it, and its model if no other experiment names it. Nothing may
    /// be written for the experiment meanwhile. Takes a few seconds for 100 000 trials, other batches pass in between;
    /// never call it from an async task (it would panic there). A crash in between is made up for when the store is
    /// opened again.
    pub fn delete_experiment(&self, experiment: u64) -> Result<(), Error> {
        let inner = &self.inner;
        let _removing = inner.removing.lock().unwrap_or_else(PoisonError::into_inner);
        inner.logs.forget(experiment)?;
        let write = |batch| inner.writer.write_blocking(batch);
        Removal { records: &inner.records, files: &inner.files, models: &inner.models, write: &write }
            .start(experiment)
    }

    /// Whether the store takes writes. A store in memory always does.
    pub fn health(&self) -> Health {
        self.watch_health().borrow().clone()
    }

    /// The same, to be told of changes.
    pub fn watch_health(&self) -> tokio::sync::watch::Receiver<Health> {
        match &self.inner.disk {
            Some((_, durable)) => durable.health().watch(),
            None => tokio::sync::watch::Sender::new(Health::Ok).subscribe(),
        }
    }

    /// Bytes that are free on the disk of the store; `None` for a store in memory, or if the system does not say.
    pub fn free_bytes(&self) -> Option<u64> {
        self.durable()?.free_bytes()
    }

    /// Copies the store to a directory that does not exist or is empty, while it goes on. Opening the copy gives the
    /// state after some commit that was durable when this returns, and after all that were durable when it began.
    pub fn backup(&self, target: &Path) -> Result<crate::Backup, Error> {
        self.copy(target, false)
    }

    /// The same into a directory on the disk of the store, to be sent on from there: plain files are linked instead of
    /// copied where the system allows it. A linked file of log lines may grow; what it had is enough.
    pub fn stage_backup(&self, target: &Path) -> Result<crate::Backup, Error> {
        self.copy(target, true)
    }

    fn copy(&self, target: &Path, link: bool) -> Result<crate::Backup, Error> {
        let Some((_, durable)) = &self.inner.disk else {
            return Err(Error::broken("store", "a store in memory cannot be copied"));
        };
        let _removing = self.inner.removing.lock().unwrap_or_else(PoisonError::into_inner);
        crate::backup::write(&self.inner.files, durable, target, link)
    }

    /// How many handles there are. The store closes, and its lock is released, with the last of them.
    pub fn handles(&self) -> usize {
        Arc::strong_count(&self.inner)
    }

    /// The model archives.
    pub fn models(&self) -> &Models {
        &self.inner.models
    }

    /// The logs of trials.
    pub fn logs(&self) -> &Logs {
        &self.inner.logs
    }

    pub(crate) fn records(&self) -> &Records {
        &self.inner.records
    }

    pub(crate) fn durable(&self) -> Option<&Durable> {
        self.inner.disk.as_ref().map(|(_, durable)| &**durable)
    }

    /// Writes from a thread (never from an async task); durable when it returns.
    pub(crate) fn write_blocking(&self, batch: Batch) -> Result<(), Error> {
        self.inner.writer.write_blocking(Prepared::new(batch)?)
    }
}
