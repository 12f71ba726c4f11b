//! What can be written after commands for programs that run trials themselves.

use super::{experiment_id, trial_number};
use clap::Args;
use std::path::PathBuf;

/// `toprung ask`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Ends with 0 if there is a trial, with 4 if there is none now, and with 3 once the search is over. The same client that
asks again in the same lane is given its open trial again.")]
pub(crate) struct Ask {
    /// Number of the experiment (`toprung list` shows them); its file says `entrypoint: external`.
    #[arg(value_parser = experiment_id)]
    pub id: u64,
    /// The program's name: the same after its restart, and no other program's.
    #[arg(long, value_name = "NAME")]
    pub client: String,
    /// Which of the trials that the program runs at a time this one is.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub lane: u32,
    /// Wait so many seconds for a trial.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub wait: u32,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `toprung tell`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Prints what to do now: `train LENGTH`, `pause` or `stop`, and `over` once nothing more is wanted of this attempt. What is
told twice counts once. Without --metric, --checkpoint and an end it only says that the program is still there.")]
pub(crate) struct Tell {
    /// Number of the experiment.
    #[arg(value_parser = experiment_id)]
    pub id: u64,
    /// Number of the trial, as `toprung ask` said it.
    #[arg(value_parser = trial_number)]
    pub trial: u32,
    /// Its attempt, as `toprung ask` said it.
    #[arg(long, value_name = "N")]
    pub attempt: u32,
    /// The program's name, as it asked.
    #[arg(long, value_name = "NAME")]
    pub client: String,
    /// How long the trial has trained.
    #[arg(long, value_name = "LENGTH")]
    pub length: Option<u64>,
    /// A metric at that length: --metric loss=0.12. May be given several times.
    #[arg(long = "metric", value_name = "NAME=VALUE", requires = "length", value_parser = metric)]
    pub metrics: Vec<(String, f64)>,
    /// The metrics are of training, and decide nothing.
    #[arg(long, requires = "metrics")]
    pub training: bool,
    /// What the program saved at that length, by whatever name it finds it.
    #[arg(long, value_name = "LABEL", requires = "length")]
    pub checkpoint: Option<String>,
    /// It has nothing more to train.
    #[arg(long, group = "end")]
    pub done: bool,
    /// It failed: why. Tried again, until `max_restarts` is used up.
    #[arg(long, value_name = "WHY", group = "end")]
    pub failed: Option<String>,
    /// Its hyperparameters make no sense: why. Another trial takes its place.
    #[arg(long, value_name = "WHY", group = "end")]
    pub invalid: Option<String>,
    /// It is given back, to go on later from its checkpoint.
    #[arg(long, group = "end")]
    pub released: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `toprung ask-tell`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Each line of standard input is a JSON object, and so is each answer; `id` is any value that the answer repeats:
  {\"id\": 1, \"ask\": {\"lane\": 0, \"wait\": 60}}
  {\"id\": 2, \"tell\": {\"trial\": 1, \"attempt\": 1, \"length\": 3, \"metrics\": {\"loss\": 0.12}, \"checkpoint\": \"m3\"}}
A tell may also have \"training\": true, \"outcome\": \"done\", \"failed\", \"invalid\" or \"released\", and \"message\".
The first line out says {\"experiment\": …}. A line {\"notice\": …} comes unasked when a trial that is open is to pause
or stop. While this command runs, its trials are not taken away; it ends with its standard input.

Without --server, and where no engine runs for the data directory, the engine runs inside this command.")]
pub(crate) struct AskTell {
    /// Number of the experiment, or an experiment file (YAML) to start.
    #[arg(value_name = "ID|FILE")]
    pub what: String,
    /// The program's name: the same after its restart, and no other program's.
    #[arg(long, value_name = "NAME")]
    pub client: String,
    /// Change one value of the file: --set searcher.max_trials=8. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// A file whose values count where the experiment file has none.
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// How many seconds an engine that does not answer is tried again.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub patience: u64,
}

fn metric(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("write it like loss=0.12")?;
    let value = value.trim().parse().map_err(|_| format!("`{value}` is no number"))?;
    if name.is_empty() { Err("the metric has no name".to_owned()) } else { Ok((name.to_owned(), value)) }
}

#[cfg(test)]
mod tests {
    use crate::args::Arguments;
    use clap::Parser as _;

    #[test]
    fn a_tell_has_one_end_and_metrics_at_a_length() {
        let line = |more: &[&str]| {
            let start = ["toprung", "tell", "1", "2", "--attempt", "1", "--client", "a"];
            Arguments::try_parse_from(start.iter().chain(more)).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(line(&[]), Ok(()));
        assert!(line(&["--length", "3", "--metric", "loss=NaN", "--metric", "a=b=1e-3"]).is_err());
        assert_eq!(line(&["--length", "3", "--metric", "loss=NaN", "--metric", "a=1e-3"]), Ok(()));
        assert!(line(&["--metric", "loss=1"]).unwrap_err().contains("--length"));
        assert!(line(&["--done", "--released"]).unwrap_err().contains("cannot be used with"));
        assert!(line(&["--length", "3", "--metric", "loss"]).unwrap_err().contains("loss=0.12"));
    }
}
