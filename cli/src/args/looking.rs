//! What can be written after commands that look at experiments.

use super::{experiment_id, trial_number};
use clap::Args;

/// `toprung list`
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct List {
    /// Show at most so many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `toprung show`
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Show {
    /// Number of the experiment (`toprung list` shows them).
    #[arg(value_parser = experiment_id)]
    pub id: u64,
    /// Print the complete configuration, with every default filled in.
    #[arg(long, conflicts_with = "follow")]
    pub config: bool,
    /// Follow it until it ends; Ctrl-C stops watching.
    #[arg(long, short)]
    pub follow: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `toprung trials`
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Trials {
    /// Number of the experiment (`toprung list` shows them).
    #[arg(value_parser = experiment_id)]
    pub id: u64,
    /// Number of a trial: show only this one, with its learning curve.
    #[arg(conflicts_with_all = ["best", "limit"], value_parser = trial_number)]
    pub trial: Option<u32>,
    /// Best metric first.
    #[arg(long)]
    pub best: bool,
    /// Show at most so many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `toprung logs`
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Logs {
    /// Number of the experiment (`toprung list` shows them).
    #[arg(value_parser = experiment_id)]
    pub id: u64,
    /// Only this trial.
    #[arg(long, value_name = "N", value_parser = trial_number)]
    pub trial: Option<u32>,
    /// Go on with new lines until the experiment ends.
    #[arg(long, short)]
    pub follow: bool,
    /// Begin with the last so many lines (0: all).
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub tail: u32,
    /// Print one JSON object per line.
    #[arg(long)]
    pub json: bool,
}

/// `toprung best`
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Best {
    /// Number of the experiment (`toprung list` shows them).
    #[arg(value_parser = experiment_id)]
    pub id: u64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
