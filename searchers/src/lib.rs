//! Search methods: which trials exist, and how long each of them trains.
//!
//! Everything here is a pure function of its inputs: no clock, no I/O, no threads, no globals, no hash maps.
//! A [`Searcher`] receives [`Event`]s and returns [`Action`]s; it never touches the world.
//!
//! | module | holds |
//! |---|---|
//! | [`method`] | the contract: events, actions, the [`Method`] trait |
//! | [`config`] | what a search is configured with |
//! | [`searcher`] | the [`Searcher`] that runs one method |
//! | [`mod@plan`] | what a search will cost before it starts |
//! | `brackets` | how adaptive ASHA and Hyperband share out their trials |
//! | [`reason`] | why a searcher did something, with the numbers used |
//! | [`space`] | hyperparameters, the domains they are drawn from, grids |
//! | [`stream`] | random numbers that depend on nothing but seed, trial and purpose |
//! | [`divisor`] | exact arithmetic of rungs |
//! | `ladder` | the lengths of rungs |
//! | [`models`] | where in the space the next trial should be |
//! | `history` | what trials have reported, as models want it |
//! | `rung` | one rung: an order-statistics tree of metrics |
//! | [`wish`] | what the program of a `custom` search may want |
//! | `methods` | the methods themselves |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod brackets;
pub mod config;
pub mod divisor;
mod error;
mod history;
mod ladder;
pub mod method;
mod methods;
pub mod models;
mod normal;
pub mod plan;
pub mod reason;
mod rung;
pub mod searcher;
pub mod space;
pub mod stream;
pub mod wish;

pub use config::{Mode, Population, SearcherConfig};
pub use error::Error;
pub use method::{Action, Context, Create, Event, ExitReason, Method, RungView, TrialId};
pub use models::ModelConfig;
pub use plan::{Plan, plan};
pub use reason::{Reason, Standing};
pub use searcher::Searcher;
pub use space::{
    Assignment, Constraint, Dimension, Domain, Prior, Space, Value, from_json_text, to_json_text,
};
pub use stream::trial_seed;
pub use wish::{Directed, Wish};
