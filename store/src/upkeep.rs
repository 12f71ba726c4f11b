//! A thread that looks after the redo log: takes a new base when the log has grown, and tries a store that could not
//! write until it can again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Error;
use crate::durable::Durable;

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(1);
/// How many times it looks before a base that failed is tried again.
const REST: u32 = 30;

/// The thread. It ends with [`Upkeep::end`].
pub(crate) struct Upkeep {
    stop: Arc<AtomicBool>,
    /// Dropped to wake the thread.
    running: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    /// Starts it.
    pub(crate) fn start(durable: Arc<Durable>) -> Result<Self, Error> {
        let (running, ended) = sync_channel(0);
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let thread = std::thread::Builder::new()
            .name("store-upkeep".to_owned())
            .spawn(move || run(&durable, &seen, &ended))
            .map_err(|error| Error::io("start the upkeep of", Path::new("the store"), error))?;
        Ok(Self { stop, running: Some(running), thread: Some(thread) })
    }

    /// Ends it and waits for it.
    pub(crate) fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.running = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the upkeep of the store panicked");
        }
    }
}

fn run(durable: &Durable, stop: &AtomicBool, ended: &Receiver<()>) {
    let mut rest = 0_u32;
    while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
        // The outcome is in the health.
        let _ = if durable.health().is_ok() { Ok(()) } else { durable.probe() };
        rest = rest.saturating_sub(1);
        if rest == 0
            && durable.wants_base()
            && let Err(error) = durable.take_base(stop)
        {
            tracing::warn!(%error, "no base of the redo log was taken; the log grows on");
            rest = REST;
        }
    }
}
