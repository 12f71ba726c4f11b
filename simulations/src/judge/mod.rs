//! Judging runs: who found the better configurations, by when, and whether the difference is more than luck.
//!
//! Everything here is a pure function of [`Run`](crate::Run)s and a [`Setup`]; the random numbers of the bootstrap come
//! from a counter-based stream, so the same runs give the same [`Comparison`] to the last bit.
//!
//! | module | holds |
//! |---|---|
//! | [`setup`] | what is compared: tasks with their scales, searchers, budgets |
//! | [`scores`] | the incumbent of each run at each budget |
//! | [`interval`] | the interquartile mean and its bootstrap interval |
//! | [`rank`] | mean ranks over tasks and seeds |
//! | [`signed_rank`] | Wilcoxon's paired test |
//! | [`holm`] | Holm's correction for many comparisons |
//! | [`duel`] | two searchers against each other |
//! | [`work`] | utilisation, wasted work, time to a target |
//! | [`curves`] | what a plot shows |
//! | [`comparison`] | all of it together |
//! | `conclusion` | the same in plain words |

pub mod comparison;
mod conclusion;
pub mod curves;
pub mod duel;
pub mod error;
pub mod holm;
pub mod interval;
pub mod rank;
#[cfg(test)]
pub(crate) mod samples;
pub mod scores;
pub mod setup;
pub mod signed_rank;
pub(crate) mod wording;
pub mod work;

pub use comparison::{Comparison, Paragraph, Standing, TaskVerdict, Verdict};
pub use curves::{AxisCurves, Curve, Point, Profile, RankCurve};
pub use duel::Duel;
pub use error::Error;
pub use interval::Interval;
pub use scores::{Axis, Score};
pub use setup::{Contestant, Setup, Task};
pub use work::Work;
