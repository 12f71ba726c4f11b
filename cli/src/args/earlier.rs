//! What can be written after commands that take an earlier experiment up, or away.

use super::{Showing, experiment_id};
use clap::Args;

/// `toprung fork` and `toprung continue`
#[derive(Clone, Debug, Args)]
pub(crate) struct Fork {
    /// Number of the earlier experiment (`toprung list` shows them).
    #[arg(value_parser = experiment_id)]
    pub id: u64,
    /// Change one value: --set searcher.max_length.epochs=9. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Name of the new experiment (instead of the earlier one's).
    #[arg(long)]
    pub name: Option<String>,
    /// Offer N CPU slots (default: all GPUs, else one slot per CPU core). Only without a server.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub slots: Option<u32>,
    /// Only submit; do not follow. Needs a server.
    #[arg(long)]
    pub detach: bool,
    /// How to show it.
    #[command(flatten)]
    pub show: Showing,
}

/// `toprung resume`
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Resume {
    /// Number of the experiment (`toprung list` shows them).
    #[arg(value_parser = experiment_id)]
    pub id: u64,
    /// Offer N CPU slots (default: all GPUs, else one slot per CPU core). Only without a server.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub slots: Option<u32>,
    /// Only resume; do not follow. Needs a server.
    #[arg(long)]
    pub detach: bool,
    /// How to show it.
    #[command(flatten)]
    pub show: Showing,
}

/// `toprung delete`
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Delete {
    /// Number of the experiment (`toprung list` shows them).
    #[arg(value_parser = experiment_id)]
    pub id: u64,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
