//! How an attempt tells the daemon what happened, with bounded memory.
//!
//! Every event and every log line carries credit for its bytes. That of an event comes back when it is in the spool,
//! which is also when its trial is answered; that of a line when the engine has acknowledged it. Without credit the
//! sender waits, so a collector stops reading and at last the process that prints is held back: nothing is dropped.
//! Events have one credit per attempt and share another per agent, log lines have one per attempt, so a chatty attempt
//! holds back only itself. An attempt that prints without end reaches its limit: what follows is counted and not sent.

use crate::identity::{AttemptKey, unix_ms};
use crate::pace::{BURST, PER_SECOND, Pace};
use prost::Message as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use toprung_proto::v1::{self, LogLine, LogStream, attempt_event::Kind};

/// Bytes of log lines that one attempt may have unacknowledged.
const LOG_CREDIT: usize = 1 << 20;
/// An attempt may have one part in so many of the agent's credit for events unacknowledged: others report meanwhile,
/// and what they report does not wait behind much.
const EVENT_SHARE: usize = 32;
/// The smallest such part, in bytes.
const SMALLEST_SHARE: usize = 64 << 10;
/// Events of one attempt on their way to the spool at once: those of other attempts never wait behind more, however many
/// connections it reports over.
const TURNS: usize = 2;
/// How long a report waits for room in the log, to say that it comes too fast.
const TELLING: Duration = Duration::from_secs(1);
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
    pub(crate) credit: Option<Credit>,
    /// Who waits until it is in the spool.
    pub(crate) waiting: Option<oneshot::Sender<()>>,
    /// Somebody waits for what the engine says to it: it waits for no company.
    pub(crate) awaited: bool,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Credit {
    _own: OwnedSemaphorePermit,
    _shared: Option<OwnedSemaphorePermit>,
}

impl<T> Credited<T> {
    /// Something that the daemon itself says, without credit.
    pub fn own(item: T, bytes: usize) -> Self {
        Self { item, bytes, credit: None, waiting: None, awaited: false }
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
    log_limit: u64,
}

impl Reporters {
    /// `event_bytes`: bytes of events on their way to the spool over all attempts, at least 64 KiB. `log_limit`: bytes of
    /// output lines that one attempt may send.
    pub(crate) fn new(event_bytes: usize, log_limit: u64) -> (Self, Inbox) {
        let event_bytes = event_bytes.clamp(64 << 10, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let (events, events_inbox) = mpsc::channel(1024);
        let (logs, logs_inbox) = mpsc::channel(1024);
        let (wills, wills_inbox) = mpsc::channel(64);
        let event_credit = Arc::new(Semaphore::new(event_bytes));
        let reporters = Self { events, logs, wills, event_credit, event_bytes, log_limit };
        (reporters, Inbox { events: events_inbox, logs: logs_inbox, wills: wills_inbox })
    }

    pub(crate) fn reporter(&self, key: AttemptKey) -> Reporter {
        let share = (self.event_bytes / EVENT_SHARE).max(SMALLEST_SHARE).min(self.event_bytes);
        Reporter {
            key,
            events: self.events.clone(),
            logs: self.logs.clone(),
            wills: self.wills.clone(),
            event_credit: Arc::clone(&self.event_credit),
            event_bytes: self.event_bytes,
            turns: Arc::new(Semaphore::new(TURNS)),
            pace: Arc::default(),
            told_of_pace: Arc::default(),
            own_credit: Arc::new(Semaphore::new(share)),
            share,
            log_credit: Arc::new(Semaphore::new(LOG_CREDIT)),
            log: Arc::new(Log { limit: self.log_limit, ..Log::default() }),
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
    turns: Arc<Semaphore>,
    pace: Arc<Mutex<Pace>>,
    /// Whether the trial was told that it reports too fast.
    told_of_pace: Arc<AtomicBool>,
    /// Of this attempt alone.
    own_credit: Arc<Semaphore>,
    share: usize,
    log_credit: Arc<Semaphore>,
    log: Arc<Log>,
}

/// What an attempt has printed.
#[derive(Debug, Default)]
struct Log {
    /// Bytes that are sent at most.
    limit: u64,
    bytes: AtomicU64,
    dropped_lines: AtomicU64,
    dropped_bytes: AtomicU64,
}

impl Log {
    /// Whether a line is to be sent; else it is counted, and the first one is told.
    fn admits(&self, bytes: u64) -> Admitted {
        if self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.limit {
            return Admitted::Yes;
        }
        self.dropped_bytes.fetch_add(bytes, Ordering::Relaxed);
        match self.dropped_lines.fetch_add(1, Ordering::Relaxed) {
            0 => Admitted::FirstDropped,
            _ => Admitted::Dropped,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Admitted {
    Yes,
    FirstDropped,
    Dropped,
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
        self.hand_over(kind, false).await
    }

    /// The same of a report that the engine decides on: it is sent at once.
    pub(crate) async fn keep_awaited(&self, kind: Kind) -> Result<(), NotKept> {
        self.hand_over(kind, true).await
    }

    async fn hand_over(&self, kind: Kind, awaited: bool) -> Result<(), NotKept> {
        let _turn = self.turns.acquire().await.map_err(|_| NotKept)?;
        self.keep_pace().await;
        let event = event(self.key, kind);
        let bytes = event.encoded_len() + OVERHEAD;
        let wanted = bytes.min(self.share) as u32;
        let own = Arc::clone(&self.own_credit).acquire_many_owned(wanted).await.map_err(|_| NotKept)?;
        let wanted = bytes.min(self.event_bytes) as u32;
        let shared = Arc::clone(&self.event_credit).acquire_many_owned(wanted).await.map_err(|_| NotKept)?;
        let credit = Credit { _own: own, _shared: Some(shared) };
        let (waiting, kept) = oneshot::channel();
        let credited = Credited { item: event, bytes, credit: Some(credit), waiting: Some(waiting), awaited };
        self.events.send(credited).await.map_err(|_| NotKept)?;
        kept.await.map_err(|_| NotKept)
    }

    /// Waits as long as the attempt is ahead of its pace.
    async fn keep_pace(&self) {
        let wait = self.pace.lock().unwrap_or_else(PoisonError::into_inner).wait(Instant::now());
        if wait.is_zero() {
            return;
        }
        if !self.told_of_pace.swap(true, Ordering::Relaxed) {
            let text = format!(
                "this trial reports more than {PER_SECOND} times a second ({BURST} in a burst): its reports are taken at \
                 that pace; report less often, or several metrics at once"
            );
            // Without an engine there may be no room for a line, and reports must not wait for that.
            let told = tokio::time::timeout(TELLING, self.send_line(LogStream::Toprung, text)).await;
            if told.is_err() {
                tracing::debug!(attempt = %self.key, "no room for a line");
            }
        }
        tokio::time::sleep(wait).await;
    }

    /// Writes down what is to be said of this attempt if it ends with the daemon.
    pub(crate) async fn will(&self, exit: v1::Exit) -> Result<(), NotKept> {
        let (waiting, kept) = oneshot::channel();
        let will = Will { key: self.key, exit, waiting };
        self.wills.send(will).await.map_err(|_| NotKept)?;
        kept.await.map_err(|_| NotKept)
    }

    /// Hands an output line over; waits while the attempt has too many unacknowledged ones. Beyond the limit of the
    /// attempt's output it is only counted.
    pub(crate) async fn line(&self, stream: LogStream, text: String) {
        if stream != LogStream::Toprung {
            match self.log.admits(text.len() as u64 + 1) {
                Admitted::Yes => {}
                Admitted::Dropped => return,
                Admitted::FirstDropped => return self.send_line(LogStream::Toprung, self.limit_text()).await,
            }
        }
        self.send_line(stream, text).await;
    }

    fn limit_text(&self) -> String {
        format!(
            "this attempt has printed {} MiB, all that is kept of one; what follows is counted and dropped \
             (`toprung agent --log-limit MIB` or TOPRUNG_LOG_LIMIT raises the limit)",
            self.log.limit >> 20
        )
    }

    /// Says how much was dropped, if anything was.
    pub(crate) async fn say_dropped(&self) {
        let lines = self.log.dropped_lines.load(Ordering::Relaxed);
        if lines > 0 {
            let bytes = self.log.dropped_bytes.load(Ordering::Relaxed);
            let text = format!("{lines} lines ({} KiB) were dropped beyond the limit", bytes >> 10);
            self.send_line(LogStream::Toprung, text).await;
        }
    }

    async fn send_line(&self, stream: LogStream, text: String) {
        let bytes = text.len() + OVERHEAD;
        let wanted = bytes.min(LOG_CREDIT) as u32;
        let Ok(credit) = Arc::clone(&self.log_credit).acquire_many_owned(wanted).await else { return };
        let line = LogLine { stream: stream.into(), time_unix_ms: unix_ms(), text };
        let credit = Credit { _own: credit, _shared: None };
        let credited =
            Credited { item: (self.key, line), bytes, credit: Some(credit), waiting: None, awaited: false };
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn key(trial: u32) -> AttemptKey {
        AttemptKey { experiment: 1, trial, attempt: 1 }
    }

    #[tokio::test]
    async fn a_flood_of_events_holds_back_only_its_attempt() {
        let (reporters, mut inbox) = Reporters::new(4 << 20, 1 << 20);
        let (loud, calm) = (reporters.reporter(key(1)), reporters.reporter(key(2)));
        let step = || Kind::Preparing(v1::Preparing { step: "x".repeat(1000) });
        let mut flood = tokio::task::JoinSet::new();
        for _ in 0..400 {
            let loud = loud.clone();
            flood.spawn(async move { loud.event(step()).await });
        }
        // Nothing is written to the spool: what has come is kept, and the flood stands still at its turns.
        let mut kept = Vec::new();
        while let Ok(Some(event)) =
            tokio::time::timeout(Duration::from_millis(200), inbox.events.recv()).await
        {
            kept.push(event);
        }
        assert_eq!(kept.len(), TURNS);
        let calm = tokio::spawn(async move { calm.event(step()).await });
        let event = tokio::time::timeout(Duration::from_secs(5), inbox.events.recv()).await.unwrap().unwrap();
        assert_eq!(event.item.attempt.unwrap().trial, 2, "another attempt reports");
        event.waiting.unwrap().send(()).unwrap();
        calm.await.unwrap();
        flood.abort_all();
    }

    #[tokio::test]
    async fn output_beyond_the_limit_is_counted_and_said_once() {
        let (reporters, mut inbox) = Reporters::new(1 << 20, 2000);
        let reporter = reporters.reporter(key(1));
        for _ in 0..10 {
            reporter.line(LogStream::Stdout, "x".repeat(999)).await;
        }
        reporter.line(LogStream::Toprung, "said by the agent".to_owned()).await;
        reporter.say_dropped().await;
        drop((reporter, reporters));
        let mut said = Vec::new();
        while let Some(line) = inbox.logs.recv().await {
            said.push(line.item.1.text);
        }
        assert_eq!(said.len(), 5, "{said:?}");
        assert!(said[2].contains("--log-limit") && said[3] == "said by the agent", "{said:?}");
        assert_eq!(said[4], "8 lines (7 KiB) were dropped beyond the limit");
    }
}
