//! The shells around the pure parts (`crate::cores` decides, they act). Each actor owns one thing; only its handle leaves its module.
//!
//! ```text
//! Engine (root supervisor)
//! ├── Pool                      slots, queue; owns all placement decisions
//! ├── Sessions ── Session       one per connected agent: its stream, its lease
//! ├── Collector                 checkpoints that nothing keeps: marks them, has them removed
//! └── Experiments ── Experiment one per active experiment: machine, journal, effects
//! ```
//!
//! Messages between siblings are casts that are answered by other messages. Calls carry a deadline
//! ([`CALL_DEADLINE`]) and answer [`Unavailable`] when it passes. Mailboxes of ractor are unbounded: what enters from
//! outside carries a permit (the API's admission, a session's credit), and everything else is bounded by slots.

pub mod collector;
pub mod experiment;
pub mod experiments;
pub mod pool;
pub mod session;
pub mod sessions;

use std::time::Duration;
use tokio::sync::oneshot;

/// Something to do once everything before it is durable.
pub type Reply = Box<dyn FnOnce() + Send>;

/// Longest wait for an answer from an actor.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// An actor is gone or did not answer in time. The caller may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} does not answer; try again")]
pub struct Unavailable(pub &'static str);

/// Waits for an answer, up to the deadline.
pub(crate) async fn answer<T>(who: &'static str, receiver: oneshot::Receiver<T>) -> Result<T, Unavailable> {
    match tokio::time::timeout(CALL_DEADLINE, receiver).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(_)) | Err(_) => Err(Unavailable(who)),
    }
}

/// Sends a message whose loss is not an error: the receiver is gone, and with it the need for the message.
pub(crate) fn cast<M: ractor::Message>(actor: &ractor::ActorRef<M>, message: M) {
    if let Err(error) = actor.cast(message) {
        tracing::debug!(%error, "message to a stopped actor dropped");
    }
}

/// Ends an actor and waits for it, for a while.
pub(crate) async fn stop<M: ractor::Message>(actor: &ractor::ActorRef<M>) {
    if let Err(error) = actor.stop_and_wait(None, Some(Duration::from_secs(2))).await {
        tracing::warn!(%error, "an actor did not end in time");
    }
}

/// Milliseconds since 1970. The only clock of the engine; it enters the machines with their inputs.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
