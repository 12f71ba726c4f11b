//! One turn of the daemon between the session's state, the spool and the connection: first what is new is written, then
//! it is answered and sent.
//!
//! While the spool cannot be written nothing is answered or sent, and nothing new is taken: trials wait.

use crate::session::{SessionState, link::Link};
use crate::spool::{Disk, Spool};
use std::time::{Duration, Instant};
use toprung_proto::v1::AgentMessage;

/// How long to wait before the spool is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// The spool, and what waits for it.
pub(crate) struct Keeping<D> {
    spool: Spool<D>,
    held: Vec<AgentMessage>,
    /// The spool could not be written; it is tried again then.
    blocked: Option<Instant>,
    /// It was said that it is full.
    full: bool,
}

impl<D: Disk> Keeping<D> {
    pub(crate) fn new(spool: Spool<D>) -> Self {
        Self { spool, held: Vec::new(), blocked: None, full: false }
    }

    /// Whether anything new may be accepted.
    pub(crate) fn accepts(&self) -> bool {
        self.blocked.is_none() && self.spool.has_room()
    }

    /// When [`Self::settle`] is to be called although nothing else happens.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.blocked
    }

    /// The connection is gone: what was held for it is sent again anyway.
    pub(crate) fn disconnected(&mut self) {
        self.held.clear();
    }

    /// Writes what is new, answers those who wait for it, and sends what is due.
    pub(crate) fn settle(&mut self, state: &mut SessionState, link: &Link, now: Instant) {
        self.spool.release(state.acknowledged());
        if self.blocked.is_none_or(|until| now >= until) && self.write(state, now) {
            self.held.extend(state.outgoing(now, &mut self.spool));
            // Numbers of batches are written before the batches are sent.
            if self.write(state, now) {
                self.held.drain(..).for_each(|message| link.send(message));
            }
            self.spool.release(state.acknowledged());
        }
        self.say_whether_full();
    }

    fn write(&mut self, state: &mut SessionState, now: Instant) -> bool {
        match self.spool.append(state.unwritten()) {
            Ok(()) => {
                state.written();
                if self.blocked.take().is_some() {
                    tracing::info!("the spool can be written again");
                }
                true
            }
            Err(error) => {
                if self.blocked.is_none() {
                    tracing::error!(%error, "cannot write the spool; trials that report wait until it can be written");
                }
                self.blocked = Some(now + AGAIN);
                false
            }
        }
    }

    fn say_whether_full(&mut self) {
        let full = !self.spool.has_room();
        if full && !self.full {
            let bytes = self.spool.bytes();
            tracing::warn!(
                bytes,
                "the spool is full; trials that report wait until the engine has taken what is in it"
            );
        } else if self.full && !full {
            tracing::info!("the spool takes reports again");
        }
        self.full = full;
    }

    /// Begins anew for another engine, under another name; see [`Spool::begin_anew`].
    pub(crate) fn begin_anew(&mut self, instance: &str, engine: &str) -> std::io::Result<()> {
        self.held.clear();
        self.blocked = None;
        if let Some(place) = self.spool.begin_anew(instance, engine)? {
            tracing::error!(
                engine,
                place,
                "what was spooled for the former engine and not acknowledged is set aside; it is sent to nobody"
            );
        }
        Ok(())
    }
}
