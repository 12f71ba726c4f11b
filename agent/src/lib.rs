//! The agent: the daemon that owns a node's slots and runs attempts.
//!
//! | module | idea |
//! |---|---|
//! | `run`, `ending` | what has to be there before the engine is told of this agent; how the agent ends |
//! | `daemon` | the event loop: connects the parts below |
//! | `session` | what is said to the engine, decided in pure code ([`session::SessionState`]) |
//! | `attempt` | the life of one attempt: prepare, start, watch, exit |
//! | `contract` | what a trial may ask over its socket, and the answers |
//! | `report`, `pace` | how an attempt tells the daemon what happened, with credits; how often it may |
//! | `checkpoint` | a checkpoint on this disk is complete or absent |
//! | `deletions` | checkpoints that are not wanted any more leave the disk |
//! | `remote`, `uploads` | checkpoints in object stores: a bounded cache, and the way there |
//! | `spool` | what is not acknowledged yet, on disk |
//! | `keeping` | a turn of the daemon: write, then answer, then send |
//! | `environment` | Python environments, built once per content |
//! | `model` | model directories, fetched once per content |
//! | `orphans`, `escaped` | no process outlives its attempt, or the agent |
//! | `lock`, `layout`, `slots` | one daemon per state directory; where everything lies in it; what this node offers |
//!
//! The agent never decides about the search. Invariants: each attempt's `Exit` is sent exactly once; nothing that a
//! trial was told is accepted is dropped, also when the agent is killed (what cannot be kept holds back the process that
//! says it); memory is bounded by the credits in [`report`]; no process of an attempt outlives the agent.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod attempt;
mod checkpoint;
mod contract;
mod daemon;
mod deletions;
mod ending;
mod environment;
mod error;
mod escaped;
mod flag;
mod identity;
mod keeping;
mod layout;
mod length;
mod lock;
mod model;
mod options;
mod orphans;
mod pace;
mod python_package;
mod remote;
mod report;
mod run;
mod session;
mod slots;
mod spool;
mod uploads;

pub use error::Error;
pub use identity::host_name;
pub use options::Options;
pub use run::run;

/// The pure parts of the agent: what it says to the engine, and what is agreed with a running trial. For simulations
/// of the whole system; the daemon is made of the same ones.
pub mod parts {
    pub use crate::contract::request::{Answer, Group};
    pub use crate::contract::state::{Contract, Demand, Order, Terms};
    #[doc(hidden)]
    pub use crate::contract::untrusted::answers;
    pub use crate::identity::AttemptKey;
    pub use crate::report::{AttemptLine, Credited};
    pub use crate::session::state::{Effect, Identity, SessionState};
    pub use crate::spool::{Disk, Entries, Limits, Recovered, Source, Spool};
}
pub use slots::detect_slots;
