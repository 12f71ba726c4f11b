//! The whole system in one thread: the engine's machines and cores, the agent's session and contract, the in-memory
//! store, joined by a network, a disk and a clock that a seed decides on.
//!
//! ```text
//! TOPRUNG_SIMULATION_SEEDS=1000000 cargo test -p toprung-simulation --test seeds     more seeds
//! TOPRUNG_SIMULATION_SEED=123      cargo test -p toprung-simulation --test seeds -- --nocapture     one, with its log
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`world`] | one run: what may happen next, and which of it does |
//! | [`engine`], [`experiments`], [`messages`] | the engine's actors: their cores, their mailboxes, the messages between them |
//! | [`agent`], [`files`] | an agent: its session, its spool on a disk, and scripted trials with their contracts |
//! | [`outer`] | what both stand on: time, network, disk, and chance |
//! | [`program`] | a program that decides a search |
//! | [`book`] | who waits for slots, and may not be passed over |
//! | [`ledger`] | the invariants, each with its number |
//! | [`bug`] | faults that can be planted, to show that an invariant finds them |
//!
//! Only one message is handled at a time, and any mailbox that holds one may be next. Messages from one actor to another
//! keep their order, as they do in the engine.

#![expect(
    clippy::expect_used,
    reason = "a world that cannot be built is a mistake in this crate, not a finding"
)]

pub mod agent;
pub mod book;
pub mod bug;
pub mod engine;
pub mod experiments;
pub mod files;
pub mod ledger;
pub mod messages;
pub mod outer;
pub mod program;
pub mod world;

pub use bug::Bug;
pub use ledger::Violation;
pub use world::{Scenarios, Summary, run};
