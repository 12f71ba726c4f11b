//! The command line: what can be written, with its help. Decides nothing.

mod agents;
mod asking;
mod daemons;
mod deciding;
mod earlier;
mod global;
mod looking;
mod simulation;
mod upkeep;

use crate::exit;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

pub(crate) use agents::{Agents, AgentsCommand, Drain};
pub(crate) use asking::{Ask, AskTell, Tell};
pub(crate) use daemons::{Agent, Serve};
pub(crate) use deciding::Decide;
pub(crate) use earlier::{Checkpoints, CheckpointsCommand, Delete, Download, Fork, ListCheckpoints, Resume};
pub(crate) use global::Global;
pub(crate) use looking::{Best, List, Logs, Show, Trials};
pub(crate) use simulation::{Cluster, Curves, Outputs, Simulate, TuneSearcher};
pub(crate) use upkeep::{Bench, BenchTrial, StoreArguments, StoreCommand};

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

/// The commands, in the order of `toprung help`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a search and follow it until it ends.
    Run(Run),
    /// Show what a search would do, without starting it.
    Plan(Plan),
    /// Try searchers in virtual time on learning curves that you have, and say which does best.
    Simulate(Box<Simulate>),
    /// Find the settings of a searcher that suit a budget and a number of slots, in virtual time.
    TuneSearcher(Box<TuneSearcher>),
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
    /// Ask for a trial to train, for programs that run trials themselves (`entrypoint: external`).
    Ask(Ask),
    /// Tell what came of such a trial: metrics, a checkpoint, its end. Prints what to do now.
    Tell(Tell),
    /// Ask and tell as JSON lines, for a program that keeps this command beside it.
    AskTell(AskTell),
    /// Decide a search (`searcher: {name: custom}`) as JSON lines, for a program that keeps this command beside it.
    Decide(Decide),
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
        for command in Arguments::command().get_subcommands().filter(|c| !c.is_hide_set()) {
            assert!(help.contains(&format!("\n  {}", command.get_name())), "{}", command.get_name());
        }
        assert!(help.contains("130  Ctrl-C"));
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
