//! The output of trials: compressed frames in segment files, with an index in the tree.
//!
//! Frames of an experiment are numbered 0, 1, 2… in the order of their arrival; a frame holds lines of any of its trials.
//! The index says for the experiment and for each trial in the frame where the frame lies. A frame counts when its
//! index is durable; bytes in a segment without one (a crash came between) are never read. Logs have a queue and a
//! thread of their own, so that they never hold up commits; only their index passes through the main writer.

mod read;
mod segment;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use toprung_proto::v1::{LogLine, TrialLogLine};

use crate::Error;
use crate::files::Files;
use crate::records::Records;
use crate::writer::{Done, Writer};
use segment::Segments;

pub use read::LogPage;

/// Appends that may wait for the logs' thread.
const QUEUE: usize = 256;
/// Bytes of lines that may wait for the logs' thread.
const QUEUE_BYTES: usize = 16 << 20;
/// The largest append, in bytes of text.
const MAX_APPEND: usize = 8 << 20;

/// Appends and reads the lines of trials.
pub struct Logs {
    route: Route,
    records: Records,
    files: Arc<Files>,
}

enum Route {
    Thread { queue: mpsc::Sender<Command>, bytes: Arc<Semaphore> },
    Inline(Box<Mutex<Segments>>),
    Closed,
}

/// Lines to append and whom to tell.
struct Append {
    experiment: u64,
    lines: Vec<TrialLogLine>,
    size: usize,
    done: Done,
    permit: Option<OwnedSemaphorePermit>,
}

enum Command {
    Append(Append),
    /// The experiment is being deleted.
    Forget {
        experiment: u64,
        done: std::sync::mpsc::SyncSender<()>,
    },
}

impl Logs {
    pub(crate) fn start(
        records: Records,
        files: Arc<Files>,
        writer: Writer,
    ) -> Result<(Self, JoinHandle<()>), Error> {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let segments = Segments::new(records.clone(), files.clone(), writer);
        let thread = std::thread::Builder::new()
            .name("store-logs".to_owned())
            .spawn(move || run(segments, receiver))
            .map_err(|error| {
                Error::io("start the log writer of", std::path::Path::new("the store"), error)
            })?;
        let route = Route::Thread { queue, bytes: Arc::new(Semaphore::new(QUEUE_BYTES)) };
        Ok((Self { route, records, files }, thread))
    }

    pub(crate) fn inline(records: Records, files: Arc<Files>, writer: Writer) -> Self {
        let segments = Segments::new(records.clone(), files.clone(), writer);
        Self { route: Route::Inline(Box::new(Mutex::new(segments))), records, files }
    }

    /// Appends lines (trial, attempt, line) of an experiment; durable when it returns. Waits while the queue is full.
    pub async fn append(&self, experiment: u64, lines: Vec<(u32, u32, LogLine)>) -> Result<(), Error> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // The receiver is gone if the caller was cancelled; the lines are written all the same.
        let done = Box::new(move |result| drop(sender.send(result)));
        let mut append = prepare(experiment, lines, done)?;
        match &self.route {
            Route::Closed => return Err(Error::Closed),
            Route::Inline(segments) => append_inline(segments, append),
            Route::Thread { queue, bytes } => {
                let permit = bytes.clone().acquire_many_owned(append.size as u32).await;
                append.permit = Some(permit.map_err(|_| Error::Closed)?);
                queue.send(Command::Append(append)).await.map_err(|_| Error::Closed)?;
            }
        }
        receiver.await.map_err(|_| Error::Closed)?
    }

    /// Queues lines without waiting; `done` is called when they are durable or have failed. When `submit` itself fails
    /// ([`Error::Busy`]: the queue is full), nothing was queued and `done` is never called.
    pub fn submit(
        &self,
        experiment: u64,
        lines: Vec<(u32, u32, LogLine)>,
        done: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let mut append = prepare(experiment, lines, Box::new(done))?;
        match &self.route {
            Route::Closed => return Err(Error::Closed),
            Route::Inline(segments) => append_inline(segments, append),
            Route::Thread { queue, bytes } => {
                let permit = bytes.clone().try_acquire_many_owned(append.size as u32);
                append.permit = Some(permit.map_err(|_| Error::Busy)?);
                queue.try_send(Command::Append(append)).map_err(|error| match error {
                    mpsc::error::TrySendError::Full(_) => Error::Busy,
                    mpsc::error::TrySendError::Closed(_) => Error::Closed,
                })?;
            }
        }
        Ok(())
    }

    /// Lines of an experiment, or of one of its trials, from frame `from_frame` (0: the first) on, in the order of
    /// their arrival. Whole frames: stops after the one that reaches `limit_lines`. Synchronous.
    pub fn read(
        &self,
        experiment: u64,
        trial: Option<u32>,
        from_frame: u64,
        limit_lines: usize,
    ) -> Result<LogPage, Error> {
        read::forward(&self.records, &self.files, experiment, trial, from_frame, limit_lines)
    }

    /// The last `count` lines of an experiment, or of one of its trials. Synchronous.
    pub fn tail(&self, experiment: u64, trial: Option<u32>, count: usize) -> Result<LogPage, Error> {
        read::tail(&self.records, &self.files, experiment, trial, count)
    }

    /// The number of the first frame of an experiment from `from` on.
    pub(crate) fn next_frame(&self, experiment: u64, from: u64) -> Result<Option<u64>, Error> {
        Ok(read::place(&self.records, experiment, from)?.map(|(number, _)| number))
    }

    /// The first frame of an experiment from `from` on, with its number. One that cannot be read, or has not the lines
    /// that its index says, is an error.
    pub(crate) fn frame(
        &self,
        experiment: u64,
        from: u64,
    ) -> Result<Option<(u64, toprung_proto::v1::StreamLogsResponse)>, Error> {
        let Some((number, place)) = read::place(&self.records, experiment, from)? else {
            return Ok(None);
        };
        Ok(Some((number, read::whole(&self.files, experiment, place)?)))
    }

    /// Lets the thread end when its queue is empty.
    pub(crate) fn close(&mut self) {
        self.route = Route::Closed;
    }

    /// Waits until everything queued for the experiment is written, and forgets where it was writing.
    pub(crate) fn forget(&self, experiment: u64) -> Result<(), Error> {
        match &self.route {
            Route::Closed => Err(Error::Closed),
            Route::Inline(segments) => {
                segments.lock().unwrap_or_else(PoisonError::into_inner).forget(experiment);
                Ok(())
            }
            Route::Thread { queue, .. } => {
                let (done, receiver) = std::sync::mpsc::sync_channel(1);
                queue.blocking_send(Command::Forget { experiment, done }).map_err(|_| Error::Closed)?;
                crate::writer::wait(&receiver)
            }
        }
    }
}

/// Removes the segments of an experiment.
pub(crate) fn remove(files: &Files, experiment: u64) -> Result<(), Error> {
    files.remove_all(&segment::directory(experiment))
}

fn prepare(experiment: u64, lines: Vec<(u32, u32, LogLine)>, done: Done) -> Result<Append, Error> {
    let size = lines.iter().map(|(_, _, line)| line.text.len() + 32).sum();
    if size > MAX_APPEND {
        return Err(Error::TooLarge { what: "an append of log lines", size, limit: MAX_APPEND });
    }
    let lines = lines
        .into_iter()
        .map(|(trial, attempt, line)| TrialLogLine { trial, attempt, line: Some(line) })
        .collect();
    Ok(Append { experiment, lines, size, done, permit: None })
}

fn append_inline(segments: &Mutex<Segments>, append: Append) {
    segments.lock().unwrap_or_else(PoisonError::into_inner).append(vec![append]);
}

fn run(mut segments: Segments, mut queue: mpsc::Receiver<Command>) {
    let mut pending = None;
    while let Some(command) = pending.take().or_else(|| queue.blocking_recv()) {
        match command {
            Command::Forget { experiment, done } => {
                segments.forget(experiment);
                // Nobody is left to tell if the deletion was given up.
                let _ = done.send(());
            }
            Command::Append(first) => {
                let mut size = first.size;
                let mut group = vec![first];
                while size < segment::FRAME_BYTES {
                    match queue.try_recv() {
                        Ok(Command::Append(append)) if append.experiment == group[0].experiment => {
                            size += append.size;
                            group.push(append);
                        }
                        Ok(other) => {
                            pending = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                segments.append(group);
            }
        }
    }
}
