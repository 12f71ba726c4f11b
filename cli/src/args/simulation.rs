//! What can be written after `toprung simulate` and `toprung tune-searcher`.

use crate::simulation::amount::Amount;
use crate::simulation::budget::Budget;
use clap::Args;
use std::path::PathBuf;
use toprung_kernels::DeviceChoice;

/// `toprung simulate`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Everything happens in virtual time: nothing is trained. Curves come from --table, --synthetic or --from-experiment.
TIME is virtual seconds (90, 90s, 5m, 2h), or a part of the time of a full training (2%).

  toprung simulate --synthetic power
  toprung simulate --table curves.csv --columns metric=val_error,length=epoch,cost=seconds
  toprung simulate --from-experiment 12 --searcher hyperband --searcher asha:divisor=3,stop_once=true
  toprung simulate search.yaml --table curves.csv --slots 4 --out report

Random search and \"one epoch, best k\" always take part. Ctrl-C judges the seeds that are complete.")]
pub(crate) struct Simulate {
    /// An experiment file: its searcher takes part, and it says which columns of a table are what.
    pub file: Option<PathBuf>,
    /// Where the learning curves come from.
    #[command(flatten)]
    pub curves: Curves,
    /// A searcher that takes part, with fields of the experiment file. May be given several times.
    #[arg(long = "searcher", value_name = "NAME[:KEY=VALUE,…]")]
    pub searchers: Vec<String>,
    /// The comparison protocol exactly: 8 slots, 4 full trainings a slot, no overheads, free resumes.
    #[arg(long, conflicts_with_all = ["budget", "startup", "checkpoint_time", "resume_time", "stragglers",
                                      "crashes", "preemptions", "node_loss", "slots_per_node"])]
    pub protocol: bool,
    /// Also play so many replicates of each `async_halving` by promotion on each table, in lengths instead of times: 100000
    /// are a matter of seconds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub replicates: Option<u32>,
    /// Where replicates are played: auto, cpu, or cuda:N.
    #[arg(long, value_name = "DEVICE", default_value = "auto", requires = "replicates", value_parser = device)]
    pub device: DeviceChoice,
    /// The simulated cluster.
    #[command(flatten)]
    pub cluster: Cluster,
    /// What is printed and written.
    #[command(flatten)]
    pub show: Outputs,
}

fn device(text: &str) -> Result<DeviceChoice, String> {
    text.parse().map_err(|error: toprung_kernels::Error| error.to_string())
}

/// `toprung tune-searcher`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Settings are compared with the same seeds. After a quarter and after half of the seeds those that are clearly worse than
the leader (paired test, corrected for their number) are left out; --all keeps them.

  toprung tune-searcher --synthetic power --budget 32 --slots 8
  toprung tune-searcher --table curves.csv --searcher asha --grid divisor=2,3,4 --grid min_length=1,3
  toprung tune-searcher search.yaml --from-experiment 12

Prints which setting is best, what is no more than noise, and the `searcher:` section to paste.")]
pub(crate) struct TuneSearcher {
    /// An experiment file, whose searcher is tuned.
    pub file: Option<PathBuf>,
    /// Where the learning curves come from.
    #[command(flatten)]
    pub curves: Curves,
    /// The searcher that is tuned, with the fields that stay as they are (default: that of FILE, else `async_halving` and
    /// `adaptive_asha`). May be given several times.
    #[arg(long = "searcher", value_name = "NAME[:KEY=VALUE,…]")]
    pub searchers: Vec<String>,
    /// Values of a field to try; all combinations are (default: what suits the searcher). May be given several times.
    #[arg(long = "grid", value_name = "KEY=V1,V2")]
    pub grid: Vec<String>,
    /// Play every setting with every seed.
    #[arg(long)]
    pub all: bool,
    /// The simulated cluster.
    #[command(flatten)]
    pub cluster: Cluster,
    /// What is printed and written.
    #[command(flatten)]
    pub show: Outputs,
}

/// Where learning curves come from.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Learning curves")]
pub(crate) struct Curves {
    /// Recorded curves: a CSV or Parquet file with a line for each configuration and length, or a folder with task.json.
    #[arg(long = "table", value_name = "PATH")]
    pub tables: Vec<PathBuf>,
    /// Which columns of the files are what: metric=NAME,length=NAME,cost=NAME,total_cost=NAME,configuration=NAME,
    /// hyperparameters=NAME+NAME (default: columns of these names; what is left are hyperparameters).
    #[arg(long, value_name = "WHAT=NAME,…", requires = "tables")]
    pub columns: Option<String>,
    /// The greatest metric of the files is the best.
    #[arg(long, requires = "tables")]
    pub maximize: bool,
    /// Curves made from formulae: power, crossing, hard, hartmann3, hartmann4 or hartmann6, with settings such as
    /// power:dimensions=6,noise=0.05.
    #[arg(long = "synthetic", value_name = "NAME[:KEY=VALUE,…]")]
    pub synthetic: Vec<String>,
    /// The trials of an experiment that ran here or on --server.
    #[arg(long = "from-experiment", value_name = "ID")]
    pub experiments: Vec<u64>,
}

/// The simulated cluster.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Simulated cluster")]
pub(crate) struct Cluster {
    /// How many trials run at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    pub slots: u32,
    /// How many times each search is repeated, each time with another seed.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub seeds: u32,
    /// The first seed (default: 0; of an experiment that ran, its own, so that it meets its trials again).
    #[arg(long, value_name = "N")]
    pub first_seed: Option<u32>,
    /// When a search ends: N full trainings' worth of slot time, length:N (trained by all trials) or time:TIME (default: 4
    /// full trainings a slot; with FILE what its search trains, with --from-experiment what that one trained).
    #[arg(long, value_name = "BUDGET")]
    pub budget: Option<Budget>,
    /// What each attempt takes before it trains.
    #[arg(long, value_name = "TIME", default_value = "0")]
    pub startup: Amount,
    /// What saving a checkpoint takes.
    #[arg(long, value_name = "TIME", default_value = "0")]
    pub checkpoint_time: Amount,
    /// What going on from a checkpoint takes, beside the start-up.
    #[arg(long, value_name = "TIME", default_value = "0")]
    pub resume_time: Amount,
    /// How uneven attempts are: the standard deviation of the logarithm of their speed.
    #[arg(long, value_name = "SIGMA", default_value_t = 0.0)]
    pub stragglers: f64,
    /// The mean time of training after which an attempt fails (default: never).
    #[arg(long, value_name = "TIME")]
    pub crashes: Option<Amount>,
    /// The mean time of training after which an attempt is preempted (default: never).
    #[arg(long, value_name = "TIME")]
    pub preemptions: Option<Amount>,
    /// The mean time after which a node is lost; it is back after a tenth of that (default: never).
    #[arg(long, value_name = "TIME")]
    pub node_loss: Option<Amount>,
    /// How many slots a node has.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub slots_per_node: u32,
}

/// What is printed and written.
#[derive(Clone, Debug, Args)]
pub(crate) struct Outputs {
    /// Write a page to look at, its plots (SVG, PNG) and all numbers (CSV, Parquet, JSON) into this directory.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print CSV.
    #[arg(long)]
    pub csv: bool,
    /// Show no progress, only the result.
    #[arg(long, short)]
    pub quiet: bool,
}
