//! What can be written after the command for programs that decide a search.

use clap::Args;
use std::path::PathBuf;

/// `toprung decide`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Each line of standard output is a JSON object. The first has {\"experiment\": …}, what the file says (`metric`,
`max_length`, `hyperparameters`, `seed`, …), `next_trial`, the id of the next trial that is created, and `state`, what
the program saved last, or null. Then, as things happen:
  {\"events\": [{\"number\": 7, \"kind\": \"validated\", \"trial\": 2, \"hparams\": {…}, \"length\": 3, \"metric\": 0.1, …}, …]}
  {\"over\": {\"state\": \"completed\", \"reason\": …, \"best\": …}}, the last one
A kind is begun, created, validated, paused, ended (`state` says how) or experiment.

Each line of standard input is a decision: all of it is done, or nothing and the answer is {\"id\": …, \"error\": …, \"over\": false}.
`id` is any value that the answer repeats:
  {\"id\": 1, \"seen\": 7, \"state\": \"…\", \"wishes\": [
     {\"create\": {\"hparams\": {\"rate\": 0.1}, \"length\": 3}}, {\"train\": 2, \"length\": 9}, {\"pause\": 3},
     {\"stop\": 4, \"reason\": \"far behind\"}]}
  {\"id\": 1, \"decided\": 5, \"trials\": [8], \"ignored\": [], \"again\": false}
`seen` is the number of the last event that was handled: up to it, events do not come again. `state` is a text of the
program's own that is kept with the decision. A create may lack `hparams` (drawn at random), `length` (in full), and
may have \"clone_from\": 2. {\"finish\": true} ends the search. \"progress\": 0.4 is shown to people.

A program that was killed starts this command again with the number of the experiment, takes up `state`, and is sent
the events after the `seen` that went with it. After 2000 events this command waits for a `seen` that goes on.

Given a file, it starts the search. Without --server, and where no engine runs for the data directory, the engine and
one agent run inside this command.")]
pub(crate) struct Decide {
    /// Number of the experiment, or an experiment file (YAML) to start.
    #[arg(value_name = "ID|FILE")]
    pub what: String,
    /// The program's name, for people.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub client: String,
    /// Change one value of the file: --set searcher.max_concurrent_trials=4. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// A file whose values count where the experiment file has none.
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// Directory with the model's code (default: the directory of the file).
    #[arg(long, value_name = "DIR")]
    pub model_dir: Option<PathBuf>,
    /// Offer N CPU slots (default: all GPUs, else one slot per CPU core). Only without a server.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub slots: Option<u32>,
    /// How many seconds an engine that does not answer is tried again.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub patience: u64,
}
