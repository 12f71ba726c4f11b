//! What can be wrong with runs that are to be compared.

/// Runs that cannot be compared as they are.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// There is nothing to compare: give at least one task, one searcher and one run.
    #[error("a comparison needs at least one {what}, and there is none")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// A name is given twice: give each task and each searcher a name of its own.
    #[error("{what} {name} is given twice: each needs a name of its own")]
    Twice {
        /// `task` or `searcher`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A run is of a task or searcher that the setup does not have: add it to the setup, or leave the run out.
    #[error("a run is of the {what} {name}, which is not in the setup; there are: {known}")]
    Unknown {
        /// `task` or `searcher`.
        what: &'static str,
        /// The name.
        name: String,
        /// Those that there are, joined by commas.
        known: String,
    },
    /// Two runs have the same task, searcher and seed: leave one out.
    #[error("two runs of {searcher} on {task} have the seed {seed}: leave one out")]
    SameRun {
        /// The task.
        task: String,
        /// The searcher.
        searcher: String,
        /// The seed.
        seed: u32,
    },
    /// The steps of a run go back in time or length: sort them.
    #[error("run of {searcher} on {task}, seed {seed}: step {step} lies before the one ahead of it")]
    Order {
        /// The task.
        task: String,
        /// The searcher.
        searcher: String,
        /// The seed.
        seed: u32,
        /// The step's place, from 0.
        step: usize,
    },
    /// The scale of a task has no height, so regret cannot be normalised: give a median that is worse than the best.
    #[error("task {task}: the median {median} must be larger than the best value {best}, and both finite")]
    Scale {
        /// The task.
        task: String,
        /// Its best value.
        best: f64,
        /// Its median.
        median: f64,
    },
    /// A setting is out of its range: change it to an allowed value.
    #[error("{setting} is {found}, allowed is {allowed}")]
    Setting {
        /// The field's name.
        setting: &'static str,
        /// What it was.
        found: String,
        /// What it may be.
        allowed: &'static str,
    },
}
