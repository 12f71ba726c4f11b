//! The engine: the service that runs searches.
//!
//! | module | holds |
//! |---|---|
//! | `engine` | in which order the parts come up, and how they end |
//! | [`experiment`] | one experiment as a pure state machine: **where everything about trials is decided** |
//! | [`scheduler`] | who gets slots, as a pure value |
//! | [`cores`] | what the actors around both decide, without actors |
//! | [`actors`] | the shells around both: journal, then act |
//! | [`api`] | gRPC: the search service and the agent service |
//! | [`load`] | an experiment from its journal |
//! | [`retrace`] | every decision of a journal, made once more |
//! | [`archive`] | what is read from the store because it is not in memory any more |
//! | [`collect`] | checkpoints that nothing keeps, in the store |
//! | [`deleted`] | checkpoints of deleted experiments, in the store |
//! | [`publish`] | the files by which programs on this host find a running engine |
//!
//! The engine does not know how a trial is run; that is the agent's.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod actors;
mod api;
mod archive;
mod collect;
pub mod cores;
mod deleted;
mod engine;
mod error;
pub mod experiment;
pub mod load;
mod names;
pub mod publish;
pub mod retrace;
pub mod scheduler;

pub use engine::{Engine, Options, Tls};
pub use error::Error;
