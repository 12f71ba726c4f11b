//! The handle: opens the store, queues batches, answers reads.
//!
//! Reads are synchronous (call them through `spawn_blocking`) and see what is durable. Dropping the last handle writes
//! what is queued, ends the threads and frees the directory.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::backend::Order;
use crate::batch::Prepared;
use crate::durable::Durable;
use crate::files::Files;
use crate::journal::{Head, Journal};
use crate::keys::{self, Kind, start};
use crate::logs::Logs;
use crate::memory::Memory;
use crate::models::Models;
use crate::records::{Records, unpack};
use crate::removal::Removal;
use crate::upkeep::Upkeep;
use crate::writer::{Committer, Writer};
use crate::{Batch, Error, Health, Key, Snapshot, opening, snapshot};

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

/// A checkpoint's record and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRecord {
    /// The trial it was saved by.
    pub trial: u32,
    /// Its name.
    pub uuid: String,
    /// The record.
    pub bytes: Vec<u8>,
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

    /// The journal of an experiment from record `from_seq` (at least 1) on. If `from_seq` is beyond the record that
    /// would follow the last, the journal lost its end: [`Error::BrokenJournal`].
    pub fn journal(&self, experiment: u64, from_seq: u64) -> Result<Journal, Error> {
        Journal::open(self.inner.records.clone(), experiment, from_seq)
    }

    /// The sequence of an experiment's last journal record; 0 if there is none.
    pub fn last_sequence(&self, experiment: u64) -> Result<u64, Error> {
        Ok(Head::load(&self.inner.records, experiment)?.sequence)
    }

    /// At most `limit` experiments with ids below `before`, newest first: (id, record).
    pub fn experiments(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let mut range = start(Kind::Experiment).prefix();
        if let Some(before) = before {
            range.end = Key::Experiment(before).encode();
        }
        self.page("experiment", &range, limit, Order::Descending, |key| keys::u64_at(key, 1))
    }

    /// The record of an experiment.
    pub fn experiment(&self, experiment: u64) -> Result<Option<Vec<u8>>, Error> {
        self.get("experiment", &Key::Experiment(experiment))
    }

    /// The record of a trial.
    pub fn trial(&self, experiment: u64, trial: u32) -> Result<Option<Vec<u8>>, Error> {
        self.get("trial", &Key::Trial(experiment, trial))
    }

    /// At most `limit` trials after `after`, in order: (trial, record).
    pub fn trials(
        &self,
        experiment: u64,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Vec<(u32, Vec<u8>)>, Error> {
        let mut range = start(Kind::Trial).u64(experiment).prefix();
        if let Some(after) = after {
            range.start = keys::after(&Key::Trial(experiment, after).encode());
        }
        self.page("trial", &range, limit, Order::Ascending, |key| keys::u32_at(key, 9))
    }

    /// At most `limit` report chunks of a trial after chunk `after`, in order: (chunk, value).
    pub fn report_chunks(
        &self,
        experiment: u64,
        trial: u32,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let mut range = start(Kind::ReportChunk).u64(experiment).u32(trial).prefix();
        if let Some(after) = after {
            range.start = keys::after(&Key::ReportChunk(experiment, trial, after).encode());
        }
        self.page("report chunk", &range, limit, Order::Ascending, |key| keys::u64_at(key, 13))
    }

    /// At most `limit` checkpoints of an experiment, or of one of its trials, after (trial, uuid), in this order.
    pub fn checkpoints(
        &self,
        experiment: u64,
        trial: Option<u32>,
        after: Option<(u32, &str)>,
        limit: usize,
    ) -> Result<Vec<CheckpointRecord>, Error> {
        let prefix = start(Kind::Checkpoint).u64(experiment);
        let mut range = match trial {
            Some(trial) => prefix.u32(trial).prefix(),
            None => prefix.prefix(),
        };
        if let Some((trial, uuid)) = after {
            let passed = keys::after(&Key::Checkpoint(experiment, trial, uuid.to_owned()).encode());
            range.start = range.start.max(passed);
        }
        let found = self.page("checkpoint", &range, limit, Order::Ascending, |key| {
            let uuid = String::from_utf8(key.get(13..)?.to_vec()).ok()?;
            Some((keys::u32_at(key, 9)?, uuid))
        })?;
        Ok(found.into_iter().map(|((trial, uuid), bytes)| CheckpointRecord { trial, uuid, bytes }).collect())
    }

    /// The experiment that a request created.
    pub fn request(&self, request_id: &str) -> Result<Option<u64>, Error> {
        let value = self.get("request", &Key::Request(request_id.to_owned()))?;
        let experiment = |value: Vec<u8>| value.try_into().map(u64::from_be_bytes);
        value.map(experiment).transpose().map_err(|_| Error::broken("request", "not 8 bytes"))
    }

    /// The value of a [`Key::Meta`].
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.get("meta", &Key::Meta(name.to_owned()))
    }

    /// At most `limit` values of [`Key::Agent`] whose names come after `after`, by name.
    pub fn agents(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut range = start(Kind::Agent).prefix();
        if let Some(after) = after {
            range.start = keys::after(&Key::Agent(after.to_owned()).encode());
        }
        self.page("agent", &range, limit, Order::Ascending, |key| {
            String::from_utf8(key.get(1..)?.to_vec()).ok()
        })
    }

    /// At most `limit` values of [`Key::Meta`] whose names begin with `prefix` and come after `after`.
    pub fn metas(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut range = start(Kind::Meta).text(prefix).prefix();
        if let Some(after) = after {
            range.start = range.start.max(keys::after(&Key::Meta(after.to_owned()).encode()));
        }
        self.page("meta", &range, limit, Order::Ascending, |key| {
            String::from_utf8(key.get(1..)?.to_vec()).ok()
        })
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

    /// The experiments that have journals, in order.
    pub(crate) fn journals(&self) -> Result<Vec<u64>, Error> {
        let (mut found, mut range) = (Vec::new(), start(Kind::Journal).prefix());
        while let Some(key) = self.inner.records.keys(&range, 1)?.pop() {
            let experiment = keys::u64_at(&key, 1);
            let experiment = experiment.ok_or_else(|| Error::broken("journal", "its key is broken"))?;
            range.start = start(Kind::Journal).u64(experiment).prefix().end;
            found.push(experiment);
        }
        Ok(found)
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

    fn get(&self, what: &'static str, key: &Key) -> Result<Option<Vec<u8>>, Error> {
        let packed = self.inner.records.get(&key.encode())?;
        packed.map(|packed| unpack(what, &packed)).transpose()
    }

    fn page<K>(
        &self,
        what: &'static str,
        range: &Range<Vec<u8>>,
        limit: usize,
        order: Order,
        parse: impl Fn(&[u8]) -> Option<K>,
    ) -> Result<Vec<(K, Vec<u8>)>, Error> {
        let page = self.inner.records.page(range, limit, order)?;
        let parsed = page.into_iter().map(|(key, packed)| {
            let key = parse(&key).ok_or_else(|| Error::broken(what, "its key is broken"))?;
            Ok((key, unpack(what, &packed)?))
        });
        parsed.collect()
    }
}
