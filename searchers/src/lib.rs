//! Search methods: which trials exist, and how long each of them trains.
//!
//! Everything here is a pure function of its inputs: no clock, no I/O, no threads, no globals, no hash maps.
//! A [`Searcher`] receives [`Event`]s and returns [`Action`]s; it never touches the world.
//!
//! | file | holds |
//! |---|---|
//! | [`method`] | events, actions, the [`method::Method`] trait, the [`Searcher`] that runs one |
//! | [`space`] | hyperparameters and the domains they are drawn from |

pub mod method;
pub mod space;

pub use method::{Action, Create, Event, ExitReason, Reason, RungView, Searcher, SearcherConfig, TrialId};
pub use space::{Assignment, Domain, Space, Value};
