//! One experiment as a pure state machine: `(state, input) → (state, journal record, effects)`.
//!
//! No clock, no I/O, no async, no randomness of its own: time comes in with each input, drawn hyperparameters are
//! kept in the journal. Folding the journal through [`Machine::step`] gives the same state and the same decisions.
//!
//! | file | holds |
//! |---|---|
//! | [`machine`] | the state, and `step`: where each input is handled |
//! | [`reports`] | what agents say of attempts: starts, reports, checkpoints |
//! | [`external`], [`answers`] | programs outside that ask for trials and tell what came of them; what they are answered |
//! | [`program`], [`directing`] | the program that decides a `custom` search: what it has not seen yet; whether what it wants can be |
//! | [`control`] | pause, resume, kill, and the way to the end |
//! | [`exits`] | what follows from the end of an attempt (retry, requeue, error) |
//! | [`failures`] | whose failure it was: charged or not, where the trial goes next, which agent is excluded |
//! | [`nodes`] | how the agents fare in this experiment |
//! | [`trouble`], [`ends`] | what a trial has gone through; the counters |
//! | [`actions`] | what follows from the searcher's actions |
//! | [`restless`] | trials that are told to pause and have nothing to continue from |
//! | [`collection`] | which checkpoints nothing keeps any more |
//! | [`trial`] | one trial's state |
//! | [`spec`] | what never changes in an experiment: its checked configuration |
//! | [`reconcile`] | effects derived anew after a restart, and what an agent may keep |
//! | [`effect`] | what the shell has to do once a step is durable |
//! | [`view`] | the state as people and programs see it |
//! | [`snapshot`] | the state as bytes |
//!
//! Invariants, checked by `machine_properties`:
//! * a trial holds slots only through its newest attempt; older attempts change nothing;
//! * a trial is charged at most `max_restarts` failures; the last agent is never excluded;
//! * attempts that hold slots never exceed `max_concurrent_trials`;
//! * every trial ends once the experiment has ended, and every allocation is released exactly once.

pub mod actions;
pub mod answers;
pub mod collection;
pub mod control;
pub mod directing;
#[cfg(test)]
mod directing_tests;
pub mod effect;
pub mod ends;
pub mod exits;
pub mod external;
#[cfg(test)]
mod external_tests;
#[cfg(test)]
mod failure_tests;
pub mod failures;
pub mod machine;
#[cfg(test)]
mod machine_checks;
#[cfg(test)]
mod machine_properties;
#[cfg(test)]
mod machine_tests;
#[cfg(test)]
mod machine_world;
pub mod nodes;
pub mod program;
#[cfg(test)]
mod program_world;
pub mod reconcile;
pub mod reports;
pub mod restless;
pub mod snapshot;
pub mod spec;
pub mod trial;
pub mod trouble;
pub mod view;

pub use effect::{Effect, Step};
pub use machine::{Machine, State};
pub use spec::Spec;
