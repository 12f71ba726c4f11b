//! The session with the engine: what to send and what to do is decided in [`state`], without I/O; [`connection`] moves bytes.

pub(crate) mod backoff;
mod book;
pub(crate) mod connection;
pub(crate) mod link;
mod outbox;
pub(crate) mod state;

pub(crate) use state::{Effect, SessionState};
