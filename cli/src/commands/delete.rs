//! `toprung delete`

use super::look;
use crate::args::{Delete, Global};
use crate::client::Client;
use crate::errors::Error;
use crate::exit::Exit;
use crate::output::{self, format};
use std::io::{BufRead as _, IsTerminal as _};
use toprung_proto::v1;

/// Removes an experiment; asks before on a terminal.
pub(super) async fn run(global: &Global, args: Delete) -> Result<Exit, Error> {
    let deleted = look(global, |client, _| async move { delete(&client, args).await }).await?;
    if args.json {
        output::print_json(&serde_json::json!({"deleted": deleted.then_some(args.id)}))?;
    } else if deleted {
        output::print(&format!("experiment {} is deleted\n", args.id))?;
    } else {
        output::print("nothing was deleted\n")?;
    }
    Ok(Exit::Ok)
}

async fn delete(client: &Client, args: Delete) -> Result<bool, Error> {
    if !args.yes {
        let experiment = client.experiment(args.id).await?;
        if !std::io::stdin().is_terminal() {
            return Err(Error::Usage {
                message: format!("experiment {} was not deleted: nobody can be asked", args.id),
                help: "pass --yes".to_owned(),
            });
        }
        if !confirmed(&question(&experiment))? {
            return Ok(false);
        }
    }
    client.delete(args.id).await?;
    Ok(true)
}

fn question(experiment: &v1::Experiment) -> String {
    let trials = experiment.trials.map_or(0, |trials| trials.total);
    format!(
        "delete experiment {} ({}, {}) with {}, their reports and logs? [y/N] ",
        experiment.id,
        format::printable(&experiment.name),
        format::experiment_state(experiment.state),
        format::counted(trials, "trial", "trials")
    )
}

fn confirmed(question: &str) -> Result<bool, Error> {
    output::print(question)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(Error::io("cannot read the answer"))?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_deletes() {
        assert!(is_yes("Yes\n") && is_yes("y"));
        assert!(!is_yes("") && !is_yes("n") && !is_yes("yesterday"));
    }

    #[test]
    fn the_question_says_what_is_lost() {
        let trials = v1::TrialCounts { total: 1, ..Default::default() };
        let experiment =
            v1::Experiment { id: 4, name: "digits".into(), trials: Some(trials), ..Default::default() };
        assert!(question(&experiment).contains("experiment 4 (digits, unspecified) with 1 trial,"));
    }
}
