//! The simulation harness: searchers in virtual time over recorded or synthetic learning curves.
//!
//! The searchers are those that the engine runs; there is no second implementation.
//!
//! | module | holds |
//! |---|---|
//! | [`judge`] | who was better, by when, and whether it is more than luck |
//! | [`report`] | the same as tables, files and a page to look at |
//! | [`run`] | what one simulated search did: the border between simulating and judging |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod judge;
pub mod report;
pub mod run;

pub use run::{Run, Step};
