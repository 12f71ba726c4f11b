//! The simulation harness: searchers in virtual time over recorded or synthetic learning curves.
//!
//! The searchers are those that the engine runs; there is no second implementation.
//!
//! | module | holds |
//! |---|---|
//! | [`run`] | what one simulated search did: the border between simulating and judging |

pub mod run;

pub use run::{Run, Step};
