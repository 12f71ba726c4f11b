//! What one simulated search did, as far as it can be judged later: the border between simulating and judging.

use serde::{Deserialize, Serialize};

/// One search of one searcher on one task with one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The task's name.
    pub task: String,
    /// The searcher's label, unique in a comparison.
    pub searcher: String,
    /// The seed of the searcher (and of the world).
    pub seed: u32,
    /// Each time the best metric improved, in order of time. Metrics are normalised: smaller is better.
    pub steps: Vec<Step>,
    /// Virtual seconds (or cost units) at which the search ended or its budget was used up.
    pub end_time: f64,
    /// The length trained by all trials together.
    pub total_length: u64,
    /// The cost of that length, in the task's unit.
    pub total_cost: f64,
    /// The part of `total_length` that was trained and lost: after the last checkpoint of an attempt that failed or was
    /// preempted.
    pub wasted_length: u64,
    /// Slot-seconds in which a slot trained, of `slots × end_time`; in `0.0 ..= 1.0`.
    pub utilisation: f64,
    /// How many trials were created.
    pub trials: u64,
    /// How many validations were reported.
    pub reports: u64,
}

/// A moment at which the best metric improved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Virtual time.
    pub time: f64,
    /// Length trained by all trials until then.
    pub length: u64,
    /// Cost of all trials until then.
    pub cost: f64,
    /// The best metric from then on (smaller is better).
    pub best: f64,
}
