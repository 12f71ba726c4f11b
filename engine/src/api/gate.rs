//! What is let in. Every bound answers at once, or after a short wait, with when to come again (`RetryInfo`).
//!
//! | bound | beyond it |
//! |---|---|
//! | calls under way | RESOURCE_EXHAUSTED |
//! | streams (watching, reports, logs) | RESOURCE_EXHAUSTED |
//! | bytes of model archives under way | waits a while ([`super::uploads`]), then RESOURCE_EXHAUSTED |
//! | changes while the store cannot write | UNAVAILABLE |

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use toprung_store::{Health, Store};

/// Calls under way at once.
const MAX_CALLS: usize = 4_096;
/// Streams open at once: each has a task, and wakes with its experiment.
const MAX_STREAMS: usize = 1_024;
/// When a call that found no room may come again.
const BUSY: Duration = Duration::from_secs(1);
/// The store looks at its disk every second.
const DEGRADED: Duration = Duration::from_secs(2);

/// The bounds of the API.
#[derive(Clone)]
pub struct Gate {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    store: Store,
}

impl Gate {
    /// All open.
    pub fn new(store: Store) -> Self {
        Self {
            calls: Arc::new(Semaphore::new(MAX_CALLS)),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            store,
        }
    }

    /// Room for a call. RESOURCE_EXHAUSTED: there is none.
    pub fn call(&self) -> Result<OwnedSemaphorePermit, Status> {
        let busy = |_| later(Code::ResourceExhausted, format!("{MAX_CALLS} calls are under way"), BUSY);
        self.calls.clone().try_acquire_owned().map_err(busy)
    }

    /// Room for a stream. RESOURCE_EXHAUSTED: there is none.
    pub fn stream(&self) -> Result<OwnedSemaphorePermit, Status> {
        let busy = |_| later(Code::ResourceExhausted, format!("{MAX_STREAMS} streams are open"), BUSY);
        self.streams.clone().try_acquire_owned().map_err(busy)
    }

    /// Room for a call that changes something. UNAVAILABLE: the store cannot write.
    pub fn change(&self) -> Result<OwnedSemaphorePermit, Status> {
        let admitted = self.call()?;
        self.writable()?;
        Ok(admitted)
    }

    /// UNAVAILABLE if the store cannot write.
    pub fn writable(&self) -> Result<(), Status> {
        match degraded(&self.store.health()) {
            Some(reason) => Err(later(Code::Unavailable, reason, DEGRADED)),
            None => Ok(()),
        }
    }

    /// The same words for those who look; empty: the store takes writes.
    pub fn degraded(&self) -> String {
        degraded(&self.store.health()).unwrap_or_default()
    }
}

/// What people are told of a store that cannot write.
pub fn degraded(health: &Health) -> Option<String> {
    match health {
        Health::Ok => None,
        Health::Degraded { reason } => Some(format!("degraded: {reason}")),
    }
}

/// A refusal that says when to come again.
pub fn later(code: Code, message: impl Into<String>, after: Duration) -> Status {
    Status::with_error_details(code, message, ErrorDetails::with_retry_info(Some(after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_told_when_to_come_again() {
        let gate = Gate::new(Store::in_memory().unwrap());
        let open: Vec<_> = (0..MAX_STREAMS).map(|_| gate.stream().unwrap()).collect();
        let refused = gate.stream().unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.get_details_retry_info().unwrap().retry_delay, Some(BUSY));
        assert!(gate.change().is_ok(), "streams take no room of calls");
        drop(open);
        assert!(gate.stream().is_ok());
    }

    #[test]
    fn a_store_that_cannot_write_has_one_wording() {
        let health = Health::Degraded { reason: "store cannot write (x)".to_owned() };
        assert_eq!(degraded(&health).unwrap(), "degraded: store cannot write (x)");
        assert_eq!(degraded(&Health::Ok), None);
    }
}
