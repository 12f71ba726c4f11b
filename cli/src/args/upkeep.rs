//! What can be written after `toprung bench` and `toprung store`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `toprung bench`
#[derive(Clone, Debug, Args)]
pub(crate) struct Bench {
    /// Only these (default: all).
    #[arg(value_name = "NAME")]
    pub names: Vec<crate::bench::Name>,
    /// Small sizes: shows that everything works, not how fast it is.
    #[arg(long)]
    pub quick: bool,
    /// Where stores are made, on the disk to be measured (default: the system's temporary directory).
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `toprung bench-trial`
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchTrial {
    /// What it does.
    pub role: crate::bench::trial::Role,
    /// Where it writes down what it measured.
    pub directory: PathBuf,
}

/// `toprung store`
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// What `toprung store` does.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read everything and say what is broken (exit code 5 if anything is).
    Check {
        /// Make the database again from the redo log first.
        #[arg(long)]
        rebuild: bool,
        /// Make every decision again from the journals and compare: what this version decides otherwise is named.
        #[arg(long)]
        decisions: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write everything down as text, one JSON object a line.
    Export {
        /// A file that does not exist yet, or - for standard output.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make the store of a new data directory from an export.
    Import {
        /// The file.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Copy the store to another data directory, also while an engine uses it, or from --server.
    Backup {
        /// The directory; it must not have a store yet.
        dir: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}
