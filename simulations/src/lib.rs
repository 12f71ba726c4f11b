//! The simulation harness: searchers in virtual time over recorded or synthetic learning curves.
//!
//! The searchers are those that the engine runs; there is no second implementation.
//!
//! | module | holds |
//! |---|---|
//! | [`task`] | what a search is played on |
//! | [`table`] | tasks of recorded learning curves |
//! | [`player`] | who plays: searchers and baselines |
//! | [`protocol`] | the protocol of comparison on recorded tables |
//! | [`run`] | what one simulated search did: the border between simulating and judging |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod error;
pub mod player;
pub mod protocol;
pub mod run;
pub mod table;
pub mod task;

pub use error::Error;
pub use player::{FirstThenBest, Player, Rounds};
pub use protocol::Protocol;
pub use run::{Run, Step};
pub use table::{Row, Table};
pub use task::{Curve, Point, Scale, Task};
