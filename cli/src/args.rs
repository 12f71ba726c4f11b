//! The command line: what can be written, with its help. Decides nothing.

mod agents;
mod earlier;

use crate::exit;
use clap::{ArgAction, Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) use agents::{Agents, AgentsCommand, Drain};
pub(crate) use earlier::{Checkpoints, CheckpointsCommand, Delete, Download, Fork, ListCheckpoints, Resume};

/// Distributed hyperparameter search.
///
/// `toprung run search.yaml` runs a search on this machine: nothing has to be installed or started before. With
/// `--server URL` the same command runs it on a cluster.
#[derive(Debug, Parser)]
#[command(name = "toprung", version, after_help = after_help(), max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
}

/// Options that every command understands.
#[derive(Clone, Args)]
pub(crate) struct Global {
    /// Server to use, for example https://toprung.example.com:7070 (default: an engine in this process).
    #[arg(long, global = true, env = "TOPRUNG_SERVER", value_name = "URL", hide_env_values = true)]
    #[arg(help_heading = "Global options")]
    pub server: Option<String>,
    /// Token of the server; a server on this machine is found without one.
    #[arg(long, global = true, env = "TOPRUNG_TOKEN", hide_env_values = true)]
    #[arg(help_heading = "Global options")]
    pub token: Option<String>,
    /// Certificates (PEM) to trust for an https server (default: those of the system).
    #[arg(long, global = true, env = "TOPRUNG_TLS_CA", value_name = "FILE", hide_env_values = true)]
    #[arg(help_heading = "Global options")]
    pub tls_ca: Option<PathBuf>,
    /// Where experiments are kept when no server is given.
    #[arg(long, global = true, env = "TOPRUNG_DATA_DIR", value_name = "DIR", default_value = DATA_DIR)]
    #[arg(help_heading = "Global options", hide_env_values = true)]
    pub data_dir: PathBuf,
    /// Say more on standard error (-v: progress, -vv: everything); TOPRUNG_LOG=FILTER is finer.
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
}

impl std::fmt::Debug for Global {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the token.
        formatter
            .debug_struct("Global")
            .field("server", &self.server)
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

impl Global {
    /// What a command in a hint needs to reach the same engine: " --server URL", " --data-dir DIR" or nothing.
    pub(crate) fn in_hints(&self) -> String {
        let by_variable = |name| std::env::var_os(name).is_some();
        match &self.server {
            Some(_) if by_variable("TOPRUNG_SERVER") => String::new(),
            Some(url) => format!(" --server {url}{}", self.tls_in_hints()),
            None if self.data_dir.as_os_str() == DATA_DIR || by_variable("TOPRUNG_DATA_DIR") => String::new(),
            None => format!(" --data-dir {}", self.data_dir.display()),
        }
    }

    fn tls_in_hints(&self) -> String {
        let by_variable = std::env::var_os("TOPRUNG_TLS_CA").is_some();
        let named = self.tls_ca.as_ref().filter(|_| !by_variable);
        named.map(|path| format!(" --tls-ca {}", path.display())).unwrap_or_default()
    }
}

/// Where experiments are kept unless another place is named.
const DATA_DIR: &str = ".toprung";

/// The commands, in the order of `toprung help`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a search and follow it until it ends.
    Run(Run),
    /// Show what a search would do, without starting it.
    Plan(Plan),
    /// List experiments, newest first.
    List(List),
    /// Show one experiment.
    Show(Show),
    /// List the trials of an experiment, or show one of them with its learning curve.
    Trials(Trials),
    /// Print what trials wrote.
    Logs(Logs),
    /// Show the best trial of an experiment: hyperparameters, metric, checkpoint.
    Best(Best),
    /// Pause an experiment: its trials save checkpoints and give their slots back.
    Pause(Control),
    /// Go on with a paused experiment and follow it until it ends.
    Resume(Resume),
    /// Start a new experiment with the file and the model of an earlier one.
    Fork(Fork),
    /// Train the trial of a `single` search on, as a new experiment that starts from its newest checkpoint.
    Continue(Fork),
    /// End an experiment now; it cannot be resumed.
    Kill(Control),
    /// Remove an experiment that has ended, with its trials, reports and logs.
    Delete(Delete),
    /// List the checkpoints of an experiment, or fetch one.
    Checkpoints(Checkpoints),
    /// List the agents and what their slots do; drain one, or give it work again.
    Agents(Agents),
    /// Show how the engine is: whether its store takes writes, its agents, its experiments.
    Status(Json),
    /// Run the server: for several people, or for agents on other machines.
    Serve(Serve),
    /// Run an agent: offer the slots of this machine to a server.
    Agent(Agent),
    /// Measure what the engine, the agent and the store do on this machine.
    Bench(Bench),
    /// A trial of the benchmark `neighbours`: only agents start it.
    #[command(hide = true)]
    BenchTrial(BenchTrial),
    /// Check, copy or write down the store of a data directory; only `backup` works while an engine uses it.
    Store(StoreArguments),
    /// Print the JSON Schema of the experiment file, for editors.
    Schema,
    /// Print shell completions.
    Completions(Completions),
}

/// `--json` alone.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Json {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Where the experiment file and its changes come from.
#[derive(Clone, Debug, Args)]
pub(crate) struct Source {
    /// The experiment file (YAML).
    pub file: PathBuf,
    /// Change one value: --set searcher.max_trials=8. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// A file whose values count where the experiment file has none.
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
}

/// `toprung run`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Without --server the engine and one agent run inside this command. Ctrl-C then pauses the search: trials save
their checkpoints; `toprung resume ID` goes on. A second Ctrl-C leaves at once (nothing acknowledged is lost).
With a server Ctrl-C only stops watching: the search goes on. `toprung show ID --follow` watches again,
`toprung pause ID` and `toprung kill ID` stop it.

The directory of the file is packed and sent along, without what .toprungignore and .gitignore exclude.")]
pub(crate) struct Run {
    /// File, template and changes.
    #[command(flatten)]
    pub source: Source,
    /// Name of the experiment (instead of the file's).
    #[arg(long)]
    pub name: Option<String>,
    /// Directory with the model's code (default: the directory of the file).
    #[arg(long, value_name = "DIR")]
    pub model_dir: Option<PathBuf>,
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

/// How a followed experiment is shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Showing {
    /// Print one JSON document at the end; progress goes to standard error.
    #[arg(long)]
    pub json: bool,
    /// Show no progress, only the result.
    #[arg(long, short)]
    pub quiet: bool,
}

/// `toprung plan`
#[derive(Clone, Debug, Args)]
pub(crate) struct Plan {
    /// File, template and changes.
    #[command(flatten)]
    pub source: Source,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

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

/// `toprung pause` and `toprung kill`
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Control {
    /// Number of the experiment (`toprung list` shows them).
    #[arg(value_parser = experiment_id)]
    pub id: u64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `toprung serve`
#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// Address to listen on. Other than loopback needs a certificate or --plaintext.
    #[arg(long, default_value = "127.0.0.1:7070", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Certificate chain (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Allow unencrypted connections from other machines (a proxy in front encrypts, or the network is trusted).
    #[arg(long, conflicts_with = "tls_cert")]
    pub plaintext: bool,
    /// Also run an agent with the slots of this machine.
    #[arg(long, overrides_with = "no_agent")]
    pub agent: bool,
    /// Run no agent (the default).
    #[arg(long, overrides_with = "agent")]
    pub no_agent: bool,
    /// The agent offers N CPU slots (default: all GPUs, else one slot per CPU core).
    #[arg(long, value_name = "N", requires = "agent", value_parser = clap::value_parser!(u32).range(1..))]
    pub slots: Option<u32>,
}

/// `toprung agent`
#[derive(Clone, Debug, Args)]
pub(crate) struct Agent {
    /// Name of the agent (default: the host's name).
    #[arg(long)]
    pub name: Option<String>,
    /// Offer N CPU slots (default: all GPUs, else one slot per CPU core).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub slots: Option<u32>,
    /// Where models, environments, checkpoints and unsent reports are kept (default: <data-dir>/agent).
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Keep so many MiB of what one attempt prints; the rest is counted and dropped.
    #[arg(
        long,
        env = "TOPRUNG_LOG_LIMIT",
        value_name = "MIB",
        default_value_t = 1024,
        hide_env_values = true
    )]
    pub log_limit: u32,
    /// Disk for unsent reports; when it is used up, trials that report wait (default: 4096).
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub spool_limit: Option<u32>,
}

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

/// `toprung completions`
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    pub shell: clap_complete::Shell,
}

fn experiment_id(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "an experiment is named by its number; `toprung list` shows them".to_owned())
}

fn trial_number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "a trial is named by its number; `toprung trials ID` shows them".to_owned())
}

fn after_help() -> String {
    format!(
        "\
Which engine answers: with --server, that one. Else the one that runs for the data directory (so that another
terminal can look at a running search). Else one inside this process.

JSON: objects with the names of the gRPC messages; states in lower case; a metric that is not a number is the
string \"NaN\", \"Infinity\" or \"-Infinity\"; times are milliseconds since 1970.

{}",
        exit::HELP
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_options_are_accepted_after_the_command() {
        let parsed = Arguments::parse_from(["toprung", "list", "--server", "http://h:1", "-vv"]);
        assert_eq!(parsed.global.server.as_deref(), Some("http://h:1"));
        assert_eq!(parsed.global.verbose, 2);
    }

    #[test]
    fn help_names_every_command_and_exit_code() {
        let help = Arguments::command().render_long_help().to_string();
        for command in Arguments::command().get_subcommands() {
            assert!(help.contains(&format!("\n  {}", command.get_name())), "{}", command.get_name());
        }
        assert!(help.contains("130  Ctrl-C"));
    }

    #[test]
    fn hints_reach_the_same_engine() {
        let hint = |line: &[&str]| Arguments::parse_from(line).global.in_hints();
        assert_eq!(hint(&["toprung", "list"]), "");
        assert_eq!(hint(&["toprung", "list", "--server", "h"]), " --server h");
        assert_eq!(hint(&["toprung", "list", "--server", "h", "--tls-ca", "c"]), " --server h --tls-ca c");
        assert_eq!(hint(&["toprung", "list", "--data-dir", "d"]), " --data-dir d");
    }

    #[test]
    fn a_wrong_number_is_told_where_numbers_are_shown() {
        let said = |line: &[&str]| Arguments::try_parse_from(line).unwrap_err().to_string();
        assert!(said(&["toprung", "show", "abc"]).contains("`toprung list` shows them"));
        assert!(said(&["toprung", "trials", "1", "abc"]).contains("`toprung trials ID` shows them"));
    }

    #[test]
    fn slots_say_what_they_are() {
        for command in ["run", "resume", "serve", "agent"] {
            let mut all = Arguments::command();
            let help = all.find_subcommand_mut(command).unwrap().render_long_help().to_string();
            assert!(help.contains("N CPU slots (default: all GPUs, else one slot per CPU core)"), "{help}");
        }
    }

    #[test]
    fn a_certificate_needs_its_key() {
        assert!(Arguments::try_parse_from(["toprung", "serve", "--tls-cert", "c.pem"]).is_err());
    }
}
