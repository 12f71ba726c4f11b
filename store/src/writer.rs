//! The one writer: gathers batches into commits, checks journal sequences, calls back when a batch is durable.
//!
//! A batch that cannot be written (a journal record out of sequence) fails alone. A commit that fails fails all its
//! batches; what the writer knew of journal ends is then forgotten and read again, so that the tree decides.
//! The in-memory store commits on the caller's thread, so that a simulation stays deterministic.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::backend::Write;
use crate::batch::Prepared;
use crate::journal::Head;
use crate::models::Models;
use crate::records::{Records, stage_put};
use crate::{Error, keys};

/// Called once, with the outcome of a batch.
pub(crate) type Done = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// How long a thread (never an async task) waits for the writer.
const PATIENCE: Duration = Duration::from_mins(2);
/// What one commit may hold, in bytes.
const MAX_COMMIT_BYTES: usize = 4 << 20;
/// The unit in which queued bytes are counted.
const PERMIT_BYTES: usize = 1024;

struct Request {
    batch: Prepared,
    done: Done,
    /// Keeps the queued bytes bounded.
    _permit: Option<OwnedSemaphorePermit>,
}

/// A cheap handle to queue batches with.
#[derive(Clone)]
pub(crate) struct Writer {
    route: Route,
}

#[derive(Clone)]
enum Route {
    Thread { queue: mpsc::Sender<Request>, bytes: Arc<Semaphore>, limit: u32 },
    Inline(Arc<Mutex<Committer>>),
    Closed,
}

impl Writer {
    /// Starts the writer thread. It ends when all handles are gone and the queue is empty.
    pub(crate) fn start(
        committer: Committer,
        queue: usize,
        queue_bytes: usize,
        max_commit: usize,
    ) -> Result<(Self, JoinHandle<()>), Error> {
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(committer, receiver, max_commit.max(1)))
            .map_err(|error| Error::io("start the writer of", std::path::Path::new("the store"), error))?;
        let limit = permits(queue_bytes.max(PERMIT_BYTES));
        let bytes = Arc::new(Semaphore::new(limit as usize));
        Ok((Self { route: Route::Thread { queue: sender, bytes, limit } }, thread))
    }

    /// A writer that commits on the caller's thread.
    pub(crate) fn inline(committer: Committer) -> Self {
        Self { route: Route::Inline(Arc::new(Mutex::new(committer))) }
    }

    /// Gives this handle up.
    pub(crate) fn close(&mut self) {
        self.route = Route::Closed;
    }

    /// Queues without waiting.
    pub(crate) fn submit(&self, batch: Prepared, done: Done) -> Result<(), Error> {
        match &self.route {
            Route::Closed => Err(Error::Closed),
            Route::Inline(committer) => {
                commit_inline(committer, batch, done);
                Ok(())
            }
            Route::Thread { queue, bytes, limit } => {
                let wanted = permits(batch.size()).min(*limit);
                let permit = bytes.clone().try_acquire_many_owned(wanted).map_err(|_| Error::Busy)?;
                queue.try_send(Request { batch, done, _permit: Some(permit) }).map_err(|error| match error {
                    mpsc::error::TrySendError::Full(_) => Error::Busy,
                    mpsc::error::TrySendError::Closed(_) => Error::Closed,
                })
            }
        }
    }

    /// Queues, waiting for room.
    pub(crate) async fn queue(&self, batch: Prepared, done: Done) -> Result<(), Error> {
        match &self.route {
            Route::Closed => Err(Error::Closed),
            Route::Inline(committer) => {
                commit_inline(committer, batch, done);
                Ok(())
            }
            Route::Thread { queue, bytes, limit } => {
                let wanted = permits(batch.size()).min(*limit);
                let permit = bytes.clone().acquire_many_owned(wanted).await.map_err(|_| Error::Closed)?;
                let request = Request { batch, done, _permit: Some(permit) };
                queue.send(request).await.map_err(|_| Error::Closed)
            }
        }
    }

    /// Queues from a thread of its own (never from an async task), waiting for room.
    pub(crate) fn queue_blocking(&self, batch: Prepared, done: Done) -> Result<(), Error> {
        match &self.route {
            Route::Closed => Err(Error::Closed),
            Route::Inline(committer) => {
                commit_inline(committer, batch, done);
                Ok(())
            }
            Route::Thread { queue, .. } => {
                queue.blocking_send(Request { batch, done, _permit: None }).map_err(|_| Error::Closed)
            }
        }
    }

    /// Writes from a thread (never from an async task), waiting until it is durable.
    pub(crate) fn write_blocking(&self, batch: Prepared) -> Result<(), Error> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        // The receiver may have given up; nobody is left to tell then.
        let done = Box::new(move |result| drop(sender.send(result)));
        self.queue_blocking(batch, done)?;
        wait(&receiver)?
    }
}

/// Waits on a thread for an answer of one of the store's threads.
pub(crate) fn wait<T>(receiver: &std::sync::mpsc::Receiver<T>) -> Result<T, Error> {
    receiver.recv_timeout(PATIENCE).map_err(|error| match error {
        RecvTimeoutError::Timeout => Error::Late { seconds: PATIENCE.as_secs() },
        RecvTimeoutError::Disconnected => Error::Closed,
    })
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX)
}

fn commit_inline(committer: &Mutex<Committer>, batch: Prepared, done: Done) {
    let outcomes = {
        let mut committer = committer.lock().unwrap_or_else(PoisonError::into_inner);
        committer.commit(vec![Request { batch, done, _permit: None }])
    };
    // Outside the lock: a callback may submit again.
    outcomes.into_iter().for_each(tell);
}

fn run(mut committer: Committer, mut queue: mpsc::Receiver<Request>, max_commit: usize) {
    while let Some(first) = queue.blocking_recv() {
        let mut size = first.batch.size();
        let mut group = vec![first];
        while group.len() < max_commit && size < MAX_COMMIT_BYTES {
            let Ok(request) = queue.try_recv() else { break };
            size += request.batch.size();
            group.push(request);
        }
        committer.commit(group).into_iter().for_each(tell);
    }
}

fn tell((done, result): (Done, Result<(), Error>)) {
    // A panicking caller must not take the store of all others with it.
    if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
        tracing::error!("a callback of the store panicked");
    }
}

/// Turns batches into commits.
pub(crate) struct Committer {
    records: Records,
    models: Arc<Models>,
    /// Journal ends of the experiments written to since the start or the last failure.
    heads: HashMap<u64, Head>,
}

impl Committer {
    pub(crate) fn new(records: Records, models: Arc<Models>) -> Self {
        Self { records, models, heads: HashMap::new() }
    }

    fn commit(&mut self, group: Vec<Request>) -> Vec<(Done, Result<(), Error>)> {
        if let Err(error) = self.records.heal() {
            tracing::error!(%error, batches = group.len(), "the store cannot be repaired yet");
            return group.into_iter().map(|request| (request.done, Err(error.clone()))).collect();
        }
        let mut writes = Vec::new();
        let mut outcomes = Vec::with_capacity(group.len());
        let mut staged = Vec::with_capacity(group.len());
        for request in group {
            match self.stage(&request.batch, &mut writes) {
                Ok(()) => staged.push(request),
                Err(error) => outcomes.push((request.done, Err(error))),
            }
        }
        let result = if writes.is_empty() { Ok(()) } else { self.records.commit(writes) };
        if let Err(error) = &result {
            tracing::error!(%error, batches = staged.len(), "commit failed");
            self.heads.clear();
        }
        for Request { batch, done, _permit } in staged {
            if result.is_ok() {
                batch.claims.iter().for_each(|sha256| self.models.claimed(sha256));
            }
            outcomes.push((done, result.clone()));
        }
        outcomes
    }

    /// Adds a batch's changes, or none of them if the batch is refused.
    fn stage(&mut self, batch: &Prepared, writes: &mut Vec<Write>) -> Result<(), Error> {
        let length = writes.len();
        let mut heads: HashMap<u64, Head> = HashMap::new();
        let result = self.stage_all(batch, &mut heads, writes);
        match result {
            Ok(()) => {
                self.heads.extend(heads);
                if let Some(experiment) = batch.forget {
                    self.heads.remove(&experiment);
                }
            }
            Err(_) => writes.truncate(length),
        }
        result
    }

    fn stage_all(
        &self,
        batch: &Prepared,
        heads: &mut HashMap<u64, Head>,
        writes: &mut Vec<Write>,
    ) -> Result<(), Error> {
        for (experiment, sequence, packed) in &batch.journal {
            let head = match heads.get(experiment).or_else(|| self.heads.get(experiment)) {
                Some(head) => *head,
                None => Head::load(&self.records, *experiment)?,
            };
            let (head, value) = head.follow(*experiment, *sequence, packed)?;
            heads.insert(*experiment, head);
            stage_put(keys::journal(*experiment, *sequence), &value, writes);
        }
        for (key, value) in &batch.puts {
            stage_put(key.clone(), value, writes);
        }
        for key in &batch.deletes {
            self.records.stage_delete(key.clone(), writes)?;
        }
        writes.extend(batch.removes.iter().map(|key| Write { key: key.clone(), value: None }));
        Ok(())
    }
}
