//! What can be written after commands that take an earlier experiment up, or away.

use super::{Showing, experiment_id, trial_number};
use clap::{Args, Subcommand};
use std::path::PathBuf;

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

/// `toprung checkpoints`
#[derive(Clone, Debug, Args)]
pub(crate) struct Checkpoints {
    /// What to do.
    #[command(subcommand)]
    pub command: CheckpointsCommand,
}

/// `toprung checkpoints …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum CheckpointsCommand {
    /// List the checkpoints of an experiment.
    List(ListCheckpoints),
    /// Copy a checkpoint into a directory; every file is compared with what was saved.
    Download(Download),
}

/// `toprung checkpoints list`
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ListCheckpoints {
    /// Number of the experiment (`toprung list` shows them).
    #[arg(value_parser = experiment_id)]
    pub id: u64,
    /// Only those of this trial.
    #[arg(long, value_name = "N", value_parser = trial_number)]
    pub trial: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `toprung checkpoints download`
#[derive(Clone, Debug, Args)]
pub(crate) struct Download {
    /// Name of the checkpoint, or how it begins (`toprung checkpoints list` shows them).
    pub uuid: String,
    /// The directory to make.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `toprung delete`
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Delete {
    /// Number of the experiment (`toprung list` shows them).
    #[arg(value_parser = experiment_id)]
    pub id: u64,
    /// Leave the files of its checkpoints where they are.
    #[arg(long)]
    pub keep_checkpoints: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
