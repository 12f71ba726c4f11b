//! `toprung agents` and what it can do to one.

use super::Json;
use clap::{Args, Subcommand};

/// `toprung agents`
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Agents {
    /// How to show them.
    #[command(flatten)]
    pub show: Json,
    /// What to do instead.
    #[command(subcommand)]
    pub command: Option<AgentsCommand>,
}

/// What `toprung agents` does to an agent.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AgentsCommand {
    /// Give an agent nothing new; what it runs saves and goes on elsewhere. Holds until `undrain`.
    Drain(Drain),
    /// Give a drained agent work again.
    Undrain {
        /// Name of the agent (`toprung agents` shows them).
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// `toprung agents drain`
#[derive(Clone, Debug, Args)]
pub(crate) struct Drain {
    /// Name of the agent (`toprung agents` shows them); it need not be connected.
    pub name: String,
    /// Why, for those whose trials have to leave.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub reason: String,
    /// Return when nothing runs there any more.
    #[arg(long)]
    pub wait: bool,
    /// Wait so long at most, in seconds (default: for as long as it takes).
    #[arg(long, value_name = "SECONDS", requires = "wait", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
