//! The simulation harness: searchers in virtual time over recorded or synthetic learning curves.
//!
//! The searchers are those that the engine runs; there is no second implementation.
//!
//! | module | holds |
//! |---|---|
//! | [`task`] | what a search is played on |
//! | [`table`] | tasks of recorded learning curves |
//! | [`recording`] | tasks of an experiment that ran |
//! | [`synthetic`] | tasks made from formulae and seeds |
//! | [`player`] | who plays: searchers and baselines |
//! | [`units`] | a player that counts otherwise than the task |
//! | [`world`] | a simulated cluster: slots, overheads, faults, in virtual time |
//! | [`noise`] | the random numbers of the simulated world |
//! | [`protocol`] | the protocol of comparison on recorded tables |
//! | [`judge`] | who was better, by when, and whether it is more than luck |
//! | [`report`] | the same as tables, files and a page to look at |
//! | [`run`] | what one simulated search did: the border between simulating and judging |
//!
//! # Example
//!
//! Two divisors of ASHA, by the interquartile mean of their regret over ten seeds. Smaller is better.
//!
//! ```
//! use toprung_searchers::{Searcher, SearcherConfig};
//! use toprung_simulations::judge::interval::interquartile_mean;
//! use toprung_simulations::synthetic::{PowerLaw, Shape};
//! use toprung_simulations::{Limits, Task, World};
//!
//! let task = PowerLaw::new("power", 1, 4, 27, Shape::default())?;
//! let scale = task.scale();
//! // Eight slots, and time for two trainings in full on each.
//! let limits = Limits { time: 2.0 * scale.mean_full_cost, ..Limits::default() };
//! let world = World { limits, ..World::calm(8) };
//! for divisor in [2.0, 4.0] {
//!     let asha = SearcherConfig::AsyncHalving {
//!         num_rungs: 64,
//!         max_trials: 10_000,
//!         divisor,
//!         min_length: Some(1),
//!         max_length: task.max_length(),
//!         max_concurrent_trials: 0,
//!         stop_once: false,
//!     };
//!     let mut regrets = Vec::new();
//!     for seed in 0..10 {
//!         let mut searcher = Searcher::new(asha.clone(), task.space().clone(), seed)?;
//!         let outcome = world.play(&task, &mut searcher, "asha", seed)?;
//!         let best = outcome.run.steps.last().map_or(scale.cap, |step| step.best);
//!         regrets.push(scale.norm_regret(best));
//!     }
//!     println!("divisor {divisor}: {:.3}", interquartile_mean(&regrets));
//! }
//! # Ok::<(), toprung_simulations::Error>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod error;
pub mod judge;
pub mod noise;
pub mod player;
pub mod protocol;
pub mod recording;
pub mod report;
pub mod run;
pub mod synthetic;
pub mod table;
pub mod task;
pub mod units;
pub mod world;

pub use error::Error;
pub use player::{FirstThenBest, Player, Rounds};
pub use protocol::Protocol;
pub use recording::{RecordedTrial, Recording};
pub use run::{Run, Step};
pub use table::{Mapping, Report, Row, Table};
pub use task::{Curve, Point, Scale, Task};
pub use units::Units;
pub use world::{Limits, Outcome, Reports, World};
