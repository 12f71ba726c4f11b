//! How an attempt tells the daemon what happened, with bounded memory.
//!
//! Every event and every log line carries credit for its bytes; the credit comes back when the engine has acknowledged
//! it. Without credit the sender waits, so a collector stops reading and at last the process that prints is held back:
//! nothing is dropped. Events share one credit per agent, log lines have one per attempt, so a chatty attempt
//! holds back only itself.

use crate::identity::{AttemptKey, unix_ms};
use prost::Message as _;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
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
    pub(crate) _credit: Option<OwnedSemaphorePermit>,
}

impl<T> Credited<T> {
    /// Something that the daemon itself says, without credit.
    pub fn own(item: T, bytes: usize) -> Self {
        Self { item, bytes, _credit: None }
    }
}

/// A printed line of an attempt.
pub type AttemptLine = (AttemptKey, LogLine);

/// The daemon's side of the channels.
pub(crate) struct Inbox {
    pub(crate) events: mpsc::Receiver<Credited<v1::AttemptEvent>>,
    pub(crate) logs: mpsc::Receiver<Credited<AttemptLine>>,
}

/// Makes a [`Reporter`] for each attempt.
pub(crate) struct Reporters {
    events: mpsc::Sender<Credited<v1::AttemptEvent>>,
    logs: mpsc::Sender<Credited<AttemptLine>>,
    event_credit: Arc<Semaphore>,
    event_bytes: usize,
}

impl Reporters {
    /// `event_bytes`: unacknowledged bytes of events over all attempts, at least 64 KiB.
    pub(crate) fn new(event_bytes: usize) -> (Self, Inbox) {
        let event_bytes = event_bytes.clamp(64 << 10, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let (events, events_inbox) = mpsc::channel(1024);
        let (logs, logs_inbox) = mpsc::channel(1024);
        let reporters =
            Self { events, logs, event_credit: Arc::new(Semaphore::new(event_bytes)), event_bytes };
        (reporters, Inbox { events: events_inbox, logs: logs_inbox })
    }

    pub(crate) fn reporter(&self, key: AttemptKey) -> Reporter {
        Reporter {
            key,
            events: self.events.clone(),
            logs: self.logs.clone(),
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
    event_credit: Arc<Semaphore>,
    event_bytes: usize,
    log_credit: Arc<Semaphore>,
}

impl Reporter {
    /// Hands an event over; waits while the engine is behind. After the daemon ended there is nobody to tell.
    pub(crate) async fn event(&self, kind: Kind) {
        let event = event(self.key, kind);
        let bytes = event.encoded_len() + OVERHEAD;
        let wanted = bytes.min(self.event_bytes) as u32;
        let Ok(credit) = Arc::clone(&self.event_credit).acquire_many_owned(wanted).await else { return };
        let sent = self.events.send(Credited { item: event, bytes, _credit: Some(credit) }).await;
        if sent.is_err() {
            tracing::debug!(attempt = %self.key, "an event came after the agent ended");
        }
    }

    /// Hands an output line over; waits while the attempt has too many unacknowledged ones.
    pub(crate) async fn line(&self, stream: LogStream, text: String) {
        let bytes = text.len() + OVERHEAD;
        let wanted = bytes.min(LOG_CREDIT) as u32;
        let Ok(credit) = Arc::clone(&self.log_credit).acquire_many_owned(wanted).await else { return };
        let line = LogLine { stream: stream.into(), time_unix_ms: unix_ms(), text };
        let sent = self.logs.send(Credited { item: (self.key, line), bytes, _credit: Some(credit) }).await;
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
