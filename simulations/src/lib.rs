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
