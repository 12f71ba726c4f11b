//! How an attempt tells the daemon what happened, with bounded memory.
//!
//! Every event and every log line carries credit for its bytes. That of an event comes back when it is in the spool,
//! which is also when its trial is answered; that of a line when the engine has acknowledged it. Without credit the
//! sender waits, so a collector stops reading and at last the process that prints is held back: nothing is dropped.
//! Events share one credit per agent, log lines have one per attempt, so a chatty attempt holds back only itself.

use crate::identity::{AttemptKey, unix_ms};
use prost::Message as _;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use toprung_proto::v1::{self, LogLine, LogStream, attempt_event::Kind};

/// Bytes of log lines that one attempt may have unacknowledged.
const LOG_CREDIT: usize = 1 << 20;
/// What a message costs beyond its encoded bytes.
const OVERHEAD: usize = 64;

/// Something to send, with its size in bytes; its credit comes back when it is dropped.
#[derive(Debug)]
pub struct Credited<T> {
    /// What is sent.
    pub item: T,
    /// Its size.
    pub bytes: usize,
    /// `None` for what the daemon itself says.
    pub(crate) credit: Option<OwnedSemaphorePermit>,
    /// Who waits until it is in the spool.
    pub(crate) waiting: Option<oneshot::Sender<()>>,
}

impl<T> Credited<T> {
    /// Something that the daemon itself says, without credit.
    pub fn own(item: T, bytes: usize) -> Self {
        Self { item, bytes, credit: None, waiting: None }
    }
}

/// Something was not written to the spool: the agent has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotKept;

impl From<NotKept> for String {
    fn from(_: NotKept) -> Self {
        "the agent ended before it could keep this".to_owned()
    }
}

/// What is to be said of an attempt that ends with the daemon.
pub(crate) struct Will {
    pub(crate) key: AttemptKey,
    pub(crate) exit: v1::Exit,
    pub(crate) waiting: oneshot::Sender<()>,
}

/// A printed line of an attempt.
pub type AttemptLine = (AttemptKey, LogLine);

/// The daemon's side of the channels.
pub(crate) struct Inbox {
    pub(crate) events: mpsc::Receiver<Credited<v1::AttemptEvent>>,
    pub(crate) logs: mpsc::Receiver<Credited<AttemptLine>>,
    pub(crate) wills: mpsc::Receiver<Will>,
}

/// Makes a [`Reporter`] for each attempt.
pub(crate) struct Reporters {
    events: mpsc::Sender<Credited<v1::AttemptEvent>>,
    logs: mpsc::Sender<Credited<AttemptLine>>,
    wills: mpsc::Sender<Will>,
    event_credit: Arc<Semaphore>,
    event_bytes: usize,
}

impl Reporters {
    /// `event_bytes`: bytes of events on their way to the spool over all attempts, at least 64 KiB.
    pub(crate) fn new(event_bytes: usize) -> (Self, Inbox) {
        let event_bytes = event_bytes.clamp(64 << 10, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let (events, events_inbox) = mpsc::channel(1024);
        let (logs, logs_inbox) = mpsc::channel(1024);
        let (wills, wills_inbox) = mpsc::channel(64);
        let event_credit = Arc::new(Semaphore::new(event_bytes));
        let reporters = Self { events, logs, wills, event_credit, event_bytes };
        (reporters, Inbox { events: events_inbox, logs: logs_inbox, wills: wills_inbox })
    }

    pub(crate) fn reporter(&self, key: AttemptKey) -> Reporter {
        Reporter {
            key,
            events: self.events.clone(),
            logs: self.logs.clone(),
            wills: self.wills.clone(),
            event_credit: Arc::clone(&self.event_credit),
            event_bytes: self.event_bytes,
            log_credit: Arc::new(Semaphore::new(LOG_CREDIT)),
        }
    }
}

/// What one attempt sends. Clones share the attempt's credit.
#[derive(Clone)]
pub(crate) struct Reporter {
    key: AttemptKey,
    events: mpsc::Sender<Credited<v1::AttemptEvent>>,
    logs: mpsc::Sender<Credited<AttemptLine>>,
    wills: mpsc::Sender<Will>,
    event_credit: Arc<Semaphore>,
    event_bytes: usize,
    log_credit: Arc<Semaphore>,
}

impl Reporter {
    /// Hands an event over and waits until it is in the spool. After the daemon ended there is nobody to tell.
    pub(crate) async fn event(&self, kind: Kind) {
        if self.keep(kind).await.is_err() {
            tracing::debug!(attempt = %self.key, "an event came after the agent ended");
        }
    }

    /// Hands an event over and waits until it is in the spool: only then may its trial be told that it is accepted.
    /// Waits as long as the spool cannot be written or is full.
    pub(crate) async fn keep(&self, kind: Kind) -> Result<(), NotKept> {
        let event = event(self.key, kind);
        let bytes = event.encoded_len() + OVERHEAD;
        let wanted = bytes.min(self.event_bytes) as u32;
        let credit = Arc::clone(&self.event_credit).acquire_many_owned(wanted).await.map_err(|_| NotKept)?;
        let (waiting, kept) = oneshot::channel();
        let credited = Credited { item: event, bytes, credit: Some(credit), waiting: Some(waiting) };
        self.events.send(credited).await.map_err(|_| NotKept)?;
        kept.await.map_err(|_| NotKept)
    }

    /// Writes down what is to be said of this attempt if it ends with the daemon.
    pub(crate) async fn will(&self, exit: v1::Exit) -> Result<(), NotKept> {
        let (waiting, kept) = oneshot::channel();
        let will = Will { key: self.key, exit, waiting };
        self.wills.send(will).await.map_err(|_| NotKept)?;
        kept.await.map_err(|_| NotKept)
    }

    /// Hands an output line over; waits while the attempt has too many unacknowledged ones.
    pub(crate) async fn line(&self, stream: LogStream, text: String) {
        let bytes = text.len() + OVERHEAD;
        let wanted = bytes.min(LOG_CREDIT) as u32;
        let Ok(credit) = Arc::clone(&self.log_credit).acquire_many_owned(wanted).await else { return };
        let line = LogLine { stream: stream.into(), time_unix_ms: unix_ms(), text };
        let credited = Credited { item: (self.key, line), bytes, credit: Some(credit), waiting: None };
        let sent = self.logs.send(credited).await;
        if sent.is_err() {
            tracing::debug!(attempt = %self.key, "a line came after the agent ended");
        }
    }

    /// Says what the attempt waits for, to the engine and in its log.
    pub(crate) async fn step(&self, step: impl Into<String>) {
        let step = step.into();
        self.line(LogStream::Toprung, step.clone()).await;
        self.event(Kind::Preparing(v1::Preparing { step })).await;
    }
}

/// The event of an attempt as on the wire.
pub(crate) fn event(key: AttemptKey, kind: Kind) -> v1::AttemptEvent {
    v1::AttemptEvent { attempt: Some(key.to_wire()), kind: Some(kind) }
}
